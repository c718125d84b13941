"""What a region costs under each prompt: drawing and preprocessing, and the model, on scenes of the embedded benchmark."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from omegaconf import DictConfig, OmegaConf

from benchmarks.data.samples import Picture
from benchmarks.data.shapes import ReferringShapes
from benchmarks.run.evaluation import leaves
from benchmarks.settings.building import build
from benchmarks.settings.choices import options
from benchmarks.settings.folders import CONFIGS, file_of
from benchmarks.speed.measure import count_flops
from falip import Backbone, Plain, Prompt
from falip.errors import UserError
from falip.prompts.pictures import shared_filters
from falip.views import Views, join_views, make_views

ABOUT = """# Cost of a region under each prompt

`{command}`, at {commit}, on {machine}. {scenes} scenes of rec/shapes with {regions} regions, `{backbone}`, one after
the other. Drawing: from picture and regions to the model's input. Model: to embeddings, with sharing exact. Median of
{repeats} repetitions in alternation. Encodings: the operations for a scene, in those of one plain picture (counted).
"""
TABLE = "table_rec"
HEAD = ("prompt", "drawing ms/region", "model ms/region", "encodings for a scene")


@dataclass(frozen=True)
class Cost:
    """Seconds for all scenes: from pictures to the model's input, and from there to embeddings; and its operations."""

    drawing: float
    model: float
    operations: float


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


def measure_prompts(
    backbone: Backbone, prompts: dict[str, Prompt], scenes: int, repeats: int
) -> tuple[dict[str, Cost], int, float]:
    """The cost of each prompt, the number of regions in all scenes, and the operations of a plain encoding of each scene.

    Args:
        backbone: What encodes.
        prompts: By name.
        scenes: Number of scenes.
        repeats: Repetitions in alternation.
    """
    data = ReferringShapes(scenes)
    pictures = [data.load(i).pictures[0] for i in range(scenes)]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in prompts}
    for _ in range(repeats):
        for name, prompt in prompts.items():
            costs = [_seconds(backbone, prompt, one) for one in pictures]
            times[name].append((sum(drawing for drawing, _ in costs), sum(model for _, model in costs)))
    found = {
        name: Cost(
            median(drawing for drawing, _ in costs),
            median(model for _, model in costs),
            sum(_operations(backbone, prompts[name], one) for one in pictures),
        )
        for name, costs in times.items()
    }
    plain = sum(_operations(backbone, Plain(), Picture(one.image, one.regions[:1])) for one in pictures)
    return found, sum(len(one.regions) for one in pictures), plain


def rows(costs: dict[str, Cost], regions: int, plain: float) -> list[list[str]]:
    """One row of text for each prompt, in the columns of `HEAD`."""
    return [
        [
            name,
            f"{1000 * cost.drawing / regions:.2f}",
            f"{1000 * cost.model / regions:.2f}",
            f"{cost.operations / plain:.2f}",
        ]
        for name, cost in costs.items()
    ]


def _seconds(backbone: Backbone, prompt: Prompt, picture: Picture) -> tuple[float, float]:
    started = time.perf_counter()
    prepared = drawn(backbone, [prompt], picture)
    done = time.perf_counter()
    backbone.features(prepared)
    return done - started, time.perf_counter() - done


def _operations(backbone: Backbone, prompt: Prompt, picture: Picture) -> float:
    prepared = drawn(backbone, [prompt], picture)
    return count_flops(lambda: backbone.features(prepared))
