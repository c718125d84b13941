"""New results from stored scores: several runs as one ensemble, and relations of expressions switched on or off.

    python -m benchmarks.recombine results/runs/rec/shapes/test/tiny/{crop,blur,foveal}/* --how sum
    python -m benchmarks.recombine results/runs/rec/refcoco/testA/vit_b16/crop/RUN --relations off

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
from benchmarks.records.run import Run, read_run
from falip.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the accuracy of each run and of all combined; 2 if the user must mend something."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recombine", description="Combines finished runs.")
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs on the same queries")
    parser.add_argument("--how", default="sum", help="sum or max of their scores (%(default)s)")
    parser.add_argument(
        "--relations", choices=("on", "off"), help="whether relations decide in runs of text=relations (as they did there)"
    )
    arguments = parser.parse_args(argv)
    try:
        runs = [read_run(folder) for folder in arguments.runs]
        unfinished = [str(run.path) for run in runs if not run.finished]
        if unfinished:
            raise UserError(
                f"not finished: {', '.join(unfinished)}. Give the command of the run again, which does the rest"
            )
        relations = {"on": True, "off": False}.get(arguments.relations)
        together = combine([run.records() for run in runs], arguments.how, relations, _min_area(runs))
        found = metrics_for(runs[0].kind, together, runs[0].group_shares)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for run in runs:
        sys.stdout.write(f"{run.method}: {accuracy(run.metrics)}\n")
    switched = f", relations {arguments.relations}" if arguments.relations else ""
    sys.stdout.write(f"{arguments.how} of {len(runs)} runs{switched}: {accuracy(found)}\n")
    return 0


def _min_area(runs: Sequence[Run]) -> float:
    """The share of the image that a candidate had to exceed in all runs."""
    shares = [(run.identity.get("task") or {}).get("min_area") for run in runs]
    return max((float(share) for share in shares if isinstance(share, int | float)), default=0.0)


if __name__ == "__main__":
    sys.exit(main())
