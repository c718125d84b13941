"""Masks of candidate boxes: from a file that segments them, or as COCO's annotators drew them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as run_length

from benchmarks.data.files import box_from_xywh, existing, identifier, read_json_lines, required, sha256, shown
from falip.errors import UserError
from falip.regions import Box, ImageSize

ANNOTATED = "annotations"
"""The value of `task.masks` that stands for the outlines in the annotation file."""
MEND = "falip data masks --help"
_TOLERANCE = 0.01  # pixels: boxes are written as decimals
_FAR = 4


@dataclass(frozen=True)
class MaskFile:
    """A file of masks: JSON lines, one object for each image, with one mask for each box in the order of the candidates.

    A line is `{"image_id": 25, "boxes": [[x, y, width, height], ...], "masks": [RLE, ...]}`. A mask is COCO's run
    lengths, `{"size": [height, width], "counts": ...}`, compressed (a text) or not (a list). A line with the key
    `masks_of` instead is a header that says how they were made; it is not read, but is hashed with the rest.

    Attributes:
        path: Of the file.
    """

    path: Path

    @property
    def identity(self) -> str:
        """SHA-256 of the file."""
        return sha256(self._existing)

    def masks(self, image_id: str, boxes: Sequence[Box], image_size: ImageSize) -> list[np.ndarray | None]:
        """One bool array (height, width) for each box; None for a mask without a pixel, for which its box stands.

        Args:
            image_id: COCO's id.
            boxes: The candidates as corners, in order.
            image_size: (width, height) of the picture.

        Raises:
            UserError: If the file has no line for the image, or one of other boxes or another size.
        """
        if image_id not in self._lines:
            raise UserError(f"{self.path} has no masks for image {image_id}. Make the file for these candidates: {MEND}")
        place, line = self._lines[image_id]
        found, masks = (_list(required(line, key, place), key, place) for key in ("boxes", "masks"))
        if not len(found) == len(masks) == len(boxes):
            raise UserError(
                f"{place}: {len(found)} boxes and {len(masks)} masks, where image {image_id} has {len(boxes)} candidates. "
                f"Were they made for other proposals? Make the file for these: {MEND}"
            )
        for number, (mine, theirs) in enumerate(zip(boxes, found, strict=True)):
            other = box_from_xywh(theirs, place)
            if max(abs(a - b) for a, b in zip(mine, other, strict=True)) > _TOLERANCE:
                raise UserError(
                    f"{place}: box {number} is (x0, y0, x1, y1) = {other}, and candidate {number} of image {image_id} is "
                    f"{mine}. They must be the same boxes in the same order; make the file for these: {MEND}"
                )
        return [decoded(mask, image_size, f"{place}, mask {number}") for number, mask in enumerate(masks)]

    @property
    def _existing(self) -> Path:
        return existing(self.path, "file of masks (task.masks)", MEND)

    @cached_property
    def _lines(self) -> dict[str, tuple[str, dict[str, Any]]]:
        lines: dict[str, tuple[str, dict[str, Any]]] = {}
        for place, line in read_json_lines(self._existing, MEND):
            if "masks_of" in line:
                continue
            image_id = identifier(required(line, "image_id", place), place)
            if image_id in lines:
                raise UserError(f"{place}: a second line for image {image_id}; the first is {lines[image_id][0]}.")
            lines[image_id] = place, line
        return lines


@dataclass(frozen=True)
class AnnotatedMasks:
    """The outlines that come with annotated objects: polygons, or run lengths for crowds.

    Attributes:
        place: The annotation file, for messages.
        outlines: The segmentation of each annotated object of an image, in the order of the candidates.
    """

    place: str
    outlines: Mapping[str, Sequence[Any]] = field(repr=False)
    identity: str = ANNOTATED  # their file is hashed as the annotations' is

    def masks(self, image_id: str, boxes: Sequence[Box], image_size: ImageSize) -> list[np.ndarray | None]:
        """As `MaskFile.masks`."""
        outlines = self.outlines.get(image_id, ())
        if len(outlines) != len(boxes):
            raise UserError(f"{self.place}: {len(outlines)} outlines for the {len(boxes)} candidates of image {image_id}.")
        place = f"{self.place}, image {image_id}, object"
        return [decoded(outline, image_size, f"{place} {number}") for number, outline in enumerate(outlines)]


def decoded(mask: Any, image_size: ImageSize, place: str) -> np.ndarray | None:
    """A mask in one of COCO's three forms as bool (height, width); None where no pixel is set.

    Args:
        mask: Run lengths, compressed or not, or a list of polygons [x, y, x, y, ...].
        image_size: (width, height) of its picture.
        place: For messages.

    Raises:
        UserError: If it has another form, or the size of another picture.
    """
    width, height = image_size
    if isinstance(mask, dict):
        size = mask.get("size")
        if size != [height, width]:  # before decoding, which takes whatever memory the size asks for
            raise UserError(f"{place}: the mask is {shown(size)} high and wide, and its picture {height} by {width}.")
    elif mask == []:
        return None
    try:
        pixels = run_length.decode(_compressed(mask, height, width)).astype(bool)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, IndexError) as error:
        raise UserError(f"{place}: neither COCO's run lengths nor polygons ({error!r}).") from None
    return pixels if pixels.any() else None


def _compressed(mask: Any, height: int, width: int) -> Any:
    if isinstance(mask, list):
        if not all(isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in mask):
            raise ValueError("a polygon is a list of at least three points x, y")
        # pycocotools walks each edge in steps of a fifth of a pixel, and takes the memory for it.
        if not all(abs(value) <= _FAR * max(height, width) for polygon in mask for value in polygon):
            raise ValueError(f"a polygon goes on more than {_FAR} times as far as its picture")
        return run_length.merge(run_length.frPyObjects(mask, height, width))
    counts = mask["counts"]
    if not isinstance(counts, list):
        return mask
    if not all(isinstance(count, int) and count >= 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"the run lengths must be whole numbers with the sum {height * width}")
    return run_length.frPyObjects(mask, height, width)


def _list(value: Any, key: str, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise UserError(f"{place}: {key!r} must be a list, and is {shown(value)}.")
    return value
