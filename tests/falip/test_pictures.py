"""Prompts that edit the picture: which pixels change, and to what."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter
from random_clip import picture

from falip import Blur, Crop, Geometry, Grayscale, Plain, RedCircle, Region, Shade, UserError

B16 = Geometry(224, 16, 12, 12)
BOX = (20, 10, 60, 50)
EDITS = [Crop(), Blur(), Grayscale(), RedCircle(), RedCircle(outside="blur"), RedCircle(outside="grey"), Shade()]
SIZES = {"width": st.integers(2, 120), "height": st.integers(2, 120), "place": st.tuples(*[st.floats(-0.2, 1.2)] * 4)}


def _pixels(prompt, image, *regions) -> list[np.ndarray]:
    views = prompt(image, regions or [Region.from_box(*BOX)], B16)
    assert views.components[0].image_index == tuple(range(len(views.images)))
    return [np.asarray(im).astype(int) for im in views.images]


def _box(width, height, place):
    xs, ys = sorted(place[:2]), sorted(place[2:])
    return xs[0] * width, ys[0] * height, xs[1] * width, ys[1] * height


def _within(image: Image.Image, box) -> np.ndarray:
    x0, y0, x1, y1 = box
    columns, rows = np.meshgrid(np.arange(image.width), np.arange(image.height))
    return (columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1)


def test_plain_leaves_one_picture_for_all_regions(photo):
    views = Plain()(photo, [Region.from_box(*BOX)] * 3, B16)
    assert views.images == (photo,) and views.components[0].image_index == (0, 0, 0) and len(views) == 3


def test_a_crop_cuts_the_box_out_rounded_as_pillow_does(photo):
    original = np.asarray(photo)
    assert np.array_equal(_pixels(Crop(), photo)[0], original[10:50, 20:60])
    assert np.array_equal(_pixels(Crop(), photo, Region.from_box(19.6, 10.4, 60.4, 49.6))[0], original[10:50, 20:60])


@settings(max_examples=40, deadline=None)
@given(**SIZES)
def test_a_crop_has_a_pixel_and_lies_in_the_image(width, height, place):
    box = _box(width, height, place)
    region = Region.from_box(*box)
    try:
        region.clipped((width, height))
    except UserError:
        return
    (cut,) = Crop()(picture(width, height), [region], B16).images
    assert 1 <= cut.width <= width and 1 <= cut.height <= height


def test_a_sliver_at_the_far_border_still_has_a_pixel(photo):
    (cut,) = Crop()(photo, [Region.from_box(89.8, 69.7, 90, 70)], B16).images
    assert cut.size == (1, 1) and cut.getpixel((0, 0)) == photo.getpixel((89, 69))


def test_blur_keeps_the_box_and_blurs_the_rest(photo):
    blurred = np.asarray(photo.filter(ImageFilter.GaussianBlur(100)))
    inside = _within(photo, BOX)[..., None]
    assert np.array_equal(_pixels(Blur(), photo)[0], np.where(inside, np.asarray(photo), blurred))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), radius=st.sampled_from([2.0, 30.0]))
def test_the_remembered_filter_equals_the_slow_way_for_each_region(seed, radius):
    rng = np.random.default_rng(seed)
    image = picture(80, 60, seed)
    corners = [np.sort(rng.integers(0, 60, (2, 2)), 0) for _ in range(4)]
    regions = [Region.from_box(a[0], a[1], b[0] + 1, b[1] + 1) for a, b in corners]
    for prompt in (Blur(radius), RedCircle("blur", radius), Grayscale(), RedCircle("grey")):
        together = _pixels(prompt, image, *regions)
        for region, found in zip(regions, together, strict=True):
            assert np.array_equal(found, _pixels(prompt, image, region)[0])


def test_grayscale_keeps_the_colours_of_the_box(photo):
    grey = np.asarray(photo.convert("L").convert("RGB"))
    inside = _within(photo, BOX)[..., None]
    assert np.array_equal(_pixels(Grayscale(), photo)[0], np.where(inside, np.asarray(photo), grey))


def test_a_mask_may_bound_what_stays(photo):
    mask = np.zeros((70, 90), bool)
    mask[10:30, 20:40] = np.tri(20, 20, dtype=bool)
    original, region = np.asarray(photo), Region.from_mask(mask)
    for prompt in (Blur(area="mask"), Grayscale(area="mask")):
        (found,) = _pixels(prompt, photo, region)
        assert np.array_equal(found[mask], original[mask])
        assert (found[~mask] != original[~mask]).any(-1).mean() > 0.9
    (by_box,) = _pixels(Blur(), photo, region)
    assert np.array_equal(by_box[10:30, 20:40], original[10:30, 20:40])


@pytest.mark.parametrize("size, width", [((90, 70), 1), ((199, 10), 1), ((399, 100), 1), ((400, 100), 2), ((150, 640), 3)])
def test_the_ring_is_half_a_percent_of_the_longer_side_wide(size, width):
    image = Image.new("RGB", size)
    (found,) = _pixels(RedCircle(), image, Region.from_box(1, 1, size[0] - 2, size[1] - 2))
    middle = (found[:, size[0] // 2] == (255, 0, 0)).all(-1)
    run = np.flatnonzero(middle)
    assert (run < size[1] / 2).sum() == width == (run > size[1] / 2).sum()


def test_the_ring_is_inscribed_and_changes_nothing_else(photo):
    (found,) = _pixels(RedCircle(width=3, colour=(0, 255, 0)), photo)
    changed = (found != np.asarray(photo)).any(-1)
    assert (found[changed] == (0, 255, 0)).all()
    rows, columns = np.nonzero(changed)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == BOX
    distance = np.hypot((columns - 40) / 20, (rows - 30) / 20)
    assert distance.min() > 0.8 and distance.max() < 1.05


@pytest.mark.parametrize("outside", ["blur", "grey"])
def test_the_companions_change_the_outside_of_the_ellipse_and_draw_the_same_ring(photo, outside):
    (found,) = _pixels(RedCircle(outside), photo)
    (without,) = _pixels(RedCircle(outside, width=0), photo)
    ring = (np.asarray(_pixels(RedCircle(), photo)[0]) != np.asarray(photo)).any(-1)
    assert (found[ring] == (255, 0, 0)).all() and np.array_equal(found[~ring], without[~ring])
    inside = Image.new("L", photo.size)
    ImageDraw.Draw(inside).ellipse(BOX, fill=1)
    inside = np.asarray(inside, bool)
    other = photo.filter(ImageFilter.GaussianBlur(100)) if outside == "blur" else photo.convert("L").convert("RGB")
    assert np.array_equal(without, np.where(inside[..., None], np.asarray(photo), np.asarray(other)))


def test_shade_tints_the_box_half_red():
    image = Image.new("RGB", (90, 70), (100, 100, 100))
    (found,) = _pixels(Shade(), image)
    inside = _within(image, BOX)
    expected = [100 + (tint - 100) * 127 / 255 for tint in (240, 0, 30)]
    assert np.abs(found[inside] - expected).max() <= 1
    assert (found[~inside] == 100).all()


@pytest.mark.parametrize("prompt", EDITS, ids=lambda p: p.name)
def test_the_original_picture_is_left_alone(photo, prompt):
    before = photo.tobytes()
    _pixels(prompt, photo, Region.from_box(*BOX), Region.from_box(0, 0, 5, 5))
    assert photo.tobytes() == before


@pytest.mark.parametrize("prompt", EDITS, ids=lambda p: p.name)
def test_a_box_is_clipped_to_the_image(photo, prompt):
    beyond, clipped = Region.from_box(-30, -10, 50, 300), Region.from_box(0, 0, 50, 70)
    assert np.array_equal(_pixels(prompt, photo, beyond)[0], _pixels(prompt, photo, clipped)[0])


@pytest.mark.parametrize("prompt", [Plain(), *EDITS], ids=lambda p: p.name)
def test_a_region_that_is_not_in_the_image_is_named(photo, prompt):
    good = Region.from_box(*BOX)
    with pytest.raises(UserError, match=r"\(95\.0, 5\.0, 99\.0, 9\.0\).*90 x 70"):
        prompt(photo, [good, Region.from_box(95, 5, 99, 9)], B16)
    with pytest.raises(UserError, match=r"shape \(90, 70\)"):
        prompt(photo, [good, Region.from_mask(np.ones((90, 70)))], B16)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: RedCircle(outside="gray"), "'gray': choose from keep, blur, grey"),
        (lambda: RedCircle(width=-1), "width=-1"),
        (lambda: Blur(radius=-1), "radius=-1"),
        (lambda: Blur(radius="100"), "radius='100'"),
        (lambda: Blur(area="masks"), "choose from box, mask"),
        (lambda: Grayscale(area="masks"), "choose from box, mask"),
    ],
)
def test_a_parameter_without_meaning_is_an_error(make, said):
    with pytest.raises(UserError, match=said):
        make()
