"""Lower precision and torch.compile: the same results up to rounding."""

from functools import partial

import pytest
import torch

from falip import Ensemble, Foveal, Plain, Region, load_backbone

REGIONS = [Region.from_box(10, 5, 60, 50), Region.from_box(0, 30, 40, 70), Region.from_box(50, 10, 90, 30)]
PROMPT = Ensemble([Foveal(alpha=5.0), Foveal(alpha=5.0, layers=1), Foveal(alpha=5.0, layers=[1, 3]), Plain()])


def embedded(backbone, photo, sharing="exact"):
    return backbone.encode_views(PROMPT(photo, REGIONS, backbone.geometry), sharing)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("sharing", ["exact", "frozen", "none"])
def test_half_precision_is_the_whole_one_to_its_rounding(dtype, sharing, clip_folder, random_clip, photo):
    half = load_backbone(str(clip_folder("small")), dtype=dtype)
    found, expected = embedded(half, photo, sharing), embedded(random_clip(), photo, sharing)
    assert found.dtype == torch.float32 and half.identity != random_clip().identity
    assert 1e-6 < (found - expected).abs().max() < 0.05


@pytest.mark.slow
def test_compiled_layers_give_what_the_others_give(clip_folder, random_clip, photo, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    compiled = load_backbone(str(clip_folder("small")))
    compiled.compile()
    assert compiled.identity == random_clip().identity, "only rounding moves"
    for sharing in ("exact", "frozen", "none"):
        expected = embedded(random_clip(), photo, sharing)
        torch.testing.assert_close(embedded(compiled, photo, sharing), expected, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_the_real_compiler_gives_what_the_others_give(clip_folder, random_clip, photo):
    compiled = load_backbone(str(clip_folder("small")))
    compiled.compile()
    torch.testing.assert_close(embedded(compiled, photo), embedded(random_clip(), photo), atol=1e-5, rtol=0)
