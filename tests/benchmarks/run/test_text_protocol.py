import pytest
import torch

import falip
from benchmarks.run.text import RunTexts, TextProtocol
from falip import UserError
from falip.scoring import feature_scores
from falip.templates import phrasings

POOL = ["the red dog", "the blue cat", "the dog", "a cat", "the left dog", "the red cat"]
OWN = ["the dog", "a cat"]


@pytest.fixture
def backbone(random_clip):
    return random_clip()


@pytest.fixture
def images():
    return torch.nn.functional.normalize(torch.randn(2, 3, 32, generator=torch.manual_seed(0)), dim=-1)


def scored(backbone, images, prompt=None, **settings):
    run = RunTexts(TextProtocol("a photo of {}", **settings), prompt or falip.Plain(), POOL)
    texts, others = run.embed(backbone, OWN)
    return run, feature_scores(backbone, images, texts, others)


def naive(backbone, images, own, others, template="a photo of {}"):
    """Each score less the mean of the scores of the other texts, component by component."""
    mine = backbone.encode_text([template.format(text) for text in own])
    theirs = backbone.encode_text([template.format(text) for text in others])
    means = (backbone.logit_scale * images @ theirs.T).mean(-1, keepdim=True)
    return backbone.logit_scale * images @ mine.T - means


def test_nothing_is_subtracted_by_default(backbone, images):
    run, found = scored(backbone, images)
    assert run.subtracted == []
    texts = backbone.encode_text([f"a photo of {text}" for text in OWN])
    torch.testing.assert_close(found, backbone.logit_scale * images @ texts.T)


def test_subtraction_is_the_mean_score_of_the_pool_for_each_component(backbone, images):
    run, found = scored(backbone, images, subtract=4, seed=3)
    assert len(run.subtracted) == len(set(run.subtracted)) == 4 and set(run.subtracted) <= set(POOL)
    torch.testing.assert_close(found, naive(backbone, images, OWN, run.subtracted), atol=1e-5, rtol=0)


def test_a_pool_that_is_too_small_is_taken_whole(backbone, images):
    run, found = scored(backbone, images, subtract=500)
    assert sorted(run.subtracted) == sorted(POOL)
    torch.testing.assert_close(found, naive(backbone, images, OWN, POOL), atol=1e-5, rtol=0)


def test_the_images_own_expressions_can_be_left_out(backbone, images):
    _, found = scored(backbone, images, subtract=500, leave_out_own=True)
    others = [text for text in POOL if text not in OWN]
    torch.testing.assert_close(found, naive(backbone, images, OWN, others), atol=1e-5, rtol=0)
    assert not torch.allclose(found, naive(backbone, images, OWN, POOL), atol=1e-3)


def test_the_choice_is_seeded():
    draws = [
        RunTexts(TextProtocol("{}", subtract=3, seed=seed), falip.Plain(), POOL).subtracted for seed in (0, 0, 1, 2, 3)
    ]
    assert draws[0] == draws[1] and any(draw != draws[0] for draw in draws[2:])


def test_a_prompts_own_template_has_precedence_for_all_texts(backbone, images):
    _, found = scored(backbone, images, prompt=falip.Shade(), subtract=500)
    expected = naive(backbone, images, OWN, POOL, template="{} is in red color.")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_texts_that_were_cut_are_counted_for_this_run_only(backbone):
    long = "the red dog " * 20
    first = RunTexts(TextProtocol("{}"), falip.Plain(), [])
    first.embed(backbone, [long, "dog"])
    second = RunTexts(TextProtocol("{}"), falip.Plain(), [])
    second.embed(backbone, ["dog"])
    third = RunTexts(TextProtocol("{}"), falip.Plain(), [])
    third.embed(backbone, [long])  # known already, and still cut
    assert [run.truncated([backbone]) for run in (first, second, third)] == [1, 0, 1]


@pytest.mark.parametrize("settings", [{"template": "a photo"}, {"subtract": -1}, {"seed": -1}])
def test_settings_without_a_meaning_are_errors(settings):
    with pytest.raises(UserError, match=f"text.{next(iter(settings))}"):
        TextProtocol(**{"template": "{}"} | settings)


@pytest.mark.parametrize("template", ["vild63", "imagenet80", ["a photo of {}", "art of the {}"]])
def test_embeddings_of_several_templates_are_averaged_by_direction(backbone, template):
    run = RunTexts(TextProtocol(template), falip.Plain(), POOL)
    found, _ = run.embed(backbone, ["apple/pear", "Cat"])
    for row, name in zip(found, ("apple/pear", "Cat"), strict=True):
        each = [backbone.encode_text([text])[0] for text in phrasings(name, template)]
        mean = torch.stack(each).mean(0)
        torch.testing.assert_close(row, mean / mean.norm(), atol=1e-6, rtol=0)
    again, _ = run.embed(backbone, ["Cat"])
    assert torch.equal(again[0], found[1])


def test_templates_are_filled_as_their_authors_do():
    assert len(set(phrasings("dog", "imagenet80"))) == 80 and "a origami Ape." in phrasings("Ape", "imagenet80")
    vild = phrasings("Apple_pie/tart.", "vild63")
    assert len(set(vild)) == 63 and all("apple pie or tart" in text for text in vild)
    assert {"There is an apple pie or tart in the scene.", "This is a photo of an apple pie or tart."} <= set(vild)
    assert {"itap of my apple pie or tart.", "This is the toy apple pie or tart."} <= set(vild)


def test_a_prompt_of_its_own_phrase_is_asked_in_no_other(backbone):
    found, _ = RunTexts(TextProtocol("imagenet80"), falip.Plain(text_template="look: {}"), POOL).embed(backbone, OWN)
    torch.testing.assert_close(found, backbone.text_features([f"look: {text}" for text in OWN]))


@pytest.mark.parametrize("template", ["imagenet81", [], ["a photo of {}", "a photo"]])
def test_templates_without_a_place_for_the_name_are_refused(template):
    with pytest.raises(UserError, match=r"text\.template=.*imagenet80, vild63"):
        TextProtocol(template)
