"""Surgery inside the attention, against the tower written out head by head."""

import numpy as np
import pytest
import torch
from clip_reference import operated
from hypothesis import given, settings
from hypothesis import strategies as st
from random_clip import picture
from transformers import CLIPModel

from falip import (
    Compose,
    Crop,
    Ensemble,
    FeatureMask,
    Foveal,
    Plain,
    RedCircle,
    Region,
    ReplaceQK,
    ReplaceV,
    Unleash,
    UserError,
)
from falip.foveal import covered_tokens
from falip.views import merge_views

REGIONS = [Region.from_box(5, 5, 40, 40), Region.from_box(30, 20, 88, 65), Region.from_box(60, 0, 90, 30)]
KINDS = {"unleash": Unleash, "replace_v": ReplaceV, "replace_qk": ReplaceQK}
RING = RedCircle(width=6)


@pytest.fixture(scope="module")
def model(clip_folder):
    return CLIPModel.from_pretrained(clip_folder("small"), attn_implementation="eager").eval()


def _difference(a, b) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 4, [1, 3]], ids=str)
@pytest.mark.parametrize(
    "prompt", [RING, Foveal(alpha=3.0, layers=[1, 2, 5]), Compose([RING, Foveal(alpha=3.0)])], ids=lambda p: p.name
)
def test_each_follows_its_formula(random_clip, model, photo, kind, layers, prompt):
    backbone = random_clip()
    wrapped = KINDS[kind](prompt, layers=layers)
    plain = backbone.preprocess([photo]).expand(3, -1, -1, -1)
    views = prompt(photo, REGIONS, backbone.geometry)
    pixels = backbone.preprocess(views.images).expand(3, -1, -1, -1)
    bias = next(iter(views.components[0].biases), None)
    expected = operated(
        model, pixels, plain, backbone.geometry.last_layers(layers), kind, bias and (bias.rows, bias.layers)
    )
    for sharing in ("none", "exact"):
        assert _difference(backbone.encode_regions(photo, REGIONS, wrapped, sharing), expected) < 2e-5
    assert _difference(expected, backbone.encode_regions(photo, REGIONS, prompt)) > 1e-4


@settings(max_examples=10, deadline=None)
@given(width=st.integers(4, 120), height=st.integers(4, 120), layers=st.integers(1, 6))
def test_no_prompt_change_leaves_the_output_as_it_was(random_clip, width, height, layers):
    backbone, image = random_clip(), picture(width, height)
    regions = [Region.from_box(0, 0, width / 2, height), Region.from_box(1, 1, width, height)]
    plain = backbone.encode_regions(image, regions, Plain())
    for wrap in KINDS.values():
        for prompt in (Plain(), Foveal(alpha=0.0)):
            assert _difference(backbone.encode_regions(image, regions, wrap(prompt, layers=layers)), plain) < 1e-6


@settings(max_examples=10, deadline=None)
@given(width=st.integers(4, 120), height=st.integers(4, 120), alpha=st.floats(0, 5))
def test_the_cls_row_form_is_foveal(random_clip, width, height, alpha):
    backbone, image = random_clip(), picture(width, height)
    regions = [Region.from_box(0, 0, width / 2, height), Region.from_box(1, 1, width, height)]
    named, default = Foveal(alpha=alpha, mask_form="cls_row"), Foveal(alpha=alpha)
    found = backbone.encode_regions(image, regions, named, "none")
    assert _difference(found, backbone.encode_regions(image, regions, default, "none")) < 1e-6


@pytest.mark.parametrize("layers", [1, 4, [0, 2]], ids=str)
def test_a_feature_mask_drops_the_values_outside_of_the_region(random_clip, model, photo, layers):
    backbone = random_clip()
    pixels = backbone.preprocess([photo]).expand(3, -1, -1, -1)
    keep = covered_tokens(REGIONS, photo.size, backbone.geometry).float()
    keep[:, 0] = 1
    expected = operated(model, pixels, pixels, backbone.geometry.last_layers(layers), "feature_mask", keep=keep)
    found = backbone.encode_regions(photo, REGIONS, FeatureMask(layers=layers))
    assert _difference(found, expected) < 1e-5
    assert _difference(found, backbone.encode_regions(photo, REGIONS, Plain())) > 1e-3


def test_a_region_outside_of_the_centre_crop_leaves_features_as_they_are(random_clip):
    backbone, image = random_clip("small", "crop"), picture(200, 64)
    regions = [Region.from_box(0, 0, 50, 60), Region.from_box(90, 10, 120, 50)]
    found = backbone.encode_regions(image, regions, FeatureMask())
    plain = backbone.encode_regions(image, regions, Plain())
    assert _difference(found[0], plain[0]) < 1e-6 and _difference(found[1], plain[1]) > 1e-3


@pytest.mark.parametrize(
    "prompt", [Unleash(RING), ReplaceV(Foveal(alpha=3.0)), FeatureMask()], ids=lambda p: type(p).__name__
)
def test_images_in_one_batch_equal_one_by_one(random_clip, prompt):
    backbone = random_clip()
    images = [picture(90, 70, seed) for seed in range(3)]
    batch = [prompt(image, REGIONS[: 1 + i], backbone.geometry) for i, image in enumerate(images)]
    one_by_one = torch.cat([backbone.encode_views(views) for views in batch], dim=1)
    for size in (1, 4, 64):
        assert _difference(backbone.encode_views(merge_views(batch), batch=size), one_by_one) < 1e-5


def test_an_ensemble_keeps_each_view_beside_its_own_plain_picture(random_clip, photo):
    backbone = random_clip()
    parts = [Crop(), Unleash(RING), Foveal(alpha=3.0), ReplaceV(Crop())]
    together = backbone.encode_views(Ensemble(parts)(photo, REGIONS, backbone.geometry))
    for part, found in zip(parts, together, strict=True):
        assert _difference(found, backbone.encode_regions(photo, REGIONS, part)) < 1e-5


def test_unleashing_an_ensemble_unleashes_each_of_its_views(random_clip, photo):
    backbone = random_clip()
    views = Unleash(Ensemble([RING, Foveal(alpha=3.0)]))(photo, REGIONS, backbone.geometry)
    assert [c.name for c in views.components] == ["unleash(red_circle)", "unleash(foveal)"]
    apart = [backbone.encode_regions(photo, REGIONS, Unleash(p)) for p in (RING, Foveal(alpha=3.0))]
    assert _difference(backbone.encode_views(views), torch.stack(apart)) < 1e-5


def test_attention_under_surgery_is_that_of_the_prompted_view(random_clip, photo):
    backbone = random_clip()
    taken = backbone.attention(photo, REGIONS, ReplaceQK(RING, layers=6))
    plain = backbone.attention(photo, REGIONS, Plain())
    torch.testing.assert_close(taken, plain, rtol=0, atol=1e-5)
    assert _difference(backbone.attention(photo, REGIONS, RING), plain) > 1e-3


def test_two_interventions_in_one_view_are_an_error(photo, random_clip):
    with pytest.raises(UserError, match="at most one"):
        Unleash(FeatureMask())(photo, REGIONS, random_clip().geometry)


@pytest.mark.parametrize("wrap", [Unleash, ReplaceV, ReplaceQK])
def test_a_region_that_is_not_in_the_image_is_named(photo, random_clip, wrap):
    with pytest.raises(UserError, match="no area"):
        wrap(RING)(photo, [Region.from_box(95, 5, 99, 9)], random_clip().geometry)
    with pytest.raises(UserError, match="shape"):
        FeatureMask()(photo, [Region.from_mask(np.ones((90, 70)))], random_clip().geometry)
