"""A prompt may have a way of its own from pictures to pixels; all others keep the backbone's, to the bit."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from random_clip import picture
from torch.nn.functional import interpolate
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from falip import Blur, Component, Crop, Ensemble, Foveal, Plain, RedCircle, Region, Unleash, UserError, Views
from falip.prompts.fgvp.resize import TwoResizes
from falip.views import merge_views

REGIONS = [Region.from_box(5, 5, 40, 50), Region.from_box(30, 10, 85, 60)]


@dataclass(frozen=True)
class Constant:
    """Every pixel of every picture has one value."""

    value: float

    def pixels(self, image, side, mean, std):
        return torch.full((3, side, side), self.value)


@dataclass(frozen=True)
class Prepared:
    """The picture as it is, prepared in another way."""

    way: Constant | TwoResizes
    name: str = "prepared"
    text_template: str | None = None
    version = 1

    def __call__(self, image, regions, geometry):
        return Views((image,), (Component(self.name, (0,) * len(regions), preparation=self.way),))


@pytest.mark.parametrize("size", [(494, 384), (384, 600), (384, 384), (90, 70)])
@pytest.mark.parametrize("side", [224, 64, 336])
def test_two_resizes_are_two_bilinear_interpolations_of_normalised_floats(size, side):
    image = picture(*size)
    mean, std = (torch.tensor(values).view(3, 1, 1) * 255.0 for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    colours = (torch.from_numpy(np.array(image)).permute(2, 0, 1).float() - mean) / std
    square = interpolate(colours[None], (384, 384), mode="bilinear", align_corners=False)
    expected = interpolate(square, (side, side), mode="bilinear", align_corners=False)[0]
    found = TwoResizes().pixels(image, side, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "prompt", [Plain(), Crop(), Blur(3.0), Foveal(), Unleash(RedCircle())], ids=lambda p: type(p).__name__
)
def test_prompts_without_a_way_of_their_own_keep_the_backbones(random_clip, photo, prompt):
    backbone = random_clip()
    views = prompt(photo, REGIONS, backbone.geometry)
    found = backbone.prepare(views).pixels
    assert found is not None and torch.equal(found, backbone.preprocess(views.images))


@pytest.mark.parametrize("resize", ["squash", "crop"])
def test_one_picture_is_seen_in_two_ways_side_by_side(random_clip, photo, resize):
    backbone = random_clip("small", resize)
    prompt = Ensemble([Plain(), Prepared(TwoResizes()), Crop(), Prepared(TwoResizes())])
    found = backbone.prepare(prompt(photo, REGIONS, backbone.geometry))
    own = TwoResizes().pixels(photo, 64, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    assert found.pixels is not None and len(found.pixels) == 4
    seen = [[found.pixels[i] for i in component.image_index] for component in found.components]
    assert torch.equal(seen[0][0], backbone.preprocess([photo])[0]) and torch.equal(seen[1][1], own)
    assert torch.equal(seen[3][0], own) and not torch.equal(seen[0][0], own)
    features = backbone.encode_views(prompt(photo, REGIONS, backbone.geometry))
    for k, part in enumerate(prompt.prompts):
        alone = backbone.encode_regions(photo, REGIONS, part)
        torch.testing.assert_close(features[k], alone, rtol=0, atol=1e-5)


def test_pictures_that_an_intervention_refers_to_are_prepared_in_the_same_way(random_clip, photo):
    backbone = random_clip()
    views = Unleash(Prepared(Constant(0.25)))(photo, REGIONS, backbone.geometry)  # pyright: ignore[reportArgumentType]
    found = backbone.prepare(views)
    assert found.pixels is not None and found.pixels.shape[0] == 1 and (found.pixels == 0.25).all()


def test_attention_sees_what_the_scores_are_made_of(random_clip, photo):
    backbone = random_clip()
    ways = [Prepared(Constant(0.25)), Prepared(Constant(0.5)), Plain()]
    rows = [backbone.attention(photo, REGIONS, way) for way in ways]
    assert all((a - b).abs().max() > 1e-4 for a, b in pairwise(rows))


def test_views_of_several_pictures_keep_their_way_in_one_batch(random_clip):
    backbone = random_clip()
    many = [picture(90, 70, seed) for seed in range(3)]
    prompt = Prepared(TwoResizes())
    views = [prompt(image, REGIONS, backbone.geometry) for image in many]
    together = backbone.encode_views(merge_views(views))
    ahead = backbone.encode_views(merge_views([backbone.prepare(one) for one in views]))
    alone = torch.cat([backbone.encode_views(one) for one in views], 1)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(ahead, alone, rtol=0, atol=1e-5)


def test_a_batch_of_several_ways_is_refused(random_clip, photo):
    views = Prepared(Constant(0.25))(photo, REGIONS, random_clip().geometry)
    other = replace(views, components=(replace(views.components[0], preparation=Constant(0.5)),))
    with pytest.raises(UserError, match="prepares its pictures otherwise"):
        merge_views([views, other])
