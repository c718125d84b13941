"""The numbers of a table as tidy CSV: one row for each run, and one for each slice of a run."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.published.verdicts import NOT_RUN, Verdict
from benchmarks.records.run import Run
from benchmarks.tables.attention import attention_cells
from benchmarks.tables.layout import Column, Paired, Row, Table

_CLASS = ("top1", "top5", "class_mean_top1", "class_mean_top5")
_CLASS_MEANS = ("classes", "top5", "macc1", "macc5", "macc1_float16", "macc5_float16")


def cells_csv(table: Table) -> str:
    """One row for each run of the table with all its numbers; shares, not per cent."""
    attention = attention_cells(table)
    return _csv(
        _cell(row, column, run, table) | attention.get((row, column), {}) for (row, column), run in table.cells.items()
    )


def slices_csv(table: Table) -> str:
    """One row for each slice of each run; "" if there are no slices."""
    keys = _CLASS_MEANS if any("class_means" in run.metrics for run in table.cells.values()) else ()

    def means(run: Run, name: str) -> dict[str, Any]:
        found = run.metrics.get("class_means", {}).get(name, {})
        return {key: found.get(key) for key in keys}

    return _csv(
        {**_place(row, column, run), "slice": name, **values, **means(run, name)}
        for (row, column), run in table.cells.items()
        for name, values in run.metrics["slices"].items()
    )


def published_csv(verdicts: Sequence[Verdict]) -> str:
    """One row for each published number beside ours, in per cent; "" if there are none."""
    return _csv(
        {
            **{
                k: getattr(v.expectation, k) for k in ("task", "split", "proposals", "backbone", "prompt", "text", "metric")
            },
            "rules": " ".join(v.expectation.rules),
            "run_id": v.run.run_id if v.run else "",
            "ours": v.ours,
            "published": v.expectation.figure.value,
            "difference": v.difference,
            "verdict": v.verdict,
            "reason": v.reason if v.verdict != NOT_RUN else "",
            "paper_method": v.expectation.figure.method,
            "source": v.expectation.figure.source,
            "protocol_unknowns": v.expectation.figure.protocol_unknowns,
        }
        for v in verdicts
    )


def _place(row: Row, column: Column, run: Run) -> dict[str, Any]:
    return {
        "task": column.task,
        "split": column.split,
        "proposals": column.proposals,
        "subset": run.subset,
        "limit": column.limit,
        "data": "embedded benchmark" if run.embedded else "published data set",
        "prompt": row.prompt,
        "variant": row.variant,
        "backbone": row.backbone,
        "text": row.text,
        "approximation": row.approximation,
        "run_id": run.run_id,
    }


def _cell(row: Row, column: Column, run: Run, table: Table) -> dict[str, Any]:
    metrics = run.metrics
    interval = metrics["interval"] or {}
    groups = metrics.get("groups") or {}
    git = run.info.get("git") or {}
    return {
        **_place(row, column, run),
        "commit": git.get("commit"),
        "dirty": git.get("dirty"),
        **metrics["counts"],
        "accuracy": metrics["accuracy"],
        **{key: interval.get(key) for key in ("low", "high", "se")},
        "clusters": interval.get("clusters"),
        "interval_method": interval.get("method"),
        **{key: metrics[key] for key in ("chance", "oracle", "tie_accuracy")},
        "accuracy_exact": metrics.get("accuracy_exact"),
        **{key: metrics.get(key) for key in _CLASS},
        **{f"group_{key}": groups.get(key) for key in ("weighted_mean", "worst", "worst_group")},
        **_comparison(table.pairs.get((row, column))),
    }


def _comparison(pair: Paired | None) -> dict[str, Any]:
    result = pair.result if pair else None
    boot = result.bootstrap if result else None
    known = result if result and not math.isnan(result.bootstrap.p_value) else None
    return {
        "baseline_run": pair.baseline.run_id if pair and pair.baseline else None,
        "difference": boot.difference if boot else None,
        "difference_low": known.bootstrap.low if known else None,
        "difference_high": known.bootstrap.high if known else None,
        "p_bootstrap": known.bootstrap.p_value if known else None,
        "only_this": result.only_first if result else None,
        "only_baseline": result.only_second if result else None,
        "p_mcnemar": known.mcnemar_p if known else None,
        "pairs": result.pairs if result else None,
    }


def _csv(rows: Iterable[Mapping[str, Any]]) -> str:
    rows = list(rows)
    if not rows:
        return ""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    return buffer.getvalue()
