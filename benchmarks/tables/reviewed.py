"""All expressions beside those that a review found right, from one run of all of them with the verdicts as slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.data.reviewed import RIGHT
from benchmarks.measure import formats
from benchmarks.measure.statistics import compare
from benchmarks.records.run import Run
from benchmarks.tables.layout import Row, Table
from benchmarks.tables.render import Grid

_PAIRED = ("difference", "95 % interval", "p")
HEADER = ("Data", "All", "Reviewed", "Gain", *(f"{rows}: {name}" for rows in ("All", "Reviewed") for name in _PAIRED))


def reviewed_grid(table: Table, names: Mapping[Row, Sequence[str]], header: Sequence[str]) -> Grid | None:
    """Accuracy on all rows and on the reviewed ones, and the paired difference from the baseline on each.

    Args:
        table: Whose runs have verdicts as slices where they were asked with `task.rows=flagged`.
        names: How each row is called.
        header: Of those names.

    Returns:
        The grid; None where no run has verdicts.
    """
    found = {place: run for place, run in table.cells.items() if RIGHT in run.metrics["slices"]}
    if not found:
        return None
    body = []
    for (row, column), run in found.items():
        every, right = run.metrics["accuracy"], run.metrics["slices"][RIGHT]
        pair = table.pairs.get((row, column))
        rival = pair.baseline if pair and pair.result else None
        differences = [*_difference(run, rival, None), *_difference(run, rival, RIGHT)]
        counts = (
            f"{formats.percent(every)} ({run.metrics['counts']['n']})",
            f"{formats.percent(right['accuracy'])} ({right['n']})",
        )
        body.append((*names[row], column.label, *counts, formats.signed(100 * (right["accuracy"] - every)), *differences))
    note = (
        "Reviewed: expressions that the authors of Ref-L4 found right; in brackets the number. Differences from "
        f"{table.baseline} in points, pair by pair on the same expressions."
    )
    return Grid("All and reviewed expressions", (*header, *HEADER), tuple(body), before=(note,))


def _difference(run: Run, rival: Run | None, part: str | None) -> tuple[str, ...]:
    if rival is None:
        return (formats.EMPTY,) * len(_PAIRED)
    first, second = (one.frame if part is None else one.frame.loc[one.frame["slice"] == part] for one in (run, rival))
    return formats.comparison(compare(first, second, (run.name, rival.name)))[: len(_PAIRED)]
