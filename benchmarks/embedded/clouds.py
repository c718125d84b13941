"""Evaluation clouds of ten solids, as points drawn from parametric surfaces."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

SOLIDS = ("ball", "box", "cone", "cylinder", "torus", "pyramid", "chair", "table", "lamp", "bottle")
SOLID_CLOUDS = 500

# Raised whenever a change can move a number measured on these clouds.
CLOUDS_VERSION = 1

_POINTS = 1024
# First element of the seeds; the training uses other code and other seeds.
_CLOUD_STREAM = 103


@dataclass(frozen=True)
class _Surface:
    """A piece of surface: its area, and a function from (n, 2) uniform numbers to (n, 3) points."""

    area: float
    points: Callable[[np.ndarray], np.ndarray]


def solid_cloud(index: int) -> tuple[np.ndarray, int]:
    """Draws cloud `index`: a solid of random proportions, standing upright along y as in ModelNet40.

    Args:
        index: Any non-negative number; the benchmark uses those below `SOLID_CLOUDS`, each solid equally often.

    Returns:
        Points (1024, 3) float32 with their mean at 0 and the farthest at distance 1, and the label, an index
        into `SOLIDS`.
    """
    rng = np.random.default_rng([_CLOUD_STREAM, index])
    label = index % len(SOLIDS)
    surfaces = _BUILDERS[SOLIDS[label]](rng)
    areas = np.array([surface.area for surface in surfaces])
    counts = rng.multinomial(_POINTS, areas / areas.sum())
    points = np.concatenate([s.points(rng.random((n, 2))) for s, n in zip(surfaces, counts, strict=True)])
    points = points[rng.permutation(_POINTS)]
    # CAD collections stand aligned, give or take; a few degrees keep edges from falling on one pixel row.
    turn = rng.normal(0, 0.15)
    cos, sin = math.cos(turn), math.sin(turn)
    points = points @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    points = points - points.mean(0)
    points = points / (np.linalg.norm(points, axis=1).max() * (1 + 1e-6))
    return points.astype(np.float32), label


def _quad(corner: Sequence[float], a: Sequence[float], b: Sequence[float]) -> _Surface:
    """The parallelogram that `a` and `b` span from `corner`."""
    origin, first, second = np.array(corner), np.array(a), np.array(b)
    area = float(np.linalg.norm(np.cross(first, second)))
    return _Surface(area, lambda uv: origin + uv[:, :1] * first + uv[:, 1:] * second)


def _triangle(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> _Surface:
    origin, first, second = np.array(a), np.array(b) - np.array(a), np.array(c) - np.array(a)

    def points(uv: np.ndarray) -> np.ndarray:
        folded = np.where(uv.sum(1, keepdims=True) > 1, 1 - uv, uv)
        return origin + folded[:, :1] * first + folded[:, 1:] * second

    return _Surface(float(np.linalg.norm(np.cross(first, second))) / 2, points)


def _cuboid(low: Sequence[float], high: Sequence[float]) -> list[_Surface]:
    """The six faces of an upright box between two corners."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    x, y, z = (x1 - x0, 0, 0), (0, y1 - y0, 0), (0, 0, z1 - z0)
    return [
        _quad(low, x, y), _quad((x0, y0, z1), x, y),
        _quad(low, x, z), _quad((x0, y1, z0), x, z),
        _quad(low, y, z), _quad((x1, y0, z0), y, z),
    ]  # fmt: skip


def _revolved(profile: Sequence[tuple[float, float]]) -> list[_Surface]:
    """The surface that a polyline of (radius, height) sweeps about the y axis."""
    return [_band(start, end) for start, end in pairwise(profile)]


def _band(start: tuple[float, float], end: tuple[float, float]) -> _Surface:
    (r0, y0), (r1, y1) = start, end

    def points(uv: np.ndarray) -> np.ndarray:
        # The radius is drawn so that equal areas get equally many points: density grows with the radius.
        radius = np.sqrt(r0 * r0 + uv[:, 0] * (r1 * r1 - r0 * r0))
        along = uv[:, 0] if abs(r1 - r0) < 1e-9 else (radius - r0) / (r1 - r0)
        angle = 2 * math.pi * uv[:, 1]
        return np.stack([radius * np.cos(angle), y0 + along * (y1 - y0), radius * np.sin(angle)], 1)

    return _Surface(math.pi * (r0 + r1) * math.hypot(r1 - r0, y1 - y0), points)


def _ball(rng: np.random.Generator) -> list[_Surface]:
    squash = rng.uniform(0.94, 1.06)
    angles = np.linspace(0, math.pi, 33).tolist()
    return _revolved([(math.sin(a), -squash * math.cos(a)) for a in angles])


def _box(rng: np.random.Generator) -> list[_Surface]:
    half = rng.uniform(0.5, 1.0, size=3)
    return _cuboid((-half).tolist(), half.tolist())


def _cone(rng: np.random.Generator) -> list[_Surface]:
    radius, height = rng.uniform(0.55, 0.95), rng.uniform(1.3, 1.9)
    return _revolved([(0, 0), (radius, 0), (0, height)])


def _cylinder(rng: np.random.Generator) -> list[_Surface]:
    radius, height = rng.uniform(0.5, 0.8), rng.uniform(1.1, 2.0)
    return _revolved([(0, 0), (radius, 0), (radius, height), (0, height)])


def _torus(rng: np.random.Generator) -> list[_Surface]:
    tube = rng.uniform(0.24, 0.38)
    angles = np.linspace(0, 2 * math.pi, 33).tolist()
    return _revolved([(0.8 + tube * math.cos(a), tube * math.sin(a)) for a in angles])


def _pyramid(rng: np.random.Generator) -> list[_Surface]:
    half, height = rng.uniform(0.65, 0.95), rng.uniform(1.0, 1.6)
    feet = [(-half, 0, -half), (half, 0, -half), (half, 0, half), (-half, 0, half)]
    sides = [_triangle(feet[i], feet[(i + 1) % 4], (0, height, 0)) for i in range(4)]
    return [_quad(feet[0], (2 * half, 0, 0), (0, 0, 2 * half)), *sides]


def _standing(half_x: float, half_z: float, height: float, leg: float) -> list[_Surface]:
    """Four square legs of half-width `leg` from the floor to `height`."""
    surfaces = []
    for x in (-half_x + leg, half_x - leg):
        for z in (-half_z + leg, half_z - leg):
            surfaces += _cuboid((x - leg, 0, z - leg), (x + leg, height, z + leg))
    return surfaces


def _chair(rng: np.random.Generator) -> list[_Surface]:
    u = rng.uniform
    half_x, half_z, seat, back, leg, thick = u(0.4, 0.5), u(0.4, 0.5), u(0.7, 0.85), u(0.75, 1.0), u(0.04, 0.06), 0.08
    surfaces = _standing(half_x, half_z, seat, leg) + _cuboid((-half_x, seat, -half_z), (half_x, seat + thick, half_z))
    return surfaces + _cuboid((-half_x, seat + thick, -half_z), (half_x, seat + back, -half_z + thick))


def _table(rng: np.random.Generator) -> list[_Surface]:
    u = rng.uniform
    half_x, half_z, height, leg, thick = u(0.7, 1.0), u(0.45, 0.75), u(0.8, 1.05), u(0.04, 0.07), u(0.06, 0.1)
    top = _cuboid((-half_x, height, -half_z), (half_x, height + thick, half_z))
    return _standing(half_x, half_z, height, leg) + top


def _lamp(rng: np.random.Generator) -> list[_Surface]:
    u = rng.uniform
    foot, stem, wide, narrow, pole, shade = u(0.3, 0.4), 0.05, u(0.45, 0.6), u(0.2, 0.32), u(1.1, 1.35), u(0.45, 0.6)
    stand = _revolved([(0, 0), (foot, 0), (foot, 0.07), (stem, 0.1), (stem, pole)])
    return stand + _revolved([(wide, pole - 0.05), (narrow, pole - 0.05 + shade)])


def _bottle(rng: np.random.Generator) -> list[_Surface]:
    u = rng.uniform
    radius, body, slope, neck, tall = u(0.28, 0.38), u(0.95, 1.25), u(0.18, 0.3), u(0.09, 0.13), u(0.3, 0.45)
    top = body + slope
    return _revolved([(0, 0), (radius, 0), (radius, body), (neck, top), (neck, top + tall), (0, top + tall)])


_BUILDERS: dict[str, Callable[[np.random.Generator], list[_Surface]]] = {
    "ball": _ball, "box": _box, "cone": _cone, "cylinder": _cylinder, "torus": _torus,
    "pyramid": _pyramid, "chair": _chair, "table": _table, "lamp": _lamp, "bottle": _bottle,
}  # fmt: skip
