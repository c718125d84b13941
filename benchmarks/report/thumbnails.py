"""Small pictures as data URIs, within a budget of bytes for each sample."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

# Longest side in pixels and WebP quality; the first that fits the budget is taken.
LEVELS = ((180, 60), (144, 50), (112, 42), (88, 35), (64, 30))
PICTURE = (360, 62)


@dataclass(frozen=True)
class Thumbnails:
    """The pictures of one sample, the first ones being its own.

    Attributes:
        uris: data: URIs.
        level: Index into `LEVELS` that the views were drawn at.
        next_level: Where a sample like this one should begin.
    """

    uris: tuple[str, ...]
    level: int
    next_level: int


def thumbnails(own: Sequence[Image.Image], views: Sequence[Image.Image], budget: int, level: int = 0) -> Thumbnails:
    """Encodes a sample's own pictures, and its views as large as the budget lets them be.

    Args:
        own: One picture, or the depth maps of an object.
        views: Edited pictures.
        budget: Bytes of all URIs together; the smallest level is taken even if it does not fit.
        level: Where to begin, since neighbours need about the same.
    """
    side, quality = PICTURE if len(own) == 1 else LEVELS[0]
    first = [encode(image, side, quality) for image in own]
    rest = budget - sum(map(len, first))
    large = [_small(view, LEVELS[level][0]) for view in views]
    for k in range(level, len(LEVELS)):
        side, quality = LEVELS[k]
        uris = [encode(view, side, quality) for view in large]
        used = sum(map(len, uris))
        if used <= rest or k == len(LEVELS) - 1:
            return Thumbnails((*first, *uris), k, max(k - 1, 0) if used < rest / 2 else k)
    raise AssertionError("the last level is always taken")


def encode(image: Image.Image, side: int, quality: int) -> str:
    """A data URI of a picture whose longest side is at most `side`."""
    buffer = io.BytesIO()
    _small(image, side).save(buffer, "WEBP", quality=quality, method=2)
    return _uri(buffer, "webp")


def _small(image: Image.Image, side: int) -> Image.Image:
    picture = depth_as_grey(image) if image.mode == "F" else image
    width, height = picture.size
    scale = side / max(width, height)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return picture.resize(size, Image.Resampling.BOX, reducing_gap=2.0)


def depth_as_grey(image: Image.Image) -> Image.Image:
    """A depth map from 0 (black) to its largest value (white)."""
    depth = np.asarray(image, dtype=np.float32)
    low, high = float(depth.min()), float(depth.max())
    return Image.fromarray(np.uint8(255 * (depth - low) / ((high - low) or 1.0)))


def heat(grid: np.ndarray, limits: tuple[float, float], colours: str, hide_low: bool = False) -> str:
    """A token grid as a tiny PNG, one pixel for each token, to be stretched over a picture.

    Args:
        grid: float (rows, cols).
        limits: Values of the first and last colour.
        colours: Name of a matplotlib colour map.
        hide_low: Whether tokens at the lower limit are left transparent.
    """
    from matplotlib import colormaps

    low, high = limits
    share = np.clip((grid - low) / ((high - low) or 1.0), 0, 1)
    pixels = colormaps[colours](share, bytes=True)
    if hide_low:
        pixels[..., 3] = np.where(share > 0, 255, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=False)
    return _uri(buffer, "png")


def _uri(buffer: io.BytesIO, kind: str) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
