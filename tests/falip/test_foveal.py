"""The foveal mask against hand-computed values, the released code's support rule, and its invariants."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_clip import picture

from falip import Foveal, Geometry, Region, foveal_bias
from falip.foveal import covered_tokens

B16 = Geometry(224, 16, 12, 12)


def _grid(region: Region, image_size, geometry=B16, alpha=0.2, sigma=100.0, form="box") -> np.ndarray:
    row = foveal_bias([region], image_size, geometry, alpha, sigma, form)
    assert row.shape == (1, geometry.tokens) and row.dtype == torch.float32 and row[0, 0] == 0
    return row[0, 1:].reshape(geometry.rows, geometry.cols).double().numpy()


def _range(grid: np.ndarray) -> tuple[int, int, int, int]:
    rows, cols = np.nonzero(grid)
    return int(cols.min()), int(cols.max()), int(rows.min()), int(rows.max())


@pytest.mark.parametrize(
    "size, box, expected",
    [
        ((640, 480), (64, 48, 320, 240), (1, 6, 1, 6)),
        ((640, 480), (0, 0, 640, 480), (0, 13, 0, 13)),
        ((500, 375), (100, 100, 101, 101), (2, 2, 3, 3)),
        ((640, 427), (320, 213.5, 640, 427), (6, 13, 6, 13)),
        ((224, 224), (16, 16, 32, 32), (0, 1, 0, 1)),
        ((224, 224), (16.01, 16, 32, 32), (1, 1, 0, 1)),
        ((224, 224), (16, 16, 32.01, 32), (0, 2, 0, 1)),
    ],
)
def test_a_box_covers_the_tokens_that_the_released_code_says(size, box, expected):
    grid = _grid(Region.from_box(*box), size)
    assert _range(grid) == expected
    assert (grid > 0).sum() == (expected[1] - expected[0] + 1) * (expected[3] - expected[2] + 1)


@pytest.mark.parametrize(
    "rows, cols, corner, mean",
    [(1, 1, 0.2, 0.2), (1, 2, 0.2, 0.2), (2, 2, 0.2, 0.2), (1, 3, 0.003921, 0.069281), (3, 3, 0.001980, 0.067987),
     (6, 6, 0.000333, 0.1112), (14, 14, 0.000048, 0.123752)],
)  # fmt: skip
def test_values_of_a_region_of_so_many_tokens(rows, cols, corner, mean):
    grid = _grid(Region.from_box(0.5, 0.5, 16 * cols, 16 * rows), (224, 224))[:rows, :cols]
    assert grid[0, 0] == pytest.approx(corner, abs=1e-6)
    assert grid[-1, -1] == grid[0, 0]
    assert grid.mean() == pytest.approx(mean, abs=2e-6 if rows < 6 else 5e-5)
    assert grid.max() == pytest.approx(0.2, abs=1e-6)


def test_a_narrow_gaussian_by_hand():
    # Three tokens in a row, sigma 1: g is exp(-1/2), 1, exp(-1/2).
    grid = _grid(Region.from_box(1, 1, 48, 16), (224, 224), alpha=2.0, sigma=1.0)
    low = 2.0 * 1e-6 / (1 - math.exp(-0.5) + 1e-6)
    np.testing.assert_allclose(grid[0, :3], [low, 2.0, low], rtol=1e-6)


GEOMETRIES = st.builds(
    lambda rows, patch, resize: Geometry(rows * patch, patch, 2, 2, resize),
    st.integers(1, 24), st.sampled_from([8, 14, 16, 32]), st.sampled_from(["squash", "crop"]),
)  # fmt: skip
UNIT = st.floats(0, 1)


@st.composite
def _box_in_image(draw):
    size = draw(st.tuples(st.integers(20, 700), st.integers(20, 700)))
    xs, ys = (sorted(draw(st.tuples(UNIT, UNIT))) for _ in "xy")
    return size, (xs[0] * size[0], ys[0] * size[1], xs[1] * size[0], ys[1] * size[1])


@settings(max_examples=60, deadline=None)
@given(case=_box_in_image(), geometry=GEOMETRIES, alpha=st.floats(0.01, 5), sigma=st.floats(0.5, 200))
def test_support_is_the_closed_form_and_values_fall_with_the_distance(case, geometry, alpha, sigma):
    size, box = case
    grid = _grid(Region.from_box(*box), size, geometry, alpha, sigma)
    shorter, side = min(size), geometry.image_size
    ends = []
    for start, end, length in ((box[0], box[2], size[0]), (box[1], box[3], size[1])):
        resized = side if geometry.resize == "squash" else int(side * length / shorter)
        shift = (resized - side) // 2
        ends.append([min(max(v * (resized / length) - shift, 0), side) for v in (start, end)])
    if any(start >= end for start, end in ends):
        assert not grid.any()
        return
    first, last = ([max(math.ceil(axis[k] / geometry.patch_size), 1) - 1 for axis in ends] for k in (0, 1))
    expected = np.zeros(grid.shape, bool)
    expected[first[1] : last[1] + 1, first[0] : last[0] + 1] = True
    assert np.array_equal(grid != 0, expected)
    assert grid.min() >= 0 and grid.max() <= alpha * (1 + 1e-6)
    rows, cols = np.nonzero(expected)
    distance = (rows - (first[1] + last[1]) / 2) ** 2 + (cols - (first[0] + last[0]) / 2) ** 2
    values = grid[rows, cols][np.argsort(distance, kind="stable")]
    assert (np.diff(values) <= 1e-6 * alpha).all()
    assert values[0] == pytest.approx(alpha, rel=1e-5)


def test_several_boxes_have_the_maximum_of_their_biases():
    boxes = [(10, 10, 120, 120), (60, 60, 200, 180)]
    together = _grid(Region.from_boxes(boxes), (224, 224))
    apart = [_grid(Region.from_box(*box), (224, 224)) for box in boxes]
    assert np.array_equal(together, np.maximum(*apart))
    assert together.max() <= 0.2 + 1e-7


def test_a_box_outside_of_the_window_adds_nothing_to_its_neighbours():
    geometry = Geometry(64, 16, 2, 2, "crop")
    inside, outside = (80, 10, 100, 50), (0, 10, 40, 50)
    both = _grid(Region.from_boxes([inside, outside]), (200, 64), geometry)
    assert np.array_equal(both, _grid(Region.from_box(*inside), (200, 64), geometry))


def test_a_region_outside_of_the_centre_crop_has_no_bias():
    geometry = Geometry(64, 16, 2, 2, "crop")
    mask = np.zeros((64, 200))
    mask[10:20, 5:20] = 1
    regions = [Region.from_box(0, 0, 60, 64), Region.from_mask(mask), Region.from_box(90, 10, 110, 50)]
    rows = foveal_bias(regions, (200, 64), geometry, 0.2, 100.0)
    assert not rows[:2].any() and rows[2].any()


def test_the_centre_crop_moves_the_region_along():
    # 128 x 64 at a side of 64: the window is x 32 to 96.
    cropped = Geometry(64, 16, 2, 2, "crop")
    squashed = Geometry(64, 16, 2, 2, "squash")
    moved = _grid(Region.from_box(50, 20, 90, 50), (128, 64), cropped)
    assert np.array_equal(moved, _grid(Region.from_box(18, 20, 58, 50), (64, 64), squashed))


def test_forms_of_a_mask():
    mask = np.zeros((224, 224))
    mask[32:112, 32:48] = mask[96:112, 32:112] = 1  # an L of five tokens by five
    region = Region.from_mask(mask)
    box, tokens = (_grid(region, (224, 224), form=form) for form in ("box", "tokens"))
    assert _range(box) == _range(tokens) == (2, 6, 2, 6)
    assert (box > 0).sum() == 25 and (tokens > 0).sum() == 9
    covered = tokens > 0
    assert covered[2:7, 2].all() and covered[6, 2:7].all()
    # Centre (4, 4) of the bounding box; the nearest covered tokens are those two away, the farthest the corners.
    assert box.max() == pytest.approx(0.2) and box[4, 4] == box.max()
    assert tokens[4, 2] == pytest.approx(0.2, abs=1e-6) == tokens[6, 4]
    assert 0 < tokens[6, 2] < 1e-2
    mid = (math.exp(-5 / 2e4) - math.exp(-8 / 2e4) + 1e-6) / (math.exp(-4 / 2e4) - math.exp(-8 / 2e4) + 1e-6)
    assert tokens[3, 2] == pytest.approx(0.2 * mid, abs=1e-6)


def test_the_form_makes_no_difference_to_boxes():
    region = Region.from_box(20, 30, 150, 90)
    assert np.array_equal(_grid(region, (200, 100)), _grid(region, (200, 100), form="tokens"))


def test_tokens_of_a_mask_are_smaller_than_the_box_rule_at_patch_borders():
    mask = np.zeros((224, 224))
    mask[16:32, 16:32] = 1
    assert _range(_grid(Region.from_mask(mask), (224, 224))) == (1, 1, 1, 1)
    assert _range(_grid(Region.from_box(16, 16, 32, 32), (224, 224))) == (0, 1, 0, 1)


def test_rows_keep_the_order_of_boxes_and_masks():
    mask = np.zeros((70, 90))
    mask[50:60, 50:60] = 1
    regions = [
        Region.from_mask(mask),
        Region.from_box(0, 0, 20, 20),
        Region.from_mask(mask),
        Region.from_box(40, 5, 80, 30),
    ]
    together = foveal_bias(regions, (90, 70), B16, 0.2, 100.0)
    for row, region in zip(together, regions, strict=True):
        assert torch.equal(row, foveal_bias([region], (90, 70), B16, 0.2, 100.0)[0])


def test_the_prompt_clips_and_names_layers():
    (component,) = Foveal(layers=[0, -1])(picture(90, 70), [Region.from_box(-10, 5, 50, 500)], B16).components
    assert component.biases[0] is not None and component.biases[0].layers == (0, 11)
    clipped = foveal_bias([Region.from_box(0, 5, 50, 70)], (90, 70), B16, 0.2, 100.0)
    assert torch.equal(component.biases[0].rows, clipped)


def test_a_region_outside_of_the_crop_covers_no_token():
    geometry = Geometry(64, 16, 6, 4, "crop")
    assert not covered_tokens([Region.from_box(0, 20, 10, 30)], (200, 64), geometry).any()
