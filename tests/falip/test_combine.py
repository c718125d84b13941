"""Prompts made of prompts."""

import numpy as np
import pytest
import torch

from falip import (
    Blur,
    Compose,
    Crop,
    Ensemble,
    FeatureMask,
    Foveal,
    Geometry,
    PastaStyle,
    Plain,
    RedCircle,
    Region,
    Shade,
    Unleash,
    UserError,
    foveal_bias,
)

B16 = Geometry(224, 16, 12, 12)
REGIONS = [Region.from_box(20, 10, 60, 50), Region.from_box(50, 30, 88, 66)]


def _same(images, others) -> bool:
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(images, others, strict=True))


def test_red_circle_and_foveal_are_one_view_with_both(photo):
    foveal = Foveal(alpha=0.5, layers=2)
    views = Compose([RedCircle(), foveal])(photo, REGIONS, B16)
    (component,) = views.components
    assert component.name == "red_circle+foveal" and component.image_index == (0, 1)
    assert _same(views.images, RedCircle()(photo, REGIONS, B16).images)
    assert component.biases[0].layers == (10, 11)
    assert torch.equal(component.biases[0].rows, foveal_bias(REGIONS, photo.size, B16, 0.5, 100.0))


def test_edits_are_done_in_their_order(photo):
    blur_then_ring = Compose([Blur(), RedCircle(width=9)])(photo, REGIONS[:1], B16).images[0]
    (blurred,) = Blur()(photo, REGIONS[:1], B16).images
    assert _same([blur_then_ring], RedCircle(width=9)(blurred, REGIONS[:1], B16).images)
    assert not _same([blur_then_ring], Compose([RedCircle(width=9), Blur()])(photo, REGIONS[:1], B16).images)


@pytest.mark.parametrize("order", [[Crop(), Foveal()], [Foveal(), Crop()]])
def test_a_crop_moves_the_region_of_the_bias(photo, order):
    mask = np.zeros((70, 90), bool)
    mask[10:40, 20:30] = mask[10:20, 20:60] = True
    pair = Region.from_boxes([(20, 10, 30, 20), (50, 40, 60, 50)])
    views = Compose(order)(photo, [REGIONS[0], Region.from_mask(mask), pair], B16)
    assert [im.size for im in views.images] == [(40, 40), (40, 30), (40, 40)]
    (component,) = views.components
    expected = [
        foveal_bias([Region.from_box(0, 0, 40, 40)], (40, 40), B16, 0.2, 100.0),
        foveal_bias([Region.from_mask(mask[10:40, 20:60])], (40, 30), B16, 0.2, 100.0),
        foveal_bias([Region.from_boxes([(0, 0, 10, 10), (30, 30, 40, 40)])], (40, 40), B16, 0.2, 100.0),
    ]
    assert torch.equal(component.biases[0].rows, torch.cat(expected))


def test_a_bias_alone_shares_the_picture(photo):
    composed, alone = (prompt(photo, REGIONS, B16) for prompt in (Compose([Plain(), Foveal()]), Foveal()))
    assert composed.images == (photo,) and composed.components[0].image_index == (0, 0)
    assert torch.equal(composed.components[0].biases[0].rows, alone.components[0].biases[0].rows)


@pytest.mark.parametrize(
    "prompts, said",
    [
        ([Crop(), FeatureMask()], "FeatureMask"),
        ([Unleash(Plain())], "Unleash"),
        ([Ensemble([Crop(), Blur()])], "Ensemble"),
        ([], "at least one"),
    ],
)
def test_what_cannot_be_one_view_is_an_error(prompts, said):
    with pytest.raises(UserError, match=said):
        Compose(prompts)


def test_biases_in_one_view_add_up(random_clip, photo):
    backbone = random_clip()
    parts = [Foveal(alpha=2.0, layers=[2, 5]), Foveal(alpha=1.5, layers=[4, 5]), PastaStyle(layers=1)]
    for prompt in (Compose(parts), Compose([*parts, Foveal(alpha=1.0, mask_form="all_rows", layers=3)])):
        none, exact = (backbone.encode_regions(photo, REGIONS, prompt, sharing) for sharing in ("none", "exact"))
        torch.testing.assert_close(exact, none, rtol=0, atol=1e-5)
        alone = backbone.encode_regions(photo, REGIONS, parts[0])
        assert (none - alone).abs().max() > 1e-3
    both = Compose([Foveal(alpha=0.5, layers=3), Foveal(alpha=1.0, layers=3)])
    doubled = backbone.encode_regions(photo, REGIONS, Foveal(alpha=1.5, layers=3))
    torch.testing.assert_close(backbone.encode_regions(photo, REGIONS, both), doubled, rtol=0, atol=1e-5)


def test_an_ensemble_has_the_views_of_its_parts_and_a_shared_picture_once(photo):
    views = Ensemble([Crop(), Foveal(), Plain(), Compose([Foveal(alpha=1.0)])], "max")(photo, REGIONS, B16)
    assert [c.name for c in views.components] == ["crop", "foveal", "plain", "foveal"] and views.combine == "max"
    assert len(views.images) == 3 and views.images[2] is photo
    assert [c.image_index for c in views.components] == [(0, 1), (2, 2), (2, 2), (2, 2)]
    assert len(views) == 2


def test_the_first_text_template_stands_for_all():
    assert Ensemble([Crop(), Shade(), Shade(text_template="{} x")]).text_template == "{} is in red color."
    assert Compose([Shade(), Foveal()]).text_template == "{} is in red color."
    assert Ensemble([Crop(), Blur()]).text_template is None


def test_ensembles_of_ensembles_combine_alike_or_are_an_error(photo):
    inner = Ensemble([Crop(), Blur()], "max")
    assert len(Ensemble([inner, Plain()], "max")(photo, REGIONS, B16).components) == 3
    with pytest.raises(UserError, match="combine=sum holds one with combine=max"):
        Ensemble([inner, Plain()])(photo, REGIONS, B16)


@pytest.mark.parametrize("arguments, said", [(([Crop()], "mean"), "choose from sum, max"), (([],), "at least one")])
def test_an_ensemble_without_meaning_is_an_error(arguments, said):
    with pytest.raises(UserError, match=said):
        Ensemble(*arguments)


def test_encode_regions_of_an_ensemble_names_score(random_clip, photo):
    with pytest.raises(UserError, match=r"Ensemble has 2 views.*falip\.score"):
        random_clip().encode_regions(photo, REGIONS, Ensemble([Crop(), Blur()]))
    with pytest.raises(UserError, match="Ensemble"):
        random_clip().attention(photo, REGIONS, Ensemble([Crop(), Blur()]))
