"""A picture that is another one but for a window: what most prompts that edit pictures make for each region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from falip.regions import Box, ImageSize

Window = tuple[int, int, int, int]


class Edited(Image.Image):
    """A Pillow picture that is drawn when its pixels are asked for, as Pillow reads a file when they are.

    Whoever resizes many of them does the base once and of each the window alone (`falip.backbone.resizing`). The base must
    be left as it is. A picture that was drawn may have been drawn on, so it is a picture like any other from then on.

    Attributes:
        base: The picture that it is outside of the window.
        window: Whole pixels (x0, y0, x1, y1) of the base.
        patch: What stands in the window.
    """

    def __init__(self, base: Image.Image, window: Window, patch: Image.Image) -> None:
        super().__init__()
        self._mode, self._size = base.mode, base.size
        self.base, self.window, self.patch = base, window, patch

    @property
    def drawn(self) -> bool:
        """Whether somebody has seen its pixels."""
        return self._im is not None

    def load(self) -> Any:
        """Draws it, once."""
        if not self.drawn:
            self.im = pasted(self.base, self.patch, self.window).im
        return super().load()


def edited(picture: Image.Image, window: Window, patch: Image.Image) -> Edited:
    """The picture with a patch in a window; an edit of an edited picture is one edit of what that was made of."""
    if not isinstance(picture, Edited) or picture.drawn:
        return Edited(picture, window, patch)
    both = _around(window, picture.window)
    inner = pasted(picture.base.crop(both), picture.patch, picture.window, both)
    return Edited(picture.base, both, pasted(inner, patch, window, both))


def cut(picture: Image.Image, window: Window) -> Image.Image:
    """The pixels of a window; of an edited picture without drawing the rest of it."""
    if not isinstance(picture, Edited) or picture.drawn:
        return picture.crop(window)
    both = _around(window, picture.window)
    whole = pasted(picture.base.crop(both), picture.patch, picture.window, both)
    return whole.crop(_within(window, both))


def pasted(picture: Image.Image, patch: Image.Image, window: Window, frame: Window | None = None) -> Image.Image:
    """A copy of a picture with a patch in a window, which counts from the corner of the frame."""
    copy = picture.copy()
    copy.paste(patch, window[:2] if frame is None else _within(window, frame)[:2])
    return copy


def window_of(boxes: Sequence[Box], size: ImageSize, margin: int = 0) -> Window:
    """The pixels that what is drawn inside of boxes can touch, their last row and column included; at least one.

    Args:
        boxes: Corners in pixels.
        size: (width, height) of the picture, which the window does not leave.
        margin: Pixels around the boxes that are touched too.
    """
    spans = [
        _span(min(box[axis] for box in boxes) - margin, max(box[axis + 2] for box in boxes) + margin, size[axis])
        for axis in (0, 1)
    ]
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def window_of_mask(mask: np.ndarray) -> Window:
    """The bounding box of the pixels of a mask (height, width) that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def moved(boxes: Sequence[Box], window: Window) -> list[Box]:
    """Boxes as they lie in a window."""
    x, y = window[:2]
    return [(x0 - x, y0 - y, x1 - x, y1 - y) for x0, y0, x1, y1 in boxes]


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    start = min(max(math.floor(low), 0), length - 1)
    return start, min(max(math.floor(high) + 1, start + 1), length)


def _around(one: Window, other: Window) -> Window:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _within(window: Window, frame: Window) -> Window:
    x, y = frame[:2]
    return window[0] - x, window[1] - y, window[2] - x, window[3] - y
