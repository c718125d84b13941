"""What CLS attends to, against transformers' own weights and the formula of each bias."""

import pytest
import torch
from random_clip import picture
from transformers import CLIPModel

from falip import Foveal, HardMask, PastaStyle, Plain, RedCircle, Region
from falip.foveal import covered_tokens

REGIONS = [Region.from_box(5, 5, 40, 40), Region.from_box(30, 20, 88, 65)]


@pytest.mark.parametrize("prompt", [Plain(), RedCircle(width=5)], ids=lambda p: p.name)
def test_weights_are_those_that_transformers_reports(random_clip, clip_folder, photo, prompt):
    backbone = random_clip()
    model = CLIPModel.from_pretrained(clip_folder("small"), attn_implementation="eager").eval()
    pixels = backbone.preprocess(prompt(photo, REGIONS, backbone.geometry).images)
    with torch.inference_mode():
        reported = model.vision_model(pixels, output_attentions=True).attentions
    expected = torch.stack(reported, 1)[:, :, :, 0].expand(2, -1, -1, -1)
    found = backbone.attention(photo, REGIONS, prompt)
    assert found.shape == (2, 6, 4, 17) and found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_foveal_mask_multiplies_the_weights_of_its_first_layer(random_clip, photo):
    backbone, prompt = random_clip(), Foveal(alpha=2.0, layers=2)
    plain, found = (backbone.attention(photo, REGIONS, p) for p in (Plain(), prompt))
    rows = prompt(photo, REGIONS, backbone.geometry).components[0].biases[0].rows
    torch.testing.assert_close(found[:, :4], plain[:, :4], rtol=0, atol=1e-6)
    raised = plain[:, 4] * rows.exp()[:, None]
    torch.testing.assert_close(found[:, 4], raised / raised.sum(-1, keepdim=True), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 6, 4))
    inside = covered_tokens(REGIONS, photo.size, backbone.geometry)
    assert ((found - plain)[:, 4] * inside[:, None]).sum(-1).min() > 0


@pytest.mark.parametrize("keep_cls", [False, True])
def test_a_hard_mask_renormalises_over_the_patches_of_the_region(random_clip, photo, keep_cls):
    backbone = random_clip()
    plain, found = (backbone.attention(photo, REGIONS, p)[:, -1] for p in (Plain(), HardMask(keep_cls=keep_cls)))
    keep = covered_tokens(REGIONS, photo.size, backbone.geometry)
    assert not keep[:, 0].any() and keep.any(1).all() and not keep.all()
    keep[:, 0] = keep_cls
    kept = plain * keep[:, None]
    torch.testing.assert_close(found, kept / kept.sum(-1, keepdim=True), rtol=0, atol=1e-5)
    assert (found[~keep[:, None].expand_as(found)] == 0).all()


def test_pasta_style_takes_most_of_what_lies_outside_and_leaves_cls_alone(random_clip, photo):
    backbone = random_clip()
    plain, found = (backbone.attention(photo, REGIONS, p) for p in (Plain(), PastaStyle(strength=0.01)))
    keep = covered_tokens(REGIONS, photo.size, backbone.geometry)
    keep[:, 0] = True
    torch.testing.assert_close(found[:, :2], plain[:, :2], rtol=0, atol=1e-6)
    weighted = plain[:, 2] * torch.where(keep, 1.0, 0.01)[:, None]
    torch.testing.assert_close(found[:, 2], weighted / weighted.sum(-1, keepdim=True), rtol=0, atol=1e-5)


def test_the_embedded_model_looks_at_the_region_more_with_a_mask(tiny):
    image, regions = picture(150, 120), [Region.from_box(10, 10, 60, 60)]
    inside = covered_tokens(regions, image.size, tiny.geometry)[:, None, None]
    share = [(tiny.attention(image, regions, p) * inside).sum(-1)[:, -4:].mean() for p in (Plain(), Foveal(alpha=1.0))]
    assert share[1] > share[0] * 1.1
