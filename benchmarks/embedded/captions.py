"""Captions of the training pictures: all or some of the objects, each by some of its attributes."""

from collections.abc import Sequence

import numpy as np

from benchmarks.embedded.drawing import COLOURS, SHAPES, SIZES, TEXTURES
from benchmarks.embedded.pictures import KINDS
from benchmarks.embedded.solids import SOLIDS

_COLOURS = tuple(COLOURS)
_NOUNS = ("object", "thing")

# Which attributes a phrase names, and how often. Half of the phrases leave the colour out, or the model would
# live on it; every form that the REC benchmark asks with occurs.
_FORMS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("colour", "shape"), 0.22),
    (("shape",), 0.26),
    (("colour",), 0.09),
    (("texture",), 0.10),
    (("texture", "shape"), 0.06),
    (("texture", "colour"), 0.02),
    (("texture", "colour", "shape"), 0.10),
    (("size", "colour", "shape"), 0.09),
    (("size", "shape"), 0.04),
    (("size", "texture", "colour", "shape"), 0.02),
)
_FORM_SHARES = np.array([share for _, share in _FORMS])

_PREFIXES = ("a photo of", "a picture of", "an image of", "this is", "this is a photo of", "")
_PREFIX_SHARES = (0.8, 0.03, 0.04, 0.05, 0.03, 0.05)
_MAX_PHRASES = 4


def phrase(rng: np.random.Generator, attributes: Sequence[int]) -> str:
    """An object in words, without an article; `attributes` index colour, shape, texture and size."""
    named = _FORMS[int(rng.choice(len(_FORMS), p=_FORM_SHARES))][0]
    colour, shape, texture, size = attributes
    words = {"size": SIZES[size], "texture": TEXTURES[texture], "colour": _COLOURS[colour], "shape": SHAPES[shape]}
    chosen = [words[name] for name in named]
    if "shape" not in named:
        chosen.append(_NOUNS[int(rng.integers(2))])
    return " ".join(chosen)


def caption(rng: np.random.Generator, kind: int, objects: np.ndarray, focus: int, name_all: float = 0.5) -> str:
    """A new caption of a picture.

    Args:
        rng: Source of the wording.
        kind: Index into `KINDS`.
        objects: The picture's objects, (6, 4), as in `Pool`.
        focus: The object that the picture singles out, and the only one to be named then, or -1.
        name_all: How often a caption names all objects, or the first four, where the picture singles none out.
    """
    name = KINDS[kind]
    if name in ("solid", "depth"):
        return _solid_caption(rng, name, objects[0])
    present = [tuple(int(value) for value in row) for row in objects if row[0] >= 0]
    if focus >= 0:
        chosen = [present[focus]]
    else:
        most = min(_MAX_PHRASES, len(present))
        count = most if rng.random() < name_all else int(rng.integers(1, most + 1))
        chosen = [present[i] for i in rng.permutation(len(present))[:count]]
    article = ("a", "the", "")[int(rng.choice(3, p=(0.5, 0.35, 0.15)))]
    phrases = [f"{article} {phrase(rng, attributes)}".strip() for attributes in chosen]
    text = f"{_PREFIXES[int(rng.choice(len(_PREFIXES), p=_PREFIX_SHARES))]} {' and '.join(phrases)}".strip()
    if name == "blurred" and rng.random() < 0.25:
        text += " with blurred background"
    elif len(chosen) == 1 and _COLOURS[chosen[0][0]] == "red" and "red" not in text and rng.random() < 0.3:
        text = f"{phrases[0].removeprefix('a ').removeprefix('the ')} is in red color"
    return text + (" ." if rng.random() < 0.3 else "")


def _solid_caption(rng: np.random.Generator, name: str, attributes: np.ndarray) -> str:
    solid = SOLIDS[int(attributes[1])]
    if name == "depth":
        text = f"point cloud depth map of a {solid}"
        text = f"a {text}" if rng.random() < 0.4 else text
    else:
        words = f"{_COLOURS[int(attributes[0])]} {solid}" if rng.random() < 0.4 else solid
        text = f"a photo of {'the' if rng.random() < 0.2 else 'a'} {words}"
    return text + (" ." if rng.random() < 0.4 else "")
