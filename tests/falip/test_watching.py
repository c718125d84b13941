"""What views attend to, taken while they are encoded, is what `Backbone.attention` gives of whole views."""

import pytest
import torch
from open_clip_reference import write_open_clip
from siglip_reference import write_siglip

from falip import (
    Blur,
    Compose,
    Crop,
    Ensemble,
    Foveal,
    GradCAM,
    HardMask,
    MaskInversion,
    MaskPool,
    Plain,
    RedCircle,
    Region,
    ROIAlign,
    TextRegion,
    Unleash,
    load_backbone,
)
from falip.views import join_views, make_views, merge_views

REGIONS = [Region.from_box(5, 5, 40, 40), Region.from_box(30, 20, 88, 65), Region.from_box(50, 8, 80, 30)]
ON_THE_ROW = [
    Plain(),
    Foveal(alpha=5.0),
    Foveal(alpha=5.0, layers=1),
    Foveal(alpha=5.0, layers=[1, 3]),
    RedCircle(),
    Crop(),
]
INSIDE = [Foveal(alpha=2.0, mask_form="all_rows"), HardMask(), Unleash(Foveal())]


def expected(backbone, photo, prompt):
    return backbone.attention(photo, REGIONS, prompt, sharing="none")[:, -4:].mean(1)


@pytest.mark.parametrize("sharing", ["exact", "none"])
@pytest.mark.parametrize("prompt", [*ON_THE_ROW, *INSIDE], ids=lambda p: f"{type(p).__name__}-{getattr(p, 'layers', '')}")
def test_a_vit_gives_what_attention_gives_and_the_same_features(random_clip, photo, prompt, sharing):
    backbone = random_clip()
    views = make_views(prompt, photo, REGIONS, backbone.geometry)
    features, (found,) = backbone.attended_features(views, sharing)
    torch.testing.assert_close(features, backbone.features(views, sharing), rtol=0, atol=1e-6)
    assert found is not None and found.shape == (3, 4, 17)
    torch.testing.assert_close(found, expected(backbone, photo, prompt), rtol=0, atol=2e-5)
    torch.testing.assert_close(found.sum(-1), torch.ones(3, 4))


def test_frozen_patches_are_attended_to_as_they_are_without_a_prompt(random_clip, photo):
    backbone, prompt = random_clip(), Foveal(alpha=5.0)
    views = make_views(prompt, photo, REGIONS, backbone.geometry)
    (frozen,), (exact,) = (backbone.attended_features(views, way)[1] for way in ("frozen", "exact"))
    torch.testing.assert_close(frozen.sum(-1), torch.ones(3, 4))
    assert (frozen - exact).abs().max() > 1e-3


def test_pictures_and_prompts_of_a_batch_keep_their_own(random_clip, photo):
    backbone = random_clip()
    prompts = [Plain(), Foveal(alpha=5.0), Crop(), Blur(radius=3)]
    photos = [photo, photo.transpose(0), photo.rotate(180)]
    batch = [join_views([make_views(p, one, REGIONS, backbone.geometry) for p in prompts]) for one in photos]
    for size in (2, 64):
        merged = merge_views([backbone.prepare(views) for views in batch])
        found = backbone.attended_features(merged, batch=size)[1]
        for prompt, attended in zip(prompts, found, strict=True):
            whole = torch.cat([expected(backbone, one, prompt) for one in photos])
            torch.testing.assert_close(attended, whole, rtol=0, atol=2e-5)


BIASED = Compose([Foveal(alpha=5.0), MaskPool("maskclip")])
READ = [MaskPool("sclip"), ROIAlign(), TextRegion(), MaskInversion(steps=2), BIASED]


@pytest.mark.parametrize("sharing", ["exact", "none"])
@pytest.mark.parametrize("prompt", READ, ids=lambda p: type(p).__name__)
def test_a_read_out_gives_where_its_patches_are_like_what_it_took_for_the_region(random_clip, photo, prompt, sharing):
    backbone = random_clip()
    views = make_views(Ensemble([prompt, Plain()]), photo, REGIONS, backbone.geometry)
    features, (read, plain) = backbone.attended_features(views, sharing, batch=2)
    torch.testing.assert_close(features, backbone.features(views, sharing, batch=2), rtol=0, atol=1e-6)
    maps = backbone.similarity(photo, REGIONS, prompt)
    maps = torch.nn.functional.adaptive_avg_pool2d(maps, (4, 4)).flatten(1)
    raised = maps - maps.amin(1, keepdim=True)
    assert read is not None and plain is not None and read.shape == (3, 1, 17) and plain.shape == (3, 4, 17)
    assert not read[:, 0, 0].any()
    torch.testing.assert_close(read[:, 0, 1:], raised / raised.sum(1, keepdim=True), rtol=0, atol=1e-4)


def test_what_scores_in_its_own_way_attends_to_nothing(random_clip, photo):
    backbone = random_clip()
    views = make_views(GradCAM(), photo, REGIONS, backbone.geometry)
    assert backbone.attended_features(views)[1] == [None]


@pytest.mark.parametrize("sharing", ["exact", "none"])
@pytest.mark.parametrize("tower", ["resnet", "siglip"])
def test_towers_with_one_pool_give_its_weights(tmp_path, photo, tower, sharing):
    if tower == "siglip":
        write_siglip(tmp_path, "siglip", image_size=64, layers=2)
    else:
        write_open_clip(tmp_path, "resnet")
    backbone = load_backbone(str(tmp_path))
    for prompt in (Plain(), Foveal(alpha=5.0), Crop()):
        views = make_views(prompt, photo, REGIONS, backbone.geometry)
        features, (found,) = backbone.attended_features(views, sharing)
        torch.testing.assert_close(features, backbone.features(views, sharing), rtol=0, atol=1e-6)
        alone = backbone.attention(photo, REGIONS, prompt, sharing="none")[:, 0]
        assert found is not None and found.shape == alone.shape
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-5)
