"""The library as its readme shows it, on the embedded model."""

import numpy as np
import torch
from random_clip import picture

import falip


def test_the_names_that_are_promised_are_there():
    prompts = {"Plain", "Crop", "Blur", "RedCircle", "Shade", "Grayscale", "Foveal", "Compose", "Ensemble", "FGVP"}
    analysis = {"Unleash", "ReplaceV", "ReplaceQK", "FeatureMask", "HardMask", "PastaStyle"}
    rest = {"Region", "Geometry", "Views", "UserError", "depth_maps", "foveal_bias", "load_backbone", "score"}
    assert prompts | analysis | rest <= set(falip.__all__)
    assert set(falip.__all__) == set(falip._HOMES)


def test_regions_and_texts_to_scores():
    backbone = falip.load_backbone("tiny")
    image = picture(120, 90)
    mask = np.zeros((90, 120), bool)
    mask[20:50, 60:100] = True
    regions = [falip.Region.from_box(5, 5, 50.5, 60), falip.Region.from_mask(mask)]
    prompt = falip.Foveal(alpha=0.2, sigma=100.0, layers=4)
    images = backbone.encode_regions(image, regions, prompt)
    texts = backbone.encode_text(["a red circle", "a blue square", "a small star"])
    for embeddings, count in ((images, 2), (texts, 3)):
        assert embeddings.shape[0] == count and embeddings.dtype == torch.float32
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(count))
    scores = backbone.logit_scale * images @ texts.T
    same = falip.score(backbone, image, regions, prompt, ["a red circle", "a blue square", "a small star"])
    torch.testing.assert_close(scores, same, rtol=0, atol=1e-4)
    attention = backbone.attention(image, regions, prompt)
    g = backbone.geometry
    assert attention.shape == (2, g.layers, g.heads, 1 + g.rows * g.cols)
    assert falip.foveal_bias(regions, image.size, g, 0.2, 100.0).shape == (2, 1 + g.rows * g.cols)


def test_what_comes_back_can_be_used_outside_of_inference_mode():
    backbone = falip.load_backbone("tiny")
    for prompt in (falip.Plain(), falip.Foveal()):
        embedded = backbone.encode_regions(picture(60, 60), [falip.Region.from_box(0, 0, 30, 30)], prompt)
        weight = torch.ones(embedded.shape[1], requires_grad=True)
        (embedded.clone() @ weight).sum().backward()
        assert weight.grad is not None
