"""Read-outs of a SigLIP: what its head makes of each patch alone."""

import pytest
import torch
from siglip_reference import write_siglip

from falip import (
    Compose,
    Foveal,
    MaskInversion,
    MaskPool,
    RedCircle,
    Region,
    ROIAlign,
    TextRegion,
    UserError,
    load_backbone,
)
from falip.views import make_views

REGIONS = [Region.from_box(5, 5, 40, 40), Region.from_box(30, 20, 88, 65), Region.from_box(50, 8, 80, 30)]


@pytest.fixture(params=["siglip", "siglip2"])
def siglip(tmp_path, request):
    model = write_siglip(tmp_path, request.param, image_size=64, layers=2)
    return model.eval(), load_backbone(str(tmp_path))


@torch.inference_mode()
def test_a_dense_feature_is_what_the_head_makes_of_a_picture_with_that_patch_alone(siglip, photo):
    model, backbone = siglip
    pixels = backbone.prepare(make_views(MaskPool(), photo, REGIONS, backbone.geometry)).pixels
    features = model.vision_model(pixel_values=pixels).last_hidden_state
    expected = torch.stack([model.vision_model.head(features[:, i : i + 1])[0] for i in range(16)])
    torch.testing.assert_close(backbone.dense(photo, MaskPool()).flatten(0, 1), expected, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_maskclip_reduced_leaves_out_the_heads_mlp(siglip, photo):
    model, backbone = siglip
    pixels = backbone.prepare(make_views(MaskPool(), photo, REGIONS, backbone.geometry)).pixels
    features, head = model.vision_model(pixel_values=pixels).last_hidden_state, model.vision_model.head
    alone = features.transpose(0, 1)  # each patch a picture of its own
    expected = head.attention(head.probe.expand(16, -1, -1), alone, alone)[0][:, 0]
    found = backbone.dense(photo, MaskPool("maskclip_reduced")).flatten(0, 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


PROMPTS = [MaskPool(), ROIAlign(), TextRegion(), TextRegion(tiling=False), Compose([RedCircle(), MaskPool()])]


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: p.name)
def test_sharing_gives_what_every_view_whole_gives(siglip, photo, prompt):
    _, backbone = siglip
    views = make_views(prompt, photo, REGIONS, backbone.geometry)
    exact, none = (backbone.features(views, way) for way in ("exact", "none"))
    torch.testing.assert_close(exact, none, rtol=0, atol=1e-5)
    read = backbone.attended_features(views)[1][0]
    assert read is not None
    torch.testing.assert_close(read.sum(-1), torch.ones(3, 1))


@pytest.mark.parametrize("prompt", [*map(MaskPool, ("sclip", "naclip", "surgery", "clearclip")), MaskInversion()])
def test_what_needs_attention_among_the_patches_is_refused(siglip, photo, prompt):
    with pytest.raises(UserError, match=f"{prompt.name} needs attention of the patches to each other in the last layer"):
        siglip[1].encode_regions(photo, REGIONS, prompt)


def test_a_bias_on_the_probe_would_change_nothing(siglip, photo):
    with pytest.raises(UserError, match="nothing would change"):
        siglip[1].encode_regions(photo, REGIONS, Compose([Foveal(), MaskPool()]))
