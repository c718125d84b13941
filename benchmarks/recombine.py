"""New results from stored scores: several runs as one ensemble, other weights for the views of depth maps.

    python -m benchmarks.recombine results/runs/rec/shapes/test/tiny/{crop,blur,foveal}/* --how sum

needs no model, and no data. Each run keeps its own text: where one phrases expressions in its own way (shade), that is
not what an `Ensemble` does, which phrases them alike for all its parts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure.formats import accuracy
from benchmarks.measure.metrics import metrics_for
from benchmarks.measure.recombination import combine
from benchmarks.records.run import read_run
from falip.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the accuracy of each run and of all combined; 2 if the user must mend something."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recombine", description="Combines finished runs.")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs on the same queries")
    parser.add_argument("--how", default="sum", help="sum or max of their scores (%(default)s)")
    arguments = parser.parse_args(argv)
    try:
        runs = [read_run(folder) for folder in arguments.runs]
        unfinished = [str(run.path) for run in runs if not run.finished]
        if unfinished:
            raise UserError(
                f"not finished: {', '.join(unfinished)}. Give the command of the run again, which does the rest"
            )
        together = combine([run.records() for run in runs], arguments.how)
        found = metrics_for(runs[0].kind, together, runs[0].group_shares)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for run in runs:
        sys.stdout.write(f"{run.labels['prompt']}: {accuracy(run.metrics)}\n")
    sys.stdout.write(f"{arguments.how} of {len(runs)} runs: {accuracy(found)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
