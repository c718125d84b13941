"""Regions: what is accepted, and what becomes of them at the border of the image."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falip import Region, UserError


def test_a_mask_has_the_bounding_box_of_its_pixels():
    mask = np.zeros((20, 30))
    mask[5:8, 10:14] = 255
    region = Region.from_mask(mask)
    assert region.box == (10.0, 5.0, 14.0, 8.0)
    assert region.mask is not None and region.mask.dtype == bool and region.mask.sum() == 12


def test_several_boxes_have_a_common_hull():
    assert Region.from_boxes([(5, 6, 7, 8), (1, 7, 3, 20)]).box == (1, 6, 7, 20)


def test_a_box_is_clipped_to_the_image():
    assert Region.from_box(-5, 10.5, 200, 300).clipped((100, 50)).box == (0, 10.5, 100, 50)


def test_of_several_boxes_those_inside_the_image_stay():
    region = Region.from_boxes([(10, 10, 20, 20), (500, 10, 600, 20)]).clipped((100, 50))
    assert region.boxes == ((10, 10, 20, 20),)


@pytest.mark.parametrize("box", [(10, 10, 10, 20), (30, 10, 20, 20), (-9, 0, -1, 9), (100, 0, 120, 9)])
def test_a_box_without_area_is_named(box):
    with pytest.raises(UserError, match=r"no area.*100 x 50") as error:
        Region.from_box(*box).clipped((100, 50))
    assert str(float(box[0])) in str(error.value)


def test_a_mask_of_another_shape_is_named_with_the_shape_it_must_have():
    with pytest.raises(UserError, match=r"\(100, 50\).*\(50, 100\)"):
        Region.from_mask(np.ones((100, 50))).clipped((100, 50))


@pytest.mark.parametrize("mask", [np.zeros((4, 4)), np.ones((4, 4, 3))])
def test_an_empty_or_coloured_mask_is_an_error(mask):
    with pytest.raises(UserError, match="mask"):
        Region.from_mask(mask)


VALUES = st.sampled_from([0, 1, 2, 3, 255, -1])


@given(values=st.lists(VALUES, min_size=1, max_size=6), kind=st.sampled_from([np.uint8, np.int64, np.float32, bool]))
def test_a_mask_is_yes_or_no(values, kind):
    mask = np.array([values]).astype(kind)
    other = set(mask[mask != 0].tolist())
    if len(other) == 1 and all(value > 0 for value in other):
        np.testing.assert_array_equal(Region.from_mask(mask).mask, mask != 0)
    else:
        with pytest.raises(UserError, match="mask"):
            Region.from_mask(mask)


@pytest.mark.parametrize(
    ("mask", "mend"),
    [
        (np.array([[-3.5, 2.25], [0.0, 1.0]]), "`mask > 0`"),  # logits
        (np.array([[-8.0, 8.0]]), "`mask > 0`"),
        (np.array([[0.1, 0.9]]), "`mask > 0`"),  # probabilities
        (np.array([[0.0, 0.7]], np.float16), "`mask > 0`"),
        (np.array([[0.0, np.nan]]), "`mask > 0`"),
        (np.full((2, 2), np.nan), "`mask > 0`"),
        (np.array([[0.0, np.inf]]), "`mask > 0`"),
        (np.array([[0, 1, 2]]), "`mask == id`"),  # ids
        (np.array([[0, 254, 255]], np.uint8), "`mask == id`"),
        (np.array([["a", "b"]]), "type"),
        (np.array([[1j, 0]]), "type"),
        (np.array([[None, 1]]), "type"),
    ],
)
def test_what_is_no_mask_is_refused_with_the_mend(mask, mend):
    with pytest.raises(UserError, match=mend):
        Region.from_mask(mask)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_a_mask_without_pixels_is_an_error(shape):
    with pytest.raises(UserError, match="no pixel set"):
        Region.from_mask(np.zeros(shape))


@pytest.mark.parametrize("box", [(10**400, 1, 2, 3), ("a", 1, 2, 3), (None, 1, 2, 3)])
def test_corners_that_are_no_floats_are_named(box):
    with pytest.raises(UserError, match="four finite numbers") as error:
        Region.from_box(*box)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("box", [(1, 2, 3), (1, 2, math.nan, 4), (1, 2, math.inf, 4)])
def test_a_box_is_four_finite_numbers(box):
    with pytest.raises(UserError, match="four finite numbers"):
        Region.from_boxes([box])


def test_no_box_at_all_is_an_error():
    with pytest.raises(UserError, match="at least one box"):
        Region.from_boxes([])
