"""Published numbers as data.

The csv files beside this one hold the figures, one a row, each with its source. `cells.csv` says which of our results
answers to which of them, `averages.csv` which of our prompts a published average is of and over which splits, and
`reasons.csv` why nothing of ours can answer to the rest.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from falip.errors import UserError

FOLDER = Path(__file__).resolve().parent
CELLS, AVERAGES, REASONS, FILL_IN = "cells.csv", "averages.csv", "reasons.csv", "fill_in.csv"
COUNTS = "dataset_counts.csv"  # sizes of splits, and no results
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
_REASON_OF = {"file": "file", "paper_method": "method", "paper_backbone": "backbone", "paper_setting": "setting"}


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
        metric: Which of our metrics: accuracy, accuracy_exact, top1, top5, class_mean_top1, class_mean_top5 or chance.
        figure: What was published.
        rules: Overrides of the task that are part of the protocol, such as task.min_area=0.05.
    """

    task: str
    split: str
    proposals: str
    backbone: str
    prompt: str
    text: str
    metric: str
    figure: Figure
    rules: tuple[str, ...] = ()


def load_figures(folder: Path = FOLDER) -> list[Figure]:
    """All published numbers.

    Raises:
        UserError: If a file lacks a column, or a value is no number.
    """
    figures = []
    for path in sorted(folder.glob("*.csv")):
        if path.name in (CELLS, AVERAGES, REASONS, FILL_IN):
            continue
        for line, row in enumerate(rows_of(path, _COLUMNS), start=2):
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
    for line, row in enumerate(rows_of(folder / CELLS, (*ours, "rules", *theirs)), start=2):
        found = index.get(tuple(row[column] for column in theirs), [])
        if len(found) != 1:
            named = ", ".join(f"{column}={row[column]}" for column in theirs)
            raise UserError(f"{folder / CELLS}, line {line}: {len(found)} published numbers have {named}")
        rules = tuple(row["rules"].split())
        expectations.append(Expectation(**{name: row[name] for name in ours}, figure=found[0], rules=rules))
    return expectations


@dataclass(frozen=True)
class Average:
    """A published mean, and the results of ours that it is of.

    Attributes:
        kind: rec or pointcloud.
        prompt: Our label.
        backbone: Our label.
        text: Our label.
        proposals: Our label, or "" where there are none.
        over: Tasks and splits, such as rec/refcoco:testA. Where the source does not name them, all that its table can have.
        figure: What was published.
    """

    kind: str
    prompt: str
    backbone: str
    text: str
    proposals: str
    over: tuple[str, ...]
    figure: Figure

    @property
    def members(self) -> list[Expectation]:
        """What it is the mean of; each names the mean as its figure."""
        places = [place.split(":") for place in self.over]
        metric = "accuracy" if self.kind == "rec" else "top1"
        return [
            Expectation(task, split, self.proposals, self.backbone, self.prompt, self.text, metric, self.figure)
            for task, split in places
        ]


def load_averages(folder: Path = FOLDER) -> list[Average]:
    """Published averages.

    Raises:
        UserError: If a line of averages.csv names no published number, or more than one.
    """
    figures = [figure for figure in load_figures(folder) if figure.split == "avg"]
    ours, found = ("prompt", "backbone", "text", "proposals"), []
    for line, row in enumerate(rows_of(folder / AVERAGES, (*ours, "over", *_AVERAGE_OF)), start=2):
        named = [f for f in figures if all(getattr(f, field) == row[column] for column, field in _AVERAGE_OF.items())]
        if len(named) != 1:
            raise UserError(f"{folder / AVERAGES}, line {line}: {len(named)} published averages are of {dict(row)}")
        over = tuple(row["over"].split())
        kind = over[0].partition("/")[0]
        found.append(Average(kind, **{name: row[name] for name in ours}, over=over, figure=named[0]))
    return found


def load_reasons(folder: Path = FOLDER) -> dict[Figure, str]:
    """Why no result of ours can answer to some published numbers.

    A line of reasons.csv is about all figures that have what it names; an empty column leaves it open.

    Raises:
        UserError: If a line names no published number, or one that another line names too.
    """
    figures, reasons = load_figures(folder), {}
    for line, row in enumerate(rows_of(folder / REASONS, (*_REASON_OF, "reason")), start=2):
        wanted = {field: row[column] for column, field in _REASON_OF.items() if row[column]}
        named = [f for f in figures if f.file != COUNTS and all(getattr(f, k) == v for k, v in wanted.items())]
        twice = [f for f in named if f in reasons]
        if not named or twice:
            problem = "names a figure that an earlier line names" if twice else "names no published number"
            raise UserError(f"{folder / REASONS}, line {line}, {problem}: {dict(row)}")
        reasons |= dict.fromkeys(named, row["reason"])
    return reasons


def rows_of(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a file of this folder.

    Raises:
        UserError: If it lacks a column.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        missing = [column for column in columns if row.get(column) is None]
        if missing:
            raise UserError(f"{path} lacks the columns {', '.join(missing)}")
    return rows
