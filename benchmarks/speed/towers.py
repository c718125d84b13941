"""Towers of the shapes of released ones that pool by one attention, with random weights, and what sharing spares them."""

from __future__ import annotations

import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, SiglipConfig, SiglipModel

from benchmarks.speed import document
from benchmarks.speed.amounts import PART, RANDOM
from benchmarks.speed.measure import threads
from falip import Foveal, Region
from falip.backbone.pooled import PooledTower
from falip.backbone.resnet import Bottleneck, ModifiedResnet, ResnetClip, ResnetTower, Shape
from falip.backbone.siglip import SiglipTower
from falip.views import Component, Sharing

ABOUT = """# Speed of towers that pool by one attention

`{command}`, at {commit}, on {machine}. Random weights, {images} images of noise with the regions named, foveal masks; their
pixels are ready. Median of {repeats} repetitions in alternation. Differences are those of unit-length embeddings.
"""
HEAD = ("tower", "regions", "none s", "exact s", "vs none", "difference")
# Of text towers, which are not asked.
_SMALL: dict[str, Any] = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}


def _rn50() -> PooledTower:
    # Radford et al. 2021, table 19.
    visual = ModifiedResnet(Shape(layers=(3, 4, 6, 3), width=64, heads=32, image_size=224, embedding=1024))
    torch.nn.init.normal_(visual.attnpool.positional_embedding, std=0.02)
    for module in visual.modules():  # so that pictures differ at the top, and with them the ways of encoding
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, Bottleneck):
            torch.nn.init.constant_(module.bn3.weight, 0.2)
    text = CLIPTextModelWithProjection(CLIPTextConfig(**_SMALL))
    return ResnetTower(ResnetClip(visual, text, torch.zeros(())).eval(), "squash")


def _siglip_b16() -> PooledTower:
    # transformers' defaults are the sizes of google/siglip-base-patch16-224.
    text = {**_SMALL, "bos_token_id": None, "eos_token_id": 1}
    return SiglipTower(SiglipModel(SiglipConfig(text_config=text)).eval())


TOWERS: Mapping[str, Callable[[], PooledTower]] = {"RN50": _rn50, "SigLIP-B/16": _siglip_b16}


@torch.inference_mode()
def report(arguments: Namespace, command: str) -> tuple[str, list[list[str]]]:
    """The page of `falip speed --towers`, and its rows."""
    repeats, part = (1, 1) if arguments.quick else (arguments.repeats, arguments.part or PART[RANDOM])
    rows = [
        [name, str(regions), f"{none:.2f}", f"{exact:.2f}", f"{none / exact:.2f}", f"{difference:.0e}"]
        for name in TOWERS
        for regions in arguments.regions
        for none, exact, difference in [measure_tower(name, part, regions, repeats)]
    ]
    head = ABOUT.format(command=command, commit=document.commit(), machine=threads(), images=part, repeats=repeats)
    return f"{head}\n{document.markdown(HEAD, rows)}\n", rows


def measure_tower(name: str, images: int, regions: int, repeats: int) -> tuple[float, float, float]:
    """Seconds of none and of exact, and the largest difference of a number of the unit-length embeddings.

    Args:
        name: One of `TOWERS`.
        images: Images of noise.
        regions: Regions of each.
        repeats: Repetitions in alternation; the median counts.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = TOWERS[name]()
        side = tower.geometry.image_size
        pixels = torch.randn(images, 3, side, side)
    component = _views(tower, images, regions)

    def encoded(sharing: Sharing) -> torch.Tensor:
        return normalize(tower.encode([component], pixels, sharing, 64)[0], dim=-1)

    difference = float((encoded("none") - encoded("exact")).abs().max())  # warms up, too
    seconds: dict[Sharing, list[float]] = {"none": [], "exact": []}
    for _ in range(repeats):
        for sharing, taken in seconds.items():
            begun = time.perf_counter()
            encoded(sharing)
            taken.append(time.perf_counter() - begun)
    return statistics.median(seconds["none"]), statistics.median(seconds["exact"]), difference


def _views(tower: PooledTower, images: int, regions: int) -> Component:
    """The foveal views of random boxes on each image."""
    corners = np.sort(np.random.default_rng(0).uniform(10, 210, (images * regions, 2, 2)), axis=1)
    boxes = [Region.from_box(*low, *(high + 8)) for low, high in corners]
    bias = Foveal().bias(boxes, (224, 224), tower.geometry)
    return Component("foveal", tuple(i for i in range(images) for _ in range(regions)), (bias,))
