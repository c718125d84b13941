"""How fast this machine encodes: views and texts a second of a model's shape, measured on random weights of that shape."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModel

from falip.backbone.pooled import pooled
from falip.backbone.resnet import AttentionPool, ModifiedResnet, Shape
from falip.weights import TINY

_CONTEXT = 77


@dataclass(frozen=True)
class Pace:
    """Seconds that one view and one text take."""

    view: float
    text: float


@dataclass(frozen=True)
class _VisionTransformer:
    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int

    def build(self) -> nn.Module:
        config = CLIPVisionConfig(
            hidden_size=self.width,
            intermediate_size=4 * self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            image_size=self.image_size,
            patch_size=self.patch_size,
        )
        return CLIPVisionModel(config)


@dataclass(frozen=True)
class _Resnet:
    shape: Shape

    @property
    def image_size(self) -> int:
        return self.shape.image_size

    def build(self) -> nn.Module:
        tower = ModifiedResnet(self.shape)
        nn.init.normal_(tower.attnpool.positional_embedding, std=0.01)
        return nn.Sequential(tower, _Pooled(tower.attnpool))


class _Pooled(nn.Module):
    def __init__(self, pool: AttentionPool) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        owner = torch.arange(len(features), device=features.device)
        return self.pool.c_proj(pooled(self.pool.project(features), owner, None).flatten(1))


# The vision tower, and width and layers of the text tower, whose heads have 64 channels (Radford et al. 2021, tables 19 and
# 20; a ResNet's pool has a head for every 64 channels of its 32 widths). The last is that of the embedded CLIP.
_B32, _B16 = _VisionTransformer(224, 32, 768, 12, 12), _VisionTransformer(224, 16, 768, 12, 12)
_L14, _L14_336 = _VisionTransformer(224, 14, 1024, 24, 16), _VisionTransformer(336, 14, 1024, 24, 16)
SHAPES: dict[str, tuple[_VisionTransformer | _Resnet, int, int]] = {
    "openai/clip-vit-base-patch32": (_B32, 512, 12),
    "openai/clip-vit-base-patch16": (_B16, 512, 12),
    "openai/clip-vit-large-patch14": (_L14, 768, 12),
    "openai/clip-vit-large-patch14-336": (_L14_336, 768, 12),
    "timm/resnet50_clip.openai": (_Resnet(Shape((3, 4, 6, 3), 64, 32, 224, 1024)), 512, 12),
    "timm/resnet101_clip.openai": (_Resnet(Shape((3, 4, 23, 3), 64, 32, 224, 512)), 512, 12),
    "timm/resnet50x4_clip.openai": (_Resnet(Shape((4, 6, 10, 6), 80, 40, 288, 640)), 640, 12),
    "timm/resnet50x16_clip.openai": (_Resnet(Shape((6, 8, 18, 8), 96, 48, 384, 768)), 768, 12),
    "timm/resnet50x64_clip.openai": (_Resnet(Shape((3, 15, 36, 10), 128, 64, 448, 1024)), 1024, 12),
    TINY: (_VisionTransformer(112, 14, 128, 6, 4), 128, 2),
}


@cache
def pace(name: str, device: str = "cpu", seconds: float = 10.0) -> Pace | None:
    """How long a view and a text take of a model of the papers; None for one whose shape is not known here.

    Every view is counted whole. What the regions of a picture have in common is computed once in a run, so that a run of
    prompts that only touch attention is faster, and pictures must be decoded and drawn beside it.

    Args:
        name: A hub id of `SHAPES`.
        device: A torch device.
        seconds: To measure for, about; at least one batch is encoded.
    """
    if name not in SHAPES:
        return None
    shape, width, layers = SHAPES[name]
    batch = 32 if device.startswith("cuda") else 2  # more fills a GPU, and makes a CPU no faster
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower, texts = shape.build().eval().to(device), _text_tower(width, layers).eval().to(device)
        pixels = torch.randn(batch, 3, shape.image_size, shape.image_size, device=device)
        words = torch.randint(1, 40000, (batch, _CONTEXT), device=device)
    view = _each(lambda: tower(pixels), seconds * 0.7, device) / batch
    return Pace(view, _each(lambda: texts(words), seconds * 0.3, device) / batch)


def _text_tower(width: int, layers: int) -> nn.Module:
    config = CLIPTextConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=max(width // 64, 1)
    )
    return CLIPTextModel(config)  # pyright: ignore[reportArgumentType]


@torch.inference_mode()
def _each(work: Callable[[], object], seconds: float, device: str) -> float:
    """Seconds of the fastest call within the time."""
    end, best = time.perf_counter() + seconds, float("inf")
    while best == float("inf") or time.perf_counter() < end:
        started = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return best
