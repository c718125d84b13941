"""Depth maps of point clouds: the projections of PointCLIP and of PointCLIP V2."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from falip.errors import UserError

VERSION = 1
"""Raised when the numbers of either projection can move; part of a run's identity."""

# The rotations Rx(a) Ry(b) Rz(pi/2) of PointCLIP's six views (trainers/mv_utils_zs.py), whole numbers as all
# angles are right ones: row k says which signed coordinate of the cloud becomes coordinate k of the camera.
_VIEWS = (
    ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    ((0, -1, 0), (0, 0, -1), (1, 0, 0)),
    ((0, -1, 0), (-1, 0, 0), (0, 0, -1)),
    ((0, -1, 0), (0, 0, 1), (-1, 0, 0)),
    ((0, 0, -1), (1, 0, 0), (0, -1, 0)),
    ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
)

# PointCLIP V2 (zeroshot_cls/trainers/mv_utils_zs.py): angles (a, b) of Rx(a) Ry(b) Rz(pi/2) and, after it,
# the angle about y that shows more of the surface.
_VOXEL_VIEWS = (
    *((k * math.pi / 4, 0.0, math.pi / 9) for k in (1, 3, 5, 7)),
    *((k * math.pi / 2, 0.0, math.pi / 9) for k in (0, 1, 2, 3)),
    (0.0, -math.pi / 2, math.pi / 15),
    (0.0, math.pi / 2, math.pi / 15),
)
_VOXEL_SIDE = 112
_VOXEL_DEPTH = 8
_VOXEL_DEPTH_BIAS = 0.2
_VOXEL_OBJECT_RATIO = 0.8
_VOXEL_POOL = 7
_VOXEL_POOL_PADDING = 2
_VOXEL_BLUR_SIGMA = 3.0


def depth_maps(points: Tensor, size: int = 128, distance: float = 1.6) -> Tensor:
    """Raw depth maps of point clouds from six sides, as PointCLIP sees them.

    A point is one pixel; where several share a pixel, it holds the harmonic mean of their depths. Points that
    fall outside the picture or do not lie in front of the camera are left out. The maps are the same for any
    order of the points, up to float rounding.

    Args:
        points: (B, N, 3), coordinates of clouds about the origin, in a sphere of radius 1.
        size: Side of the maps in pixels.
        distance: From each camera to the origin, in the unit of the points.

    Returns:
        float32 (B, 6, size, size) on the device of `points`: depth in the unit of the points, 0 where no
        point is.

    Raises:
        UserError: If `points` has another shape or is not finite, or if `size` or `distance` is not positive.

    Source: PointCLIP, trainers/mv_utils_zs.py.
    """
    _check_points(points)
    if size < 1 or distance <= 0:
        raise UserError(f"Depth maps need a positive size and distance, and got size {size} and distance {distance}.")
    clouds = points.float()
    cameras = torch.stack([_turned(clouds, view) for view in _VIEWS], 1)
    depth = cameras[..., 2] + distance
    # float32 in the reference's order of operations: which pixel a point falls into depends on the rounding.
    row = _pixel(cameras[..., 0] / depth, size)
    column = _pixel(cameras[..., 1] / depth, size)
    inside = (row >= 0) & (row < size) & (column >= 0) & (column < size) & (depth > 0)
    pixel = torch.where(inside, row.long() * size + column.long(), 0).flatten(0, 1)
    canvas = clouds.new_zeros(len(pixel), size * size)
    count = canvas.scatter_add(1, pixel, inside.float().flatten(0, 1))
    weight = canvas.scatter_add(1, pixel, torch.where(inside, 1 / depth, 0.0).flatten(0, 1))
    maps = count / torch.where(count > 0, weight, 1.0)
    return maps.view(len(points), len(_VIEWS), size, size)


def voxel_depth_maps(points: Tensor) -> Tensor:
    """Dense depth pictures of point clouds from ten sides, as PointCLIP V2 sees them.

    Each cloud is scaled to its bounding cube and put on a grid of 112 x 112 x 8 voxels, which is filled by
    max-pooling (kernel 7, padding 2, hence 110 pixels), smoothed by a Gaussian (3 x 3, sigma 3) and flattened
    by the maximum.

    Args:
        points: (B, N, 3), coordinates in any unit.

    Returns:
        float32 (B, 10, 110, 110) on the device of `points`: from 0 for what lies foremost in the picture to
        below 1 for what lies farthest, and 1 where there is nothing.

    Raises:
        UserError: If `points` has another shape or is not finite.

    Source: PointCLIP V2, zeroshot_cls/trainers/mv_utils_zs.py.
    """
    _check_points(points)
    # One view after the other: the voxels of all ten would take ten times the memory.
    return torch.stack([_voxel_picture(points.float(), *view) for view in _VOXEL_VIEWS], 1)


def _check_points(points: Tensor) -> None:
    if points.ndim != 3 or points.shape[2] != 3 or not points.shape[1]:
        raise UserError(
            f"Point clouds have shape (clouds, points, 3) with at least one point, and these have shape "
            f"{tuple(points.shape)}. For a single cloud of shape (points, 3) pass cloud[None]."
        )
    if not points.isfinite().all():
        raise UserError("The point clouds have coordinates that are not finite numbers; leave such points out.")


def _turned(clouds: Tensor, view: tuple[tuple[int, int, int], ...]) -> Tensor:
    axes = [next(i for i, sign in enumerate(row) if sign) for row in view]
    return torch.stack([clouds[..., axis] * row[axis] for axis, row in zip(axes, view, strict=True)], -1)


def _pixel(slope: Tensor, size: int) -> Tensor:
    return torch.ceil((slope + 1) * size / 2 - 0.5)


def _voxel_picture(clouds: Tensor, about_x: float, about_y: float, bias_y: float) -> Tensor:
    """One view of `voxel_depth_maps`, (B, 110, 110)."""
    seen = _normalised(clouds @ _voxel_rotation(about_x, about_y, bias_y).to(clouds).T)
    plane = (seen[..., :2] * _VOXEL_OBJECT_RATIO + 1) / 2 * _VOXEL_SIDE
    row, column = plane.ceil().clamp(1, _VOXEL_SIDE - 2).long().unbind(-1)
    nearness = ((seen[..., 2] + 1) / 2 + _VOXEL_DEPTH_BIAS) / (1 + _VOXEL_DEPTH_BIAS) * (_VOXEL_DEPTH - 2)
    # The slice is the coordinate rounded up; the voxel's value is the coordinate itself.
    slices = nearness.ceil().long()
    voxel = (slices * _VOXEL_SIDE + row) * _VOXEL_SIDE + column
    grid = clouds.new_zeros(len(clouds), _VOXEL_DEPTH * _VOXEL_SIDE * _VOXEL_SIDE)
    grid = grid.scatter_reduce(1, voxel, nearness.clamp(1, _VOXEL_DEPTH - 2), "amax")
    grid = grid.view(len(clouds), _VOXEL_DEPTH, _VOXEL_SIDE, _VOXEL_SIDE)
    filled = max_pool2d(grid, _VOXEL_POOL, stride=1, padding=_VOXEL_POOL_PADDING)
    flat = _smoothed(filled).amax(1)
    return 1 - flat / flat.amax((1, 2), keepdim=True)


def _normalised(clouds: Tensor) -> Tensor:
    """Clouds moved and scaled so that the longest side of their bounding box spans -1 to 1."""
    low, high = clouds.amin(1, keepdim=True), clouds.amax(1, keepdim=True)
    side = (high - low).amax(2, keepdim=True)
    # A cloud of one repeated point has no extent, and stays in the centre.
    return (clouds - (high + low) / 2) / torch.where(side > 0, side, 1.0) * 2


def _voxel_rotation(about_x: float, about_y: float, bias_y: float) -> Tensor:
    cos, sin = math.cos(about_x), math.sin(about_x)
    x = torch.tensor([[1, 0, 0], [0, cos, -sin], [0, sin, cos]], dtype=torch.float64)
    about_z = torch.tensor([[0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    return _rotation_y(bias_y) @ x @ _rotation_y(about_y) @ about_z


def _rotation_y(angle: float) -> Tensor:
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], dtype=torch.float64)


def _smoothed(slices: Tensor) -> Tensor:
    """A 3 x 3 Gaussian, first along rows; plain sums, since a convolution on a GPU may round to TF32."""
    side = math.exp(-1 / (2 * _VOXEL_BLUR_SIGMA**2))
    outer, centre = side / (1 + 2 * side), 1 / (1 + 2 * side)
    padded = pad(slices, (1, 1, 1, 1))
    rows = outer * (padded[..., :-2, :] + padded[..., 2:, :]) + centre * padded[..., 1:-1, :]
    return outer * (rows[..., :-2] + rows[..., 2:]) + centre * rows[..., 1:-1]
