"""Markers: where each shape draws, in which colour and how wide."""

import numpy as np
import pytest
from PIL import Image

from falip import Geometry, Marker, RedCircle, Region, UserError
from falip.prompts.pictures import WholeImage

B16 = Geometry(224, 16, 12, 12)
GREY = (90, 90, 90)
BOX = (40.0, 60.0, 140.0, 120.0)
RED = (255, 0, 0)


def _drawn(marker, size=(400, 300), box=BOX):
    """Where a marker changed a grey picture: booleans (height, width), and the colours there."""
    (picture,) = marker(Image.new("RGB", size, GREY), [Region.from_box(*box)], B16).images
    pixels = np.asarray(picture)
    changed = (pixels != np.array(GREY)).any(-1)
    return changed, {tuple(int(v) for v in colour) for colour in pixels[changed]}


def test_a_red_circle_of_width_1_is_the_ring_of_red_circle(photo):
    regions = [Region.from_box(20, 10, 60, 50), Region.from_box(3.5, 2.5, 70.2, 61)]
    large = photo.resize((900, 700))
    for image in (photo, large):
        for mine, theirs in zip(Marker()(image, regions, B16).images, RedCircle()(image, regions, B16).images, strict=True):
            assert np.array_equal(np.asarray(mine), np.asarray(theirs))


@pytest.mark.parametrize("width, side, pixels", [(1, "larger", 2), (4, "larger", 8), (2, "shorter", 3), (0.1, "larger", 1)])
def test_a_width_counts_in_half_per_cents_of_a_side(width, side, pixels):
    changed, _ = _drawn(Marker("box", width=width, side=side))
    assert changed[90, 30:90].sum() == pixels  # across the left line


@pytest.mark.parametrize("shape", ["circle", "box", "arrow", "cross"])
@pytest.mark.parametrize("colour, rgb", [("red", RED), ("purple", (128, 0, 128)), ("#00ff00", (0, 255, 0))])
def test_a_marker_has_one_colour_and_stays_by_its_box(shape, colour, rgb):
    changed, colours = _drawn(Marker(shape, colour=colour))
    assert colours == {rgb}
    rows, columns = np.nonzero(changed)
    assert columns.min() >= 39 and columns.max() <= 141 and rows.min() >= 59 and rows.max() <= 121


def test_a_cross_passes_the_centre_and_turns_with_its_angle():
    upright, _ = _drawn(Marker("cross", angle=0.0))
    turned, _ = _drawn(Marker("cross"))
    assert upright[90, 90] and turned[90, 90]
    assert upright[90, 45:135].all() and upright[65:115, 90].all()  # along the axes, from edge to edge
    assert not turned[90, 110:].any() and turned[90 + 20, 88 + 30 : 92 + 35].any()  # (30, 20) lies on the diagonal's line


def test_an_arrow_points_at_the_centre_from_where_it_is_told():
    left, _ = _drawn(Marker("arrow", angle=0.0))
    right, _ = _drawn(Marker("arrow", angle=180.0))
    assert left[90, 45:90].all() and not left[90, 95:].any()
    assert right[90, 92:135].all() and not right[90, :85].any()
    assert left[:90].sum() > 5 and left[92:].sum() > 5  # a head on both sides of the shaft


def test_the_picture_cuts_a_marker_off_that_leaves_it():
    cut, _ = _drawn(Marker("circle"), size=(100, 100), box=(-20, 30, 20, 70))
    whole, _ = _drawn(Marker("circle"), size=(200, 200), box=(80, 30, 120, 70))
    assert np.array_equal(cut[:, :30], whole[:100, 100:130])


def test_each_region_has_its_picture_and_several_boxes_a_marker_each(photo):
    both = Region.from_boxes([(10, 10, 30, 30), (50, 40, 80, 60)])
    views = Marker("box")(photo, [both, both], B16)
    assert len(views.images) == 2
    picture = np.asarray(views.images[0])
    assert tuple(picture[10, 20]) == RED and tuple(picture[40, 60]) == RED


@pytest.mark.parametrize(
    "wrong", [{"shape": "star"}, {"colour": "reddish"}, {"width": -1.0}, {"side": "longest"}, {"angle": float("nan")}]
)
def test_what_has_no_meaning_is_refused_by_its_name(wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=rf"Marker.*{name}="):
        Marker(**wrong)


def test_a_depth_map_has_no_colours():
    with pytest.raises(UserError, match="edits colours"):
        Marker().edit(Image.new("F", (20, 20)), Region.from_box(2, 2, 9, 9), WholeImage())


def test_a_region_outside_of_the_picture_is_refused(photo):
    with pytest.raises(UserError, match="no area inside"):
        Marker()(photo, [Region.from_box(500, 500, 510, 510)], B16)
