"""Edited pictures are resized by their windows, to the pixel what Pillow makes of the whole."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from PIL.Image import Resampling
from random_clip import picture
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip import Blackout, Blur, Compose, Geometry, Grayscale, Marker, RedCircle, Region, Shade
from falip.backbone.images import ImageProcessing
from falip.backbone.resizing import Resized, order, resized
from falip.edited import Edited, edited

FILTERS = [Resampling.BICUBIC, Resampling.BILINEAR, Resampling.LANCZOS, Resampling.HAMMING, Resampling.BOX]
PROMPTS = [
    RedCircle(),
    RedCircle("blur", radius=8.0),
    RedCircle("grey"),
    Blur(8.0),
    Blur(8.0, area="mask"),
    Grayscale(),
    Grayscale(area="mask"),
    Shade(),
    Blackout(),
    Blackout(area="mask"),
    Marker("box", "blue", 3.0),
    Marker("arrow"),
    Marker("cross", width=2.0),
    Compose([Blur(8.0), RedCircle()]),
    Compose([Shade(), RedCircle(), Marker("cross")]),
]


def windows(size, count, seed):
    """Windows of any size and place, with pixels of their own."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        spans = [np.sort(rng.choice(side + 1, 2, replace=False)) for side in size]
        (x0, x1), (y0, y1) = spans
        patch = rng.integers(0, 256, (y1 - y0, x1 - x0, 3), np.uint8)
        yield (int(x0), int(y0), int(x1), int(y1)), Image.fromarray(patch)


def regions_of(size, seed):
    """Regions with a box of any size and place, and a mask that need not agree with it."""
    rng = np.random.default_rng(seed)
    for _ in range(3):
        (x0, x1), (y0, y1) = (np.sort(rng.uniform(-0.1 * side, 1.1 * side, 2)) for side in size)
        box = (min(x0, size[0] - 0.5), min(y0, size[1] - 0.5), max(x1, 0.5), max(y1, 0.5))
        mask = np.zeros(size[::-1], bool)
        mask[tuple(rng.integers(0, side, 4) for side in mask.shape)] = True
        yield Region((box,), mask)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 160), st.integers(1, 160)),
    target=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    resample=st.sampled_from(FILTERS),
    seed=st.integers(0, 99),
)
@example((64, 48), (24, 24), Resampling.BICUBIC, 0)  # windows begin on every third pixel
@example((100, 150), (48, 48), Resampling.BICUBIC, 0)  # vertically first in Pillow 13
@example((30, 160), (30, 40), Resampling.LANCZOS, 0)  # one pass alone
@example((20, 20), (80, 20), Resampling.BILINEAR, 0)
def test_a_window_is_what_the_whole_resize_gives(size, target, resample, seed):
    base = picture(*size, seed)
    pictures = [Edited(base, window, patch) for window, patch in windows(size, 4, seed)]
    found = resized([*pictures, base], lambda _: target, resample)
    for one, before in zip(found, [*pictures, base], strict=True):
        assert one.tobytes() == before.resize(target, resample).tobytes()


def test_each_window_is_resized_by_itself():
    base = picture(640, 480)
    pictures = [Edited(base, window, patch) for window, patch in windows(base.size, 4, 0)]
    found = resized(pictures, lambda _: (224, 224), Resampling.BICUBIC)
    assert len(found) == 4 and not any(one.drawn for one in pictures)


@pytest.mark.parametrize("size", [(640, 480), (411, 610), (200, 299), (500, 760), (480, 640), (300, 600)])
def test_the_order_of_the_passes_is_found(size):
    axes = order(size, (224, 224), Resampling.BICUBIC)
    assert axes is not None
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), np.uint8))
    expected = np.asarray(noise.resize((224, 224), Resampling.BICUBIC))
    found, other = (Resized(noise, (224, 224), Resampling.BICUBIC, way).whole for way in (axes, axes[::-1]))
    assert np.array_equal(found, expected) and not np.array_equal(other, expected)


@pytest.mark.parametrize("resample", [Resampling.BOX, Resampling.NEAREST])
def test_filters_that_cannot_be_done_in_windows_take_the_whole_way(resample):
    assert order((90, 70), (64, 64), resample) is None
    base = picture(90, 70)
    pictures = [Edited(base, window, patch) for window, patch in windows(base.size, 3, 0)]
    found = resized(pictures, lambda _: (64, 64), resample)
    assert all(
        one.tobytes() == edit.resize((64, 64), resample).tobytes() for one, edit in zip(found, pictures, strict=True)
    )


def test_a_picture_whose_own_resize_is_not_pillows_takes_the_whole_way_with_its_edits(monkeypatch):
    base = picture(90, 70)
    assert order(base.size, (64, 64), Resampling.BICUBIC) is not None  # the size is fit for windows
    pass_of, brighter = Resized._along, []

    def wrong(self, part, axis, span):
        brighter.append(1)
        return pass_of(self, part, axis, span).point(lambda value: min(value + 1, 255))

    monkeypatch.setattr(Resized, "_along", wrong)
    pictures = [*(Edited(base, window, patch) for window, patch in windows(base.size, 3, 0)), base]
    found = resized(pictures, lambda _: (64, 64), Resampling.BICUBIC)
    assert brighter and [one.tobytes() for one in found] == [
        edit.resize((64, 64), Resampling.BICUBIC).tobytes() for edit in pictures
    ]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_picture_that_pillow_weighs_by_its_opacity_takes_the_whole_way(mode):
    base = Image.merge("RGBA", [*picture(90, 70).split(), picture(90, 70, 1).getchannel(0)]).convert(mode)
    patch = base.crop((0, 0, 20, 20)).transpose(Image.Transpose.ROTATE_90)
    pictures = [Edited(base, (30, 20, 50, 40), patch), base]
    for one, before in zip(resized(pictures, lambda _: (64, 64), Resampling.BICUBIC), pictures, strict=True):
        assert one.tobytes() == before.resize((64, 64), Resampling.BICUBIC).tobytes()


def test_views_give_every_picture_drawn_when_asked_for():
    image, regions = picture(90, 70), [Region.from_box(20, 20, 50, 50), Region.from_box(40, 10, 80, 60)]
    for prompt in (RedCircle(), Shade(), Blur(8.0)):
        views = prompt(image, regions, Geometry(48, 16, 2, 2))
        ImageProcessing(CLIPImageProcessorPil(), Geometry(48, 16, 2, 2))(views.images)
        assert not any(one.drawn for one in views.images if isinstance(one, Edited))
        shown = [np.asarray(one) for one in views.images]
        assert all(one.drawn for one in views.images) and np.array_equal(np.asarray(views.images[0]), shown[0])
        assert not np.array_equal(*shown) and all(one.shape == (70, 90, 3) for one in shown)


def test_what_is_drawn_on_an_edited_picture_is_seen():
    base = picture(90, 70)
    pictures = [Edited(base, window, patch) for window, patch in windows(base.size, 3, 0)]
    ImageDraw.Draw(pictures[1]).rectangle((0, 0, 90, 70), fill=(1, 2, 3))
    found = resized(pictures, lambda _: (32, 32), Resampling.BICUBIC)
    assert found[1].getcolors() == [(1024, (1, 2, 3))] and found[0].getcolors() != found[1].getcolors()


@settings(max_examples=30, deadline=None)
@given(size=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 99))
def test_an_edit_of_an_edit_is_both_one_after_the_other(size, seed):
    base = picture(*size, seed)
    one, expected = base, base.copy()
    for window, patch in windows(size, 3, seed):
        one = edited(one, window, patch)
        expected.paste(patch, window[:2])
    assert isinstance(one, Edited) and one.base is base
    assert one.size == size and one.copy().tobytes() == expected.tobytes()


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("resample", [Resampling.BICUBIC, Resampling.BILINEAR, Resampling.LANCZOS])
@settings(max_examples=6, deadline=None)
@given(size=st.tuples(st.integers(1, 150), st.integers(1, 150)), seed=st.integers(0, 99))
def test_the_models_input_is_that_of_the_drawn_pictures_to_the_bit(resize, resample, size, seed):
    geometry = Geometry(48, 16, 2, 2, resize=resize)
    processor = CLIPImageProcessorPil(resample=resample)
    image, regions = picture(*size, seed), list(regions_of(size, seed))
    for prompt in PROMPTS:
        views = prompt(image, regions, geometry)
        found = ImageProcessing(processor, geometry)(views.images)
        assert torch.equal(found, torch.stack([_processed(processor, one, geometry) for one in views.images])), prompt


def _processed(processor, image, geometry):
    """What transformers' processor makes of one picture."""
    side, options = geometry.image_size, {"do_convert_rgb": False, "input_data_format": "channels_last"}
    if geometry.resize == "crop":
        options |= {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    elif geometry.resize == "squash":
        options |= {"size": {"height": side, "width": side}, "do_center_crop": False}
    else:
        square = Image.new("RGB", (side, side))
        square.paste(image.resize(geometry.resized(image.size)[0], processor.resample))
        image, options = square, options | {"do_resize": False, "do_center_crop": False}
    return processor(image.copy(), return_tensors="pt", **options)["pixel_values"][0]
