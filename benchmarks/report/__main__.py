"""Makes one page of finished runs: `falip report [--runs FOLDER ...] [--out results/report/index.html]`."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.records.folder import write_atomically
from benchmarks.records.run import Run
from benchmarks.records.runs import Damaged, find, usable
from benchmarks.report.page import Options, page
from falip.errors import UserError

log = logging.getLogger("benchmarks.report")


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 if the user must mend something."""
    argv = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    log.setLevel(logging.INFO)
    try:
        _run(_parser().parse_args(argv), argv)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="falip report",
        description="Makes one self-contained HTML page of finished runs: tables, charts, and a gallery of samples.",
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="RUNS", help="the same as --runs RUNS")
    parser.add_argument(
        "--runs", nargs="+", type=Path, default=[], metavar="RUNS", help="run folders, or folders of runs (results/runs)"
    )
    parser.add_argument("--out", type=Path, default=Path("results/report/index.html"), help="the page (%(default)s)")
    parser.add_argument("--experiment", help="only runs started by this experiment")
    parser.add_argument("--baseline", default="plain", help="prompt that the others are compared with (%(default)s)")
    parser.add_argument("--max-samples", type=int, default=500, help="samples in the gallery (%(default)s)")
    parser.add_argument("--data-root", help="where the data sets are, if they have moved since the runs")
    parser.add_argument(
        "--attention",
        action="store_true",
        help="recompute the attention of the samples shown, which needs the model; kept beside the page",
    )
    return parser


def _run(arguments: argparse.Namespace, argv: Sequence[str]) -> None:
    if arguments.max_samples < 0:
        raise UserError(f"--max-samples {arguments.max_samples}: give a number of samples from 0 on.")
    places = [*arguments.folders, *arguments.runs] or [Path("results/runs")]
    runs, damaged = _found(places)
    if arguments.experiment:
        runs = [run for run in runs if run.in_experiment(arguments.experiment)]
    choice = usable(runs, allow_subset=True, damaged=damaged)
    if not choice.runs:
        where = ", ".join(map(str, places))
        wanted = f" of the experiment {arguments.experiment}" if arguments.experiment else ""
        raise UserError(
            f"There are no finished runs{wanted} under {where} ({len(choice.unfinished)} unfinished, "
            f"{len(choice.damaged)} damaged). Make some with: "
            "falip run task=rec/shapes prompt=foveal"
        )
    out: Path = arguments.out
    options = Options(
        command=shlex.join(["falip", "report", *argv]),
        baseline=arguments.baseline,
        max_samples=arguments.max_samples,
        data_root=arguments.data_root,
        attention=out.parent / "attention" if arguments.attention else None,
    )
    pieces = page(choice, options)
    write_atomically(out, lambda path: _write(path, pieces))
    log.info("%s: %.1f MB, %d runs", out, out.stat().st_size / 1e6, len(choice.runs))


def _write(path: Path, pieces: Iterable[str]) -> None:
    with path.open("wb") as file:
        file.writelines(piece.encode("utf-8", "backslashreplace") for piece in pieces)


def _found(places: Sequence[Path]) -> tuple[list[Run], list[Damaged]]:
    runs: dict[str, Run] = {}
    damaged: dict[Path, Damaged] = {}
    for place in places:
        if not place.is_dir():
            raise UserError(f"There is no folder {place}. Give run folders, or the folder that holds them (results/runs).")
        found = find(place)
        damaged |= {one.path: one for one in found.damaged}
        for run in found.runs:
            runs.setdefault(run.run_id, run)
    return list(runs.values()), list(damaged.values())


if __name__ == "__main__":
    sys.exit(main())
