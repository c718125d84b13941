"""What has been run, and what of an experiment or of `make reproduce` has not: `falip status --help`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.records.run import FAILED, UNSCORED, Run, asked_for, method
from benchmarks.records.runs import Damaged, find
from falip.errors import UserError

if TYPE_CHECKING:
    from benchmarks.settings.expected import Expected

_DESCRIPTION = """\
Lists runs and their state: complete, unscored (whole, but some samples could not be read), partial, started,
failed with the reason, damaged.

  falip status                                        every run under results/runs
  falip status --experiment table_rec task=rec/refcoco task.split=testA backbone=vit_b16
  falip status --reproduce --tables rec               what make reproduce asks for

With an experiment, settings or --reproduce, runs that nobody has started are listed as missing. They are found by their
labels, which needs neither data nor a model. A run that is complete under the same labels may still be done again, if
weights, data or code have changed since: runtime.dry_run=true works out each run's identity and says what would be done.
"""
DAMAGED, MISSING = "damaged", "missing"
RUNS = Path("results/runs")


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


def status_rows(
    runs: Iterable[Run], expected: Collection[Expected] | None = None, damaged: Iterable[Damaged] = ()
) -> list[StatusRow]:
    """State of each run.

    Args:
        runs: Runs on disk.
        expected: What is asked for: other runs are left out, and those not on disk are listed as missing.
        damaged: Folders of runs that cannot be read; they are listed whatever is asked for.
    """
    if expected is None:
        rows = [_row(run) for run in runs]
    else:
        found = [(asked_for(run), run) for run in runs]
        wanted, there = frozenset(expected), {key for key, _ in found}
        rows = [_row(run) for key, run in found if key in wanted]
        absent = [key for key in expected if key not in there]
        rows += [StatusRow(MISSING, a.task, a.split, a.backbone, method(vars(a)), "", "not started") for a in absent]
    return rows + [StatusRow(DAMAGED, "", "", "", "", one.path.name, one.reason) for one in damaged]


def _row(run: Run) -> StatusRow:
    labels = run.labels
    try:
        state, note = run.state, _note(run)
    except UserError as error:  # a part that cannot be read, or is of another run
        state, note = DAMAGED, str(error)
    return StatusRow(state, labels["task"], labels["split"], labels["backbone"], run.method, run.run_id, note)


def _note(run: Run) -> str:
    done = f"{run.recorded} of {'?' if run.expected is None else run.expected}"
    stamps = " (subset)" if run.subset else ""
    unscored = run.counts.unscored
    if run.state == UNSCORED:
        return f"{done}{stamps}; complete but {unscored} unscored: the same command tries them again"
    stamps += f", {unscored} unscored" if unscored else ""
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
    logging.basicConfig(level=logging.ERROR)  # what cannot be read is in the list
    arguments = _parser().parse_intermixed_args(argv)
    root = arguments.runs
    try:
        if root != RUNS and not root.is_dir():
            raise UserError(f"there is no folder {root}. Runs lie in results/runs of the folder where they were made.")
        expected = _expected(arguments)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    found = find(root)
    rows = status_rows(found.runs, expected, found.damaged)
    none = f"no runs under {root}: start one with falip run task=rec/shapes prompt=foveal"
    sys.stdout.write((render(rows) if rows else none) + "\n")
    damaged = sum(row.state == DAMAGED for row in rows)
    if any(row.state == FAILED for row in rows):
        sys.stderr.write(f"what failed is done by giving its command again; deleting its folder under {root} forgets it\n")
    if damaged:
        sys.stderr.write(f"warning: {damaged} damaged, and left out of tables and reports; the list says why\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="falip status",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_DESCRIPTION,
    )
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of runs (%(default)s)")
    parser.add_argument("--experiment", help="only the runs of this experiment, missing ones too")
    parser.add_argument("--reproduce", action="store_true", help="only the runs of make reproduce, missing ones too")
    parser.add_argument("--tables", default="all", help="with --reproduce: only these tables")
    parser.add_argument("--backbone", default="vit_b16", help="with --reproduce: a file of configs/backbone (%(default)s)")
    parser.add_argument("overrides", nargs="*", help="settings of the command, such as task=rec/refcoco task.split=testA")
    return parser


def _expected(arguments: argparse.Namespace) -> list[Expected] | None:
    """What the experiment or the reproduction asks for; None where every run is to be listed."""
    if not (arguments.reproduce or arguments.experiment or arguments.overrides):
        return None
    from benchmarks.settings.expected import expected_runs
    from benchmarks.settings.plan import parser as reproduce_parser
    from benchmarks.settings.plan import planned

    if arguments.reproduce:
        given = ["--tables", arguments.tables, "--backbone", arguments.backbone, *arguments.overrides]
        return expected_runs(planned(reproduce_parser().parse_intermixed_args(given)).commands())
    if arguments.experiment:
        return expected_runs([[f"+experiment={arguments.experiment}", *arguments.overrides]])
    return expected_runs([arguments.overrides])


if __name__ == "__main__":
    sys.exit(main())
