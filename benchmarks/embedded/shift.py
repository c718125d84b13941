"""Pictures of one shape each, in which something beside the shape goes with the class, or with nothing: a shift to feel."""

from __future__ import annotations

import colorsys
import math

import numpy as np
from PIL import Image

from benchmarks.embedded.drawing import COLOURS, SHAPES, SIZES, TEXTURES, ObjectSpec, Scene, draw_scene

__all__ = ["CLASS_NAMES", "DOMAINS", "TIE", "VERSION", "cue", "shift_scene"]

# Raised whenever a change can move a number measured on these pictures.
VERSION = 1

CLASS_NAMES = SHAPES
# What goes with the class: the hue of the background, the pattern of the background, or the colour of the shape.
DOMAINS = ("hue", "pattern", "colour")

# First element of the seeds, so that no other task has these pictures.
_STREAM = 108
_CUES = len(SHAPES)
# Shape i takes colour (3 * i + 1) % 8 where they are tied: each of the eight pairs is one that the tiny CLIP has seen.
_STEP, _FIRST = 3, 1
# How often the class decides in a tied picture; in the rest of them chance does, so that the shape is worth learning.
TIE = 0.9


def cue(domain: str, label: int, number: int, tied: bool) -> int:
    """Which of the eight hues, patterns or colours a picture has, without drawing it.

    Args:
        domain: One of `DOMAINS`.
        label: The class, an index into `CLASS_NAMES`.
        number: The picture among those of the domain.
        tied: Whether the class decides, `TIE` of the time; otherwise each is equally likely.
    """
    rng = np.random.default_rng([_STREAM, DOMAINS.index(domain), number, 3 + tied])
    if tied and rng.random() < TIE:
        return (_STEP * label + _FIRST) % _CUES
    return int(rng.integers(_CUES))


def shift_scene(domain: str, label: int, number: int, tied: bool) -> Scene:
    """Draws a picture of one shape; the same arguments always give the same picture.

    Args:
        domain: One of `DOMAINS`; what it does not name is drawn at random in either case.
        label: The class, an index into `CLASS_NAMES`.
        number: The picture among those of the domain.
        tied: Whether what the domain names is decided by the class. A tied picture and an untied one of the same number
            share nothing.
    """
    seed = [_STREAM, DOMAINS.index(domain), number, 1 + tied]
    rng = np.random.default_rng(seed)
    colour, texture, size = int(rng.integers(len(COLOURS))), int(rng.integers(len(TEXTURES))), int(rng.integers(len(SIZES)))
    chosen = cue(domain, label, number, tied)
    if domain == "colour":
        colour = chosen
    spec = ObjectSpec(list(COLOURS)[colour], SHAPES[label], TEXTURES[texture], SIZES[size])
    scene = draw_scene([spec], [*seed, 1])
    if domain == "colour":
        return scene
    width, height = scene.image.size
    behind = (_hue if domain == "hue" else _pattern)(rng, chosen, width, height)
    behind += rng.integers(-12, 13, size=(height, width, 1))
    behind = np.clip(behind, 0, 255).astype(np.uint8)
    pixels = np.where(scene.masks[0][..., None], np.asarray(scene.image), behind)
    return Scene(Image.fromarray(pixels), scene.objects, scene.masks)


def _hue(rng: np.random.Generator, chosen: int, width: int, height: int) -> np.ndarray:
    """One of eight hues, darker towards a side, (height, width, 3)."""
    hue = (chosen + rng.uniform(-0.15, 0.15)) / _CUES
    colour = np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.6, 0.9), rng.uniform(0.14, 0.26)))
    return 255 * colour * (0.7 + 0.3 * _along(rng.uniform(0, 2 * math.pi), width, height))[..., None]


def _pattern(rng: np.random.Generator, chosen: int, width: int, height: int) -> np.ndarray:
    """Grey stripes in one of four directions, narrow or wide, (height, width, 3)."""
    angle = math.pi / 4 * (chosen % 4) + rng.uniform(-0.1, 0.1)
    stripes = (6 if chosen < 4 else 14) * rng.uniform(0.9, 1.1)
    waves = np.sin(2 * math.pi * (stripes * _along(angle, width, height) + rng.random())) > 0
    dark, light = rng.uniform(8, 24), rng.uniform(40, 60)
    return np.where(waves, light, dark)[..., None] * np.ones(3)


def _along(angle: float, width: int, height: int) -> np.ndarray:
    """How far each pixel is along a direction, (height, width), about 1 across the picture."""
    x = np.linspace(-0.5, 0.5, width)
    y = np.linspace(-0.5, 0.5, height)[:, None]
    return x * math.cos(angle) + y * math.sin(angle) + 0.5
