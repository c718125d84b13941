"""Where pixels of an image end up in the model's input, against what transformers' image processor does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip import Geometry, Region, UserError

B16 = Geometry(224, 16, 12, 12)


def test_sizes_follow_from_the_patches():
    assert (B16.rows, B16.cols, B16.tokens) == (14, 14, 197)
    assert Geometry(336, 14, 24, 16).tokens == 577


@pytest.mark.parametrize(
    "layers, expected",
    [
        (4, (8, 9, 10, 11)),
        (1, (11,)),
        (12, tuple(range(12))),
        (99, tuple(range(12))),
        ([3, 1], (1, 3)),
        ([-1, 11, 0], (0, 11)),
    ],
)
def test_layers_by_number_or_list(layers, expected):
    assert B16.last_layers(layers) == expected


@pytest.mark.parametrize("layers", [0, -1, [12], [-13], []])
def test_layers_that_are_not_there(layers):
    with pytest.raises(UserError, match="layers="):
        B16.last_layers(layers)


@settings(max_examples=30, deadline=None)
@given(width=st.integers(1, 300), height=st.integers(1, 300), side=st.sampled_from([32, 64, 96]))
def test_a_centre_crop_keeps_the_pixels_that_the_processor_keeps(width, height, side):
    # Column and row numbers as colours: nearest resampling tells for each pixel of the input where it came from.
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    coded = Image.fromarray(np.stack([columns % 256, rows % 256, columns // 256 * 16 + rows // 256], -1).astype(np.uint8))
    geometry = Geometry(side, 16, 1, 1, "crop")
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}, resample=0, do_normalize=False,
        do_rescale=False,
    )  # fmt: skip
    seen = processor(coded, input_data_format="channels_last")["pixel_values"][0]
    size, (left, top) = geometry.resized((width, height))
    ours = np.asarray(coded.resize(size, Image.Resampling.NEAREST))[top : top + side, left : left + side]
    assert np.array_equal(np.moveaxis(np.asarray(seen), 0, -1), ours)


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(40, 300),
    height=st.integers(40, 300),
    resize=st.sampled_from(["squash", "crop"]),
    place=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_a_bright_box_is_found_where_the_region_says(random_clip, width, height, resize, place):
    backbone = random_clip("small", resize)
    x0, x1 = sorted((int(place[0] * (width - 1)), int(place[1] * (width - 1))))
    y0, y1 = sorted((int(place[2] * (height - 1)), int(place[3] * (height - 1))))
    image = Image.new("RGB", (width, height))
    image.paste((255, 255, 255), (x0, y0, x1 + 1, y1 + 1))
    lit = backbone.preprocess([image])[0, 0]
    bright = (lit > (lit.new_tensor(0) + 0.5)).nonzero().numpy()
    box = np.array([[x0, y0, x1 + 1, y1 + 1]], float)
    found = backbone.geometry.to_input(box, image.size)[0]
    if not len(bright):
        # Too thin after the resize, or out of the window.
        assert min(found[2] - found[0], found[3] - found[1]) < 2
        return
    top, left = bright.min(0)
    bottom, right = bright.max(0) + 1
    assert np.abs(found - [left, top, right, bottom]).max() <= 2


def test_a_region_outside_of_the_centre_crop_is_not_seen():
    geometry = Geometry(64, 16, 1, 1, "crop")
    corner = Region.from_box(0, 0, 40, 40)
    assert not geometry.sees(corner, (200, 64))
    assert geometry.sees(corner, (64, 64))
    assert not geometry.sees(Region.from_box(30, 0, 68, 64), (200, 64))
    assert geometry.sees(Region.from_box(30, 0, 68.5, 64), (200, 64))


def test_a_mask_is_seen_if_a_pixel_of_it_is():
    mask = np.zeros((64, 200))
    mask[:, [10, 190]] = 1
    region = Region.from_mask(mask)
    assert not Geometry(64, 16, 1, 1, "crop").sees(region, (200, 64))
    assert Geometry(64, 16, 1, 1, "squash").sees(region, (200, 64))


def test_mask_tokens_are_the_patches_with_a_pixel_of_the_mask():
    mask = np.zeros((64, 64), bool)
    mask[16:32, 15:33] = True
    expected = np.zeros((4, 4), bool)
    expected[1, :3] = True
    assert np.array_equal(Geometry(64, 16, 1, 1).token_mask(mask, (64, 64)), expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), scale=st.integers(1, 3), rows=st.integers(1, 5))
def test_mask_tokens_equal_max_pooling_where_sizes_divide(seed, scale, rows):
    side = rows * 8
    mask = np.random.default_rng(seed).random((side * scale, side * scale)) > 0.97
    pooled = mask.reshape(rows, 8 * scale, rows, 8 * scale).any((1, 3))
    assert np.array_equal(Geometry(side, 8, 1, 1).token_mask(mask, mask.shape), pooled)
