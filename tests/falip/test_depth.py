"""The projections of point clouds against hand-computed values and their invariants."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from falip.depth import depth_maps, voxel_depth_maps
from falip.errors import UserError


def _clouds(seed: int, count: int = 3, points: int = 256) -> torch.Tensor:
    directions = torch.randn(count, points, 3, generator=torch.Generator().manual_seed(seed))
    return directions / directions.norm(dim=2, keepdim=True)


def _lit(depth_map: torch.Tensor) -> list[tuple[int, int]]:
    return [(row, column) for row, column in depth_map.nonzero().tolist()]


def test_one_point_lands_where_the_formula_says():
    maps = depth_maps(torch.tensor([[[0.5, 0.1, 0.2]]]))
    assert maps.shape == (1, 6, 128, 128) and maps.dtype == torch.float32
    expected = [(60, 82, 1.8), (61, 58, 2.1), (59, 41, 1.4), (58, 76, 1.1), (55, 85, 1.5), (72, 83, 1.7)]
    for view, (row, column, depth) in enumerate(expected):
        assert _lit(maps[0, view]) == [(row, column)]
        assert maps[0, view, row, column].item() == pytest.approx(depth, abs=1e-6)


def test_points_in_one_pixel_give_the_harmonic_mean_of_their_depths():
    # Along the axis of view 0: the depths are 1.1 and 2.1.
    maps = depth_maps(torch.tensor([[[0.0, 0.0, -0.5], [0.0, 0.0, 0.5]]]))
    (pixel,) = _lit(maps[0, 0])
    assert maps[0, 0][pixel].item() == pytest.approx(2 / (1 / 1.1 + 1 / 2.1), abs=1e-6)


def test_size_and_distance_move_the_camera_and_the_canvas():
    maps = depth_maps(torch.tensor([[[0.5, 0.1, 0.2]]]), size=32, distance=2.0)
    # View 0 sees (-0.1, 0.5, 2.2): ceil((1 - 0.1 / 2.2) * 16 - 0.5) and ceil((1 + 0.5 / 2.2) * 16 - 0.5).
    assert maps.shape == (1, 6, 32, 32)
    assert _lit(maps[0, 0]) == [(15, 20)]
    assert maps[0, 0, 15, 20].item() == pytest.approx(2.2, abs=1e-6)


def test_a_point_behind_the_camera_is_left_out():
    # View 0 looks along z from -1.6; the same point is in front of view 2, which looks the other way.
    maps = depth_maps(torch.tensor([[[0.0, 0.0, -2.0]]]))
    assert not _lit(maps[0, 0])
    assert len(_lit(maps[0, 2])) == 1


@pytest.mark.parametrize("project", [depth_maps, voxel_depth_maps])
def test_a_batch_equals_its_clouds_one_by_one(project):
    clouds = _clouds(0)
    one_by_one = torch.cat([project(cloud[None]) for cloud in clouds])
    torch.testing.assert_close(project(clouds), one_by_one, rtol=0, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_points_does_not_matter(seed: int):
    clouds = _clouds(seed, count=1, points=2000)
    order = torch.randperm(2000, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(depth_maps(clouds[:, order]), depth_maps(clouds), rtol=0, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    axis=st.sampled_from([0, 1]),
    sign=st.sampled_from([-1, 1]),
    beyond=st.floats(1.02, 10),
    other=st.floats(-3, 3),
    z=st.floats(-1, 1),
)
def test_points_outside_the_frame_change_nothing(axis: int, sign: int, beyond: float, other: float, z: float):
    clouds = _clouds(1, count=1)
    # In view 0 the frame ends where |x| or |y| reaches z + 1.6.
    far = [other, other, z]
    far[axis] = sign * beyond * (z + 1.6)
    with_far = depth_maps(torch.cat([clouds, torch.tensor([[far]])], 1))
    assert torch.equal(with_far[:, 0], depth_maps(clouds)[:, 0])


def test_voxel_maps_do_not_depend_on_place_and_scale():
    clouds = _clouds(2)
    maps = voxel_depth_maps(clouds)
    assert maps.shape == (3, 10, 110, 110)
    moved = voxel_depth_maps(clouds * 4 + torch.tensor([2.0, -1.0, 0.5]))
    assert ((maps - moved).abs() > 1e-3).float().mean() < 1e-2


def test_voxel_maps_of_two_points_by_hand():
    # View 4 is Ry(pi / 9) after a quarter turn about z: points of the y axis differ in their rows (x = -+1),
    # and in nearness (z = +-tan(pi / 9)), the nearer one being black.
    maps = voxel_depth_maps(torch.tensor([[[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]]))[0, 4]
    drawn = (maps < 1).nonzero()
    # Rows 12 and 101 of the grid, less the lost border, widened by the pool (3 each way) and the blur (1).
    assert sorted(set(drawn[:, 0].tolist())) == [*range(7, 16), *range(96, 105)]
    assert set(drawn[:, 1].tolist()) == set(range(51, 60))
    # The point at +y turns to x = -1, z = tan(pi / 9).
    assert maps[7:16].min().item() == 0.0
    assert maps[96:105].min().item() == pytest.approx(1 - _nearness(-1) / _nearness(1), abs=1e-5)


def _nearness(sign: int) -> float:
    return ((sign * math.tan(math.pi / 9) + 1) / 2 + 0.2) / 1.2 * 6


def test_a_single_repeated_point_gives_a_voxel_map():
    maps = voxel_depth_maps(torch.ones(1, 5, 3))
    assert maps.isfinite().all() and (maps < 1).any()


@pytest.mark.parametrize("project", [depth_maps, voxel_depth_maps])
def test_wrong_input_is_named(project):
    with pytest.raises(UserError, match=r"\(7, 3\).*cloud\[None\]"):
        project(torch.zeros(7, 3))
    with pytest.raises(UserError, match="finite"):
        project(torch.full((1, 2, 3), float("nan")))


def test_impossible_cameras_are_refused():
    with pytest.raises(UserError, match="distance 0"):
        depth_maps(torch.zeros(1, 1, 3), distance=0)
