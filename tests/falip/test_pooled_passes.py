"""Towers that pool by one attention hold no more of a thousand regions at once than of a hundred."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from falip import Foveal, Region
from falip.backbone import pooled
from falip.backbone.resnet import ModifiedResnet, ResnetClip, ResnetTower, Shape
from falip.backbone.watching import AttentionByLayer, HeadsByLayer
from falip.views import Component


@pytest.fixture(scope="module")
def tower():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        visual = ModifiedResnet(Shape(layers=(1, 1, 1, 1), width=8, heads=4, image_size=64, embedding=16))
        torch.nn.init.normal_(visual.attnpool.positional_embedding)
        size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        text = CLIPTextModelWithProjection(CLIPTextConfig(**size))
    return ResnetTower(ResnetClip(visual, text, torch.zeros(())).eval(), "squash")


def crowded(tower, regions: int, images: int = 1) -> Component:
    corners = np.sort(np.random.default_rng(0).uniform(0, 56, (regions, 2, 2)), axis=1)
    bias = Foveal(alpha=5.0).bias([Region.from_box(*low, *(high + 8)) for low, high in corners], (64, 64), tower.geometry)
    return Component("foveal", tuple(i % images for i in range(regions)), (bias,))


def watched(tower, asked, component: Component, pixels):
    watch = asked(range(1))
    tower.encode([component], pixels, "exact", tower.views_within(None), watch)
    return watch.of(component)


@pytest.mark.parametrize("asked", [AttentionByLayer, HeadsByLayer])
@torch.inference_mode()
def test_a_thousand_regions_are_held_as_a_hundred_are(tower, asked, monkeypatch):
    weights, sizes, pictures = pooled.pool_weights, [], []
    features = tower._features

    def pooling(heads, owner, row):
        sizes.append(len(owner))
        return weights(heads, owner, row)

    def counted(pixels):
        pictures.append(len(pixels))
        return features(pixels)

    monkeypatch.setattr(pooled, "pool_weights", pooling)
    monkeypatch.setattr(tower, "_shared_features", counted)
    most = {}
    for regions in (100, 1000):
        sizes.clear()
        pictures.clear()
        found = watched(tower, asked, crowded(tower, regions), torch.zeros(1, 3, 64, 64))
        assert len(found) == regions and pictures == [1], "and the picture is encoded once"
        most[regions] = max(sizes)
    assert most[1000] <= max(most[100], tower.views_within(None))
    assert most[1000] < 1000


@pytest.mark.parametrize("asked", [AttentionByLayer, HeadsByLayer])
@torch.inference_mode()
def test_regions_of_many_pictures_are_those_asked_for_one_by_one(tower, asked, monkeypatch):
    monkeypatch.setattr(type(tower), "_cached_views", property(lambda _: 4))
    pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    component = crowded(tower, 11, 3)
    together = watched(tower, asked, component, pixels)
    for view, image in enumerate(component.image_index):
        own = replace(component.some([view]), image_index=(0,))
        alone = watched(tower, asked, own, pixels[image : image + 1])
        torch.testing.assert_close(together[view : view + 1], alone, atol=1e-5, rtol=1e-4)
