"""Scores against their formulas."""

import numpy as np
import pytest
import torch
from random_clip import picture

from falip import Blur, Crop, Ensemble, Foveal, Plain, RedCircle, Region, Shade, UserError, score
from falip.texts import phrase, sample_texts

REGIONS = [Region.from_box(5, 5, 40, 40), Region.from_box(30, 20, 88, 65), Region.from_box(60, 0, 90, 30)]
TEXTS = ["the red dog", "a cat"]


def _cosines(backbone, image, prompt, texts):
    embedded = backbone.encode_regions(image, REGIONS, prompt)
    return backbone.logit_scale * embedded @ backbone.encode_text(texts).T


def test_a_score_is_a_scaled_cosine(random_clip, photo):
    backbone = random_clip()
    scores = score(backbone, photo, REGIONS, Foveal(alpha=3.0), TEXTS)
    assert scores.shape == (3, 2) and scores.dtype == torch.float32
    torch.testing.assert_close(scores, _cosines(backbone, photo, Foveal(alpha=3.0), TEXTS), rtol=0, atol=1e-4)
    assert scores.abs().max() <= backbone.logit_scale and scores.std() > 1e-3
    assert backbone.logit_scale == pytest.approx(float(backbone.model.logit_scale.detach().exp()))


def test_the_template_wraps_each_text_unless_the_prompt_brings_its_own(random_clip, photo):
    backbone = random_clip()
    wrapped = [f"a photo of {text}" for text in TEXTS]
    expected = score(backbone, photo, REGIONS, Crop(), wrapped)
    assert torch.equal(score(backbone, photo, REGIONS, Crop(), TEXTS, template="a photo of {}"), expected)
    assert phrase(["x"], "a photo of {}", Shade()) == ["x is in red color."]
    assert phrase(["x"], "a photo of {}", Ensemble([Crop(), Shade()])) == ["x is in red color."]
    assert phrase(["{x} {}"], "a {}", Plain()) == ["a {x} {}"]


def test_scores_of_views_are_summed_or_maximised(random_clip, photo):
    backbone = random_clip()
    parts = torch.stack([_cosines(backbone, photo, prompt, TEXTS) for prompt in (Crop(), Blur(), Foveal())])
    for combine, expected in (("sum", parts.sum(0)), ("max", parts.amax(0))):
        ensemble = Ensemble([Crop(), Blur(), Foveal()], combine)
        torch.testing.assert_close(score(backbone, photo, REGIONS, ensemble, TEXTS), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("combine", ["sum", "max"])
def test_backbones_are_summed_before_views_are_combined(random_clip, photo, combine):
    both = [random_clip("small"), random_clip("ViT-B/32")]
    prompts = [Crop(), RedCircle(width=6), Foveal(alpha=4.0)]
    summed = torch.stack([sum(_cosines(b, photo, prompt, TEXTS) for b in both) for prompt in prompts])
    expected = summed.sum(0) if combine == "sum" else summed.amax(0)
    scores = score(both, photo, REGIONS, Ensemble(prompts, combine), TEXTS)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-4)
    if combine == "max":
        one_by_one = sum(score(b, photo, REGIONS, Ensemble(prompts, combine), TEXTS) for b in both)
        assert (scores - one_by_one).abs().max() > 1e-3  # so that the order of the two can be told apart


@pytest.mark.parametrize("combine", ["sum", "max"])
def test_what_is_subtracted_is_the_mean_score_of_the_other_texts(random_clip, photo, combine):
    backbone, others = random_clip(), ["x", "blue cat", "the photo of y"]
    prompts, template = [Crop(), Foveal(alpha=2.0)], "a {}"
    parts = []
    for prompt in prompts:
        mean = score(backbone, photo, REGIONS, prompt, others, template=template).mean(1, keepdim=True)
        parts.append(score(backbone, photo, REGIONS, prompt, TEXTS, template=template) - mean)
    expected = torch.stack(parts).sum(0) if combine == "sum" else torch.stack(parts).amax(0)
    found = score(backbone, photo, REGIONS, Ensemble(prompts, combine), TEXTS, template=template, subtract=others)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_plain_scores_all_regions_alike_to_the_bit(random_clip, tiny):
    for backbone in (random_clip(), tiny):
        scores = score(backbone, picture(130, 111), REGIONS * 5, Plain(), TEXTS)
        assert (scores == scores[0]).all()


def test_a_sample_of_texts_is_drawn_once_each_from_its_seed():
    pool = [f"text {i}" for i in range(600)]
    chosen = sample_texts(pool, 500, 3)
    assert len(set(chosen)) == 500 and set(chosen) < set(pool)
    assert chosen == sample_texts(pool, 500, 3) != sample_texts(pool, 500, 4)
    assert sample_texts(pool[:7], 500, 0) == pool[:7]


def test_a_template_without_place_for_the_text_is_an_error(random_clip, photo):
    with pytest.raises(UserError, match="'a photo of'"):
        score(random_clip(), photo, REGIONS, Plain(), TEXTS, template="a photo of")


def test_texts_come_as_a_list(random_clip, photo):
    with pytest.raises(UserError, match="'a dog'"):
        score(random_clip(), photo, REGIONS, Plain(), "a dog")
    with pytest.raises(UserError, match="'a dog'"):
        random_clip().encode_text("a dog")


def test_a_depth_map_and_its_region_are_scored(random_clip):
    from PIL import Image

    depth = Image.fromarray(np.random.default_rng(0).random((128, 128), dtype=np.float32))
    scores = score(random_clip(), depth, REGIONS, Foveal(alpha=5.0), TEXTS)
    assert scores.isfinite().all() and (scores[0] != scores[1]).any()
