"""Read-outs together with edits, biases, ensembles, batches and other towers."""

import numpy as np
import pytest
import torch
from alpha_weights import write_alpha_weights
from open_clip_reference import write_open_clip
from random_clip import picture
from torch.nn.functional import normalize
from torch.utils.flop_counter import FlopCounterMode

import falip
from falip import UserError, load_backbone
from falip.views import make_views, merge_views

REGIONS = [falip.Region.from_box(5, 8, 60, 50), falip.Region.from_box(40, 10, 85, 69), falip.Region.from_box(0, 0, 20, 20)]
READOUTS = [falip.MaskPool("naclip"), falip.ROIAlign(), falip.TextRegion(), falip.MaskInversion(steps=2)]


def names(prompts):
    return [prompt.name for prompt in prompts]


@pytest.mark.parametrize("readout", [falip.MaskPool("sclip"), falip.ROIAlign(), falip.TextRegion(remove_global=False)])
def test_an_edit_and_a_read_out_in_one_view_read_the_edited_picture(random_clip, photo, readout):
    backbone, ring = random_clip(), falip.RedCircle()
    found = backbone.encode_regions(photo, REGIONS, falip.Compose([ring, readout]))
    edited = ring(photo, REGIONS, backbone.geometry).images
    for row, image, region in zip(found, edited, REGIONS, strict=True):
        assert torch.allclose(row, backbone.encode_regions(image, [region], readout)[0], atol=1e-6)


def test_a_crop_moves_the_region_that_is_read(random_clip, photo):
    found = random_clip().encode_regions(photo, REGIONS[:1], falip.Compose([falip.Crop(), falip.ROIAlign()]))
    whole = falip.Region.from_box(0, 0, 55, 42)
    expected = random_clip().encode_regions(photo.crop((5, 8, 60, 50)), [whole], falip.ROIAlign())
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("form", ["cls_row", "all_rows"])
def test_a_bias_acts_on_the_stream_below_the_last_layer(random_clip, photo, form):
    backbone, foveal = random_clip(), falip.Foveal(alpha=5.0, mask_form=form)
    found = backbone.encode_regions(photo, REGIONS, falip.Compose([foveal, falip.MaskPool()]))
    bias = foveal.bias(REGIONS, photo.size, backbone.geometry)
    vision, pixels = backbone.model.vision_model, backbone.preprocess([photo])
    with torch.inference_mode():
        for row, rows, region in zip(found, bias.rows, REGIONS, strict=True):
            mask = torch.zeros(1, 1, len(rows), len(rows))
            mask[0, 0, slice(0, 1) if form == "cls_row" else slice(None)] = rows
            h = vision.pre_layrnorm(vision.embeddings(pixels))
            for i, layer in enumerate(list(vision.encoder.layers)[:-1]):
                h = layer(h, mask if i in bias.layers else None)
            last = vision.encoder.layers[-1]
            x = h + last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(h)))
            x = x + last.mlp(last.layer_norm2(x))
            features = backbone.model.visual_projection(vision.post_layernorm(x))[0, 1:]
            covered = falip.foveal.covered_tokens([region], photo.size, backbone.geometry)[0, 1:].float()
            assert torch.allclose(row, normalize(covered @ features, dim=-1), atol=1e-5)
    plain = backbone.encode_regions(photo, REGIONS, falip.MaskPool())
    assert (found - plain).norm(dim=-1).max() > 1e-4


def test_an_intervention_around_a_read_out_acts_below_the_last_layer(random_clip, photo):
    backbone, read = random_clip(), falip.Compose([falip.Foveal(alpha=5.0), falip.MaskPool()])
    changed = backbone.encode_regions(photo, REGIONS, falip.Unleash(read, layers=4))
    assert (changed - backbone.encode_regions(photo, REGIONS, read)).norm(dim=-1).max() > 1e-4


@pytest.mark.parametrize(
    "prompt", [falip.Foveal(layers=1), falip.HardMask()], ids=names([falip.Foveal(), falip.HardMask()])
)
def test_a_bias_in_the_last_layer_alone_would_do_nothing_and_is_refused(random_clip, photo, prompt):
    with pytest.raises(UserError, match="the last layer alone, which maskclip works out"):
        random_clip().encode_regions(photo, REGIONS, falip.Compose([prompt, falip.MaskPool()]))


def test_parts_that_have_no_meaning_together_are_refused(random_clip, photo):
    with pytest.raises(UserError, match="one read-out, and got MaskPool, ROIAlign"):
        falip.Compose([falip.MaskPool(), falip.ROIAlign()])
    with pytest.raises(UserError, match="MaskInversion reads a picture whose attention is its own"):
        falip.Compose([falip.Foveal(), falip.MaskInversion()])
    with pytest.raises(UserError, match="remove_global=False"):
        falip.Compose([falip.RedCircle(), falip.TextRegion()])
    with pytest.raises(UserError, match="changes the attention, and text_region reads"):
        random_clip().encode_regions(photo, REGIONS, falip.Unleash(falip.TextRegion(), layers=2))


def test_an_ensemble_sums_the_scores_of_a_foveal_mask_and_a_read_out(random_clip, photo):
    backbone, parts, texts = random_clip(), [falip.Foveal(), falip.ROIAlign()], ["a dog", "the cat"]
    both = falip.score(backbone, photo, REGIONS, falip.Ensemble(parts), texts)
    each = [falip.score(backbone, photo, REGIONS, part, texts) for part in parts]
    assert torch.allclose(both, each[0] + each[1], atol=1e-4)


@pytest.mark.parametrize("readout", READOUTS, ids=names(READOUTS))
def test_views_of_several_pictures_in_one_batch_are_those_of_each(random_clip, readout):
    backbone, pictures = random_clip(), [picture(90, 70, seed=1), picture(60, 100, seed=2), picture(200, 50, seed=3)]
    made = [make_views(readout, image, [falip.Region.from_box(2, 3, 40, 45)] * 2, backbone.geometry) for image in pictures]
    together = backbone.encode_views(merge_views([backbone.prepare(views) for views in made]))[0]
    for k, image in enumerate(pictures):
        alone = backbone.encode_regions(image, [falip.Region.from_box(2, 3, 40, 45)] * 2, readout)
        assert torch.allclose(together[2 * k : 2 * k + 2], alone, atol=1e-6)
        assert torch.equal(together[2 * k], together[2 * k + 1])


def test_views_are_equal_only_where_picture_region_and_read_out_are(random_clip, photo):
    backbone = random_clip()

    def key(prompt, regions=REGIONS[:1], image=photo):
        return backbone.prepare(make_views(prompt, image, regions, backbone.geometry)).keys[0][0]

    own = key(falip.MaskPool("sclip"))
    assert own == key(falip.MaskPool("sclip"), image=photo.copy())
    others = [key(falip.MaskPool("sclip"), REGIONS[1:2]), key(falip.MaskPool("sclip", True)), key(falip.MaskPool("naclip"))]
    others += [key(falip.Plain()), key(falip.Compose([falip.Foveal(), falip.MaskPool("sclip")]))]
    assert len({own, *others}) == 6
    compared = falip.TextRegion(tiling=False)
    assert key(compared, REGIONS) != key(compared, REGIONS[:2])


def test_ten_regions_cost_hardly_more_than_one_encoding(clip_folder, photo):
    backbone = load_backbone(str(clip_folder("ViT-B/16")))
    regions = [falip.Region.from_box(i, i, 40 + i, 30 + 2 * i) for i in range(10)]

    def work(prompt, some):
        views = backbone.prepare(make_views(prompt, photo, some, backbone.geometry))
        with FlopCounterMode(display=False) as counted:
            backbone.features(views)
        return counted.get_total_flops()

    plain = work(falip.Plain(), regions[:1])
    for readout in (falip.MaskPool("sclip"), falip.MaskPool("surgery"), falip.ROIAlign(), falip.TextRegion(tiling=False)):
        assert work(readout, regions) <= 1.3 * plain


@pytest.mark.parametrize("readout", READOUTS, ids=names(READOUTS))
def test_read_outs_run_on_every_vit(clip_folder, tmp_path, photo, readout):
    write_alpha_weights(clip_folder("small"), tmp_path / "visual.pth")
    (tmp_path / "open").mkdir()
    write_open_clip(tmp_path / "open", "vit")
    alpha = load_backbone(str(clip_folder("small")), alpha_weights=str(tmp_path / "visual.pth"))
    for backbone in (alpha, load_backbone(str(tmp_path / "open"))):
        shared, whole = (backbone.encode_regions(photo, REGIONS, readout, way) for way in ("exact", "none"))
        assert torch.isfinite(shared).all() and torch.allclose(shared, whole, atol=1e-5)


def test_a_resnet_says_that_it_has_no_dense_features(tmp_path, photo):
    write_open_clip(tmp_path, "resnet")
    backbone = load_backbone(str(tmp_path))
    with pytest.raises(
        UserError,
        match="naclip needs attention of the patches to each other in the last layer, which",
    ):
        backbone.encode_regions(photo, REGIONS, READOUTS[0])
    with pytest.raises(UserError, match="read-outs of dense features"):
        backbone.dense(photo, READOUTS[1])


def test_alpha_maps_and_read_outs_are_one_view(clip_folder, tmp_path, photo):
    write_alpha_weights(clip_folder("small"), tmp_path / "visual.pth")
    backbone = load_backbone(str(clip_folder("small")), alpha_weights=str(tmp_path / "visual.pth"))
    both = backbone.encode_regions(photo, REGIONS, falip.Compose([falip.Alpha(), falip.MaskPool()]))
    assert (both - backbone.encode_regions(photo, REGIONS, falip.MaskPool())).norm(dim=-1).min() > 1e-4


def test_a_mask_weighs_patches_by_the_rule_that_is_chosen(random_clip, photo):
    region = falip.Region.from_mask((np.add.outer(np.arange(70), np.arange(90)) % 160) > 80)
    backbone = random_clip()
    found = [
        backbone.encode_regions(photo, [region], falip.MaskPool(cover=cover)) for cover in ("tokens", "bilinear", "bicubic")
    ]
    box = backbone.encode_regions(photo, [falip.Region(region.boxes)], falip.ROIAlign())
    mask = backbone.encode_regions(photo, [region], falip.ROIAlign(area="mask"))
    assert (found[0] - found[1]).norm() > 1e-4 and (box - mask).norm() > 1e-4
    assert torch.allclose(mask, backbone.encode_regions(photo, [region], falip.MaskPool(unit_tokens=True, cover="bicubic")))


@pytest.mark.parametrize("layers", [4, 2, [0], [1, 3], [0, 5]])
@pytest.mark.parametrize("readout", [falip.MaskPool("naclip"), falip.MaskPool("surgery")], ids=["naclip", "surgery"])
def test_biased_regions_share_what_lies_below_their_bias(random_clip, readout, layers):
    backbone, pictures = random_clip(), [picture(90, 70, seed=1), picture(90, 70, seed=2)]
    prompt = falip.Compose([falip.Foveal(alpha=5.0, layers=layers), readout])
    made = [backbone.prepare(make_views(prompt, image, REGIONS, backbone.geometry)) for image in pictures]
    shared, whole = (backbone.encode_views(merge_views(made), way) for way in ("exact", "none"))
    assert torch.allclose(shared, whole, atol=1e-5)
    assert (shared[0, 0] - shared[0, 1]).norm() > 1e-3


def test_a_region_outside_of_the_crop_has_the_patch_nearest_to_it(random_clip):
    backbone, wide = random_clip(resize="crop"), picture(200, 64)
    left, right = falip.Region.from_box(0, 20, 10, 30), falip.Region.from_box(195, 60, 199, 63)
    patches = backbone.dense(wide, falip.MaskPool())
    for prompt in (falip.MaskPool(), falip.MaskPool(cover="bilinear"), falip.ROIAlign()):
        found = backbone.encode_regions(wide, [left, right], prompt)
        for row, patch in zip(found, (patches[1, 0], patches[3, 3]), strict=True):
            assert torch.allclose(row, normalize(patch, dim=-1), atol=1e-5)
