"""Which run stands in which row and column, so that no column mixes what may not be compared."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchmarks.measure.statistics import Comparison, compare
from benchmarks.records.run import Run
from benchmarks.records.runs import differences
from falip.errors import UserError

PLAIN = "plain"

_DATASET_ORDER = ("refcoco", "refcoco_plus", "refcocog")
_SPLIT_ORDER = ("val", "testA", "testB", "test")


@dataclass(frozen=True)
class Column:
    """One way to ask: task, split, proposals, data version and task rules, subset."""

    task: str
    split: str
    proposals: str
    limit: int | None
    label: str
    tuned: bool = False

    @property
    def setting(self) -> tuple[str, int | None, bool]:
        """Columns of one setting may be averaged."""
        return self.proposals, self.limit, self.tuned


@dataclass(frozen=True)
class Row:
    """One way to answer: prompt with its parameters, backbone, text, approximation."""

    prompt: str
    backbone: str
    text: str
    approximation: str
    variant: str

    @property
    def method(self) -> str:
        """Name for people."""
        name = self.prompt + (f" ({self.variant})" if self.variant else "")
        return name if self.approximation == "none" else f"{name} [approximation: {self.approximation}]"


@dataclass(frozen=True)
class Paired:
    """A run's comparison with the baseline in its column, or why there is none."""

    baseline: Run | None
    result: Comparison | None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Table:
    """Runs of one kind of task, either all on the embedded world or all on published data."""

    kind: str
    embedded: bool
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    cells: Mapping[tuple[Row, Column], Run]
    baseline: str
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Stem of the table's files."""
        return f"{self.kind}_embedded" if self.embedded else self.kind

    @property
    def subset(self) -> bool:
        """Whether any column is a subset."""
        return any(run.subset for run in self.cells.values())

    @cached_property
    def pairs(self) -> dict[tuple[Row, Column], Paired]:
        """Each run that is not the baseline beside the baseline in its column."""
        return {
            place: _paired(run, row, column, self)
            for place, run in self.cells.items()
            for row, column in [place]
            if row.prompt != self.baseline
        }


def build(runs: Iterable[Run], baseline: str) -> list[Table]:
    """One table for each kind of task and for embedded and published data, never together.

    Raises:
        UserError: If a baseline was chosen that no run is of.
    """
    groups: dict[tuple[str, bool], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.kind, run.embedded), []).append(run)
    order = {"rec": 0, "classification": 1, "pointcloud": 2, "keypoint": 3}
    keys = sorted(groups, key=lambda key: (order.get(key[0], 9), key))
    tables = [_table(kind, embedded, groups[kind, embedded], baseline) for kind, embedded in keys]
    prompts = sorted({row.prompt for table in tables for row in table.rows})
    if baseline not in (PLAIN, *prompts) and prompts:
        raise UserError(f"--baseline {baseline}: no run is of this prompt. There are: {', '.join(prompts)}.")
    return tables


def _table(kind: str, embedded: bool, runs: Sequence[Run], baseline: str) -> Table:
    runs = sorted(runs, key=lambda run: run.run_id)
    columns = _columns(runs)
    rows = _rows(runs, columns)
    cells = {(rows[run.run_id], columns[run.run_id]): run for run in runs}
    ordered_rows = sorted(set(rows.values()), key=lambda row: _row_order(row, baseline))
    ordered_columns = sorted(set(columns.values()), key=_column_order)
    places = {
        (row, column): cells[row, column] for row in ordered_rows for column in ordered_columns if (row, column) in cells
    }
    notes = tuple(_text_notes(places))
    return Table(kind, embedded, tuple(ordered_columns), tuple(ordered_rows), places, baseline, notes)


def _column_order(column: Column) -> tuple[Any, ...]:
    dataset = column.task.partition("/")[2]
    return (
        _place(column.proposals, ("gt", "detected")),
        _place(dataset, _DATASET_ORDER),
        _place(column.split, _SPLIT_ORDER),
        column.label,
    )


def _row_order(row: Row, baseline: str) -> tuple[Any, ...]:
    return row.backbone, row.prompt != baseline, row.prompt, row.variant, row.text, row.approximation


def _place(name: str, known: Sequence[str]) -> tuple[int, str]:
    return (known.index(name) if name in known else len(known)), name


def _columns(runs: Sequence[Run]) -> dict[str, Column]:
    """The column of each run id; runs whose task identity differs never share one."""
    named: dict[tuple[Any, ...], dict[str, list[Run]]] = {}
    for run in runs:
        labels = run.labels
        name = (labels["task"], labels["split"], labels.get("proposals") or "", _limit(run))
        named.setdefault(name, {}).setdefault(_key(run.identity.get("task")), []).append(run)
    columns: dict[str, Column] = {}
    for (task, split, proposals, limit), versions in named.items():
        varying = differences(members[0].identity.get("task") for members in versions.values())
        for members, words in zip(versions.values(), _told_apart(versions, varying), strict=True):
            stamps = [proposals] if proposals else []
            stamps += [f"SUBSET of {limit if limit is not None else 'some'} samples"] if members[0].subset else []
            tuned = members[0].tuned
            stamps += ["TUNED on test labels"] if tuned else []
            stamps += [words] if words else []
            label = f"{task.partition('/')[2]} {split}" + (f" ({', '.join(stamps)})" if stamps else "")
            columns |= {run.run_id: Column(task, split, proposals, limit, label, tuned) for run in members}
    return columns


def _limit(run: Run) -> int | None:
    return run.identity.get("limit") if run.subset else None


def _rows(runs: Sequence[Run], columns: Mapping[str, Column]) -> dict[str, Row]:
    """The row of each run id; prompts or backbones with one label but other parameters are told apart."""
    named: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        labels = run.labels
        name = (labels["prompt"], labels["backbone"], labels.get("text") or "", run.approximation)
        named.setdefault(name, []).append(run)
    rows: dict[str, Row] = {}
    for (prompt, backbone, text, approximation), members in named.items():
        keys = _answer_keys(members, columns)
        distinct = list(dict.fromkeys(keys))
        varying = differences(json.loads(key) for key in distinct)
        variants = dict(zip(distinct, _told_apart(distinct, varying), strict=True))
        for run, key in zip(members, keys, strict=True):
            rows[run.run_id] = Row(prompt, backbone, text, approximation, variants[key])
    return rows


def _answer_keys(members: Sequence[Run], columns: Mapping[str, Column]) -> list[str]:
    """What tells the answers apart: prompt and backbone; within a column also the text, and who brought what was chosen.

    A text may depend on the data (the pool of captions to subtract), so between columns it gets a footnote
    instead.
    """

    def keys(parts: Sequence[str]) -> list[str]:
        return [_key({part: run.identity.get(part) for part in parts}) for run in members]

    coarse = keys(("prompt", "backbone"))
    places = list(zip(coarse, (columns[run.run_id] for run in members), strict=True))
    return coarse if len(set(places)) == len(places) else keys(("prompt", "backbone", "text", "packages"))


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def describe(leaves: Mapping[str, Any]) -> str:
    """Differing parameters in a few words, such as "alpha=0.5, layers=6"; what is not set goes unsaid."""
    leaves = {path: value for path, value in leaves.items() if value is not None}
    short = {path: path.rpartition(".")[2] for path in leaves}
    names = {p: s if list(short.values()).count(s) == 1 else p for p, s in short.items()}
    return ", ".join(f"{names[path]}={_brief(value)}" for path, value in leaves.items())


def _told_apart(keys: Iterable[str], varying: Iterable[Mapping[str, Any]]) -> list[str]:
    """A description of each variant, hashes left out where they are not needed; else with a piece of the key's own."""
    told = list(varying)
    words = [describe({path: value for path, value in leaves.items() if not _is_hash(value)}) for leaves in told]
    if len(set(words)) < len(words):
        words = [describe(leaves) for leaves in told]
    marks = [hashlib.sha256(key.encode()).hexdigest()[:6] for key in keys]
    return [text if words.count(text) == 1 else f"{text} #{mark}".strip() for text, mark in zip(words, marks, strict=True)]


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 24 else text[:12] + "..."


def _text_notes(cells: Mapping[tuple[Row, Column], Run]) -> list[str]:
    notes = []
    for row in dict.fromkeys(row for row, _ in cells):
        members = {column: run for (r, column), run in cells.items() if r == row}
        varying = differences(run.identity.get("text") for run in members.values())
        if any(varying):
            parts = "; ".join(f"{c.label}: {describe(leaves)}" for c, leaves in zip(members, varying, strict=True))
            notes.append(f"The text of {row.method} differs between columns ({parts}).")
    return notes


def _same_weights(run: Run, other: Run) -> bool:
    return run.labels["backbone"] == other.labels["backbone"] and _key(run.identity.get("backbone")) == _key(
        other.identity.get("backbone")
    )


def _paired(run: Run, row: Row, column: Column, table: Table) -> Paired:
    rivals = {
        r: rival
        for (r, c), rival in table.cells.items()
        if c == column and r.prompt == table.baseline and _same_weights(run, rival)
    }
    same_text = {r: rival for r, rival in rivals.items() if r.text == row.text}
    chosen = same_text or rivals
    if len(chosen) > 1:
        chosen = {r: rival for r, rival in chosen.items() if r.approximation == "none" and not r.variant} or chosen
    if not chosen:
        return Paired(None, None, f"no run of {table.baseline}")
    if len(chosen) > 1:
        return Paired(None, None, f"{len(chosen)} variants of {table.baseline}")
    baseline_row, rival = next(iter(chosen.items()))
    if run.metrics["accuracy"] is None or rival.metrics["accuracy"] is None:
        return Paired(rival, None, "nothing scored")
    reason = "" if baseline_row.text == row.text else f"the baseline's text is {baseline_row.text}"
    return Paired(rival, compare(run.frame, rival.frame, (run.name, rival.name)), reason)
