"""Charts as plain numbers in the coordinates of their drawing; the template turns them into SVG."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

WIDTH = 640.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 24.0, 12.0, 48.0
LINE_HEIGHT = 256.0
BELOW = 8.0  # room for a mark at the lowest value, above the names of the categories
ROW = 24.0
LABELS = 204.0
TEXT_HEIGHT = 20.0
LETTER = 11.0  # width at the largest size, which the narrowest windows have
MOST_AT_ONCE = 8  # colours, and lines that an eye can follow; of more the reader chooses


@dataclass(frozen=True)
class Point:
    """A share with its interval, all from 0 to 1.

    Attributes:
        value: Accuracy.
        low: Lower end of the 95 % interval, or None.
        high: Upper end, or None.
        n: Number of queries.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0

    def words(self, name: str, place: str = "") -> str:
        """What a pointer shows."""
        interval = "" if self.low is None or self.high is None else f" [{100 * self.low:.1f}, {100 * self.high:.1f}]"
        return f"{name}{', ' + place if place else ''}: {100 * self.value:.1f} %{interval}, {self.n} queries"


@dataclass(frozen=True)
class Mark:
    """A point in drawing units."""

    x: float
    y: float
    low: float | None
    high: float | None
    words: str


@dataclass(frozen=True)
class Tick:
    """A tick of an axis, or a reference line."""

    at: float
    label: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class DotPlot:
    """Methods one below the other, each with its accuracy and interval."""

    title: str
    caption: str
    height: float
    labels: tuple[Tick, ...]
    ticks: tuple[Tick, ...]
    references: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    kind: str = "dots"


@dataclass(frozen=True)
class Series:
    """One method in a line plot; its style is told by its number."""

    name: str
    style: int
    marks: tuple[Mark, ...]
    path: str
    shown: bool = True


@dataclass(frozen=True)
class LinePlot:
    """Accuracy over categories, a line or a row of points for each method."""

    title: str
    caption: str
    x_label: str
    height: float
    categories: tuple[Tick, ...]
    ticks: tuple[Tick, ...]
    series: tuple[Series, ...]
    kind: str = "lines"


@dataclass(frozen=True)
class Cell:
    """A square of a heat map."""

    x: float
    y: float
    colour: str
    words: str


@dataclass(frozen=True)
class HeatMap:
    """Response by layer and head."""

    title: str
    caption: str
    height: float
    size: float
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    cells: tuple[Cell, ...]
    legend: tuple[tuple[str, str], ...] = field(default=())
    kind: str = "heat"


def dot_plot(title: str, caption: str, points: Mapping[str, Point], references: Mapping[str, float | None]) -> DotPlot:
    """Methods with intervals; `references` are vertical lines (chance, oracle), None where unknown."""
    known = {name: value for name, value in references.items() if value is not None}
    low, high = _range([*points.values()], known.values())
    wrapped = {name: lines_of(name, LABELS - 10) for name in points}
    heights = [max(ROW, TEXT_HEIGHT * len(lines) + 5) for lines in wrapped.values()]
    bottom = TOP + sum(heights) + 4

    def x(value: float) -> float:
        return LABELS + (WIDTH - RIGHT - LABELS) * (value - low) / (high - low)

    marks, labels, top = [], [], TOP
    for height, (name, point) in zip(heights, points.items(), strict=True):
        y, top = top + height / 2, top + height
        labels.append(Tick(y - TEXT_HEIGHT * (len(wrapped[name]) - 1) / 2, name, wrapped[name]))
        ends = (
            (None, None) if point.low is None or point.high is None else (x(max(point.low, low)), x(min(point.high, high)))
        )
        marks.append(Mark(x(point.value), y, *ends, point.words(name)))
    ticks = tuple(Tick(x(v), f"{100 * v:.0f}") for v in _ticks(low, high))
    lines = tuple(Tick(x(v), f"{name} {100 * v:.1f}") for name, v in known.items())
    return DotPlot(title, caption, bottom + BOTTOM + 16, tuple(labels), ticks, lines, tuple(marks))


def line_plot(
    title: str,
    caption: str,
    x_label: str,
    categories: Sequence[str],
    series: Mapping[str, Sequence[Point | None]],
    connected: bool = True,
) -> LinePlot:
    """Accuracy of each method in each category; None where there is no query."""
    low, high = _range([p for points in series.values() for p in points if p], ())
    step = (WIDTH - LEFT - RIGHT) / max(len(categories), 1)
    spread = min(step * 0.6, 8.0 * (len(series) - 1))
    wrapped = [lines_of(name, step) for name in categories]
    height = LINE_HEIGHT + TEXT_HEIGHT * (max(map(len, wrapped), default=1) - 1)

    def y(value: float) -> float:
        return TOP + (LINE_HEIGHT - TOP - BOTTOM - BELOW) * (high - value) / (high - low)

    lines, first = [], _first(series)
    for s, (name, points) in enumerate(series.items()):
        shift = spread * (s / max(len(series) - 1, 1) - 0.5)
        marks = []
        for c, point in enumerate(points):
            if point is None:
                continue
            ends = (
                (None, None)
                if point.low is None or point.high is None
                else (y(max(point.low, low)), y(min(point.high, high)))
            )
            marks.append(Mark(LEFT + step * (c + 0.5) + shift, y(point.value), *ends, point.words(name, categories[c])))
        path = "M" + "L".join(f"{m.x:.1f} {m.y:.1f}" for m in marks) if connected and len(marks) > 1 else ""
        lines.append(Series(name, s, tuple(marks), path, name in first))
    names = tuple(Tick(LEFT + step * (c + 0.5), name, wrapped[c]) for c, name in enumerate(categories))
    ticks = tuple(Tick(y(v), f"{100 * v:.0f}") for v in _ticks(low, high))
    return LinePlot(title, caption, x_label, height, names, ticks, tuple(lines))


def _first(series: Mapping[str, Sequence[Point | None]]) -> frozenset[str]:
    """The series that are shown before the reader chooses: where there are many, those of the highest mean."""
    if len(series) <= MOST_AT_ONCE:
        return frozenset(series)
    means = {name: [p.value for p in points if p] for name, points in series.items()}
    order = sorted(series, key=lambda name: -(sum(means[name]) / len(means[name]) if means[name] else 0.0))
    return frozenset(order[:MOST_AT_ONCE])


def lines_of(text: str, width: float) -> tuple[str, ...]:
    """A label in lines that fit a width in drawing units, broken after spaces and signs where that is possible."""
    most = max(int(width / LETTER), 4)
    lines = [""]
    for word in re.findall(r"[^\s,;/=_–-]*[\s,;/=_–-]*", text):
        if len(lines[-1]) + len(word.rstrip()) > most and lines[-1]:
            lines.append("")
        lines[-1] += word
        while len(lines[-1].rstrip()) > most:
            lines[-1:] = [lines[-1][:most], lines[-1][most:]]
    return tuple(stripped for line in lines if (stripped := line.strip())) or ("",)


def heat_map(title: str, caption: str, values: Sequence[Sequence[float]]) -> HeatMap:
    """Layers as rows, heads as columns, coloured from 0 to the largest value."""
    from matplotlib import colormaps

    most = max((value for row in values for value in row), default=0.0) or 1.0
    colours = colormaps["viridis"]
    size = min(34.0, (WIDTH - LABELS) / max(len(values[0]), 1))

    def colour(value: float) -> str:
        return "#" + "".join(f"{round(255 * c):02x}" for c in colours(value / most)[:3])

    cells = tuple(
        Cell(LEFT + h * size, TOP + r * size, colour(value), f"layer {r}, head {h}: {value:.3g}")
        for r, row in enumerate(values)
        for h, value in enumerate(row)
    )
    rows = tuple(Tick(TOP + (r + 0.5) * size, str(r)) for r in range(len(values)))
    columns = tuple(Tick(LEFT + (h + 0.5) * size, str(h)) for h in range(len(values[0])))
    legend = tuple((colour(most * k / 4), f"{most * k / 4:.2g}") for k in range(5))
    return HeatMap(title, caption, TOP + size * len(values) + BOTTOM, size, rows, columns, cells, legend)


def _range(points: Sequence[Point], others: object) -> tuple[float, float]:
    values = [v for p in points for v in (p.value, p.low, p.high) if v is not None] + list(others)  # pyright: ignore
    low, high = max(0.0, min(values, default=0.0)), min(1.0, max(values, default=1.0))
    low, high = max(0.0, low - 0.03), min(1.0, high + 0.03)
    return (low, high) if high - low > 0.02 else (max(0.0, low - 0.05), min(1.0, low + 0.05))


def _ticks(low: float, high: float) -> list[float]:
    """Round shares in a range."""
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 7), 0.25)
    first = -int(-(low + 1e-9) // step) if low > 0 else 0
    return [k * step for k in range(first, int((high + 1e-9) / step) + 1)]
