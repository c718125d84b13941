"""Scenes of coloured, textured shapes on noisy backgrounds, drawn by code from a seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (225, 35, 35),
    "green": (40, 165, 60),
    "blue": (45, 80, 220),
    "yellow": (245, 220, 40),
    "purple": (145, 50, 190),
    "orange": (245, 135, 25),
    "cyan": (60, 215, 225),
    "white": (245, 245, 245),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "heart", "crescent")
TEXTURES = ("solid", "striped", "dotted", "checkered")
SIZES = ("small", "large")

# One pair for each colour and each shape that no training picture or caption shows.
HELD_OUT_PAIRS = frozenset(
    {
        ("red", "heart"),
        ("green", "star"),
        ("blue", "crescent"),
        ("yellow", "square"),
        ("purple", "ring"),
        ("orange", "triangle"),
        ("cyan", "circle"),
        ("white", "cross"),
    }
)

# Side of an object as a share of the picture's shorter side, before a crowded scene shrinks all of them.
SIZE_SHARES = {"small": (0.22, 0.27), "large": (0.36, 0.44)}
# Sides of a scene in pixels. At 224 and above, int(longer side / 200) gives the red circle at least one pixel.
SIDE_RANGE = (180, 320)
LONGER_SIDE_MIN = 224

_SUPERSAMPLING = 4
_PLACEMENT_TRIES = 40
_MAX_OVERLAP = 0.04
_TEXTURE_SHADE = 0.5


@dataclass(frozen=True)
class ObjectSpec:
    """What an object looks like, before it has a place."""

    colour: str
    shape: str
    texture: str
    size: str

    @property
    def held_out(self) -> bool:
        """Whether the pair of colour and shape never occurs in training."""
        return (self.colour, self.shape) in HELD_OUT_PAIRS


@dataclass(frozen=True)
class SceneObject:
    """An object in a scene; `box` is (x0, y0, x1, y1) in pixels, tight around the object's mask."""

    colour: str
    shape: str
    texture: str
    size: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Scene:
    """A picture (RGB), its objects, and for each object a boolean mask of shape (height, width)."""

    image: Image.Image
    objects: tuple[SceneObject, ...]
    masks: tuple[np.ndarray, ...]


def draw_scene(specs: Sequence[ObjectSpec], seed: int | Sequence[int], enlarge: float = 1.0) -> Scene:
    """Draws a scene of the given objects; the same arguments always give the same picture.

    Args:
        specs: The objects, in the order in which the scene lists them.
        seed: Seed of everything else: size, background, places, angles, shades.
        enlarge: Factor on the objects' sizes.

    Returns:
        A scene of 180 to 320 pixels a side, its longer side at least 224, whose objects hardly overlap.
    """
    rng = np.random.default_rng(seed)
    width, height = _scene_size(rng)
    canvas = _background(rng, width, height)
    sides, corners = _place(rng, specs, width, height, enlarge)
    objects, masks = [], []
    for spec, side, (left, top) in zip(specs, sides, corners, strict=True):
        alpha = _shape_alpha(rng, spec.shape, side)
        pixels = _texture(rng, spec, side)
        tile = canvas[top : top + side, left : left + side]
        tile += alpha[..., None] * (pixels - tile)
        mask = np.zeros((height, width), dtype=bool)
        mask[top : top + side, left : left + side] = alpha > 0.5
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        objects.append(SceneObject(spec.colour, spec.shape, spec.texture, spec.size, box))
        masks.append(mask)
    canvas += rng.integers(-12, 13, size=(height, width, 1), dtype=np.int8)
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    return Scene(image, tuple(objects), tuple(masks))


def _scene_size(rng: np.random.Generator) -> tuple[int, int]:
    longer = int(rng.integers(LONGER_SIDE_MIN, SIDE_RANGE[1] + 1))
    shorter = int(rng.integers(SIDE_RANGE[0], longer - 3))
    return (longer, shorter) if rng.random() < 0.6 else (shorter, longer)


def _background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A dark, greyish gradient with coarse blotches, (height, width, 3) float32.

    Dark, so that every object is brighter than what surrounds it and its outline can be learnt in an hour.
    """
    start, end = rng.uniform(15, 65, size=(2, 1)) + rng.uniform(-10, 10, size=(2, 3))
    angle = rng.uniform(0, 2 * math.pi)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    along = np.clip(x * math.cos(angle) + y * math.sin(angle) + 0.5, 0, 1)
    canvas = start + along[..., None] * (end - start)
    coarse = rng.normal(0, rng.uniform(1, 8), size=(int(rng.integers(3, 9)), int(rng.integers(3, 9))))
    blotches = Image.fromarray(coarse.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return (canvas + np.asarray(blotches)[..., None]).astype(np.float32)


def _place(
    rng: np.random.Generator, specs: Sequence[ObjectSpec], width: int, height: int, enlarge: float
) -> tuple[list[int], list[tuple[int, int]]]:
    """Sides of the objects' tiles and their upper left corners; all sizes shrink together until they fit."""
    shares = np.array([rng.uniform(*SIZE_SHARES[spec.size]) for spec in specs])
    scale = enlarge * min(width, height)
    while True:
        sides = [min(max(12, round(share * scale)), min(width, height) - 4) for share in shares]
        for _ in range(4):
            corners = _try_corners(rng, sides, width, height)
            if corners is not None:
                return sides, corners
        scale *= 0.94


def _try_corners(rng: np.random.Generator, sides: Sequence[int], width: int, height: int) -> list[tuple[int, int]] | None:
    placed: dict[int, tuple[int, int]] = {}
    for index in sorted(range(len(sides)), key=lambda i: -sides[i]):
        side = sides[index]
        lefts = rng.integers(1, width - side, size=_PLACEMENT_TRIES).tolist()
        tops = rng.integers(1, height - side, size=_PLACEMENT_TRIES).tolist()
        for corner in zip(lefts, tops, strict=True):
            if all(_overlap(corner, side, placed[other], sides[other]) <= _MAX_OVERLAP for other in placed):
                placed[index] = corner
                break
        else:
            return None
    return [placed[index] for index in range(len(sides))]


def _overlap(a: tuple[int, int], a_side: int, b: tuple[int, int], b_side: int) -> float:
    """Shared area as a share of the smaller tile."""
    across = min(a[0] + a_side, b[0] + b_side) - max(a[0], b[0])
    down = min(a[1] + a_side, b[1] + b_side) - max(a[1], b[1])
    return max(0, across) * max(0, down) / min(a_side, b_side) ** 2


def _shape_alpha(rng: np.random.Generator, shape: str, side: int) -> np.ndarray:
    """Coverage of the tile by the shape, (side, side) in [0, 1], slightly turned and perhaps mirrored."""
    big = side * _SUPERSAMPLING
    canvas = Image.new("L", (big, big), 0)
    draw = ImageDraw.Draw(canvas)
    angle, mirror = rng.uniform(-0.15, 0.15), 1 if rng.random() < 0.5 else -1
    half = big / 2

    def disc(x: float, y: float, radius: float, fill: int) -> None:
        draw.ellipse(
            [half * (1 + x - radius), half * (1 + y - radius), half * (1 + x + radius), half * (1 + y + radius)],
            fill=fill,
        )

    if shape in ("circle", "ring", "crescent"):
        disc(0, 0, 0.95, 255)
        if shape == "ring":
            disc(0, 0, 0.5, 0)
        if shape == "crescent":
            disc(0.48 * mirror * math.cos(angle), 0.48 * math.sin(angle), 0.72, 0)
    else:
        points = np.array(_OUTLINES[shape])
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        draw.polygon([tuple(point) for point in (half * (1 + points @ turn)).tolist()], fill=255)
    return np.asarray(canvas.reduce(_SUPERSAMPLING), dtype=np.float32) / 255


def _star() -> list[tuple[float, float]]:
    radii = [0.98 if i % 2 == 0 else 0.42 for i in range(10)]
    return [(r * math.sin(i * math.pi / 5), -r * math.cos(i * math.pi / 5)) for i, r in enumerate(radii)]


def _heart() -> list[tuple[float, float]]:
    points = []
    for t in np.linspace(0, 2 * math.pi, 40, endpoint=False).tolist():
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 18, -(y + 2.5) / 18))
    return points


_OUTLINES: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "triangle": [(0, -0.92), (0.86, 0.72), (-0.86, 0.72)],
    "star": _star(),
    "heart": _heart(),
    "cross": [
        (-0.3, -0.9), (0.3, -0.9), (0.3, -0.3), (0.9, -0.3), (0.9, 0.3), (0.3, 0.3),
        (0.3, 0.9), (-0.3, 0.9), (-0.3, 0.3), (-0.9, 0.3), (-0.9, -0.3), (-0.3, -0.3),
    ],
}  # fmt: skip


def _texture(rng: np.random.Generator, spec: ObjectSpec, side: int) -> np.ndarray:
    """The tile's colours, (side, side, 3); marks are a darker shade, four or so across the object."""
    colour = np.clip(np.array(COLOURS[spec.colour]) * rng.uniform(0.88, 1.05) + rng.uniform(-9, 9, 3), 0, 255)
    angle, (phase_u, phase_v) = rng.uniform(-0.3, 0.3) + rng.integers(0, 4) * math.pi / 4, rng.random(2)
    period = side / rng.uniform(3.2, 4.2)
    if spec.texture == "solid":
        return np.broadcast_to(colour.astype(np.float32), (side, side, 3))
    x = np.arange(side, dtype=np.float32)
    y = x[:, None]
    u = (x * math.cos(angle) + y * math.sin(angle)) / period + phase_u
    v = (y * math.cos(angle) - x * math.sin(angle)) / period + phase_v
    if spec.texture == "striped":
        marks = np.sin(2 * math.pi * u) > 0
    elif spec.texture == "dotted":
        marks = (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.33**2
    else:
        marks = (np.floor(1.4 * u) + np.floor(1.4 * v)) % 2 > 0
    shade = np.where(marks, np.float32(_TEXTURE_SHADE), np.float32(1))
    return shade[..., None] * colour.astype(np.float32)
