"""Finished runs in the formats that results are shared in.

lm_eval: results and samples as lm-evaluation-harness writes them. eee: the aggregate and the samples of Every Eval Ever,
schema 0.3. hub: YAML for the folder .eval_results of a model on the hub.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.folder import write_texts
from benchmarks.records.runs import find, usable
from benchmarks.tables.sharing import FORMATS, Source
from falip.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the files and names them; 2 if the user must mend something."""
    arguments = _parser().parse_args(argv)
    try:
        files = _files(arguments)
        write_texts({arguments.out / path: text for path, text in files.items()})
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write("".join(f"{arguments.out / path}\n" for path in files))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="falip export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, metavar="RUNS", help="the same as --runs RUNS")
    parser.add_argument("--runs", type=Path, help="folder of runs (results/runs)")
    parser.add_argument("--out", type=Path, default=Path("results/export"), help="folder (%(default)s)")
    parser.add_argument("--formats", default="lm_eval,eee", help=f"some of {','.join(FORMATS)} (%(default)s)")
    parser.add_argument("--allow-subset", action="store_true", help="take runs on subsets too")
    parser.add_argument("--organization", default="unknown", help="who evaluated, as eee has it (%(default)s)")
    parser.add_argument("--hub-dataset", help="hub id of the benchmark that the hub's format is about")
    parser.add_argument("--hub-task", default="default", help="its task, as its own eval.yaml names it (%(default)s)")
    return parser


def _files(arguments: argparse.Namespace) -> dict[Path, str]:
    names = [name.strip() for name in arguments.formats.split(",") if name.strip()]
    if not names or set(names) - set(FORMATS):
        raise UserError(f"--formats {arguments.formats!r}: choose some of {', '.join(FORMATS)}, separated by commas")
    if arguments.runs and arguments.folder:
        raise UserError(f"--runs {arguments.runs} and {arguments.folder}: give one folder.")
    root = arguments.runs or arguments.folder or Path("results/runs")
    if not root.is_dir():
        raise UserError(f"There is no folder {root}. Give a run's folder, or the folder that holds runs.")
    found = find(root)
    choice = usable(found.runs, arguments.allow_subset, found.damaged)
    if not choice.runs:
        subsets = f"; {len(choice.subsets)} on subsets need --allow-subset" if choice.subsets else ""
        raise UserError(f"There are no finished runs under {root}{subsets}. `falip status` says what is there.")
    source = Source(arguments.organization, arguments.hub_dataset, arguments.hub_task)
    return {path: text for run in choice.runs for name in names for path, text in FORMATS[name](run, source).items()}


if __name__ == "__main__":
    sys.exit(main())
