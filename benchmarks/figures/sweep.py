"""Accuracy by one parameter of the prompt, a line for each set of runs that differ in nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.records.run import Run
from benchmarks.records.runs import differences, find, usable
from benchmarks.settings.identity import leaves
from benchmarks.tables.layout import Column, build, describe
from falip.errors import UserError
from falip.picture import drawing

COLUMNS = 2
DECADE = 10.0
_COLOURS = (drawing.BLUE, drawing.VERMILION, drawing.GREEN, drawing.ORANGE, drawing.GREY)
_MARKS = "os^Dv"

Line = Mapping[float, Run]
Lines = Mapping[str, Line]


def draw(root: Path, parameter: str, by: str | None = None, experiment: str | None = None) -> Figure:
    """A panel for each task and split; intervals are the runs' own, 95 % by default.

    Args:
        root: Folder of runs; the newest finished ones are shown, subsets among them.
        parameter: A number of the prompt, as run.json has it ("alpha", "prompts.0.alpha").
        by: Another one, which the lines are named by and ordered by; the others that differ are named too.
        experiment: Only runs that it asked for.

    Raises:
        UserError: If no runs differ in the parameter alone.
    """
    runs = [run for run in find(root).runs if experiment is None or run.in_experiment(experiment)]
    runs = usable(runs, allow_subset=True).runs
    panels: dict[tuple[str, Column], Lines] = {}
    for table in build(runs, "plain"):
        for column in table.columns:
            lines = _lines([run for (_, c), run in table.cells.items() if c == column], parameter, by)
            if lines:
                panels[table.kind, column] = lines
    if not panels:
        raise UserError(_nothing(runs, root, parameter, experiment))
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = drawing.new_figure(5.2 * columns, 3.6 * rows + 0.3)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, ((kind, column), lines) in zip(axes, panels.items(), strict=False):
        _panel(axis, parameter, lines)
        drawing.title(axis, f"{kind} {column.label}")
    for axis in axes[len(panels) :]:
        axis.axis("off")
    figure.suptitle(f"Accuracy by {drawing.literal(parameter)}", fontsize=drawing.FONT_SIZE + 1)
    return figure


def _numbers(run: Run) -> dict[str, Any]:
    """The numbers of a run's prompt by their dotted names; parts of a list are numbered."""
    prompt = run.identity.get("prompt")
    found = leaves(_numbered(prompt)) if isinstance(prompt, Mapping) else ()
    return {name: value for name, value in found if type(value) in (int, float) and name.rpartition(".")[2] != "version"}


def _numbered(tree: Any) -> Any:
    """Lists as mappings from 0, 1, ... so that what stands in them has a dotted name too."""
    if isinstance(tree, Mapping):
        return {key: _numbered(value) for key, value in tree.items()}
    return {str(i): _numbered(value) for i, value in enumerate(tree)} if isinstance(tree, list) else tree


def _lines(runs: Iterable[Run], parameter: str, by: str | None) -> Lines:
    """Runs that differ in the parameter alone, by what tells their lines apart."""
    families: dict[str, dict[float, Run]] = {}
    for run in runs:
        numbers = _numbers(run)
        if parameter not in numbers or run.metrics["accuracy"] is None:
            continue
        prompt = {name: value for name, value in leaves(_numbered(run.identity["prompt"])) if name != parameter}
        others = {key: run.identity.get(key) for key in ("backbone", "text", "approximation", "packages")}
        rest = {"prompt": prompt, **others}
        families.setdefault(json.dumps(rest, sort_keys=True, default=str), {})[float(numbers[parameter])] = run
    families = {rest: line for rest, line in families.items() if len(line) > 1}
    told = [_named(words, rest, by) for words, rest in zip(differences(map(json.loads, families)), families, strict=True)]
    order = sorted(zip(told, families.values(), strict=True), key=lambda pair: pair[0])
    return {(words or f"line {i + 1}"): dict(sorted(line.items())) for i, ((_, words), line) in enumerate(order)}


def _named(varying: Mapping[str, Any], rest: str, by: str | None) -> tuple[list[float], str]:
    """What a line is ordered by, and its name."""
    prompt = json.loads(rest)["prompt"]
    value = prompt.get(by) if by else None
    others = {name: value for name, value in varying.items() if name != f"prompt.{by}"}
    words = [f"{by} {value}"] if by else []
    words += [described] if (described := describe(others)) else []
    ordering = [value] if by else varying.values()
    order = [float(one) if isinstance(one, int | float) else math.inf for one in ordering]
    return order, ", ".join(words) or str(prompt.get("type", ""))


def _panel(axes: Axes, parameter: str, lines: Lines) -> None:
    values = np.array(sorted({value for line in lines.values() for value in line}))
    for (name, line), colour, mark in zip(lines.items(), cycle(_COLOURS), cycle(_MARKS), strict=False):
        heights, intervals = _accuracies(list(line.values()))
        axes.errorbar(
            list(line), heights, yerr=intervals, color=colour, marker=mark, ms=4, lw=1.2, capsize=2,
            label=drawing.literal(name),
        )  # fmt: skip
    if values[0] > 0 and values[-1] > DECADE * values[0]:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.set_xlabel(drawing.literal(parameter), fontsize=drawing.FONT_SIZE)
    axes.set_ylabel("accuracy, %", fontsize=drawing.FONT_SIZE)
    axes.tick_params(labelsize=drawing.FONT_SIZE - 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.1)
    axes.legend(fontsize=drawing.FONT_SIZE - 2, frameon=False)


def _accuracies(runs: Sequence[Run]) -> tuple[list[float], np.ndarray]:
    """Accuracies in per cent, and how far their intervals reach below and above; NaN where there is none."""
    heights = [100 * run.metrics["accuracy"] for run in runs]
    bounds = [(run.metrics["interval"]["low"], run.metrics["interval"]["high"]) for run in runs]
    ends = np.array([[math.nan if end is None else 100 * end for end in pair] for pair in bounds])
    return heights, np.abs(ends - np.array(heights)[:, None]).T


def _nothing(runs: Sequence[Run], root: Path, parameter: str, experiment: str | None) -> str:
    where = f"under {root}" + (f" of the experiment {experiment}" if experiment else "")
    if not runs:
        return f"There are no finished runs {where}. Make some with: falip sweep prompt=foveal prompt.alpha=0.1,0.2,0.5."
    known = sorted({name for run in runs for name in _numbers(run)})
    if parameter in known:
        return f"No two finished runs {where} differ in {parameter} alone: falip sweep prompt.{parameter}=A,B,C makes some."
    return f"--x {parameter}: no prompt of the runs {where} has such a number. There are: {', '.join(known) or 'none'}."
