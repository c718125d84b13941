"""Accuracy among base and among new classes, and their harmonic mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.data.class_split import part_of
from benchmarks.measure import formats
from benchmarks.tables.layout import Column, Row, Table
from benchmarks.tables.render import Grid

_NOTE = (
    "H: the harmonic mean of both accuracies, as CoCoOp reports it. Each part is classified among its own classes alone. "
    "Both are the same model's; what it was trained on is its own matter."
)


def base_new_grid(table: Table, names: Mapping[Row, Sequence[str]], header: Sequence[str]) -> Grid | None:
    """The two parts of each data set that a row has over both its base and its new classes.

    Args:
        table: Its runs.
        names: How each row is called.
        header: Of those names.

    Returns:
        The grid; None where no row has both parts of a data set.
    """
    parts: dict[tuple[Row, str], dict[str, Column]] = {}
    for (row, column), run in table.cells.items():
        if run.metrics["accuracy"] is not None:
            key = row, _shared(run.identity)
            parts.setdefault(key, {})[part_of(run.identity)] = column
    body = []
    for (row, _), columns in parts.items():
        if {"base", "new"} <= columns.keys():
            base, new = (table.cells[row, columns[part]].metrics for part in ("base", "new"))
            h = formats.percent(harmonic_mean(base["accuracy"], new["accuracy"]))
            cells = (columns["base"].label, formats.accuracy(base), columns["new"].label, formats.accuracy(new), h)
            body.append((*names[row], *cells))
    if not body:
        return None
    titles = ("Base classes", "Accuracy", "New classes", "Accuracy", "H")
    return Grid("Base and new classes", (*header, *titles), tuple(body), after=(_NOTE,))


def harmonic_mean(a: float, b: float) -> float:
    """Of two shares; 0 where one is 0."""
    return 2 * a * b / (a + b) if a and b else 0.0


def _shared(identity: Mapping[str, Any]) -> str:
    """What a run over base classes and its counterpart over new ones have in common: all but the part and its pictures."""
    task = identity.get("task") or {}
    data = {key: value for key, value in (task.get("dataset") or {}).items() if key not in ("classes", "pictures")}
    return json.dumps([{**task, "dataset": data}, identity.get("limit")], sort_keys=True, default=str)
