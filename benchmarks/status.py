"""What has been run, and what of an experiment or of `make reproduce` has not: `python -m benchmarks.status --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.records.runs import FAILED, Run, asked_for, read_run, run_folders
from benchmarks.settings.expected import Expected, expected_runs
from benchmarks.settings.plan import parser as reproduce_parser
from benchmarks.settings.plan import planned
from falip.errors import UserError

_DESCRIPTION = """\
Lists runs and their state: complete, partial, started, failed with the reason, unreadable.

  python -m benchmarks.status                                        every run under results/runs
  python -m benchmarks.status --experiment table_rec task=rec/refcoco task.split=testA backbone=vit_b16
  python -m benchmarks.status --reproduce --tables rec               what make reproduce asks for

With an experiment, settings or --reproduce, runs that nobody has started are listed as missing. They are found by their
labels, which needs neither data nor a model. A run that is complete under the same labels may still be done again, if
weights, data or code have changed since: runtime.dry_run=true works out each run's identity and says what would be done.
"""
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


def status_rows(runs: Iterable[Run], expected: Collection[Expected] | None = None) -> list[StatusRow]:
    """State of each run.

    Args:
        runs: Runs on disk.
        expected: What is asked for: other runs are left out, and those not on disk are listed as missing.
    """
    found = [(asked_for(run), run) for run in runs]
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
        for key, run in found
        if expected is None or key in expected
    ]
    there = {key for key, _ in found}
    absent = [key for key in expected or () if key not in there]
    return rows + [StatusRow(MISSING, a.task, a.split, a.backbone, a.prompt, "", "not started") for a in absent]


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
    """Lists the runs; 0 also when there are none, since that is an answer too; 2 if the user must mend something."""
    arguments = _parser().parse_intermixed_args(argv)
    root = arguments.runs
    try:
        expected = _expected(arguments)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    runs: list[Run] = []
    broken: list[StatusRow] = []
    for folder in run_folders(root):
        try:
            runs.append(read_run(folder))
        except UserError as error:
            broken.append(StatusRow(UNREADABLE, "", "", "", "", folder.name, str(error)))
    rows = status_rows(runs, expected) + broken
    none = f"no runs under {root}: start one with python -m benchmarks task=rec/shapes prompt=foveal"
    sys.stdout.write((render(rows) if rows else none) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.status",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_DESCRIPTION,
    )
    parser.add_argument("--runs", type=Path, default=Path("results/runs"), help="folder of runs (%(default)s)")
    parser.add_argument("--experiment", help="only the runs of this experiment, missing ones too")
    parser.add_argument("--reproduce", action="store_true", help="only the runs of make reproduce, missing ones too")
    parser.add_argument("--tables", default="all", help="with --reproduce: only these tables")
    parser.add_argument("--backbone", default="vit_b16", help="with --reproduce: a file of configs/backbone (%(default)s)")
    parser.add_argument("overrides", nargs="*", help="settings of the command, such as task=rec/refcoco task.split=testA")
    return parser


def _expected(arguments: argparse.Namespace) -> list[Expected] | None:
    """What the experiment or the reproduction asks for; None where every run is to be listed."""
    if arguments.reproduce:
        given = ["--tables", arguments.tables, "--backbone", arguments.backbone, *arguments.overrides]
        return expected_runs(planned(reproduce_parser().parse_intermixed_args(given)).commands())
    if arguments.experiment:
        return expected_runs([[f"+experiment={arguments.experiment}", *arguments.overrides]])
    if arguments.overrides:
        return expected_runs([arguments.overrides])
    return None


if __name__ == "__main__":
    sys.exit(main())
