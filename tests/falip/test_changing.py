"""What interventions and whole-matrix masks share: the layers below the first touched one, and the plain pass."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_clip import picture
from torch.nn.functional import normalize

from falip import Compose, FeatureMask, Foveal, MaskPool, RedCircle, Region, ReplaceQK, ReplaceV, ROIAlign, Unleash
from falip.views import make_views, merge_views

RING = RedCircle(width=6)


def _prompts(alpha, layers):
    foveal = Foveal(alpha=alpha, layers=layers)
    return [
        FeatureMask(layers=layers),
        Unleash(foveal, layers=layers),
        Unleash(RING, layers=layers),
        ReplaceV(foveal, layers=2),
        ReplaceV(Compose([RING, foveal]), layers=layers),
        ReplaceQK(foveal, layers=layers),
        Foveal(alpha=alpha, layers=layers, mask_form="all_rows"),
        Foveal(alpha=alpha, layers=layers, mask_form="diagonal"),
        Compose([RING, Foveal(alpha=alpha, layers=layers, mask_form="all_rows")]),
    ]


def _regions(count, width, height):
    return [Region.from_box(0, i * height / (2 * count), width * (i + 1) / count, height) for i in range(count)]


@contextmanager
def _passed(backbone):
    """How many views pass the MLP of each layer."""
    seen, hooks = Counter(), []
    for i, layer in enumerate(backbone.model.vision_model.encoder.layers):
        hooks.append(layer.mlp.fc1.register_forward_pre_hook(lambda _module, inputs, i=i: seen.update({i: len(inputs[0])})))
    yield seen
    for hook in hooks:
        hook.remove()


@settings(max_examples=30, deadline=None)
@given(
    kind=st.integers(0, len(_prompts(0.0, 1)) - 1),
    count=st.integers(1, 5),
    alpha=st.floats(0, 6),
    layers=st.one_of(st.integers(1, 6), st.sets(st.integers(0, 5), min_size=1).map(sorted)),
    batch=st.sampled_from([1, 3, 64]),
)
def test_exact_is_none(random_clip, kind, count, alpha, layers, batch):
    backbone, prompt = random_clip(), _prompts(alpha, layers)[kind]
    made = [
        make_views(prompt, image, _regions(count, *image.size), backbone.geometry)
        for image in (picture(61, 47), picture(40, 80))
    ]
    views = backbone.prepare(merge_views(made))
    (found, (watched,)), (expected, (truth,)) = (backbone.attended_features(views, way, batch) for way in ("exact", "none"))
    assert (normalize(found, dim=-1) - normalize(expected, dim=-1)).abs().max() < 1e-5
    assert (watched - truth).abs().max() < 1e-5


@pytest.mark.parametrize(
    "prompt",
    [
        FeatureMask(layers=2),
        Unleash(Foveal(alpha=2.0, layers=2), layers=2),
        ReplaceV(Foveal(alpha=2.0, layers=2), layers=2),
        Foveal(alpha=2.0, layers=2, mask_form="all_rows"),
        Foveal(alpha=2.0, layers=2, mask_form="diagonal"),
    ],
    ids=lambda prompt: prompt.name if hasattr(prompt, "name") else type(prompt).__name__,
)
def test_layers_below_the_first_touched_one_run_once(random_clip, photo, prompt):
    backbone = random_clip()
    views = backbone.prepare(make_views(prompt, photo, _regions(5, *photo.size), backbone.geometry))
    with _passed(backbone) as passed:
        backbone.features(views)
    assert [passed[layer] for layer in range(4)] == [1] * 4
    assert passed[5] == len(set(views.keys[0])) > 1


def test_the_plain_pass_runs_once_for_all_that_compare_with_it(random_clip, photo):
    backbone = random_clip()
    rings = make_views(ReplaceV(RING, layers=2), photo, _regions(5, *photo.size), backbone.geometry)
    with _passed(backbone) as passed:
        backbone.features(backbone.prepare(rings))
    assert passed[0] == 5 + 1


@pytest.mark.parametrize("wrap", [lambda p: Unleash(p, layers=3), lambda p: ReplaceV(p, layers=3)])
def test_equal_regions_tie_to_the_bit(random_clip, photo, wrap):
    region, other = _regions(2, *photo.size)
    found = random_clip().encode_regions(photo, [region, other, region], wrap(Foveal(alpha=2.0)))
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])


def test_rows_for_each_head_share_like_foveal_ones(random_clip, photo):
    backbone = random_clip()
    views = make_views(Foveal(alpha=2.0, layers=2), photo, _regions(5, *photo.size), backbone.geometry)
    (component,) = views.components
    (bias,) = component.biases
    scale = torch.linspace(0.5, 2.0, backbone.geometry.heads)[:, None]
    headed = replace(views, components=(replace(component, biases=(replace(bias, rows=bias.rows[:, None] * scale),)),))
    ready = backbone.prepare(headed)
    with _passed(backbone) as passed:
        found = backbone.encode_views(ready)
    assert [passed[layer] for layer in range(4)] == [1] * 4
    assert (found - backbone.encode_views(ready, "none")).abs().max() < 1e-5
    assert (found - backbone.encode_views(views)).abs().max() > 1e-4


READ = [
    Compose([Foveal(alpha=2.0, layers=[2, 3], mask_form="all_rows"), MaskPool("maskclip")]),
    Compose([RING, Foveal(alpha=2.0, layers=[3], mask_form="diagonal"), MaskPool("sclip")]),
    Compose([Foveal(alpha=2.0, layers=[2], mask_form="all_rows"), ROIAlign()]),
]


def _read(prompt, image, geometry, inside=None):
    """The views of a read-out, with the intervention of another prompt on them where one is given."""
    regions = _regions(3, *image.size)
    views = make_views(prompt, image, regions, geometry)
    if inside is None:
        return views
    changed = make_views(inside, image, regions, geometry)
    return replace(changed, components=(replace(changed.components[0], reading=views.components[0].reading),))


@pytest.mark.parametrize(
    "prompt, inside",
    [
        *((prompt, None) for prompt in READ),
        (MaskPool("maskclip"), Unleash(Foveal(alpha=2.0, layers=[2]), layers=[2])),
        (MaskPool("sclip"), ReplaceV(Foveal(alpha=2.0, layers=[2]), layers=[2])),
        (MaskPool("maskclip"), ReplaceV(RING, layers=[2])),
    ],
)
def test_read_outs_of_changed_views_share_what_lies_below_too(random_clip, photo, prompt, inside):
    backbone = random_clip()
    made = [_read(prompt, image, backbone.geometry, inside) for image in (photo, picture(40, 80), photo.rotate(180))]
    views = backbone.prepare(merge_views(made))
    expected, (truth,) = backbone.attended_features(views, "none")
    with _passed(backbone) as passed:
        found, (watched,) = backbone.attended_features(views, batch=2)
    assert (normalize(found, dim=-1) - normalize(expected, dim=-1)).abs().max() < 1e-5
    assert (watched - truth).abs().max() < 1e-4
    assert passed[0] == passed[1] == len(views.pixels), "below the first layer that is touched a picture passes once"


@pytest.mark.parametrize("kind", range(len(_prompts(1.0, 2))))
@pytest.mark.parametrize("sharing", ["none", "exact", "frozen"])
def test_no_pass_takes_more_than_the_budget_however_many_regions_there_are(random_clip, kind, sharing):
    backbone, most = random_clip(), 0
    regions = [Region.from_box(x, y, x + 9, y + 11) for x in range(0, 40, 6) for y in range(0, 40, 6)]
    views = backbone.prepare(make_views(_prompts(1.0, 2)[kind], picture(61, 47), regions, backbone.geometry))

    def look(_module, inputs):
        nonlocal most
        most = max(most, len(inputs[0]))

    hooks = [layer.mlp.fc1.register_forward_pre_hook(look) for layer in backbone.model.vision_model.encoder.layers]
    backbone.features(views, sharing, batch=8)
    for hook in hooks:
        hook.remove()
    # In a whole pass the plain picture stands beside the views.
    assert 1 <= most <= 8 + 1


@pytest.mark.parametrize("ask", ["attention", "head_outputs"])
@pytest.mark.parametrize("kind", range(len(_prompts(0.0, 1))))
def test_attention_and_heads_come_from_passes_that_share_and_are_those_of_whole_views(
    random_clip, photo, monkeypatch, ask, kind
):
    backbone, regions, prompt = random_clip(), _regions(5, *photo.size), _prompts(2.0, 2)[kind]
    monkeypatch.setattr(backbone.tower, "_cached_views", 2)
    expected = getattr(backbone, ask)(photo, regions, prompt, sharing="none")
    with _passed(backbone) as passed:
        found = getattr(backbone, ask)(photo, regions, prompt)
    assert (found - expected).abs().max() < 1e-5
    if not prompt(photo, regions, backbone.geometry).images[1:]:
        assert passed[0] == passed[3] == 1, "of one picture the layers below the first changed one are passed once"


@pytest.mark.parametrize("ask", ["attention", "head_outputs"])
def test_attention_and_heads_of_many_regions_are_held_within_the_budget(random_clip, photo, monkeypatch, ask):
    backbone, most = random_clip(), Counter()
    monkeypatch.setattr(backbone.tower, "_cached_views", 2)
    for layer in backbone.model.vision_model.encoder.layers:
        monkeypatch.setitem(layer.mlp.fc1._forward_pre_hooks, 0, lambda _, inputs: most.update({len(inputs[0]): 1}))
    for sharing in ("exact", "none"):
        getattr(backbone, ask)(photo, _regions(9, *photo.size), Unleash(Foveal(alpha=2.0, layers=2), layers=2), sharing)
    assert max(most) <= 2 + 1, "two views, and the plain picture that whole ones are compared with"
