"""Read-outs against plain re-implementations on a small random CLIP, written out token by token where that is short."""

import math

import numpy as np
import pytest
import torch
from random_clip import picture
from torch.nn.functional import interpolate, normalize

import falip
from falip import UserError
from falip.readouts.roi_align import aligned_weights

KINDS = ("maskclip", "maskclip_reduced", "sclip", "naclip", "naclip_full_block", "surgery", "clearclip")
REGIONS = [
    falip.Region.from_box(5, 8, 60, 50),
    falip.Region.from_box(20, 30, 22, 31),
    falip.Region.from_box(0, 0, 90, 70),
    falip.Region.from_mask(np.arange(70 * 90).reshape(70, 90) % 90 > 47),
]
POOLED = [falip.MaskPool(kind) for kind in KINDS] + [falip.MaskPool("sclip", unit_tokens=True), falip.ROIAlign()]
POOLED += [falip.TextRegion(), falip.TextRegion(tiling=False), falip.TextRegion(False, False, "tokens")]
EVERY = [*POOLED, falip.MaskInversion(steps=3)]


def streams(backbone, image):
    """The hidden states before each layer, and after the last, of transformers' own tower."""
    pixels = backbone.preprocess([image])
    output = backbone.model.vision_model(pixel_values=pixels, output_hidden_states=True)
    return [state[0] for state in output.hidden_states]


def heads(layer, h):
    normed, n = layer.layer_norm1(h), layer.self_attn.num_heads
    projections = (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj)
    return [projection(normed).reshape(len(h), n, -1).transpose(0, 1) for projection in projections]


def softmax(a, b, added=0.0):
    return (a @ b.mT / math.sqrt(a.shape[-1]) + added).softmax(-1)


def mixed(layer, weights, v):
    return layer.self_attn.out_proj((weights @ v).transpose(0, 1).flatten(1))


def near(side):
    g = torch.zeros(1 + side * side, 1 + side * side)
    for i in range(side * side):
        for j in range(side * side):
            squared = (i // side - j // side) ** 2 + (i % side - j % side) ** 2
            g[1 + i, 1 + j] = math.exp(-squared / 50)
    return g


@torch.inference_mode()
def dense(backbone, image, kind):
    vision, layers = backbone.model.vision_model, backbone.model.vision_model.encoder.layers
    h, last = streams(backbone, image)[len(layers) - 1], layers[-1]
    q, k, v = heads(last, h)
    own = torch.eye(len(h))
    weights = {
        "sclip": softmax(q, q) + softmax(k, k),
        "naclip": softmax(k, k, near(backbone.geometry.rows)),
        "naclip_full_block": softmax(k, k, near(backbone.geometry.rows)),
        "clearclip": softmax(q, q),
    }.get(kind, own)
    if kind == "surgery":
        every = streams(backbone, image)
        x = every[0]
        for layer, state in zip(layers, every, strict=False):  # six layers, all that this tower has
            value = heads(layer, state)[2]
            x = x + mixed(layer, softmax(value, value), value)
    elif kind in ("maskclip", "sclip", "naclip_full_block"):
        x = h + mixed(last, weights, v)
        x = x + last.mlp(last.layer_norm2(x))
    else:
        x = mixed(last, weights, v)
    return backbone.model.visual_projection(vision.post_layernorm(x))[1:]


@pytest.mark.parametrize("kind", KINDS)
def test_dense_features_and_their_means_are_those_of_the_formula(random_clip, photo, kind):
    backbone = random_clip()
    expected = dense(backbone, photo, kind)
    found = backbone.dense(photo, falip.MaskPool(kind))
    assert found.shape[:2] == (backbone.geometry.rows, backbone.geometry.cols)
    assert torch.allclose(found.flatten(0, 1), expected, atol=2e-5)
    tokens = falip.foveal.covered_tokens(REGIONS, photo.size, backbone.geometry)[:, 1:].float()
    means = normalize(tokens @ expected, dim=-1)
    assert torch.allclose(backbone.encode_regions(photo, REGIONS, falip.MaskPool(kind)), means, atol=5e-6)
    unit = normalize(tokens @ normalize(expected, dim=-1), dim=-1)
    assert torch.allclose(backbone.encode_regions(photo, REGIONS, falip.MaskPool(kind, True)), unit, atol=5e-6)


def test_kinds_differ(random_clip, photo):
    every = [random_clip().encode_regions(photo, REGIONS[:1], falip.MaskPool(kind)) for kind in KINDS]
    distances = torch.cdist(torch.cat(every), torch.cat(every)) + torch.eye(len(KINDS))
    assert distances.min() > 1e-3


@pytest.mark.parametrize("prompt", EVERY, ids=lambda p: f"{p.name}{getattr(p, 'tiling', '')}")
def test_sharing_none_and_exact_agree(random_clip, photo, prompt):
    backbone = random_clip()
    shared, whole = (backbone.encode_regions(photo, REGIONS, prompt, way) for way in ("exact", "none"))
    assert torch.isfinite(shared).all() and torch.allclose(shared, whole, atol=1e-5)
    assert torch.allclose(shared.norm(dim=-1), torch.ones(len(REGIONS)))


def test_roi_align_samples_bilinearly_and_clamps():
    geometry = falip.Geometry(64, 16, 2, 1)
    # From 0.25 to 2.75 cells there are three samples, at 0.167, 1 and 1.833 in cells from the first middle.
    weights = aligned_weights((4.0, 0.0, 44.0, 16.0), (64, 64), geometry)
    assert np.allclose(weights[0], [(5 / 6) / 3, (1 / 6 + 1 + 1 / 6) / 3, (5 / 6) / 3, 0])
    assert np.allclose(weights[1:], 0) and np.isclose(weights.sum(), 1)
    assert np.allclose(aligned_weights((60.0, 0.0, 64.0, 16.0), (64, 64), geometry)[0], [0, 0, 0, 1])


@torch.inference_mode()
def test_text_region_sums_values_over_the_mask(random_clip, photo):
    backbone = random_clip()
    last = backbone.model.vision_model.encoder.layers[-1]
    v = heads(last, streams(backbone, photo)[-2])[2].transpose(0, 1).flatten(1)[1:]
    side = backbone.geometry.rows
    pixels = torch.from_numpy(np.stack([region.pixels(photo.size) for region in REGIONS])).float()
    m = interpolate(pixels[None], (side, side), mode="bilinear")[0].flatten(1)
    m[1, (30 * side // 70) * side + 21 * side // 90] = 1  # too small for any middle of a patch: the one it lies in
    a = last.self_attn.out_proj(m @ v)
    a = a + last.mlp(last.layer_norm2(a))
    expected = normalize(backbone.model.visual_projection(backbone.model.vision_model.post_layernorm(a)), dim=-1)
    found = backbone.encode_regions(photo, REGIONS, falip.TextRegion(tiling=False, remove_global=False))
    assert torch.allclose(found, expected, atol=5e-6)


def test_global_patches_leave_regions_by_all_regions_of_the_picture(random_clip, photo):
    backbone, prompt = random_clip(), falip.TextRegion(tiling=False)
    alone = backbone.encode_regions(photo, REGIONS[:1], prompt)
    among = backbone.encode_regions(photo, REGIONS, prompt)
    kept = backbone.encode_regions(photo, REGIONS, falip.TextRegion(tiling=False, remove_global=False))
    assert (alone - among[:1]).norm() > 1e-3 and (among - kept).norm(dim=-1).max() > 1e-3


def test_tiles_are_seen_at_their_own_size(random_clip):
    wide = picture(300, 80, seed=3)
    views = falip.TextRegion()(wide, [falip.Region.from_box(0, 0, 50, 50)], random_clip().geometry)
    # Fitted in 384 by 128: 384 x 102, so six tiles side by side, behind the whole picture made square.
    assert [image.size for image in views.images] == [(64, 64)] * 7
    place = views.components[0].reading.places[0]
    assert (place.tiles, place.parts) == ((1, 6), (1, 2, 3, 4, 5, 6))
    side = random_clip().geometry.rows
    assert random_clip().dense(wide, falip.TextRegion()).shape[:2] == (side, 6 * side)


def legrad(backbone, image, e):
    """The map with the attention weights written out, and their gradient asked for."""
    last, vision = backbone.model.vision_model.encoder.layers[-1], backbone.model.vision_model
    h = streams(backbone, image)[-2].detach().clone()
    q, k, v = (part.detach() for part in heads(last, h))
    weights = softmax(q, k).requires_grad_()
    x = h + mixed(last, weights, v)
    x = x + last.mlp(last.layer_norm2(x))
    pooled = normalize(backbone.model.visual_projection(vision.post_layernorm(x.mean(0))), dim=-1)
    (gradient,) = torch.autograd.grad(pooled @ e, weights, create_graph=True)
    found = gradient.clamp(min=0).mean((0, 1))[1:].reshape(1, 1, backbone.geometry.rows, -1)
    large = interpolate(found, scale_factor=backbone.geometry.patch_size, mode="bilinear")
    return (large - large.min()) / (large.max() - large.min())


def test_mask_inversion_takes_the_steps_of_adamw_on_the_dice_loss(random_clip, photo):
    backbone = random_clip()
    mask = torch.from_numpy(REGIONS[0].pixels(photo.size)).float()
    with torch.enable_grad():
        start = backbone.features(falip.Plain()(photo, REGIONS[:1], backbone.geometry))[0, 0].clone()
        e = start.clone().requires_grad_()
        optimizer = torch.optim.AdamW([e], lr=0.1, weight_decay=0.0)
        for _ in range(2):
            shown = interpolate(legrad(backbone, photo, normalize(e, dim=-1)), mask.shape, mode="bilinear")[0, 0]
            loss = 1 - (2 * (shown * mask).sum() + 1) / (shown.sum() + mask.sum() + 1)
            loss = loss + 0.5 * (1 - normalize(e, dim=-1) @ normalize(start, dim=-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = backbone.encode_regions(photo, REGIONS[:1], falip.MaskInversion(steps=2, alpha=0.5))
    # Its first step is lr times the sign of a gradient, which rounding turns where that is all but 0.
    assert (found - normalize(e.detach(), dim=-1)).abs().max() < 1e-3
    assert (found - normalize(start, dim=-1)).norm() > 0.05


def test_mask_inversion_draws_the_map_towards_the_mask(random_clip, photo):
    backbone, region = random_clip(), REGIONS[0]
    few, many = (falip.MaskInversion(steps=steps) for steps in (1, 40))
    inside = falip.foveal.covered_tokens([region], photo.size, backbone.geometry)[0, 1:].reshape(4, 4)

    def share(prompt):
        found = backbone.similarity(photo, [region], prompt)[0]
        return float((found * inside).sum() / found.sum())

    assert share(many) > share(few)
    assert torch.equal(*(backbone.encode_regions(photo, [region], few) for _ in range(2)))


def test_a_region_does_not_depend_on_its_neighbours(random_clip, photo):
    for prompt in EVERY:
        if getattr(prompt, "remove_global", False):
            continue
        alone = random_clip().encode_regions(photo, REGIONS[1:2], prompt)
        assert torch.allclose(alone, random_clip().encode_regions(photo, REGIONS, prompt)[1:2], atol=1e-6)


def test_similarity_is_the_cosine_of_patches_and_regions_or_texts(random_clip, photo):
    backbone, prompt = random_clip(), falip.MaskPool("clearclip")
    patches = normalize(backbone.dense(photo, prompt), dim=-1)
    own = backbone.encode_regions(photo, REGIONS, prompt)
    assert torch.allclose(backbone.similarity(photo, REGIONS, prompt), torch.einsum("rcd,nd->nrc", patches, own), atol=1e-5)
    texts = backbone.encode_text(["a dog", "the cat"])
    found = backbone.similarity(photo, REGIONS[:2], prompt, texts)
    assert torch.allclose(found[1], torch.einsum("rcd,td->trc", patches, texts), atol=1e-5)


def test_what_has_no_meaning_is_said(random_clip, photo):
    backbone = random_clip()
    with pytest.raises(UserError, match="MaskInversion has no dense features"):
        backbone.dense(photo, falip.MaskInversion())
    with pytest.raises(UserError, match="foveal has no read-out"):
        backbone.dense(photo, falip.Foveal())
    with pytest.raises(UserError, match="choose from maskclip"):
        falip.MaskPool("maskclips")
    with pytest.raises(UserError, match="tiling=False takes any"):
        falip.TextRegion(cover="tokens")
    with pytest.raises(UserError, match="steps=0"):
        falip.MaskInversion(steps=0)


@torch.inference_mode()
def test_text_region_in_tiles_adds_the_values_of_both_and_drops_global_patches(random_clip):
    backbone, wide = random_clip(), picture(150, 90, seed=4)
    regions = [falip.Region.from_box(0, 0, 70, 90), falip.Region.from_box(60, 20, 150, 80)]
    views = falip.TextRegion()(wide, regions, backbone.geometry)
    down, across = views.components[0].reading.places[0].tiles
    assert (down, across) == (2, 3)  # fitted in 213 by 128
    last, side = backbone.model.vision_model.encoder.layers[-1], backbone.geometry.rows
    values = [heads(last, streams(backbone, image)[-2])[2].transpose(0, 1).flatten(1)[1:] for image in views.images]
    canvas = interpolate(values[0].T.reshape(1, -1, side, side), (down * side, across * side), mode="bilinear")[0].clone()
    for k, tile in enumerate(values[1:]):
        rows, cols = (slice(n * side, (n + 1) * side) for n in divmod(k, across))
        canvas[:, rows, cols] += tile.T.reshape(-1, side, side)
    v = normalize(canvas.flatten(1).T, dim=-1)
    pixels = torch.from_numpy(np.stack([region.pixels(wide.size) for region in regions])).float()
    m = interpolate(pixels[None], (down * side, across * side), mode="bilinear")[0].flatten(1)
    similar, inside, dropped = v @ v.T, m > 0, 0
    for i in range(len(v)):
        means = [similar[i, row].mean() for row in inside]
        own = [mean for mean, row in zip(means, inside, strict=True) if row[i]]
        other = [mean for mean, row in zip(means, inside, strict=True) if not row[i]]
        if (sum(own) / len(own) if own else 0) - (sum(other) / len(other) if other else 0) < 0.07:
            dropped += int(inside[:, i].any())
            m[:, i] = 0
    assert 0 < dropped < len(v) and (m > 0).any(1).all()
    a = last.self_attn.out_proj(m @ v)
    a = a + last.mlp(last.layer_norm2(a))
    expected = normalize(backbone.model.visual_projection(backbone.model.vision_model.post_layernorm(a)), dim=-1)
    assert torch.allclose(backbone.encode_regions(wide, regions, falip.TextRegion()), expected, atol=5e-6)
