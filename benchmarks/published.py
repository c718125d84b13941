"""Published numbers as data, and how ours compare with them.

`results/published/*.csv` hold the figures, one a row, each with its source. `results/published/cells.csv`
says which of our results answers to which of them, and `averages.csv` which of our prompts a published average is of.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.runs import Run
from falip.errors import UserError

FOLDER = Path(__file__).resolve().parent.parent / "results" / "published"
CELLS, AVERAGES = "cells.csv", "averages.csv"
CLOSE = 0.5
MATCH, NEAR, DIFFERS = "match", "close", "differs"
NOT_RUN, NOT_COMPARABLE = "not run", "not comparable"
ANY = "*"
_COLUMNS = (
    "method",
    "backbone",
    "dataset",
    "split",
    "setting",
    "metric",
    "value",
    "source",
    "protocol_unknowns",
)
_AVERAGE_OF = {"file": "file", "paper_method": "method", "paper_setting": "setting"}


@dataclass(frozen=True)
class Figure:
    """A published number; `value` is text, since its decimals matter."""

    method: str
    backbone: str
    dataset: str
    split: str
    setting: str
    metric: str
    value: str
    source: str
    protocol_unknowns: str
    file: str


@dataclass(frozen=True)
class Expectation:
    """A published number that one of our results should come near.

    Several expectations may name one figure, where the source leaves open which of our prompts it means.

    Attributes:
        task: Our label, such as rec/refcoco.
        split: Our label.
        proposals: Our label, or "" where there are none.
        backbone: Our label, or "*" for any (chance does not depend on it).
        prompt: Our label, with the overrides that are part of it ("foveal,alpha=0.5"), or "*".
        text: Our label, or "*" where the source does not say.
        metric: Which of our metrics: accuracy, top1, top5, class_mean_top1, class_mean_top5 or chance.
        figure: What was published.
    """

    task: str
    split: str
    proposals: str
    backbone: str
    prompt: str
    text: str
    metric: str
    figure: Figure


@dataclass(frozen=True)
class Verdict:
    """An expectation beside what was measured; `ours` and `difference` in points, or None."""

    expectation: Expectation
    run: Run | None
    ours: float | None
    difference: float | None
    verdict: str
    reason: str = ""


def load_figures(folder: Path = FOLDER) -> list[Figure]:
    """All published numbers.

    Raises:
        UserError: If a file lacks a column, or a value is no number.
    """
    figures = []
    for path in sorted(folder.glob("*.csv")):
        if path.name in (CELLS, AVERAGES):
            continue
        for line, row in enumerate(_rows(path, _COLUMNS), start=2):
            try:
                float(row["value"])
            except ValueError as error:
                raise UserError(f"{path}, line {line}: {row['value']!r} is no number") from error
            figures.append(Figure(**{name: row[name] for name in _COLUMNS}, file=path.name))
    return figures


def load_expectations(folder: Path = FOLDER) -> list[Expectation]:
    """The published numbers that our results are held against.

    Raises:
        UserError: If a line of cells.csv names no published number, or more than one.
    """
    figures = load_figures(folder)
    ours = ("task", "split", "proposals", "backbone", "prompt", "text", "metric")
    theirs = {
        "file": "file",
        "paper_method": "method",
        "paper_backbone": "backbone",
        "paper_dataset": "dataset",
        "paper_split": "split",
        "paper_setting": "setting",
        "paper_metric": "metric",
    }
    index: dict[tuple[str, ...], list[Figure]] = {}
    for figure in figures:
        index.setdefault(tuple(getattr(figure, field) for field in theirs.values()), []).append(figure)
    expectations = []
    for line, row in enumerate(_rows(folder / CELLS, (*ours, *theirs)), start=2):
        found = index.get(tuple(row[column] for column in theirs), [])
        if len(found) != 1:
            named = ", ".join(f"{column}={row[column]}" for column in theirs)
            raise UserError(f"{folder / CELLS}, line {line}: {len(found)} published numbers have {named}")
        expectations.append(Expectation(**{name: row[name] for name in ours}, figure=found[0]))
    return expectations


@dataclass(frozen=True)
class Average:
    """A published mean over columns that the source does not name, and the prompt of ours that it is of."""

    kind: str
    prompt: str
    backbone: str
    figure: Figure


def load_averages(folder: Path = FOLDER) -> list[Average]:
    """Published averages.

    Raises:
        UserError: If a line of averages.csv names no published number, or more than one.
    """
    figures = [figure for figure in load_figures(folder) if figure.split == "avg"]
    found = []
    for line, row in enumerate(_rows(folder / AVERAGES, ("prompt", "backbone", *_AVERAGE_OF)), start=2):
        named = [f for f in figures if all(getattr(f, field) == row[column] for column, field in _AVERAGE_OF.items())]
        if len(named) != 1:
            raise UserError(f"{folder / AVERAGES}, line {line}: {len(named)} published averages are of {dict(row)}")
        kind = {"REC": "rec", "3D": "pointcloud"}.get(named[0].dataset, named[0].dataset)
        found.append(Average(kind, row["prompt"], row["backbone"], named[0]))
    return found


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        missing = [column for column in columns if row.get(column) is None]
        if missing:
            raise UserError(f"{path} lacks the columns {', '.join(missing)}")
    return rows


def lookup(
    expectations: Iterable[Expectation],
    task: str,
    split: str,
    backbone: str,
    prompt: str,
    metric: str = "accuracy",
) -> list[Expectation]:
    """Published numbers for a cell of ours, whatever their proposals and text."""
    wanted = {"task": task, "split": split, "metric": metric}
    loose = {"backbone": backbone, "prompt": prompt}
    return [
        expectation
        for expectation in expectations
        if all(getattr(expectation, key) == value for key, value in wanted.items())
        and all(getattr(expectation, key) in (value, ANY) for key, value in loose.items())
    ]


def judge(ours: float, printed: str) -> tuple[float, str]:
    """Difference in points, and the verdict.

    Args:
        ours: In per cent.
        printed: As in the paper; "match" means equal to its decimals.
    """
    decimals = len(printed.partition(".")[2])
    difference = ours - float(printed)
    if abs(difference) <= 0.5 * 10**-decimals + 1e-9:
        return difference, MATCH
    return difference, NEAR if abs(difference) <= CLOSE + 1e-9 else DIFFERS


def comparability(run: Run, expectation: Expectation) -> str:
    """Why a run's number may not stand beside a published one; "" if it may."""
    labels = run.labels
    reasons = []
    if run.embedded:
        reasons.append("embedded data")
    if run.subset:
        reasons.append("subset")
    if run.unchecked:
        reasons.append("the split's counts were not checked")
    if expectation.proposals and labels.get("proposals") != expectation.proposals:
        reasons.append(f"proposals {labels.get('proposals')}, published {expectation.proposals}")
    if expectation.backbone not in (ANY, _without_place(labels["backbone"])):
        reasons.append(f"backbone {labels['backbone']}, published {expectation.backbone}")
    if expectation.text not in (ANY, labels.get("text")):
        reasons.append(f"text {labels.get('text')}, published {expectation.text}")
    if run.approximation != "none":
        reasons.append(f"approximation {run.approximation}")
    if run.rules:
        reasons.append(f"overrides {', '.join(run.rules)}")
    return "; ".join(reasons)


def _without_place(backbone: str) -> str:
    """A backbone's label without the place that its weights were read from (backbone.name=/a/folder)."""
    choice, *overrides = backbone.split(",")
    return ",".join([choice, *(o for o in overrides if not o.startswith("name="))])


def verdicts(runs: Iterable[Run], expectations: Iterable[Expectation]) -> list[Verdict]:
    """Every expectation beside the runs that answer to it, in the order of the expectations."""
    runs = [run for run in runs if not run.embedded]
    results = []
    for expectation in expectations:
        candidates = [run for run in runs if _answers(run, expectation)]
        fitting = [run for run in candidates if not comparability(run, expectation)]
        if expectation.prompt == ANY:
            fitting, candidates = fitting[:1], candidates[:1]  # the same for every prompt
        if not candidates:
            results.append(Verdict(expectation, None, None, None, NOT_RUN))
        for run in fitting:
            ours = points(run.metrics, expectation.metric)
            if ours is None:
                results.append(Verdict(expectation, run, None, None, NOT_COMPARABLE, f"no {expectation.metric}"))
                continue
            difference, verdict = judge(ours, expectation.figure.value)
            place = run.labels["backbone"].partition("name=")[2]
            reason = f"weights from {place}" if place else ""
            results.append(Verdict(expectation, run, ours, difference, verdict, reason))
        if not fitting:
            results.extend(
                Verdict(
                    expectation,
                    run,
                    points(run.metrics, expectation.metric),
                    None,
                    NOT_COMPARABLE,
                    comparability(run, expectation),
                )
                for run in candidates
            )
    return results


def contradicted(found: Iterable[Verdict]) -> list[Verdict]:
    """Results that differ from a figure that no other result of ours reproduces."""
    found = list(found)
    reproduced = {v.expectation.figure for v in found if v.verdict in (MATCH, NEAR)}
    return [v for v in found if v.verdict == DIFFERS and v.expectation.figure not in reproduced]


def _answers(run: Run, expectation: Expectation) -> bool:
    same = run.labels["task"] == expectation.task and run.labels["split"] == expectation.split
    return same and expectation.prompt in (ANY, run.labels["prompt"])


def points(metrics: Mapping[str, Any], metric: str) -> float | None:
    """A metric in per cent."""
    value = metrics.get(metric)
    return None if value is None else 100.0 * float(value)
