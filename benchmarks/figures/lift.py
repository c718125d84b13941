"""Who looks where, and who is right: lift of the attention on the answer's region against accuracy, by method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.measure.attention import OnTarget, half_width
from benchmarks.records.run import Run
from benchmarks.records.runs import find, usable
from benchmarks.tables.attention import looked_up, measures
from benchmarks.tables.layout import Column, Row, Table, build
from falip.errors import UserError
from falip.picture import drawing

COLUMNS = 3
_COLOURS = (drawing.BLUE, drawing.VERMILION, drawing.GREEN, drawing.ORANGE, drawing.GREY)


def draw(root: Path, experiment: str | None = None) -> Figure:
    """A panel for each task and split, a point with 95 % intervals for each method.

    Args:
        root: Folder of runs; the newest finished ones that measured attention are shown, subsets among them.
        experiment: Only runs that it asked for.

    Raises:
        UserError: If there are none.
    """
    found = find(root)
    runs = [run for run in found.runs if measures(run) and (experiment is None or run.in_experiment(experiment))]
    tables = build(usable(runs, allow_subset=True).runs, "plain")
    panels = [(table, column) for table in tables for column in table.columns]
    points = [_points(table, column) for table, column in panels]
    shown = [(panel, values) for panel, values in zip(panels, points, strict=True) if values]
    if not shown:
        raise UserError(
            f"There are no finished runs with attention under {root}. Make some with: falip run "
            "+experiment=table_lift, or with metrics.attention=true on any run."
        )
    columns = min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = drawing.new_figure(4.6 * columns, 3.5 * rows + 0.4)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, ((table, column), values) in zip(axes, shown, strict=False):
        _panel(axis, table, column, values)
    for axis in axes[len(shown) :]:
        axis.axis("off")
    figure.suptitle("Attention on the answer's region, and accuracy", fontsize=drawing.FONT_SIZE + 1)
    return figure


Points = Sequence[tuple[str, OnTarget, Run]]


def _points(table: Table, column: Column) -> Points:
    several = len({row.backbone for row in table.rows}) > 1
    found = ((row, run, looked) for (row, c), run, looked in _looked(table) if c == column)
    return [(row.method + (f", {row.backbone}" if several else ""), looked, run) for row, run, looked in found]


def _looked(table: Table) -> list[tuple[tuple[Row, Column], Run, OnTarget]]:
    return [(place, table.cells[place], mine) for place, (mine, _) in looked_up(table).items()]


def _panel(axes: Axes, table: Table, column: Column, points: Points) -> None:
    for i, (name, looked, run) in enumerate(points):
        interval = run.metrics["interval"]
        x, y, colour = looked.lift.mean, 100 * run.metrics["accuracy"], _COLOURS[i % len(_COLOURS)]
        up = None if interval["low"] is None else [[y - 100 * interval["low"]], [100 * interval["high"] - y]]
        axes.errorbar(x, y, xerr=half_width(looked.lift), yerr=up, fmt="o", color=colour, ms=5, capsize=2)
        place, words = (6, 5), drawing.literal(name)
        axes.annotate(words, (x, y), place, textcoords="offset points", fontsize=drawing.FONT_SIZE - 1, color=colour)
    axes.axvline(1.0, color=drawing.GREY, lw=0.8, ls=":")
    axes.margins(x=0.22, y=0.12)
    axes.set_xlabel("lift: share of the attention / share of the patches", fontsize=drawing.FONT_SIZE)
    axes.set_ylabel("accuracy, %", fontsize=drawing.FONT_SIZE)
    axes.tick_params(labelsize=drawing.FONT_SIZE - 1)
    axes.spines[["top", "right"]].set_visible(False)
    drawing.title(axes, f"{table.kind} {column.label}")
