"""The change of each head's part of the CLS output."""

import pytest
import torch

import falip
from falip.backbone import responses
from falip.backbone.responses import head_responses

REGIONS = [falip.Region.from_box(10, 20, 60, 65), falip.Region.from_box(0, 0, 30, 30)]


def test_nothing_changes_below_the_first_masked_layer(random_clip, photo):
    found = head_responses(random_clip(), photo, REGIONS, falip.Foveal(alpha=1.0))
    assert found.shape == (2, 6, 4)
    assert (found[:, :2] < 1e-5).all()
    assert (found[:, 2:] > 1e-4).all()


def test_plain_changes_nothing_and_a_picture_prompt_every_layer(random_clip, photo):
    assert head_responses(random_clip(), photo, REGIONS, falip.Plain()).max() < 1e-5
    assert (head_responses(random_clip(), photo, REGIONS, falip.Blur()) > 1e-4).all()


def test_in_the_first_masked_layer_it_is_the_changed_attention_on_the_same_values(random_clip, photo):
    """G'_h - G_h = W_O[:, h] sum_t (a'_t - a_t) v_t, since the layer's input is still the same."""
    backbone, prompt = random_clip(), falip.Foveal(alpha=1.0, layers=[3])
    attention = backbone.model.vision_model.encoder.layers[3].self_attn
    values = []
    hook = attention.v_proj.register_forward_hook(lambda _module, _inputs, output: values.append(output[0]))
    before = backbone.attention(photo, REGIONS[:1], falip.Plain())[0, 3]
    hook.remove()
    after = backbone.attention(photo, REGIONS, prompt)[:, 3]
    heads = values[0].unflatten(-1, (4, -1))
    change = torch.einsum("rht,thk->rhk", after - before, heads)
    weight = attention.out_proj.weight.unflatten(1, (4, -1))
    expected = torch.einsum("rhk,dhk->rhd", change, weight).norm(dim=-1)
    torch.testing.assert_close(head_responses(backbone, photo, REGIONS, prompt)[:, 3], expected, atol=1e-5, rtol=1e-4)


def test_several_views_have_no_single_response(random_clip, photo):
    with pytest.raises(falip.UserError, match="several views"):
        head_responses(random_clip(), photo, REGIONS, falip.Ensemble([falip.Crop(), falip.Blur()]))


def test_many_regions_are_answered_some_at_a_time(random_clip, photo, monkeypatch):
    regions = [falip.Region.from_box(i, i, 40 + 3 * i, 30 + 4 * i) for i in range(5)]
    expected = head_responses(random_clip(), photo, regions, falip.Foveal(alpha=1.0))
    monkeypatch.setattr(responses, "_AT_ONCE", 2)
    found = head_responses(random_clip(), photo, regions, falip.Foveal(alpha=1.0))
    assert found.shape == (5, 6, 4)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
