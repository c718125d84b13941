"""The training pictures of the embedded model: a pool drawn once, each picture with what it shows."""

from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.embedded.drawing import COLOURS, SHAPES, SIZES, TEXTURES, ObjectSpec, Scene, draw_scene
from benchmarks.embedded.shapes import random_spec
from benchmarks.embedded.solids import SOLIDS, dotted_depth, shaded_picture

# First element of the seeds; the evaluation uses other ones.
_TRAINING_STREAM = 7

KINDS = ("scene", "circled", "blurred", "close-up", "solid", "depth")
_SHARES = (0.59, 0.15, 0.06, 0.09, 0.075, 0.035)
_MAX_OBJECTS = 6
_PURE_RED = (255, 0, 0)


@dataclass(frozen=True)
class Pool:
    """N pictures and what they show.

    `pixels` (N, S, S, 3) uint8; depth pictures repeat their bytes in the three channels. `kinds` (N,) indexes
    `KINDS`. `objects` (N, 6, 4) holds indexes of colour, shape, texture and size, -1 where there is no object; a
    solid's first entry is its colour (-1: unnamed) and its second the index of the solid. `focus` (N,) is the
    object that the picture singles out, or -1.
    """

    pixels: np.ndarray
    kinds: np.ndarray
    objects: np.ndarray
    focus: np.ndarray


def training_specs(rng: np.random.Generator) -> list[ObjectSpec]:
    """One to six objects, never of a held-out pair; half of the crowded scenes share a colour or a shape."""
    count = int(rng.choice(_MAX_OBJECTS, p=(0.16, 0.2, 0.2, 0.18, 0.14, 0.12))) + 1
    specs = [random_spec(rng, held_out_share=0.0) for _ in range(count)]
    sharing = rng.random()
    if sharing < 0.3:
        specs = [ObjectSpec(specs[0].colour, s.shape, s.texture, s.size) for s in specs]
    elif sharing < 0.4:
        specs = [ObjectSpec(s.colour, specs[0].shape, s.texture, s.size) for s in specs]
    return [spec if not spec.held_out else random_spec(rng, held_out_share=0.0) for spec in specs]


def render(index: int, seed: int, size: int) -> tuple[np.ndarray, int, np.ndarray, int]:
    """Draws training picture `index`: its pixels (size, size, 3), kind, objects (6, 4) and focus."""
    rng = np.random.default_rng([_TRAINING_STREAM, seed, index])
    kind = int(rng.choice(len(KINDS), p=_SHARES))
    objects = np.full((_MAX_OBJECTS, 4), -1, dtype=np.int8)
    if KINDS[kind] in ("solid", "depth"):
        pixels, objects[0] = _solid(rng, KINDS[kind], size)
        return pixels, kind, objects, 0
    specs = training_specs(rng)
    if KINDS[kind] in ("circled", "blurred"):
        while len(specs) < 2:
            specs = training_specs(rng)
    enlarge = rng.uniform(1.0, 1.6) if len(specs) <= 2 else 1.0
    scene = draw_scene(specs, [_TRAINING_STREAM, seed, index, 1], enlarge)
    focus = -1 if KINDS[kind] == "scene" else int(rng.integers(len(specs)))
    if len(specs) == 1:
        focus = 0
    for row, spec in enumerate(specs):
        objects[row] = (
            list(COLOURS).index(spec.colour),
            SHAPES.index(spec.shape),
            TEXTURES.index(spec.texture),
            SIZES.index(spec.size),
        )
    edit = {"circled": _circle, "blurred": _blur, "close-up": _close_up}.get(KINDS[kind])
    image = scene.image if edit is None else edit(rng, scene, focus)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC)), kind, objects, focus


def _solid(rng: np.random.Generator, kind: str, size: int) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    solid = int(rng.integers(len(SOLIDS)))
    if kind == "depth":
        canvas = dotted_depth(SOLIDS[solid], rng)
        return np.repeat(_align_corners(canvas, size)[..., None], 3, -1), (-1, solid, -1, -1)
    colour = int(rng.integers(len(COLOURS)))
    image = shaded_picture(SOLIDS[solid], list(COLOURS)[colour], rng, size)
    return np.asarray(image), (colour, solid, -1, -1)


def _align_corners(canvas: np.ndarray, size: int) -> np.ndarray:
    """Bilinear resize that maps corner pixels to corner pixels, as PointCLIP resizes its maps."""
    at = np.linspace(0, len(canvas) - 1, size)
    low = np.minimum(at.astype(int), len(canvas) - 2)
    part = at - low
    rows = canvas[low] * (1 - part)[:, None] + canvas[low + 1] * part[:, None]
    return np.round(rows[:, low] * (1 - part) + rows[:, low + 1] * part).astype(np.uint8)


def _padded(rng: np.random.Generator, scene: Scene, focus: int, most: float) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = scene.objects[focus].box
    pad = rng.uniform(0, most) * max(x1 - x0, y1 - y0)
    return x0 - pad, y0 - pad, x1 + pad, y1 + pad


def _circle(rng: np.random.Generator, scene: Scene, focus: int) -> Image.Image:
    """A red ellipse, from inscribed in the object's box to well outside it, 0.4 to 1 % of the longer side."""
    image = scene.image.copy()
    line = max(1, round(max(image.size) * rng.uniform(0.004, 0.01)))
    most = 0.25 if rng.random() < 0.5 else 0.03
    ImageDraw.Draw(image).ellipse(_padded(rng, scene, focus, most), outline=_PURE_RED, width=line)
    return image


def _blur(rng: np.random.Generator, scene: Scene, focus: int) -> Image.Image:
    """All but one object blurred; the sharp part is the object, its box, an ellipse or a Gaussian."""
    image = scene.image
    soft = image.filter(ImageFilter.GaussianBlur(float(np.exp(rng.uniform(np.log(4), np.log(100))))))
    x0, y0, x1, y1 = _padded(rng, scene, focus, 0.2)
    form = rng.integers(4)
    if form == 0:
        sharp = Image.fromarray(scene.masks[focus])
    elif form == 1:
        x = (np.arange(image.width) - (x0 + x1) / 2) / (x1 - x0)
        y = (np.arange(image.height)[:, None] - (y0 + y1) / 2) / (y1 - y0)
        sharp = Image.fromarray((255 * np.exp(-2.5 * (x * x + y * y))).astype(np.uint8))
    else:
        sharp = Image.new("L", image.size, 0)
        draw = ImageDraw.Draw(sharp)
        (draw.ellipse if form == 2 else draw.rectangle)((x0, y0, x1, y1), fill=255)
    return Image.composite(image, soft, sharp)


def _close_up(rng: np.random.Generator, scene: Scene, focus: int) -> Image.Image:
    """The picture cropped to one object, with or without room around it."""
    x0, y0, x1, y1 = _padded(rng, scene, focus, 0.0 if rng.random() < 0.4 else 0.3)
    width, height = scene.image.size
    return scene.image.crop((int(max(0, x0)), int(max(0, y0)), int(min(width, x1)), int(min(height, y1))))


def _render_block(job: tuple[int, int, int, int]) -> list[tuple[np.ndarray, int, np.ndarray, int]]:
    start, stop, seed, size = job
    return [render(index, seed, size) for index in range(start, stop)]


def make_pool(folder: Path, count: int, seed: int, size: int, processes: int = 2) -> Pool:
    """Draws `count` training pictures, or reads them where the same call has drawn them before.

    Args:
        folder: Where the pool is kept.
        count: Number of pictures.
        seed: Seed of the pool.
        size: Side of the pictures in pixels, the model's input.
        processes: Number of worker processes; the pictures do not depend on it.
    """
    path = folder / f"pool-{count}-{seed}-{size}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pool = Pool(
            np.empty((count, size, size, 3), np.uint8),
            np.empty(count, np.int8),
            np.empty((count, _MAX_OBJECTS, 4), np.int8),
            np.empty(count, np.int8),
        )
        jobs = [(start, min(start + 256, count), seed, size) for start in range(0, count, 256)]
        with get_context("fork").Pool(processes) as workers:
            for job, block in zip(jobs, workers.imap(_render_block, jobs), strict=True):
                for index, picture in zip(range(job[0], job[1]), block, strict=True):
                    pool.pixels[index], pool.kinds[index], pool.objects[index], pool.focus[index] = picture
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, pixels=pool.pixels, kinds=pool.kinds, objects=pool.objects, focus=pool.focus)
        temporary.rename(path)
    stored = np.load(path)
    return Pool(stored["pixels"], stored["kinds"], stored["objects"], stored["focus"])
