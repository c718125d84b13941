"""What has been run: `python -m benchmarks.status [--runs results/runs]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs import FAILED, Run, read_run, run_folders
from falip.errors import UserError

UNREADABLE, MISSING = "unreadable", "missing"


@dataclass(frozen=True)
class StatusRow:
    """One line of the list: what was run, its state, and why or how far."""

    state: str
    task: str
    split: str
    backbone: str
    prompt: str
    run_id: str
    note: str


def status_rows(runs: Iterable[Run], expected: Collection[str] | None = None) -> list[StatusRow]:
    """State of each run.

    Args:
        runs: Runs on disk.
        expected: Run ids of an experiment: other runs are left out, and those not on disk are listed as
            missing.
    """
    rows = [
        StatusRow(
            run.state,
            run.labels["task"],
            run.labels["split"],
            run.labels["backbone"],
            run.labels["prompt"],
            run.run_id,
            _note(run),
        )
        for run in runs
        if expected is None or run.run_id in expected
    ]
    absent = sorted(set(expected or ()) - {row.run_id for row in rows})
    return rows + [StatusRow(MISSING, "", "", "", "", run_id, "not started") for run_id in absent]


def _note(run: Run) -> str:
    done = f"{run.recorded} of {'?' if run.expected is None else run.expected}"
    stamps = " (subset)" if run.subset else ""
    if run.state == FAILED:
        error = run.info.get("error") or {}
        reason = f"{error.get('type', 'unknown error')}: {error.get('message', 'no message')}"
        return f"{done}{stamps}; {' '.join(reason.split())}"
    return done + stamps


def render(rows: Iterable[StatusRow]) -> str:
    """A plain table for the terminal, with the number of runs in each state below."""
    rows = list(rows)
    header = ("state", "task", "split", "backbone", "prompt", "run", "records")
    lines = [header, *(tuple(vars(row).values()) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header) - 1)]
    text = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    ]
    counts = {state: sum(row.state == state for row in rows) for state in sorted({row.state for row in rows})}
    return "\n".join([*text, "", ", ".join(f"{count} {state}" for state, count in counts.items())])


def main(argv: list[str] | None = None) -> int:
    """Lists the runs; 0 also when there are none, since that is an answer too."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.status", description="Lists runs and their state.")
    parser.add_argument("--runs", type=Path, default=Path("results/runs"), help="folder of runs (%(default)s)")
    root = parser.parse_args(argv).runs
    runs: list[Run] = []
    broken: list[StatusRow] = []
    for folder in run_folders(root):
        try:
            runs.append(read_run(folder))
        except UserError as error:
            broken.append(StatusRow(UNREADABLE, "", "", "", "", folder.name, str(error)))
    rows = status_rows(runs) + broken
    sys.stdout.write(
        (
            render(rows)
            if rows
            else f"no runs under {root}: start one with python -m benchmarks task=rec/shapes prompt=foveal"
        )
        + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
