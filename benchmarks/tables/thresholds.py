"""The threshold of "none" that is best on a split that is no test, for use on those that are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measure import formats
from benchmarks.measure.metrics import scored
from benchmarks.measure.thresholds import CHOSEN_ON, best_threshold
from benchmarks.tables.layout import Row, Table
from benchmarks.tables.render import Grid


def threshold_grid(table: Table, names: Mapping[Row, Sequence[str]], header: Sequence[str]) -> Grid | None:
    """For each run on train or val that may answer "none" its threshold, and the best one there.

    Args:
        table: Its runs.
        names: How each row is called.
        header: Of those names.

    Returns:
        The grid; None where there is no such run.
    """
    body = []
    for (row, column), run in table.cells.items():
        used = _task(run.identity).get("none_below")
        if used is None or column.split not in CHOSEN_ON or run.metrics["accuracy"] is None:
            continue
        records = run.records(("status", "scores", "candidate_correct"))
        best = best_threshold(records)
        # "None" has the threshold as often as scores of components are summed.
        stored = float(scored(records)["scores"].iloc[0][-1])
        value = best.score * used / stored if stored else best.score
        body.append((*names[row], column.label, f"{used:g}", f"{value:.3f}", formats.percent(best.accuracy)))
    if not body:
        return None
    note = "Chosen on this very split: give it as task.none_below=... on a test split, and report the accuracy there."
    return Grid(
        "Threshold of none", (*header, "Data", "Used", "Best here", "Accuracy with it"), tuple(body), before=(note,)
    )


def _task(identity: Mapping[str, Any]) -> Mapping[str, Any]:
    return identity.get("task") or {}
