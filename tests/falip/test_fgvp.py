"""FGVP's prompts: what is drawn on which canvas, held against OpenCV and NumPy."""

import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from random_clip import picture

from falip import FGVP, Compose, Foveal, Geometry, Region, UserError, score
from falip.prompts.fgvp.prompt import CUTS, DRAWINGS

cv2 = pytest.importorskip("cv2", reason="FGVP's prompts need OpenCV: pip install opencv-python-headless")

B16 = Geometry(224, 16, 12, 12)
NAMES = (*CUTS, *DRAWINGS)
BOX = (20.4, 10.7, 60.2, 50.9)
SIZE = (494, 384)  # of the canvas of a picture of 90 x 70: int(90 * 384 / 70 + 0.5)
GREEN = np.array((0, 255, 0))
BILINEAR = Image.Resampling.BILINEAR


def _mask() -> np.ndarray:
    mask = np.zeros((70, 90), bool)
    mask[15:45, 25:55] = np.tri(30, 30, dtype=bool)
    return mask


BOTH = Region((BOX,), _mask())


def _drawn(name, image, *regions) -> list[np.ndarray]:
    return [np.asarray(view) for view in FGVP(name)(image, regions or [BOTH], B16).images]


def _bilinear_above_zero(mask: np.ndarray, size) -> np.ndarray:
    """Where any pixel that bilinear interpolation reads is set, half-pixel centres."""
    read = []
    for length, wanted in zip(mask.shape, size[::-1], strict=True):
        place = np.maximum((np.arange(wanted) + 0.5) * length / wanted - 0.5, 0)
        low = np.minimum(np.floor(place + 1e-6).astype(int), length - 1)
        high = np.where(place - low > 1e-6, np.minimum(low + 1, length - 1), low)
        read.append((low, high))
    (top, bottom), (left, right) = read
    rows = mask[top] | mask[bottom]
    return rows[:, left] | rows[:, right]


def _area(name: str) -> np.ndarray:
    """Inside of what is drawn on the canvas of the whole picture."""
    scale = SIZE[0] / 90, SIZE[1] / 70
    x0, y0, x1, y1 = (value * scale[k % 2] for k, value in enumerate(BOX))
    if "box" in name:
        inside = np.zeros(SIZE[::-1], bool)
        inside[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] = True
        return inside
    if "circle" in name:
        centre, axes = (int((x0 + x1) / 2), int((y0 + y1) / 2)), (int((x1 - x0) / 2), int((y1 - y0) / 2))
        return cv2.ellipse(np.zeros(SIZE[::-1], np.uint8), centre, axes, 0, 0, 360, 1, -1) > 0
    return _bilinear_above_zero(_mask(), SIZE)


def _expected(name: str, canvas: np.ndarray, inside: np.ndarray) -> np.ndarray:
    if name.startswith(("blur", "ov_seg", "grayscale")):
        other = np.broadcast_to(GREEN, canvas.shape)
        if name.startswith("blur"):
            other = np.asarray(Image.fromarray(canvas).filter(ImageFilter.GaussianBlur(100)))
        elif name.startswith("grayscale"):  # the weights of BGR, on RGB
            grey = (canvas.astype(int) @ np.array((1868, 9617, 4899)) + 8192) >> 14
            other = np.repeat(grey[..., None], 3, -1)
        return np.where(inside[..., None], canvas, other).astype(float)
    tinted = ~inside if name.startswith("reverse") else inside
    return np.where(tinted[..., None], (canvas.astype(float) + GREEN) / 2, canvas.astype(float))


@pytest.mark.parametrize("name", [name for name in DRAWINGS if name.endswith("mask")])
def test_areas_are_tinted_blurred_or_greyed_on_the_canvas(photo, name):
    canvas = np.asarray(photo.resize(SIZE, BILINEAR))
    (found,) = _drawn(name, photo)
    assert found.shape == canvas.shape
    difference = np.abs(found - _expected(name, canvas, _area(name))).max(-1)
    allowed = 1 if name.startswith("grayscale") else 0.5  # OpenCV rounds halves, and grey, in its own ways
    assert (difference > allowed).mean() == 0


@pytest.mark.parametrize("name", CUTS)
def test_cut_outs_are_drawn_on_a_canvas_of_their_own(photo, name):
    x0, y0, x1, y1 = (int(value) for value in BOX)  # 20 to 60 and 10 to 50: square
    canvas = np.asarray(photo.crop((x0, y0, x1, y1)).resize((384, 384), BILINEAR))
    inside = _bilinear_above_zero(_mask()[y0:y1, x0:x1], (384, 384))
    (found,) = _drawn(name, photo)
    expected = canvas if name == "crop" else _expected(name, canvas, inside | (name == "cpt"))
    assert np.abs(found - expected.astype(float)).max() <= 0.5


@pytest.mark.parametrize("name", ["box", "circle", "contour", "keypoint"])
def test_outlines_are_red_two_pixels_wide_and_change_nothing_else(photo, name):
    canvas = np.asarray(photo.resize(SIZE, BILINEAR))
    x0, y0, x1, y1 = (value * SIZE[k % 2] / (90, 70)[k % 2] for k, value in enumerate(BOX))
    expected = canvas.copy()
    middle, half = (int((x0 + x1) / 2), int((y0 + y1) / 2)), (int((x1 - x0) / 2), int((y1 - y0) / 2))
    if name == "box":
        cv2.rectangle(expected, (int(x0), int(y0)), (int(x1), int(y1)), (255, 0, 0), 2)
    elif name == "circle":
        cv2.ellipse(expected, middle, half, 0, 0, 360, (255, 0, 0), 2)
    elif name == "keypoint":
        cv2.circle(expected, middle, 23, (255, 0, 0), 2)
    else:
        inside = _bilinear_above_zero(_mask(), SIZE).astype(np.uint8)
        cv2.drawContours(expected, cv2.findContours(inside, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0], -1, (255, 0, 0), 2)
    (found,) = _drawn(name, photo)
    changed = (found != canvas).any(-1)
    assert np.array_equal(found, expected) and (found[changed] == (255, 0, 0)).all() and changed.sum() > 100


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_by_a_box_does_not_know_the_mask_nor_the_other_way_round(photo, name):
    other_mask, other_box = Region((BOX,), np.eye(70, 90, dtype=bool)), Region(((18, 8, 66, 58),), _mask())
    (found,) = _drawn(name, photo)
    by_box = np.array_equal(found, _drawn(name, photo, other_mask)[0])
    by_mask = np.array_equal(found, _drawn(name, photo, other_box)[0])
    boxed, masked = name not in ("mask", "contour", *(f"{x}_mask" for x in ("reverse", "blur", "grayscale"))), "seg" in name
    assert by_box == (boxed and not masked) and by_mask == (not boxed)


@pytest.mark.parametrize("name", NAMES)
def test_a_region_of_boxes_alone_has_their_pixels_for_a_mask(photo, name):
    mask = np.zeros((70, 90), bool)
    mask[10:50, 20:60] = True
    (found,) = _drawn(name, photo, Region.from_box(*BOX))
    assert np.array_equal(found, _drawn(name, photo, Region((BOX,), mask))[0])


def test_every_box_of_a_region_is_drawn(photo):
    one, two = (5, 5, 25, 30), (50, 20, 80, 60)
    for name in ("box", "circle", "keypoint", "box_mask"):
        canvas = np.asarray(photo.resize(SIZE, BILINEAR))
        changed = [(found != canvas).any(-1) for found in _drawn(
            name, photo, Region.from_box(*one), Region.from_box(*two), Region.from_boxes([one, two])
        )]  # fmt: skip
        assert np.array_equal(changed[0] | changed[1], changed[2]), name


def test_a_box_that_ends_at_the_border_is_drawn_on_the_last_row_and_column(photo):
    (found,) = _drawn("box", photo, Region.from_box(0, 0, 90, 70))
    assert (found[-1] == (255, 0, 0)).all() and (found[:, -1] == (255, 0, 0)).all()


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    size=st.tuples(st.integers(2, 60), st.integers(2, 60)),
    place=st.tuples(*[st.floats(-0.2, 1.2)] * 4),
)
def test_any_box_in_any_picture_can_be_drawn(name, size, place):
    width, height = size
    region = Region.from_box(
        min(place[:2]) * width, min(place[2:]) * height, max(place[:2]) * width, max(place[2:]) * height
    )
    try:
        cut = region.clipped(size)
    except UserError:
        return
    assume(max(size) < 20 * min(size) and min(cut.box[2] - cut.box[0], cut.box[3] - cut.box[1]) > 1)
    image = picture(width, height)
    before = image.tobytes()
    (view,) = FGVP(name)(image, [region], B16).images
    assert min(view.size) == 384 and view.mode == "RGB" and image.tobytes() == before


def test_a_sliver_at_the_far_border_still_has_a_pixel(photo):
    (found,) = _drawn("crop", photo, Region.from_box(89.8, 69.7, 90, 70))
    assert found.shape == (384, 384, 3) and (found == photo.getpixel((89, 69))).all()


@pytest.mark.parametrize("name", NAMES)
def test_regions_together_are_drawn_as_each_by_itself(photo, name):
    regions = [BOTH, Region.from_box(3, 4, 40, 66), Region.from_mask(_mask()[::-1])]
    for found, region in zip(_drawn(name, photo, *regions), regions, strict=True):
        assert np.array_equal(found, _drawn(name, photo, region)[0])


@pytest.mark.parametrize("name", ["blur_mask", "crop", "contour"])
def test_equal_drawings_tie_to_the_bit(random_clip, photo, name):
    other = Region(((20, 10, 60, 50),), _mask())  # another box, the same drawing
    regions = [BOTH, Region.from_box(3, 4, 40, 66), other]
    scores = score(random_clip(), photo, regions, FGVP(name), ["a red dog", "the blue cat"])
    assert (scores[0] == scores[2]).all() and (scores[0] != scores[1]).all()


@pytest.mark.parametrize("name", ["box", "crop", "blur_mask"])
def test_without_opencv_the_command_that_installs_it_is_named(photo, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    prompt = FGVP(name)  # a run's identity is known without it
    with pytest.raises(UserError, match=r"OpenCV.*pip install opencv-python-headless.*falip\[fgvp\]"):
        prompt(photo, [BOTH], B16)


def test_what_has_no_meaning_is_named(photo):
    with pytest.raises(UserError, match=r"drawing='red_circle': choose from crop, cpt, .*grayscale_mask"):
        FGVP("red_circle")
    with pytest.raises(UserError, match="fgvp_box draws in colour"):
        FGVP("box")(Image.fromarray(np.ones((8, 8), np.float32)), [Region.from_box(0, 0, 4, 4)], B16)
    with pytest.raises(UserError, match="Compose cannot take FGVP"):
        Compose([FGVP("box"), Foveal()])  # pyright: ignore[reportArgumentType]
    assert len(NAMES) == 21 and FGVP("box").name == "fgvp_box" and FGVP("box", name="mine").name == "mine"
