"""From a region to weights of the patches, at the resolution of the token grid."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from falip.foveal import covered_tokens
from falip.geometry import Geometry
from falip.regions import ImageSize, Region

Cover = Literal["tokens", "bilinear", "bicubic"]


def token_weights(region: Region, image_size: ImageSize, geometry: Geometry, cover: Cover) -> np.ndarray:
    """How much each patch counts for a region.

    Args:
        region: In pixels of its image, clipped to it.
        image_size: (width, height) of the image.
        geometry: Token grid and resize of the backbone.
        cover: `tokens`: 1 for those that the foveal mask of the region covers, its boxes as FALIP counts them
            (`Geometry.token_ranges`), its mask max-pooled. `bilinear`: the region's pixels sampled at the centres of the
            patches, 0 to 1 (TextRegion). `bicubic`: 1 where its pixels, made as small as the grid, exceed 0 (CLIPSelf).

    Returns:
        float32 (rows * cols,), not all 0: a region that has no patch by its rule has the patch that holds its centre.
    """
    if cover == "tokens":
        covered = covered_tokens([region], image_size, geometry)[0, 1:]
        weights = covered.numpy().astype(np.float32).reshape(geometry.rows, geometry.cols)
    else:
        pixels = seen_pixels(region, image_size, geometry)
        small = _sampled if cover == "bilinear" else _shrunk
        weights = small(pixels, geometry.rows, geometry.cols)
    return filled(weights, region, image_size, geometry).reshape(-1)


def filled(weights: np.ndarray, region: Region, image_size: ImageSize, geometry: Geometry) -> np.ndarray:
    """The weights (rows, cols), with 1 at the patch nearest to the region's centre where all are 0."""
    if weights.any():
        return weights
    x0, y0, x1, y1 = geometry.to_input(np.array([region.box], float), image_size)[0]
    found = np.zeros_like(weights)
    rows, cols = weights.shape
    side = geometry.image_size
    row, col = int((y0 + y1) / 2 * rows / side), int((x0 + x1) / 2 * cols / side)
    found[min(row, rows - 1), min(col, cols - 1)] = 1
    return found


def seen_pixels(region: Region, image_size: ImageSize, geometry: Geometry) -> np.ndarray:
    """float32 (height, width): the region's pixels in the window of its image that the model sees; 0 beyond the image."""
    mask = region.pixels(image_size).astype(np.float32)
    if geometry.resize == "squash":
        return mask
    size, (left, top) = geometry.resized(image_size)
    across, down = image_size[0] / size[0], image_size[1] / size[1]
    side = geometry.image_size
    x0, y0 = round(left * across), round(top * down)
    width, height = max(round(side * across), 1), max(round(side * down), 1)
    window = np.zeros((height, width), np.float32)
    seen = mask[y0 : y0 + height, x0 : x0 + width]
    window[: seen.shape[0], : seen.shape[1]] = seen
    return window


def _sampled(pixels: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """Bilinear at the centres of the patches, without smoothing (torch's interpolate, corners not aligned)."""
    return resample(pixels.shape[0], rows) @ pixels @ resample(pixels.shape[1], cols).T


def _shrunk(pixels: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """1 where the mask, made as small as the grid, bicubic and smoothed, exceeds 0."""
    small = Image.fromarray(pixels).resize((cols, rows), Image.Resampling.BICUBIC)
    return (np.asarray(small) > 0).astype(np.float32)


def resample(source: int, target: int) -> np.ndarray:
    """float32 (target, source): the rows of a bilinear resize along one side, corners not aligned, not smoothed."""
    at = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    low = np.floor(at).astype(int)
    high, share = np.minimum(low + 1, source - 1), at - low
    matrix = np.zeros((target, source), np.float32)
    np.add.at(matrix, (np.arange(target), low), 1 - share)
    np.add.at(matrix, (np.arange(target), high), share)
    return matrix
