"""The embedded world's two tasks on pictures: naming one object of a scene, and classifying a region."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.embedded.drawing import (
    COLOURS,
    HELD_OUT_PAIRS,
    SHAPES,
    SIZES,
    TEXTURES,
    ObjectSpec,
    Scene,
    SceneObject,
    draw_scene,
)

__all__ = [
    "CLASSIFICATION_SCENES", "CLASS_NAMES", "HELD_OUT_CLASSES", "REC_SCENES", "REGION_SCENES", "SLICES", "VERSION",
    "Query", "RecScene", "Scene", "SceneObject", "classification_labels", "classification_scene", "rec_queries",
    "rec_scene",
]  # fmt: skip

# Raised whenever a change can move a number measured on these scenes.
VERSION = 1

REC_SCENES = 600
CLASSIFICATION_SCENES = 2016
REGION_SCENES = 480
SLICES = ("colour", "shape", "texture", "size", "pair", "held-out pair")

# First elements of the seeds, so that the tasks and the training never share a scene.
_REC_STREAM = 101
_CLASSIFICATION_STREAM = 102


@dataclass(frozen=True)
class Query:
    """An expression that exactly one object satisfies: its text, that object's index, and what it names."""

    text: str
    target: int
    slice: str


@dataclass(frozen=True)
class RecScene:
    """A scene and its queries, one for each object."""

    scene: Scene
    queries: tuple[Query, ...]


def rec_scene(index: int) -> RecScene:
    """Draws scene `index` of the REC benchmark, 3 to 6 objects in shuffled order, each queried once.

    Args:
        index: Any non-negative number; the benchmark uses those below `REC_SCENES`.
    """
    specs, queries = _rec_plan(index)
    return RecScene(draw_scene(specs, [_REC_STREAM, index, 1]), queries)


def rec_queries(index: int) -> tuple[Query, ...]:
    """The queries of scene `index`, without drawing it."""
    return _rec_plan(index)[1]


def _rec_plan(index: int) -> tuple[list[ObjectSpec], tuple[Query, ...]]:
    rng = np.random.default_rng([_REC_STREAM, index])
    while True:
        specs = _rec_specs(rng)
        queries = _queries(rng, specs)
        if queries is not None:
            return specs, queries


def _rec_specs(rng: np.random.Generator) -> list[ObjectSpec]:
    """Objects that share colours and shapes more often than chance has it; a fifth of scenes hold twins."""
    specs: list[ObjectSpec] = []
    for _ in range(int(rng.integers(3, 7))):
        spec = random_spec(rng, held_out_share=0.42)
        if specs and rng.random() < 0.5:
            other = specs[int(rng.integers(len(specs)))]
            if rng.random() < 0.5:
                spec = ObjectSpec(other.colour, spec.shape, spec.texture, spec.size)
            else:
                spec = ObjectSpec(spec.colour, other.shape, spec.texture, spec.size)
        specs.append(spec)
    if rng.random() < 0.2:
        first = specs[0]
        specs[1] = ObjectSpec(first.colour, first.shape, first.texture, SIZES[1 - SIZES.index(first.size)])
    return [specs[i] for i in rng.permutation(len(specs))]


def random_spec(rng: np.random.Generator, held_out_share: float) -> ObjectSpec:
    """A random object; with the given probability its pair of colour and shape is a held-out one."""
    pairs = _HELD_OUT if rng.random() < held_out_share else _TRAINED
    colour, shape = pairs[int(rng.integers(len(pairs)))]
    return ObjectSpec(colour, shape, str(rng.choice(TEXTURES, p=_TEXTURE_SHARES)), SIZES[int(rng.integers(2))])


# Marks hide outlines, so plain objects are commoner than any texture.
_TEXTURE_SHARES = (0.4, 0.2, 0.2, 0.2)

_HELD_OUT = sorted(HELD_OUT_PAIRS)
_TRAINED = sorted((c, s) for c in COLOURS for s in SHAPES if (c, s) not in HELD_OUT_PAIRS)

# Which attributes each slice names. The pair slices differ only in the pair.
_NAMED = {
    "colour": ("colour",),
    "shape": ("shape",),
    "texture": ("texture",),
    "size": ("size", "colour", "shape"),
    "pair": ("colour", "shape"),
    "held-out pair": ("colour", "shape"),
}
# How readily a slice is chosen where several fit; set so that none of them is rare.
_WEIGHTS = {"colour": 1.0, "shape": 1.0, "texture": 1.3, "pair": 0.5, "held-out pair": 5.0}


def _queries(rng: np.random.Generator, specs: Sequence[ObjectSpec]) -> tuple[Query, ...] | None:
    """One query for each object, or None where some object cannot be singled out."""
    queries = []
    for target, spec in enumerate(specs):
        fitting = [name for name in _WEIGHTS if _fits(name, spec) and _unique(name, spec, specs)]
        has_twin = _unique("size", spec, specs) and not _unique("pair", spec, specs)
        if has_twin and (not fitting or rng.random() < 0.8):
            fitting = ["size"]
        if not fitting:
            return None
        weights = np.array([_WEIGHTS.get(name, 1.0) for name in fitting])
        chosen = fitting[int(rng.choice(len(fitting), p=weights / weights.sum()))]
        queries.append(Query(_expression(rng, chosen, spec), target, chosen))
    return tuple(queries)


def _fits(name: str, spec: ObjectSpec) -> bool:
    return {"pair": not spec.held_out, "held-out pair": spec.held_out}.get(name, True)


def _unique(name: str, spec: ObjectSpec, specs: Sequence[ObjectSpec]) -> bool:
    named = _NAMED[name]
    return sum(all(getattr(o, a) == getattr(spec, a) for a in named) for o in specs) == 1


def _expression(rng: np.random.Generator, name: str, spec: ObjectSpec) -> str:
    words = [getattr(spec, attribute) for attribute in _NAMED[name]]
    if "shape" not in _NAMED[name]:
        words.append("object" if rng.random() < 0.5 else "thing")
    return " ".join(["the", *words])


def _classes() -> list[tuple[str, str, str]]:
    """96 combinations (texture, colour, shape): every pair once, and every second pair in another texture."""
    classes = []
    for i, colour in enumerate(COLOURS):
        for j, shape in enumerate(SHAPES):
            classes.append((TEXTURES[(i + j) % 4], colour, shape))
            if (i + j // 2) % 2 == 0:
                classes.append((TEXTURES[(i + j + 2) % 4], colour, shape))
    return classes


_CLASSES = _classes()
CLASS_NAMES = [" ".join(words) for words in _CLASSES]
HELD_OUT_CLASSES = frozenset(" ".join(words) for words in _CLASSES if words[1:] in HELD_OUT_PAIRS)


def classification_scene(index: int) -> tuple[Scene, int, str]:
    """Draws scene `index` of the classification benchmark: one target among 2 to 4 objects of other classes.

    Args:
        index: Any non-negative number; the benchmark uses those below `CLASSIFICATION_SCENES`, each class
            equally often.

    Returns:
        The scene, the index of the target in its objects, and the target's name from `CLASS_NAMES`.
    """
    labels, specs, target = _classification_plan(index)
    return draw_scene(specs, [_CLASSIFICATION_STREAM, index, 1]), target, CLASS_NAMES[labels[target]]


def classification_labels(index: int) -> tuple[int, ...]:
    """The class of every object of scene `index`, in the scene's order, without drawing it."""
    return tuple(_classification_plan(index)[0])


def _classification_plan(index: int) -> tuple[list[int], list[ObjectSpec], int]:
    """Classes and objects in the scene's order, and the place of the target."""
    rng = np.random.default_rng([_CLASSIFICATION_STREAM, index])
    label = index % len(_CLASSES)
    others = [i for i in range(len(_CLASSES)) if i != label]
    labels = [label, *rng.choice(others, size=int(rng.integers(2, 5)), replace=False).tolist()]
    order = rng.permutation(len(labels)).tolist()
    specs = []
    for i in order:
        texture, colour, shape = _CLASSES[labels[i]]
        specs.append(ObjectSpec(colour, shape, texture, SIZES[int(rng.integers(2))]))
    return [labels[i] for i in order], specs, order.index(0)
