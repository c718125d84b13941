"""Scores rounded to half where the released programs round them."""

import numpy as np
import pytest
import torch
from random_clip import picture

import falip
from falip import Crop, Ensemble, Foveal, Plain, Region, UserError, load_backbone
from falip.scoring import released_scores

REGIONS = [Region.from_box(5, 5, 40, 40), Region.from_box(30, 20, 88, 65)]


def by_hand(images: np.ndarray, texts: np.ndarray, scale: float) -> np.ndarray:
    """One number at a time, in NumPy: each intermediate result a half, sums in higher precision."""
    found = np.zeros((len(images), len(texts)), np.float16)
    units = []
    for rows in (images, texts):
        norms = np.sqrt((rows.astype(np.float64) ** 2).sum(-1, keepdims=True)).astype(np.float16)
        units.append((rows.astype(np.float32) / norms.astype(np.float32)).astype(np.float16))
    scaled = (np.float32(np.float16(scale)) * units[0].astype(np.float32)).astype(np.float16)
    for i, image in enumerate(scaled):
        for j, text in enumerate(units[1]):
            found[i, j] = np.float16((image.astype(np.float64) * text.astype(np.float64)).sum())
    return found


def test_each_step_is_rounded_to_half():
    rng = np.random.default_rng(0)
    images, texts = (rng.normal(size=(n, 64)).astype(np.float16) for n in (12, 9))
    found = released_scores(torch.from_numpy(images)[None], torch.from_numpy(texts), 100.0)
    assert found.shape == (1, 12, 9) and found.dtype == torch.float16
    assert (found[0].numpy() == by_hand(images, texts, 100.0)).mean() > 0.98
    exact = torch.nn.functional.cosine_similarity(
        torch.from_numpy(images).float()[:, None], torch.from_numpy(texts).float(), dim=-1
    )
    assert 0 < (found[0].float() - 100 * exact).abs().max() < 0.2


def test_equal_rows_score_alike():
    rows = torch.randn(5, 16).half()
    images, texts = rows[[0, 1, 0, 2, 1]][None], rows[[3, 4, 3]]
    found = released_scores(images, texts, 30.0)[0]
    assert torch.equal(found[0], found[2]) and torch.equal(found[1], found[4]) and torch.equal(found[:, 0], found[:, 2])


@pytest.mark.parametrize("sharing", ["exact", "none"])
def test_a_backbone_of_released_precision_scores_in_half(clip_folder, random_clip, sharing):
    released = load_backbone(str(clip_folder("small")), precision="released")
    assert released.identity["precision"] == "released" and released.identity["dtype"] == "float16"
    image, texts = picture(90, 70), ["a red dog", "the cat", "a red dog"]
    for prompt in (Foveal(alpha=5.0), Ensemble([Crop(), Foveal()])):
        found = falip.score(released, image, REGIONS, prompt, texts, sharing=sharing)
        full = falip.score(random_clip(), image, REGIONS, prompt, texts, sharing=sharing)
        assert torch.equal(found.half().float(), found), "every score is a half"
        assert 0 < (found - full).abs().max() < 0.5
        assert torch.equal(found[:, 0], found[:, 2])
    assert torch.equal(*falip.score(released, image, REGIONS, Plain(), texts))


def test_sharing_moves_nothing_in_released_precision(clip_folder):
    released = load_backbone(str(clip_folder("small")), precision="released")
    exact, none = (
        falip.score(released, picture(90, 70), REGIONS, Foveal(5.0), ["a dog"], sharing=s) for s in ("exact", "none")
    )
    assert torch.equal(exact, none)


def test_others_are_named():
    with pytest.raises(UserError, match=r"precision='double'.*released"):
        load_backbone("tiny", precision="double")
