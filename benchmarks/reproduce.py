"""`make reproduce`: the paper's tables on real data, beside the published figures.

Checks that data and weights are there, runs what is missing, and writes CSV, Markdown and LaTeX. Safe to kill and to give
again: complete runs are not repeated, begun ones go on.
"""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.acquire.check import missing, screen
from benchmarks.settings.expansion import expanded
from benchmarks.settings.plan import TABLES, Plan, parser, planned
from benchmarks.settings.sweep import Asked
from falip.errors import UserError

log = logging.getLogger("benchmarks")


@dataclass(frozen=True)
class Failure:
    """A command of the harness that failed, and why."""

    command: Sequence[str]
    reason: str


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 if a run failed or, with --strict, a number differs; 2 if the user must mend something; 130 on ^C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parser().parse_intermixed_args(words)
        plan = planned(options)
        if options.dry_run:
            return _forecast(plan)
        if not options.no_check:
            _check(plan)
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout, force=True
        )
        failed = _run_all(plan)
        status = _tables(plan, options.strict, ["falip", "reproduce", *words])
        return _told(failed) or status
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the same command goes on where this one stopped\n")
        return 130


def _forecast(plan: Plan) -> int:
    """Prints the commands, each with what it asks for and costs here, and at last what lacks."""
    from benchmarks.speed.forecast import Forecasts

    commands = list(plan.commands())
    forecasts = Forecasts()
    for command, jobs in zip(commands, expanded(commands), strict=True):
        sys.stdout.write(f"{_shown(command)}\n  # {forecasts.of(jobs)}\n")
        sys.stdout.flush()
    sys.stdout.write(f"# all {len(commands)} commands: {forecasts.total()}\n")
    for one in missing(plan.needs(), plan.data_root):
        sys.stdout.write(f"# lacks: {one.command}  # {one.reason}\n")
    return 0


def _check(plan: Plan) -> None:
    """Shows what is there, and stops where something lacks."""
    lacking = missing(plan.needs(), plan.data_root)
    if not lacking:
        return
    shown = screen(plan.data_root)[0]
    sys.stdout.write(f"{shown}\n\n")
    sys.stdout.flush()
    if plan.tables == tuple(TABLES):
        more = [f"  {one.command}\n" for one in lacking if one.command.partition(" --splits")[0] not in shown]
        beside = "and, for the tables of other papers:\n" + "".join(more) if more else ""
        raise UserError(
            f"the tables lack what is listed above{', ' if more else '. '}{beside}Give the commands, then this one again. "
            "TABLES, TASKS and SPLITS ask for less; make smoke needs no download."
        )
    commands = "\n".join(f"  {one.command}  # {one.reason}" for one in lacking)
    raise UserError(
        f"what you ask for lacks:\n{commands}\nGive these commands, then this one again; or take the files that are there "
        "as they are with --no-check."
    )


def _run_all(plan: Plan) -> list[Failure]:
    """Runs all sweeps in this process, those on one split in one pass; a failure does not end the rest."""
    from benchmarks.run.one_pass import evaluate

    commands = list(plan.commands())
    jobs = [(command, job) for command, asked in zip(commands, expanded(commands), strict=True) for job in asked]
    places: dict[str, list[tuple[list[str], Asked]]] = {}
    for command, job in jobs:
        task = job.settings["task"]
        places.setdefault(f"{task['name']} {task['split']}", []).append((command, job))
    failed: dict[str, Failure] = {}
    for number, (place, members) in enumerate(places.items(), 1):
        log.info("[%d/%d] %s: %d runs", number, len(places), place, len(members))
        for (command, job), error in zip(members, evaluate([job for _, job in members]), strict=True):
            if error:
                failed.setdefault(_shown(command), Failure(command, f"{job.labels.prompt}: {error}"))
    return list(failed.values())


def _told(failed: Sequence[Failure]) -> int:
    """Says which sweeps failed, why, and how to see each alone."""
    for one in failed:
        sys.stderr.write(f"failed: {_shown(one.command)}\n  {one.reason}\n")
    if failed:
        sys.stderr.write(f"{len(failed)} of the sweeps failed; see `falip status`. The same command repeats only those.\n")
    return 1 if failed else 0


def _tables(plan: Plan, strict: bool, words: Sequence[str]) -> int:
    """Writes the table of each experiment, of what is finished; 1 if a number differs and `strict` is set."""
    from benchmarks.records.runs import find
    from benchmarks.tables.beside import Place
    from benchmarks.tables.request import Request, make, without_places

    status, found = 0, find(plan.results_root / "runs")
    sweeps = list(plan.sweeps())
    for experiment in dict.fromkeys(sweep.experiment for sweep in sweeps):
        mine = [sweep for sweep in sweeps if sweep.experiment == experiment]
        places = [Place(s.task, split, one, s.proposals or "gt") for s in mine for split in s.splits for one in s.backbones]
        request = Request(
            runs=plan.results_root / "runs",
            out=plan.results_root / "tables",
            experiment=experiment,
            data="published",
            strict=strict,
            allow_subset=plan.limit is not None,
            formats=("csv", "md", "latex"),
            command=without_places(words),
            asked=tuple(places),
            quiet=True,
        )
        try:
            status = max(status, make(request, found))
        except UserError as error:  # nothing finished of this one
            sys.stderr.write(f"no table {experiment}: {error}\n")
            status = max(status, 1)
    return status


def _shown(command: Sequence[str]) -> str:
    return shlex.join(["falip", "run", *command])


if __name__ == "__main__":
    sys.exit(main())
