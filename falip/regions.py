"""Where CLIP is told to look: boxes or a mask in one image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from falip.errors import UserError

Box = tuple[float, float, float, float]
ImageSize = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Region:
    """One region of one image: a box, several boxes that belong together, or a mask.

    Attributes:
        boxes: Boxes (x0, y0, x1, y1) in pixels; for a mask, the bounding box of its pixels.
        mask: Boolean array of shape (height, width) of the image, or None where the region is given by boxes.
    """

    boxes: tuple[Box, ...]
    mask: np.ndarray | None = None

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
        if not len(boxes):
            raise UserError("A region needs at least one box, and got none.")
        return Region(tuple(_checked_box(box) for box in boxes))

    @staticmethod
    def from_mask(mask: np.ndarray) -> Region:
        """A region of any form.

        Args:
            mask: Array of shape (height, width) of the image; non-zero inside the region.

        Raises:
            UserError: If the mask is not two-dimensional or has no pixel set.
        """
        pixels = np.asarray(mask)
        if pixels.ndim != 2:
            raise UserError(f"A mask has shape (height, width); this one has shape {pixels.shape}.")
        pixels = pixels.astype(bool)
        if not pixels.any():
            raise UserError(f"The mask of shape {pixels.shape} has no pixel set, so it names no region.")
        rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        return Region((box,), pixels)

    @property
    def box(self) -> Box:
        """The smallest box that holds the whole region."""
        x0, y0, x1, y1 = zip(*self.boxes, strict=True)
        return min(x0), min(y0), max(x1), max(y1)

    def clipped(self, image_size: ImageSize) -> Region:
        """The part of the region that lies in the image.

        Args:
            image_size: (width, height) in pixels.

        Raises:
            UserError: If a mask has another shape than the image, or no box keeps any area.
        """
        width, height = image_size
        if self.mask is not None:
            if self.mask.shape != (height, width):
                raise UserError(
                    f"The mask has shape {self.mask.shape}, but its image is {width} wide and {height} high, so the "
                    f"mask must have shape {(height, width)}."
                )
            return self
        boxes = (clip_box(box, image_size) for box in self.boxes)
        kept = tuple(box for box in boxes if box[2] > box[0] and box[3] > box[1])
        if not kept:
            raise UserError(
                f"The box {self.box} has no area inside its image of {width} x {height} pixels. Boxes are "
                "(x0, y0, x1, y1) in pixels."
            )
        return Region(kept)


def clip_box(box: Box, image_size: ImageSize) -> Box:
    """The box with its corners moved into an image of (width, height) pixels; it may lose all its area."""
    width, height = image_size
    x0, y0, x1, y1 = box
    return min(max(x0, 0.0), width), min(max(y0, 0.0), height), min(max(x1, 0.0), width), min(max(y1, 0.0), height)


def _checked_box(box: Sequence[float]) -> Box:
    corners = tuple(float(value) for value in box)
    if len(corners) != 4 or not all(map(math.isfinite, corners)):
        raise UserError(f"A box is four finite numbers (x0, y0, x1, y1) in pixels, and got {list(box)}.")
    return corners  # pyright: ignore[reportReturnType]  (the length is checked above)
