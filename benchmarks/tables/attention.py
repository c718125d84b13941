"""Where the model looks: the share of its attention on the answer's region, of runs with `metrics.attention=true`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.measure import formats
from benchmarks.measure.attention import COLUMNS, OnTarget, half_width, lift_difference, on_target
from benchmarks.measure.statistics import RESAMPLES, BootstrapDifference, Interval
from benchmarks.records.run import Run
from benchmarks.tables.layout import Column, Row, Table
from benchmarks.tables.render import Grid

_NOTE = (
    "Attention: share of the pooled token's attention that lies on the tokens of the answer's region, mean of the last "
    "four layers and of their heads. Share: that of the region among the patches. Lift: attention by share, query by "
    "query; attention spread evenly over the patches has 1, less what the pooled token attends to itself. A view that "
    "shows the region alone (crop) has by definition a share of 100 %, so its lift is at most 1. Of a read-out, whose "
    "embedding is not the pooled token, it is the likeness of each patch to that embedding (its similarity map, from 0 for "
    "the least alike), which has one head. Heads: the least and the largest lift of a head. Differences in "
    f"lift are paired by query: cluster bootstrap ({RESAMPLES:,} resamples, seed 0) with two-sided p."
)
_HEADER = ("Data", "Attention %", "Share %", "Lift", "Heads", "Queries")


def measures(run: Run) -> bool:
    """Whether a run has measured attention."""
    return bool((run.identity.get("metrics") or {}).get("attention"))


def attention_grid(table: Table, names: Mapping[Row, Sequence[str]], header: Sequence[str]) -> Grid | None:
    """Attention on target of each run that measured it, with the paired difference from the baseline.

    Args:
        table: Its runs.
        names: How each row is called.
        header: Of those names.

    Returns:
        The grid; None where nothing was measured.
    """
    body = []
    for (row, column), (found, difference) in looked_up(table).items():
        heads = f"{min(found.heads):.2f} to {max(found.heads):.2f}"
        cells = (_spread(found.attention, 100, 1), formats.percent(found.share), _spread(found.lift, 1, 3), heads)
        body.append((*names[row], column.label, *cells, str(found.lift.n), *_difference(difference)))
    if not body:
        return None
    head = (*header, *_HEADER, f"Lift less {table.baseline}", "95 % interval", "p")
    return Grid("Attention on target", head, tuple(body), after=(_NOTE,))


def looked_up(table: Table) -> dict[tuple[Row, Column], tuple[OnTarget, BootstrapDifference | None]]:
    """For each run that measured attention what it found, and by how much its lift differs from the baseline's."""
    records = {run.run_id: run.records(COLUMNS) for run in table.cells.values() if measures(run)}
    found = {}
    for place, run in table.cells.items():
        mine = on_target(records[run.run_id]) if run.run_id in records else None
        if mine:
            found[place] = mine, _against(table, place, run, records)
    return found


def attention_cells(table: Table) -> dict[tuple[Row, Column], dict[str, Any]]:
    """The same as columns of the tidy table, empty for runs without; {} where no run measured it."""
    found = looked_up(table)
    return {place: _cells(*found.get(place, (None, None))) for place in table.cells} if found else {}


def _against(
    table: Table, place: tuple[Row, Column], run: Run, records: Mapping[str, pd.DataFrame]
) -> BootstrapDifference | None:
    pair = table.pairs.get(place)
    rival = pair.baseline if pair else None
    if rival is None or rival.run_id not in records:
        return None
    return lift_difference(records[run.run_id], records[rival.run_id], (run.name, rival.name))


def _spread(interval: Interval, factor: float, decimals: int) -> str:
    half = half_width(interval)
    text = f"{factor * interval.mean:.{decimals}f}"
    return text + ("" if half is None else f" ± {factor * half:.{decimals}f}") + formats.few(interval.clusters)


def _difference(found: BootstrapDifference | None) -> tuple[str, str, str]:
    if found is None:
        return formats.EMPTY, formats.EMPTY, formats.EMPTY
    ends = "none" if math.isnan(found.low) else f"[{formats.signed(found.low, 3)}, {formats.signed(found.high, 3)}]"
    return formats.signed(found.difference, 3), ends + formats.few(found.clusters), formats.p_value(found.p_value)


def _cells(found: OnTarget | None, difference: BootstrapDifference | None) -> dict[str, Any]:
    known = difference if difference and not math.isnan(difference.low) else None
    return {
        "attention_on_target": found and found.attention.mean,
        "attention_half_width": found and half_width(found.attention),
        "region_share": found and found.share,
        "lift": found and found.lift.mean,
        "lift_half_width": found and half_width(found.lift),
        "lift_by_head": " ".join(f"{head:.4f}" for head in found.heads) if found else None,
        "lift_difference": difference and difference.difference,
        "lift_difference_low": known and known.low,
        "lift_difference_high": known and known.high,
        "p_lift": known and known.p_value,
    }
