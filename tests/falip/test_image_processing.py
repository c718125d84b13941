"""From pictures to the pixels that the model sees."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from random_clip import picture
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip import Plain, Region, UserError


def test_squash_is_a_bicubic_resize_of_the_whole_picture(random_clip, photo):
    resized = np.asarray(photo.resize((64, 64), Image.Resampling.BICUBIC)) / 255
    expected = (resized - OPENAI_CLIP_MEAN) / OPENAI_CLIP_STD
    (found,) = random_clip("small", "squash").preprocess([photo])
    torch.testing.assert_close(found, torch.tensor(expected).permute(2, 0, 1).float(), rtol=0, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(width=st.integers(1, 150), height=st.integers(1, 150))
def test_crop_is_what_the_processor_of_the_model_does(random_clip, clip_folder, width, height):
    image = picture(width, height)
    processor = CLIPImageProcessorPil.from_pretrained(clip_folder("small"))
    expected = processor(image, input_data_format="channels_last", return_tensors="pt")["pixel_values"]
    assert torch.equal(random_clip("small", "crop").preprocess([image]), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 3)])
def test_the_smallest_crops_become_pixels(random_clip, size):
    assert random_clip().preprocess([picture(*size)]).isfinite().all()


def test_a_depth_map_goes_in_raw(random_clip):
    depth = np.zeros((128, 128), np.float32)
    depth[:, 64:] = 7.5
    found = random_clip().preprocess([Image.fromarray(depth)])
    assert found.shape == (1, 3, 64, 64)
    assert torch.equal(found[0, 0], found[0, 1]) and torch.equal(found[0, 0], found[0, 2])
    assert found[..., :31].abs().max() < 1e-4 and (found[..., 33:] - 7.5).abs().max() < 1e-4


def test_a_transparent_colour_that_pillow_remembers_is_not_painted_white(random_clip, photo):
    marked = photo.copy()
    marked.info["transparency"] = photo.getpixel((0, 0))
    assert torch.equal(random_clip().preprocess([marked]), random_clip().preprocess([photo]))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_another_mode_is_an_error_with_the_mend(random_clip, photo, mode):
    with pytest.raises(UserError, match=rf"'{mode}'.*convert\('RGB'\)"):
        random_clip().encode_regions(photo.convert(mode), [Region.from_box(0, 0, 9, 9)], Plain())


def test_no_region_is_an_error(random_clip, photo):
    with pytest.raises(UserError, match="no region"):
        random_clip().encode_regions(photo, [], Plain())
