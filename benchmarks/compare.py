"""Two finished runs on the same samples, pair by pair: the difference with its interval, and what each alone got right.

    python -m benchmarks.compare results/runs/rec/shapes/test/tiny/{foveal,plain}/*

needs no model, and no data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure.formats import accuracy, comparison
from benchmarks.measure.statistics import compare
from benchmarks.records.run import Run, read_run
from falip.errors import UserError

_WORDS = (
    "difference in points",
    "95 % interval (bootstrap over samples)",
    "p (bootstrap)",
    "only the first right",
    "only the second right",
    "p (McNemar, exact)",
    "pairs",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints both accuracies and their paired comparison; 2 if the user must mend something."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path, help="folder of a finished run")
    parser.add_argument("second", type=Path, help="folder of another one on the same queries")
    arguments = parser.parse_args(argv)
    try:
        first, second = (_finished(folder) for folder in (arguments.first, arguments.second))
        result = compare(first.frame, second.frame, (first.name, second.name))
        accuracies = [accuracy(run.metrics) for run in (first, second)]
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for run, words in zip((first, second), accuracies, strict=True):
        sys.stdout.write(f"{run.name}: {words}\n")
    for name, value in zip(_WORDS, comparison(result), strict=True):
        sys.stdout.write(f"  {name}: {value}\n")
    return 0


def _finished(folder: Path) -> Run:
    run = read_run(folder)
    if not run.finished:
        raise UserError(f"{folder} is not finished. Give the command of the run again, which does the rest.")
    return run


if __name__ == "__main__":
    sys.exit(main())
