"""Where CLIP is told to look: boxes, a mask or both in one image."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from falip.errors import UserError

Box = tuple[float, float, float, float]
ImageSize = tuple[int, int]

ROUNDING = 1.0  # pixels: annotators count pixels from 0 or from 1, and their centres or their edges
SHARE_ROUNDING = 0.02  # of an image: detectors give boxes in 0..1 that end slightly outside


@dataclass(frozen=True, eq=False)
class Region:
    """One region of one image: a box, several boxes that belong together, a mask, or a box with its mask.

    A proposal may have both, which need not agree: prompts that draw or cut a box take its box, those that go by a mask,
    the tokens of the foveal mask among them, take its mask.

    Attributes:
        boxes: Boxes (x0, y0, x1, y1) in pixels; for a mask alone, the bounding box of its pixels.
        mask: Boolean array of shape (height, width) of the image, or None where the region is given by boxes. What is
            given may be anything that `from_mask` takes.

    Raises:
        UserError: If there is no box, a box is not four finite numbers, or the mask is none.
    """

    boxes: tuple[Box, ...]
    mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Rejects what names no region."""
        if not len(self.boxes):
            raise UserError("A region needs at least one box, and got none.")
        object.__setattr__(self, "boxes", tuple(_checked_box(box) for box in self.boxes))
        if self.mask is not None:
            object.__setattr__(self, "mask", _checked_mask(self.mask))

    @staticmethod
    def from_box(x0: float, y0: float, x1: float, y1: float) -> Region:
        """A region of one box, corners in pixels."""
        return Region.from_boxes([(x0, y0, x1, y1)])

    @staticmethod
    def from_boxes(boxes: Sequence[Sequence[float]]) -> Region:
        """A region of several boxes; its foveal bias is the maximum of theirs.

        Raises:
            UserError: If there is no box, or a box is not four finite numbers.
        """
        return Region(tuple(boxes))  # pyright: ignore[reportArgumentType]  (each box is checked there)

    @staticmethod
    def from_mask(mask: np.ndarray) -> Region:
        """A region of any form.

        Args:
            mask: Array of shape (height, width) of the image: booleans, or 0 outside and one other whole number inside.

        Raises:
            UserError: If the mask is not two-dimensional, has no pixel set, or has other values, as logits,
                probabilities and ids do.
        """
        pixels = _checked_mask(mask)
        rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        return Region((box,), pixels)

    def _repr_html_(self) -> str:
        """What a notebook shows: its boxes, and its mask as a small picture."""
        from falip.picture.inline import mask_tag

        boxes = "; ".join(f"({', '.join(f'{value:g}' for value in box)})" for box in self.boxes)
        words = f"Region: {'box' if len(self.boxes) == 1 else f'{len(self.boxes)} boxes'} {boxes} in pixels"
        if self.mask is None:
            return f"<div>{words}</div>"
        height, width = self.mask.shape
        inside = f"mask of {int(self.mask.sum())} pixels in {width} × {height}"
        return f"<div>{words}, {inside}<br>{mask_tag(self.mask)}</div>"

    @property
    def box(self) -> Box:
        """The smallest box that holds the whole region."""
        x0, y0, x1, y1 = zip(*self.boxes, strict=True)
        return min(x0), min(y0), max(x1), max(y1)

    def pixels(self, image_size: ImageSize) -> np.ndarray:
        """Bool (height, width): its mask, or the pixels of its boxes, rounded to whole ones, each at least one pixel.

        Args:
            image_size: (width, height) in pixels; the region lies in the image.
        """
        if self.mask is not None:
            return self.mask
        width, height = image_size
        mask = np.zeros((height, width), bool)
        for box in self.boxes:
            x0, y0, x1, y1 = (round(value) for value in box)
            x0, y0 = min(x0, width - 1), min(y0, height - 1)
            mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
        return mask

    def clipped(self, image_size: ImageSize) -> Region:
        """The part of the region that lies in the image.

        Args:
            image_size: (width, height) in pixels.

        Raises:
            UserError: If a mask has another shape than the image, or no box keeps any area.
        """
        width, height = image_size
        if self.mask is not None and self.mask.shape != (height, width):
            raise UserError(
                f"The mask has shape {self.mask.shape}, but its image is {width} wide and {height} high, so the "
                f"mask must have shape {(height, width)}."
            )
        boxes = (clip_box(box, image_size) for box in self.boxes)
        kept = tuple(box for box in boxes if box[2] > box[0] and box[3] > box[1])
        if not kept:
            raise UserError(
                f"The box {self.box} has no area inside its image of {width} x {height} pixels. Boxes are "
                "(x0, y0, x1, y1) in pixels."
            )
        return self if kept == self.boxes else Region(kept, self.mask)


def as_regions(given: Any, image_size: ImageSize) -> Sequence[Region]:
    """Regions from what can only mean regions.

    Args:
        given: Regions, boxes of four numbers and masks, in a list or one alone; or an array of boxes (regions, 4) or masks
            (regions, height, width).
        image_size: (width, height) of the image, which tells masks from boxes.

    Raises:
        UserError: If it is something else; the message says what to give.
    """
    if isinstance(given, Region):
        return [given]
    if isinstance(given, list | tuple):
        if all(isinstance(one, Region) for one in given):
            return given
        return [_one_region(given)] if _is_box(given) else [_one_region(one) for one in given]
    if isinstance(given, str | bytes | Mapping) or not _is_array(given):
        raise _no_region(given)
    array, mask_shape = np.asarray(given), image_size[::-1]
    if array.ndim == 1 or (array.ndim == 2 and (array.dtype == bool or array.shape == mask_shape)):
        return [_one_region(array)]
    if array.ndim == 3 or (array.ndim == 2 and array.shape[1] == 4):
        return [_one_region(one) for one in array]
    raise UserError(
        f"An array of shape {array.shape} names no regions: give boxes of shape (regions, 4), or masks of the shape of the "
        f"image, {mask_shape}."
    )


def _one_region(given: Any) -> Region:
    if isinstance(given, Region):
        return given
    if _is_box(given):
        return Region.from_box(*(float(value) for value in given))
    if _is_array(given) and np.asarray(given).ndim == 2:
        return Region.from_mask(np.asarray(given))
    raise _no_region(given)


def _is_box(given: Any) -> bool:
    """Whether it is four numbers."""
    if not isinstance(given, list | tuple) and not (_is_array(given) and np.asarray(given).ndim == 1):
        return False
    values = list(given)
    return len(values) == 4 and all(_is_number(value) for value in values)


def _is_array(given: Any) -> bool:
    """Whether numpy makes an array of it: its own, a tensor, a picture."""
    return hasattr(given, "__array__") or hasattr(given, "__array_interface__")


def _is_number(value: Any) -> bool:
    """Whether it is one number; that of an array or tensor without axes is one too."""
    if isinstance(value, list | tuple):
        return False
    found = np.asarray(value)
    return found.ndim == 0 and found.dtype.kind in "iuf"


def _no_region(given: Any) -> UserError:
    return UserError(
        f"A region is four numbers (x0, y0, x1, y1) in pixels, a mask of shape (height, width), or a falip.Region, and got "
        f"{reprlib.repr(given)} of type {type(given).__name__}."
    )


def area(box: Box) -> float:
    """Area of a box in square pixels."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def clip_box(box: Box, image_size: ImageSize) -> Box:
    """The box with its corners moved into an image of (width, height) pixels; it may lose all its area."""
    width, height = image_size
    x0, y0, x1, y1 = box
    return min(max(x0, 0.0), width), min(max(y0, 0.0), height), min(max(x1, 0.0), width), min(max(y1, 0.0), height)


def ends_outside(box: Box, image_size: ImageSize) -> bool:
    """Whether a box ends outside of an image of (width, height) pixels by more than rounding."""
    width, height = image_size
    x0, y0, x1, y1 = box
    return min(x0, y0) < -ROUNDING or x1 > width + ROUNDING or y1 > height + ROUNDING


def in_unit_square(box: Box) -> bool:
    """Whether all numbers of a box, its width and height too, lie in 0..1, as shares of an image do and pixels do not."""
    x0, y0, x1, y1 = box
    return all(-SHARE_ROUNDING <= value <= 1 + SHARE_ROUNDING for value in (x0, y0, x1 - x0, y1 - y0))


def _checked_mask(mask: np.ndarray) -> np.ndarray:
    pixels = np.asarray(mask)
    if pixels.ndim != 2:
        raise UserError(f"A mask has shape (height, width); this one has shape {pixels.shape}.")
    pixels = _inside(pixels)
    if not pixels.any():
        raise UserError(f"The mask of shape {pixels.shape} has no pixel set, so it names no region.")
    return pixels


def _inside(mask: np.ndarray) -> np.ndarray:
    """The mask as booleans; a float of 0 or 255 may be one, but whatever is not 0 in logits is the whole picture."""
    if mask.dtype == bool:
        return mask
    mend = "mask == id" if mask.dtype.kind in "iu" else "mask > 0"
    if mask.dtype.kind not in "iuf":
        raise UserError(f"A mask holds booleans or numbers; this one has the type {mask.dtype}.")
    inside = mask != 0
    value = mask[inside][0] if inside.any() else 1
    if not (value > 0 and value == np.floor(value) and np.isfinite(value) and (mask[inside] == value).all()):
        raise UserError(
            f"A mask is True or False, or 0 and one other whole number; this one of type {mask.dtype} runs from "
            f"{mask.min()} to {mask.max()} and has several values, as logits, probabilities and ids do. Give `{mend}`."
        )
    return inside


def _checked_box(box: Sequence[float]) -> Box:
    try:
        corners = tuple(float(value) for value in box)
    except (TypeError, ValueError, OverflowError):  # a whole number of 400 digits is no float
        corners = ()
    if len(corners) != 4 or not all(map(math.isfinite, corners)):
        raise UserError(f"A box is four finite numbers (x0, y0, x1, y1) in pixels, and got {reprlib.repr(box)}.")
    return corners  # pyright: ignore[reportReturnType]  (the length is checked above)
