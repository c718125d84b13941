"""GradCAM against gradients that autograd takes of the whole tower, box by box on the enlarged map."""

import numpy as np
import pytest
import torch
from open_clip_reference import write_open_clip
from PIL import Image
from random_clip import picture
from torch.nn.functional import interpolate, normalize

import falip
from falip import UserError
from falip.views import make_views

TEXTS = ["a dog", "red cat left", "blue photo"]
SIZE = (97, 61)
BOXES = [(3.2, 4.7, 40.9, 33.1), (50, 10, 97, 61), (3.2, 4.7, 40.9, 33.1), (10, 0, 90, 20.5)]


@pytest.fixture(scope="module")
def vit(clip_folder):
    return falip.load_backbone(str(clip_folder("small")))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resnet")
    write_open_clip(folder, "resnet")
    return falip.load_backbone(str(folder))


def pixels_of(backbone, image):
    return backbone.prepare(make_views(falip.Plain(), image, [falip.Region.from_box(0, 0, 9, 9)], backbone.geometry)).pixels


def scaled(backbone, features, text):
    return backbone.logit_scale * normalize(features, dim=-1)[0] @ backbone.encode_text([text])[0]


def vit_map(backbone, image, text):
    """ReCLIP's map: what CLS attends to in the last layer, times its gradient, cut at 0, mean over heads."""
    model = backbone.model.vision_model
    layer = model.encoder.layers[-1]
    with torch.no_grad():
        entering = []
        handle = layer.register_forward_pre_hook(lambda _, args: entering.append(args[0]))
        model(pixels_of(backbone, image))
        handle.remove()
    hidden = entering[0].clone()
    attention, normed = layer.self_attn, layer.layer_norm1(hidden)
    query, key, value = (
        project(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    probabilities = (query @ key.mT * attention.head_dim**-0.5).softmax(-1).detach().requires_grad_()
    after = hidden + attention.out_proj((probabilities @ value).transpose(1, 2).flatten(2))
    after = after + layer.mlp(layer.layer_norm2(after))
    features = backbone.model.visual_projection(model.post_layernorm(after[:, 0]))
    (gradient,) = torch.autograd.grad(scaled(backbone, features, text), probabilities)
    side = backbone.geometry.rows
    return (gradient * probabilities).clamp(min=0).mean(1)[0, 0, 1:].reshape(1, 1, side, side).detach()


def resnet_map(backbone, image, text):
    """ReCLIP's map: the last feature map under the mean of its gradients, cut at 0."""
    visual = backbone.tower.visual
    with torch.no_grad():
        features = visual(pixels_of(backbone, image))
    features = features.clone().requires_grad_()
    pool = visual.attnpool
    heads = pool.project(features)
    weights = (heads.query @ heads.key.mT * heads.query.shape[-1] ** -0.5).softmax(-1)
    embedding = pool.c_proj((weights @ heads.value)[:, :, 0].flatten(1))
    (gradient,) = torch.autograd.grad(scaled(backbone, embedding, text), features)
    return (gradient.mean((2, 3), keepdim=True) * features).sum(1, keepdim=True).clamp(min=0).detach()


def score_of(found, box, alpha):
    enlarged = interpolate(found, (SIZE[1], SIZE[0]), mode="bicubic")[0, 0]
    x0, y0, x1, y1 = box
    return float(enlarged[int(y0) : int(y1), int(x0) : int(x1)].sum() / ((x1 - x0) * (y1 - y0)) ** alpha)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 0.0])
@pytest.mark.parametrize("kind, heat", [("vit", vit_map), ("resnet", resnet_map)])
@pytest.mark.parametrize("sharing", ["exact", "none"])
def test_scores_are_those_of_whole_gradients(kind, heat, alpha, sharing, request):
    backbone, image = request.getfixturevalue(kind), picture(*SIZE)
    regions = [falip.Region.from_box(*box) for box in BOXES]
    found = falip.score(backbone, image, regions, falip.GradCAM(alpha=alpha), TEXTS, sharing=sharing)
    expected = torch.tensor([[score_of(heat(backbone, image, text), box, alpha) for text in TEXTS] for box in BOXES])
    assert expected.abs().max() > 1e-4 and expected.std() > 0
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-5 * float(expected.abs().max()))
    assert torch.equal(found[0], found[2]), "equal boxes tie to the bit"


def test_a_sum_with_another_prompt_adds_both_scores(vit):
    image, regions = picture(*SIZE), [falip.Region.from_box(*box) for box in BOXES]
    both = falip.score(vit, image, regions, falip.Ensemble([falip.GradCAM(), falip.Crop()]), TEXTS)
    alone = [falip.score(vit, image, regions, prompt, TEXTS) for prompt in (falip.GradCAM(), falip.Crop())]
    torch.testing.assert_close(both, alone[0] + alone[1], rtol=1e-4, atol=1e-4)


def test_a_mask_counts_with_its_pixels(vit):
    image, mask = picture(*SIZE), np.zeros((SIZE[1], SIZE[0]), bool)
    mask[4:33, 3:40] = True
    box, cut = falip.Region.from_box(3, 4, 40, 33), falip.Region.from_mask(mask)
    found = falip.score(vit, image, [box, cut], falip.GradCAM(), TEXTS)
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


def test_the_map_of_a_text_is_its_similarity(vit):
    image = picture(*SIZE)
    views = make_views(falip.GradCAM(), image, [falip.Region.from_box(*BOXES[0])], vit.geometry)
    ready = vit.prepare(views)
    with torch.inference_mode():
        read = vit.tower.read(ready.components[0], ready.pixels)
    features = read.reading.readout.features(read.blocks)
    found = read.reading.readout.similarity(read.blocks, features, read.reading.places[0], vit.encode_text(TEXTS[:1]))
    torch.testing.assert_close(vit.logit_scale * found[0], vit_map(vit, image, TEXTS[0])[0, 0], rtol=2e-3, atol=1e-6)


def test_what_it_cannot_do_is_said(vit):
    image, regions = picture(*SIZE), [falip.Region.from_box(*BOXES[0])]
    with pytest.raises(UserError, match="gives a region no embedding"):
        vit.encode_regions(image, regions, falip.GradCAM())
    with pytest.raises(UserError, match="alpha"):
        falip.GradCAM(alpha=-1.0)
    with pytest.raises(UserError, match="set the backbone's resize=squash"):
        falip.GradCAM()(image, regions, falip.Geometry(64, 16, 6, 4, "crop"))
    depth = Image.fromarray(np.ones((61, 97), np.float32))
    assert falip.score(vit, depth, regions, falip.GradCAM(), TEXTS).shape == (1, 3)
