"""Training pictures of ten solids: signed distance functions, ray-marched or dotted.

The evaluation's clouds (`clouds.py`) and the harness's projection are other code on purpose: what the model
is tested on must not come from what drew its training pictures.
"""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from benchmarks.embedded.drawing import COLOURS

SOLIDS = ("ball", "box", "cone", "cylinder", "torus", "pyramid", "chair", "table", "lamp", "bottle")

# A depth picture's bytes stand for depths from 0 (nothing) to this.
DEPTH_SCALE = 3.0

_RENDER_SIDE = 72
_DEPTH_SIDE = 128
_DOTS = 1024
_CAMERA = 1.6

Distance = Callable[[np.ndarray], np.ndarray]


def _ball(at: tuple[float, float, float], radius: float) -> Distance:
    return lambda p: np.linalg.norm(p - np.array(at, np.float32), axis=-1) - radius


def _box(at: tuple[float, float, float], half: tuple[float, float, float]) -> Distance:
    def distance(p: np.ndarray) -> np.ndarray:
        q = np.abs(p - np.array(at, np.float32)) - np.array(half, np.float32)
        return np.sqrt((np.maximum(q, 0) ** 2).sum(-1)) + np.minimum(q.max(-1), 0)

    return distance


def _frustum(low: float, high: float, radius_low: float, radius_high: float, x: float = 0, z: float = 0) -> Distance:
    """A solid of revolution about a vertical axis whose radius changes linearly between two heights."""
    slope = (radius_high - radius_low) / (high - low)
    lean = math.sqrt(1 + slope * slope)

    def distance(p: np.ndarray) -> np.ndarray:
        radius = np.hypot(p[..., 0] - x, p[..., 2] - z)
        side = (radius - radius_low - slope * (p[..., 1] - low)) / lean
        return np.maximum(side, np.maximum(low - p[..., 1], p[..., 1] - high))

    return distance


def _torus(major: float, minor: float) -> Distance:
    return lambda p: np.hypot(np.hypot(p[..., 0], p[..., 2]) - major, p[..., 1]) - minor


def _pyramid(half: float, height: float) -> Distance:
    lean = math.hypot(half, height)

    def distance(p: np.ndarray) -> np.ndarray:
        reach = np.maximum(np.abs(p[..., 0]), np.abs(p[..., 2]))
        side = ((reach - half) * height + (p[..., 1] + height / 2) * half) / lean
        return np.maximum(side, -(p[..., 1] + height / 2))

    return distance


def _union(*parts: Distance) -> Distance:
    return lambda p: np.min([part(p) for part in parts], axis=0)


def _legs(x: float, z: float, low: float, high: float, radius: float) -> list[Distance]:
    return [_frustum(low, high, radius, radius, sx * x, sz * z) for sx in (-1, 1) for sz in (-1, 1)]


def solid_distance(name: str, rng: np.random.Generator) -> Distance:
    """A solid of random proportions about the origin, y upwards, reaching out to about 1."""
    u = rng.uniform
    if name == "ball":
        return _ball((0, 0, 0), 0.9)
    if name == "box":
        return _box((0, 0, 0), (u(0.4, 0.7), u(0.35, 0.7), u(0.4, 0.7)))
    if name == "cone":
        return _frustum(-0.75, 0.75, u(0.45, 0.75), 0.01)
    if name == "cylinder":
        half = u(0.45, 0.8)
        radius = u(0.35, 0.6)
        return _frustum(-half, half, radius, radius)
    if name == "torus":
        return _torus(u(0.55, 0.68), u(0.18, 0.28))
    if name == "pyramid":
        return _pyramid(u(0.55, 0.75), u(0.9, 1.3))
    if name == "chair":
        return _chair(rng)
    if name == "table":
        x, z, high, low = u(0.6, 0.85), u(0.4, 0.65), u(0.25, 0.45), u(-0.65, -0.45)
        top = _box((0, high, 0), (x, u(0.03, 0.06), z))
        return _union(top, *_legs(x - 0.09, z - 0.09, low, high, u(0.04, 0.06)))
    if name == "lamp":
        low, high = u(-0.9, -0.75), u(0.15, 0.35)
        base = _frustum(low, low + 0.08, u(0.3, 0.42), u(0.25, 0.3))
        shade = _frustum(high, u(0.75, 0.9), u(0.42, 0.6), u(0.2, 0.32))
        return _union(base, _frustum(low, high + 0.1, 0.045, 0.045), shade)
    neck, shoulder, radius, mouth = u(0.08, 0.13), u(0.05, 0.25), u(0.26, 0.38), u(0.75, 0.9)
    body = _frustum(-0.9, shoulder, radius, radius)
    return _union(body, _frustum(shoulder, shoulder + 0.25, radius, neck), _frustum(shoulder + 0.2, mouth, neck, neck))


def _chair(rng: np.random.Generator) -> Distance:
    u = rng.uniform
    x, z, seat, low = u(0.38, 0.5), u(0.38, 0.5), u(-0.15, 0.05), u(-0.85, -0.65)
    back = u(0.7, 0.9)
    side = -1 if rng.random() < 0.5 else 1
    parts = [
        _box((0, seat, 0), (x, 0.05, z)),
        _box((0, (seat + back) / 2, side * (z - 0.05)), (x, (back - seat) / 2, 0.05)),
    ]
    return _union(*parts, *_legs(x - 0.06, z - 0.06, low, seat, u(0.04, 0.06)))


def _view(rng: np.random.Generator, upright: bool) -> np.ndarray:
    """A rotation (3, 3) whose rows are the picture's right, up, and the way towards the camera."""
    turn, tilt = rng.uniform(0, 2 * math.pi), rng.uniform(-0.2, 0.9)
    if not upright:
        turn = rng.integers(4) * math.pi / 2 + rng.normal(0, 0.1)
        tilt = float(rng.choice([0, 0, 0, 0, math.pi / 2, -math.pi / 2])) + rng.normal(0, 0.06)
    cy, sy, cx, sx = math.cos(turn), math.sin(turn), math.cos(tilt), math.sin(tilt)
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    return (about_x @ about_y).astype(np.float32)


def shaded_picture(name: str, colour: str, rng: np.random.Generator, size: int) -> Image.Image:
    """A shaded picture of a solid, (size, size) RGB, ray-marched with a parallel projection."""
    distance, rotation = solid_distance(name, rng), _view(rng, upright=rng.random() < 0.7)
    zoom = rng.uniform(1.0, 1.5)
    grid = (np.arange(_RENDER_SIDE, dtype=np.float32) + 0.5) / _RENDER_SIDE * 2 - 1
    right, down = np.meshgrid(grid * zoom + rng.uniform(-0.1, 0.1), grid * zoom + rng.uniform(-0.1, 0.1))
    eye = np.stack([right, -down, np.full_like(right, 1.5)], -1).reshape(-1, 3)
    position, ahead = eye @ rotation, -rotation[2]
    active = np.arange(len(position))
    hit = np.zeros(len(position), dtype=bool)
    travelled = np.zeros(len(position), dtype=np.float32)
    for _ in range(36):
        step = distance(position[active])
        hit[active[step < 0.01]] = True
        travelled[active] += step
        position[active] += step[:, None] * ahead
        active = active[(step >= 0.01) & (travelled[active] < 3)]
        if not len(active):
            break
    top, bottom = rng.uniform(30, 220, 3), rng.uniform(30, 220, 3)
    pixels = top + (down.reshape(-1, 1) / zoom + 1) / 2 * (bottom - top) * 0.5
    light = rotation.T @ np.array([rng.uniform(-0.6, 0.6), rng.uniform(0.2, 0.8), 0.8], np.float32)
    normals = _normals(distance, position[hit])
    brightness = 0.35 + 0.65 * np.clip(normals @ (light / np.linalg.norm(light)), 0, 1)
    pixels[hit] = brightness[:, None] * np.array(COLOURS[colour])
    pixels += rng.normal(0, 4, size=(len(pixels), 1))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8).reshape(_RENDER_SIDE, _RENDER_SIDE, 3))
    return image.resize((size, size), Image.Resampling.BICUBIC)


def _normals(distance: Distance, points: np.ndarray) -> np.ndarray:
    steps = np.eye(3, dtype=np.float32) * 0.004
    gradient = np.stack([distance(points + step) - distance(points - step) for step in steps], -1)
    return gradient / np.maximum(np.linalg.norm(gradient, axis=-1, keepdims=True), 1e-6)


def dotted_depth(name: str, rng: np.random.Generator) -> np.ndarray:
    """A sparse depth picture, (128, 128) uint8: `DEPTH_SCALE` / 255 times a byte is the depth, 0 where empty.

    Points of the surface, seen in perspective from 1.6 away, each a single pixel, as PointCLIP's maps look.
    """
    distance = solid_distance(name, rng)
    shell = np.zeros((0, 3), dtype=np.float32)
    while len(shell) < _DOTS:
        points = rng.uniform(-1, 1, size=(24000, 3)).astype(np.float32)
        away = distance(points)
        near = points[np.abs(away) < 0.03]
        near = near - distance(near)[:, None] * _normals(distance, near)
        shell = np.concatenate([shell, near])
    points = shell[rng.permutation(len(shell))[:_DOTS]]
    points = points - points.mean(0)
    points = points / np.linalg.norm(points, axis=1).max()
    seen = points @ _view(rng, upright=rng.random() < 0.35).T
    depth = _CAMERA - seen[:, 2]
    columns = np.clip((seen[:, 0] / depth + 1) * _DEPTH_SIDE / 2, 0, _DEPTH_SIDE - 1).astype(int)
    rows = np.clip((1 - seen[:, 1] / depth) * _DEPTH_SIDE / 2, 0, _DEPTH_SIDE - 1).astype(int)
    canvas = np.zeros((_DEPTH_SIDE, _DEPTH_SIDE), dtype=np.uint8)
    canvas[rows, columns] = np.round(depth * 255 / DEPTH_SCALE).astype(np.uint8)
    return canvas
