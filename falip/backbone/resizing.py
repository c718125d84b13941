"""Pictures that differ in a window, resized by Pillow to the pixel: once what they share, and what each window touches.

Pillow resizes along one axis and then along the other, and rounds to 8 bits in between. So a picture is kept as it is
between the passes; of an edited one the first pass is done again for the lines that cross the window, and the second for
those that these touch. Both are Pillow's own passes: a resize along one axis of a part that begins and ends on whole pixels
before and after has the filter weights of the whole. Which axis comes first depends on Pillow's version and on the sizes
(13 takes the vertical one where the height loses more than twice the pixels that the width does), so it is tried for each
size; and a picture of which a band comes out otherwise than by Pillow's resize takes the whole way, with all its edits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from falip.edited import Edited, Window, pasted
from falip.regions import ImageSize

# How far a filter reaches at scale 1, in pixels (Pillow, Resample.c). A box ends in a step, where rounding tells parts
# apart.
SUPPORT = {
    Resampling.BILINEAR: 1.0,
    Resampling.HAMMING: 1.0,
    Resampling.BICUBIC: 2.0,
    Resampling.LANCZOS: 3.0,
}
_NOISE = np.random.default_rng(0).integers(0, 256, 2**20, np.uint8).tobytes()


@dataclass(frozen=True)
class Span:
    """Lines of the resized picture along one axis, and the whole pixels that they stand for.

    Attributes:
        start: First line.
        stop: The line after the last.
        low: Where the first line begins in the picture before the resize.
        high: Where the last one ends there.
    """

    start: int
    stop: int
    low: int
    high: int


def touched(low: int, high: int, length: int, target: int, support: float) -> Span:
    """The lines that depend on the pixels low:high, and a few more, so that they begin and end on whole pixels.

    Args:
        low: First pixel.
        high: The pixel after the last.
        length: Pixels along the axis before the resize.
        target: And after it.
        support: Of the filter at scale 1.
    """
    common = math.gcd(length, target)
    before, after = length // common, target // common
    scale = length / target
    reach = support * max(scale, 1.0) + 1.0  # a pixel more than Pillow's rounding of its bounds can add
    start = max(math.floor((low - reach) / scale - 0.5), 0) // after
    stop = min(math.ceil(math.ceil((high + reach) / scale - 0.5) / after), common)
    return Span(start * after, stop * after, start * before, stop * before)


class Resized:
    """A picture resized, and kept as it is between the passes.

    Attributes:
        whole: The resized picture.
    """

    def __init__(self, picture: Image.Image, size: ImageSize, resample: Resampling, axes: tuple[int, int]) -> None:
        self._picture, self._size, self._resample, self._axes = picture, size, resample, axes
        first, second = (Span(0, size[axis], 0, picture.size[axis]) for axis in axes)
        self._half = self._along(picture, axes[0], first)
        self.whole = self._along(self._half, axes[1], second)

    def edited(self, window: Window, patch: Image.Image) -> Image.Image:
        """The picture with a patch in a window, resized."""
        spans = [
            touched(window[axis], window[axis + 2], self._picture.size[axis], self._size[axis], SUPPORT[self._resample])
            for axis in (0, 1)
        ]
        first, second = self._axes
        lines = _line_box(self._picture.size, second, window[second], window[second + 2])
        crossing = pasted(self._picture.crop(lines), patch, window, lines)
        redone = self._along(crossing, first, spans[first])
        part = _line_box(self._half.size, first, spans[first].start, spans[first].stop)
        between = self._half.crop(part)
        between.paste(redone, (0, window[1]) if second == 1 else (window[0], 0))
        return pasted(self.whole, self._along(between, second, spans[second]), (spans[0].start, spans[1].start, 0, 0))

    def agrees(self) -> bool:
        """Whether a band across the middle is, to the pixel, what Pillow's resize gives of it.

        A quarter of the lines, that of the second pass: so the first one is repeated for a quarter of its work, too.
        """
        axis = self._axes[1]
        common = math.gcd(self._picture.size[axis], self._size[axis])
        start, stop = 3 * common // 8, 5 * common // 8 + 1
        before, after = (
            _line_box(size, axis, start * size[axis] // common, stop * size[axis] // common)
            for size in (self._picture.size, self._size)
        )
        expected = self._picture.resize((after[2] - after[0], after[3] - after[1]), self._resample, before)
        return self.whole.crop(after).tobytes() == expected.tobytes()

    def _along(self, picture: Image.Image, axis: int, span: Span) -> Image.Image:
        """One pass: along the other axis all stays."""
        width, height = picture.size
        length = span.stop - span.start
        if axis == 0:
            return picture.resize((length, height), self._resample, (span.low, 0, span.high, height))
        return picture.resize((width, length), self._resample, (0, span.low, width, span.high))


def resized(pictures: Sequence[Image.Image], size_of: Callable[[ImageSize], ImageSize], resample: int) -> list[Image.Image]:
    """Each picture resized as `picture.resize(size_of(picture.size), resample)` does it.

    Args:
        pictures: RGB; those that are edits of one picture share its resize.
        size_of: From the (width, height) of a picture to that which it gets.
        resample: Pillow's number of the filter.
    """
    kind = Resampling(resample)
    windows = [picture for picture in pictures if isinstance(picture, Edited) and not picture.drawn]
    wanted = Counter([id(picture.base) for picture in windows] + [id(picture) for picture in pictures])
    known: dict[int, Resized | None] = {}
    for picture in windows:
        base = picture.base
        if wanted[id(base)] > 1 and id(base) not in known:
            known[id(base)] = _shared(base, size_of(base.size), kind)
    found = []
    for picture in pictures:
        shared = known.get(id(picture))
        base = known.get(id(picture.base)) if isinstance(picture, Edited) and not picture.drawn else None
        if shared:
            found.append(shared.whole)
        elif base:
            found.append(base.edited(picture.window, picture.patch))  # pyright: ignore[reportAttributeAccessIssue]
        else:
            found.append(picture.resize(size_of(picture.size), kind))
    return found


def _shared(base: Image.Image, target: ImageSize, resample: Resampling) -> Resized | None:
    """What the edits of a picture share; None where they have to take the whole way."""
    axes = order(base.size, target, resample)
    made = Resized(base, target, resample, axes) if axes else None
    return made if made and made.agrees() else None


@lru_cache(maxsize=4096)
def order(size: ImageSize, target: ImageSize, resample: Resampling) -> tuple[int, int] | None:
    """The axes in the order of Pillow's passes; None where neither gives what its whole resize does.

    Tried on noise, with a window in its middle, since a flat picture would not tell the orders apart.
    """
    if resample not in SUPPORT:
        return None
    (width, height), count = size, size[0] * size[1]
    noise = Image.frombytes("L", size, (_NOISE * (count // len(_NOISE) + 1))[:count])
    expected = noise.resize(target, resample).tobytes()
    window = (width // 4, height // 4, width - width // 4, height - height // 4)
    holed = noise.copy()
    holed.paste(0, window)
    for axes in ((0, 1), (1, 0)):
        if Resized(holed, target, resample, axes).edited(window, noise.crop(window)).tobytes() == expected:
            return axes
    return None


def _line_box(size: ImageSize, axis: int, start: int, stop: int) -> Window:
    """The lines start:stop along an axis, whole along the other."""
    return (start, 0, stop, size[1]) if axis == 0 else (0, start, size[0], stop)
