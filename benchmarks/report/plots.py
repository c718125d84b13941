"""Which charts a table of runs has: methods, proposals, target size, parameters, slices, heads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.measure.metrics import scored
from benchmarks.measure.statistics import FEWEST_CLUSTERS, cluster_interval
from benchmarks.records.run import Run
from benchmarks.report.charts import DotPlot, HeatMap, LinePlot, Point, dot_plot, heat_map, line_plot
from benchmarks.tables.layout import Column, Table

Chart = DotPlot | LinePlot | HeatMap
MOST_BINS = 6
MOST_SLICES = 12
_DRAWN = ["id", "group", "slice", "candidates", "correct", "status", "target_share"]
_FEW = f"where there are {FEWEST_CLUSTERS} samples and more"


def methods_of(table: Table, column: Column) -> dict[str, Run]:
    """The runs of a column by a name for people; backbone and text are named where they differ."""
    rows = [row for row in table.rows if (row, column) in table.cells]
    several = [key for key in ("backbone", "text") if len({getattr(row, key) for row in rows}) > 1]
    names = {", ".join([row.method, *(getattr(row, key) for key in several)]): row for row in rows}
    return {name: table.cells[row, column] for name, row in names.items()}


def column_charts(table: Table, column: Column) -> list[Chart]:
    """The charts of one column.

    Args:
        table: The table.
        column: One of its columns.
    """
    runs = methods_of(table, column)
    frames = {name: scored(run.frame.loc[:, _DRAWN]) for name, run in runs.items()}
    # One column needs no name in the titles of its charts.
    column = column if len(table.columns) > 1 else replace(column, label="")
    charts: list[Chart | None] = [_methods(column, runs)]
    if table.kind == "rec":
        charts.append(_proposals(column, frames))
    charts.append(_sizes(column, frames))
    charts.append(_slices(column, frames))
    charts += [_sensitivity(column, list(runs.values()), name) for name in ("alpha", "sigma")]
    return [chart for chart in charts if chart is not None]


def responses_chart(column: Column, method: str, values: np.ndarray, samples: int) -> HeatMap:
    """Mean response of each head, (layers, heads)."""
    caption = (
        "How much the prompt changes what each head puts into the CLS output: the norm of G'h − Gh, of FALIP's paper, mean "
        f"over the decisions in {samples} samples; rows are layers, columns are heads."
    )
    return heat_map(_titled(f"Head response: {method}", column), caption, values.tolist())


def _titled(words: str, column: Column) -> str:
    return f"{words}: {column.label}" if column.label else words


def point(rows: pd.DataFrame) -> Point | None:
    """Accuracy of some records with its clustered interval."""
    if not len(rows):
        return None
    found = cluster_interval(rows["correct"], rows["group"])
    known = not np.isnan(found.low)
    return Point(found.mean, found.low if known else None, found.high if known else None, found.n)


def _methods(column: Column, runs: Mapping[str, Run]) -> Chart | None:
    points = {name: p for name, run in runs.items() if (p := point(scored(run.frame)))}
    if not points:
        return None
    points = dict(sorted(points.items(), key=lambda item: -item[1].value))
    metrics = next(iter(runs.values())).metrics
    references = {"chance": metrics["chance"]}
    if metrics["oracle"] is not None and metrics["oracle"] < 1:
        references["oracle"] = metrics["oracle"]
    return dot_plot(
        _titled("Methods", column),
        "Accuracy in per cent, the best first; 95 % interval clustered by image.",
        points,
        references,
    )


def _proposals(column: Column, frames: Mapping[str, pd.DataFrame]) -> Chart | None:
    bins = _bins(np.concatenate([np.asarray(f["candidates"], float) for f in frames.values()]), whole=True)
    found = _binned(bins, frames, lambda frame: np.asarray(frame["candidates"], float))
    title = _titled("Accuracy and number of proposals", column)
    return found and line_plot(title, f"Per cent, with 95 % intervals {_FEW}.", "candidate boxes in the image", *found)


def _sizes(column: Column, frames: Mapping[str, pd.DataFrame]) -> Chart | None:
    """Over the queries whose target has a size; records of earlier versions have none."""
    known = {name: frame.loc[frame["target_share"].notna()] for name, frame in frames.items()}
    known = {name: frame for name, frame in known.items() if len(frame)}
    if not known:
        return None
    bins = _bins(np.concatenate([_percent(frame) for frame in known.values()]), whole=False)
    found = _binned(bins, known, _percent)
    title, axis = _titled("Accuracy and target size", column), "target, % of the image's area"
    return found and line_plot(title, f"Per cent, with 95 % intervals {_FEW}.", axis, *found)


def _percent(frame: pd.DataFrame) -> np.ndarray:
    return 100 * np.asarray(frame["target_share"], float)


def _bins(values: np.ndarray, whole: bool) -> list[tuple[float, float, str]]:
    """Ranges (from, to, label) that hold the values: each number for itself, or quantiles."""
    distinct = np.unique(values)
    if whole and len(distinct) <= MOST_BINS + 2:
        return [(v, v, f"{v:.0f}") for v in distinct]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, MOST_BINS + 1)))
    if len(edges) < 2:
        return [(v, v, f"{v:.1f}") for v in edges]
    if whole:
        starts = np.unique(np.floor(edges))
        ends = [*(starts[1:-1] - 1), starts[-1]]
        return [(a, b, f"{a:.0f}" if a == b else f"{a:.0f}–{b:.0f}") for a, b in zip(starts[:-1], ends, strict=True)]
    nudged = np.nextafter(edges[1:-1], -np.inf)
    return [(a, b, f"{a:.1f}–{b:.1f}") for a, b in zip(edges[:-1], [*nudged, edges[-1]], strict=True)]


def _binned(
    bins: Sequence[tuple[float, float, str]],
    frames: Mapping[str, pd.DataFrame],
    values: Callable[[pd.DataFrame], np.ndarray],
) -> tuple[list[str], dict[str, list[Point | None]]] | None:
    if len(bins) < 2:
        return None
    series = {}
    for name, frame in frames.items():
        column = values(frame)
        series[name] = [point(frame.loc[(column >= low) & (column <= high)]) for low, high, _ in bins]
    return [label for _, _, label in bins], series


def _slices(column: Column, frames: Mapping[str, pd.DataFrame]) -> Chart | None:
    names = sorted({name for frame in frames.values() for name in frame["slice"]} - {""})
    if not 2 <= len(names) <= MOST_SLICES:
        return None
    series = {method: [point(frame.loc[frame["slice"] == name]) for name in names] for method, frame in frames.items()}
    caption = f"Accuracy in per cent, with 95 % intervals {_FEW}."
    return line_plot(_titled("Slices", column), caption, "", names, series, connected=False)


def _sensitivity(column: Column, runs: Iterable[Run], name: str) -> Chart | None:
    """Foveal runs that differ in one parameter alone."""
    families: dict[str, dict[float, Run]] = {}
    for run in runs:
        prompt = run.identity.get("prompt")
        if not isinstance(prompt, Mapping) or prompt.get("type") != "Foveal" or type(prompt.get(name)) not in (int, float):
            continue
        rest = {key: value for key, value in prompt.items() if key != name}
        other = [run.identity.get(key) for key in ("backbone", "text", "approximation")]
        key = json.dumps([rest, other], sort_keys=True, default=str)
        families.setdefault(key, {})[float(prompt[name])] = run
    varied = [family for family in families.values() if len(family) > 1]
    if not varied:
        return None
    values = sorted({value for family in varied for value in family})
    series = {_family_name(f, name): [point(scored(f[v].frame)) if v in f else None for v in values] for f in varied}
    unit = " (tokens)" if name == "sigma" else ""
    title = _titled(f"Sensitivity to {name}", column)
    caption = "Accuracy of foveal runs that differ in nothing else, in per cent."
    return line_plot(title, caption, name + unit, [f"{v:g}" for v in values], series)


def _family_name(family: Mapping[float, Run], name: str) -> str:
    prompt: Mapping[str, Any] = next(iter(family.values())).identity["prompt"]
    others = ", ".join(
        f"{key} {prompt[key]}" for key in ("alpha", "sigma", "layers", "mask_form") if key != name and key in prompt
    )
    return f"foveal ({others})"
