"""What a region costs under each prompt: drawing and preprocessing, and the model, on scenes of the embedded benchmark."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from torch.nn.functional import normalize

from benchmarks.data.samples import Picture
from benchmarks.data.shapes import ReferringShapes
from benchmarks.run.evaluation import leaves
from benchmarks.settings.building import build
from benchmarks.settings.choices import options
from benchmarks.settings.folders import CONFIGS, file_of
from benchmarks.speed import document
from benchmarks.speed.amounts import PART, SMALL_PART
from benchmarks.speed.load import backbone_of, boxes
from benchmarks.speed.measure import count_flops, threads
from falip import Backbone, Plain, Prompt
from falip.errors import UserError
from falip.prompts.pictures import shared_filters
from falip.views import Sharing, Views, join_views, make_views

ABOUT = """# Cost of a region under each prompt

`{command}`, at {commit}, on {machine}. {scenes} scenes of rec/shapes with {regions} random boxes each, `{backbone}`, one
after the other. Drawing: from pictures and regions to the model's input. Exact: to embeddings, with what the regions of a
picture share computed once; none: each view whole. Median of {repeats} repetitions in alternation. Encodings: what exact
takes for a scene, in operations of one plain picture (counted). Difference: of unit-length embeddings, exact and none.
"""
TABLE = "table_rec"
HEAD = (
    "prompt",
    "drawing ms/region",
    "exact ms/region",
    "none ms/region",
    "vs none",
    "encodings for a scene",
    "difference",
)
_WAYS: tuple[Sharing, ...] = ("exact", "none")


@dataclass(frozen=True)
class Cost:
    """What all pictures cost under a prompt.

    Attributes:
        drawing: Seconds from pictures to the model's input.
        exact: Seconds from there to embeddings.
        none: The same without sharing.
        operations: Of exact.
        difference: The largest of a number of unit-length embeddings, exact against none.
    """

    drawing: float
    exact: float
    none: float
    operations: float
    difference: float


def report(arguments: Namespace, command: str) -> tuple[str, list[list[str]]]:
    """The page of `falip speed --prompts`, and its rows."""
    name, regions = arguments.backbone[-1], arguments.regions[-1]
    repeats, scenes = (1, 2) if arguments.quick else (arguments.repeats, arguments.part or PART.get(name, SMALL_PART))
    chosen = named([part.strip() for part in arguments.prompts.split(",") if part.strip()])
    backbone, pictures = backbone_of(name), crowded(scenes, regions)
    costs = measure_prompts(backbone, chosen, pictures, repeats)
    plain = sum(_operations(backbone, Plain(), Picture(one.image, one.regions[:1])) for one in pictures)
    head = ABOUT.format(
        command=command, commit=document.commit(), machine=threads(), scenes=scenes, regions=regions, backbone=name,
        repeats=repeats,
    )  # fmt: skip
    found = rows(costs, regions * scenes, plain)
    return f"{head}\n{document.markdown(HEAD, found)}\n", found


def named(names: Sequence[str]) -> dict[str, Prompt]:
    """Prompts by the names of their configurations.

    Raises:
        UserError: If there is none of a name.
    """
    known = options("prompt")
    for name in names:
        if name not in known:
            raise UserError(f"--prompts {name}: there is no such prompt. There are: {', '.join(known)}.")
    trees: dict[str, Any] = {name: OmegaConf.to_container(_tree(name)) for name in names}
    return {name: build(tree, "prompt") for name, tree in trees.items()}


def _tree(name: str) -> DictConfig:
    """The configuration of a prompt, over those that it starts from."""
    own = OmegaConf.load(file_of("prompt", name))
    assert isinstance(own, DictConfig)
    bases = [_tree(base) for base in own.pop("defaults", ()) if base != "_self_"]
    return OmegaConf.merge(*bases, own)  # pyright: ignore[reportReturnType]


def table_prompts() -> dict[str, Prompt]:
    """The prompts of the papers' main table, by name."""
    experiment = OmegaConf.load(CONFIGS / "experiment" / f"{TABLE}.yaml")
    return named(OmegaConf.select(experiment, "hydra.sweeper.params.prompt").split(","))


def distinct_parts(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Prompts and the parts of ensembles, each once."""
    every = [part for prompt in prompts for part in leaves(prompt)]
    return [part for i, part in enumerate(every) if part not in every[:i]]


def drawn(backbone: Backbone, parts: Sequence[Prompt], picture: Picture) -> Views:
    """The views of a picture under some prompts, prepared, with what these share done once."""
    with shared_filters():
        made = [make_views(part, picture.image, picture.regions, backbone.geometry) for part in parts]
        return backbone.prepare(join_views(made))


def crowded(scenes: int, regions: int) -> list[Picture]:
    """Embedded scenes with as many random boxes each."""
    data, rng = ReferringShapes(scenes), np.random.default_rng(0)
    images = [data.load(i).pictures[0].image for i in range(scenes)]
    return [Picture(image, tuple(boxes(rng, regions, image.size))) for image in images]


def measure_prompts(
    backbone: Backbone, prompts: dict[str, Prompt], pictures: Sequence[Picture], repeats: int
) -> dict[str, Cost]:
    """The cost of each prompt.

    Args:
        backbone: What encodes.
        prompts: By name.
        pictures: With their regions.
        repeats: Repetitions in alternation; medians count.
    """
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in prompts}
    for _ in range(repeats):
        for name, prompt in prompts.items():
            costs = [_seconds(backbone, prompt, one) for one in pictures]
            times[name].append(tuple(map(sum, zip(*costs, strict=True))))
    found = {}
    for name, prompt in prompts.items():
        drawing, exact, none = map(median, zip(*times[name], strict=True))
        operations = sum(_operations(backbone, prompt, one) for one in pictures)
        found[name] = Cost(drawing, exact, none, operations, max(_difference(backbone, prompt, one) for one in pictures))
    return found


def rows(costs: dict[str, Cost], regions: int, plain: float) -> list[list[str]]:
    """One row of text for each prompt, in the columns of `HEAD`.

    Args:
        costs: By prompt.
        regions: In all pictures together.
        plain: Operations of a plain encoding of each picture.
    """
    return [
        [
            name,
            *(f"{1000 * seconds / regions:.2f}" for seconds in (cost.drawing, cost.exact, cost.none)),
            f"{cost.none / cost.exact:.2f}",
            f"{cost.operations / plain:.2f}",
            f"{cost.difference:.0e}",
        ]
        for name, cost in costs.items()
    ]


def _seconds(backbone: Backbone, prompt: Prompt, picture: Picture) -> tuple[float, ...]:
    """Of drawing, exact and none."""
    times = [time.perf_counter()]
    prepared = drawn(backbone, [prompt], picture)
    times.append(time.perf_counter())
    for sharing in _WAYS:
        backbone.features(prepared, sharing)
        times.append(time.perf_counter())
    return tuple(after - before for before, after in pairwise(times))


def _operations(backbone: Backbone, prompt: Prompt, picture: Picture) -> float:
    prepared = drawn(backbone, [prompt], picture)
    return count_flops(lambda: backbone.features(prepared))


def _difference(backbone: Backbone, prompt: Prompt, picture: Picture) -> float:
    prepared = drawn(backbone, [prompt], picture)
    exact, none = (normalize(backbone.features(prepared, sharing).float(), dim=-1) for sharing in _WAYS)
    return float((exact - none).abs().max())
