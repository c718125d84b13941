"""The foveal mask: a Gaussian bias on the attention that CLS pays to a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from falip.errors import check_choice, check_number
from falip.geometry import Geometry
from falip.regions import ImageSize, Region

if TYPE_CHECKING:
    import torch

RegionForm = Literal["box", "tokens"]
EPSILON = 1e-6  # FALIP executor.py, line 44; the paper has it in the same two places


def foveal_bias(
    regions: Sequence[Region],
    image_size: ImageSize,
    geometry: Geometry,
    alpha: float,
    sigma: float,
    region_form: RegionForm = "box",
) -> torch.Tensor:
    """The CLS row of the foveal mask of each region.

    Over the tokens of a region with centre c, g = exp(-|t - c|^2 / (2 sigma^2)) with distances in tokens, and the bias
    is alpha * (g - min g + 1e-6) / (max g - min g + 1e-6); 0 elsewhere (FALIP, equations of the foveal mask;
    executor.py, lines 30 to 72). It is computed in float64, since the denominator is a difference of nearly equal numbers.

    Args:
        regions: Regions in pixels of one image; parts outside of it count for nothing.
        image_size: (width, height) of the image.
        geometry: Token grid and resize of the backbone.
        alpha: Largest value of the bias; 0 gives plain CLIP.
        sigma: Standard deviation of the Gaussian in tokens.
        region_form: What a region with a mask covers: the bounding box of its tokens, or just its tokens, with the
            same centre, the extrema being taken over the covered tokens.

    Returns:
        float32 (regions, 1 + rows * cols) on the CPU. Column 0 is CLS and is 0. The row of a region that falls outside of
        CLIP's centre crop is 0. A region of several boxes has the maximum of theirs.

    Raises:
        UserError: If alpha is negative, sigma is not positive, or there is no such region form.
    """
    import torch

    check_foveal("foveal_bias", alpha, sigma, region_form)
    owners, ranges, covered = _parts(regions, image_size, geometry)
    rows = np.zeros((len(regions), geometry.tokens))
    if len(owners):
        inside = covered if region_form == "tokens" else _inside(ranges, geometry)
        np.maximum.at(rows[:, 1:], owners, _gaussian(ranges, inside, geometry, alpha, sigma).reshape(len(owners), -1))
    return torch.from_numpy(rows.astype(np.float32))


def check_foveal(owner: str, alpha: float, sigma: float, region_form: str) -> None:
    """Raises a UserError where the parameters of a foveal mask have no meaning."""
    check_number(owner, "alpha", alpha)
    check_number(owner, "sigma", sigma, positive=True)
    check_choice(owner, "region_form", region_form, get_args(RegionForm))


def covered_tokens(regions: Sequence[Region], image_size: ImageSize, geometry: Geometry) -> torch.Tensor:
    """Which tokens each region covers: those of its mask, or of its boxes.

    Returns:
        bool (regions, 1 + rows * cols). Column 0 is CLS and is False.
    """
    import torch

    owners, _, covered = _parts(regions, image_size, geometry)
    tokens = np.zeros((len(regions), geometry.tokens), dtype=bool)
    np.logical_or.at(tokens[:, 1:], owners, covered.reshape(len(owners), geometry.tokens - 1))
    return torch.from_numpy(tokens)


def _parts(
    regions: Sequence[Region], image_size: ImageSize, geometry: Geometry
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes and masks that the model sees: owners (parts,), token ranges (parts, 4), covered tokens (parts, rows, cols)."""
    boxes = [(i, box) for i, region in enumerate(regions) if region.mask is None for box in region.boxes]
    corners = np.array([box for _, box in boxes], float).reshape(-1, 4)
    seen = geometry.sees_boxes(corners, image_size)
    masks = [(i, geometry.token_mask(mask, image_size)) for i, r in enumerate(regions) if (mask := r.mask) is not None]
    masks = [(i, tokens) for i, tokens in masks if tokens.any()]
    owners = np.array([i for (i, _), yes in zip(boxes, seen, strict=True) if yes] + [i for i, _ in masks], dtype=np.int64)
    box_ranges = geometry.token_ranges(corners[seen], image_size)
    mask_ranges = np.array([_bounds(tokens) for _, tokens in masks], dtype=np.int64).reshape(-1, 4)
    shape = (-1, geometry.rows, geometry.cols)
    mask_tokens = np.array([tokens for _, tokens in masks], dtype=bool).reshape(shape)
    covered = np.concatenate([_inside(box_ranges, geometry), mask_tokens])
    return owners, np.concatenate([box_ranges, mask_ranges]), covered


def _bounds(tokens: np.ndarray) -> tuple[int, int, int, int]:
    rows, cols = np.flatnonzero(tokens.any(1)), np.flatnonzero(tokens.any(0))
    return int(cols[0]), int(rows[0]), int(cols[-1]), int(rows[-1])


def _inside(ranges: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Bool (parts, rows, cols): the tokens of inclusive token ranges."""
    col0, row0, col1, row1 = (ranges[:, k, None] for k in range(4))
    rows, cols = np.arange(geometry.rows), np.arange(geometry.cols)
    return ((rows >= row0) & (rows <= row1))[:, :, None] & ((cols >= col0) & (cols <= col1))[:, None, :]


def _gaussian(ranges: np.ndarray, inside: np.ndarray, geometry: Geometry, alpha: float, sigma: float) -> np.ndarray:
    """float64 (parts, rows, cols): the normalised Gaussian of each part, 0 outside of it."""
    centre_col, centre_row = (ranges[:, 0] + ranges[:, 2]) / 2, (ranges[:, 1] + ranges[:, 3]) / 2
    row_distance = np.arange(geometry.rows) - centre_row[:, None]
    col_distance = np.arange(geometry.cols) - centre_col[:, None]
    squared = row_distance[:, :, None] ** 2 + col_distance[:, None, :] ** 2
    g = np.exp(-squared / (2 * sigma**2))
    low = np.where(inside, g, np.inf).min((1, 2), keepdims=True)
    high = np.where(inside, g, -np.inf).max((1, 2), keepdims=True)
    return np.where(inside, alpha * (g - low + EPSILON) / (high - low + EPSILON), 0.0)
