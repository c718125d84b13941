"""New results from stored scores: runs as one ensemble, relations switched on or off, other weights for depth maps.

    falip recombine results/runs/rec/shapes/test/tiny/{crop,blur,foveal}/* --how sum
    falip recombine results/runs/rec/refcoco/testA/vit_b16/crop/RUN --relations off
    falip recombine results/runs/rec/shapes/test/tiny/{plain,blackout}/* --weights=1,-1
    falip recombine results/runs/pointcloud/solids/test/tiny/plain/RUN --view-weights=1,0.5,0.5,1,0.25,0.25

needs no model, and no data. Each run keeps its own text: where one phrases expressions in its own way (shade), that is
not what an `Ensemble` does, which phrases them alike for all its parts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.measure.formats import accuracy, percent
from benchmarks.measure.metrics import metrics_for, scored
from benchmarks.measure.recombination import SEARCHED, combine, component_weights, view_scores, weight_views
from benchmarks.measure.run_weights import search_run_weights
from benchmarks.notebook.frames import folder_of
from benchmarks.records.run import Run, read_run
from falip.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the accuracy of each run and of all combined; 2 if the user must mend something."""
    parser = argparse.ArgumentParser(
        prog="falip recombine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="folders or ids of finished runs on the same queries")
    parser.add_argument("--how", default="sum", help="sum or max of their scores (%(default)s)")
    parser.add_argument(
        "--relations", choices=("on", "off"), help="whether relations decide in runs of text=relations (as they did there)"
    )
    parser.add_argument("--weights", help="a factor for each run, such as --weights=1,-1 (1 throughout)")
    parser.add_argument(
        "--search", action="store_true", help="also search the weights that do best on these labels: an upper bound"
    )
    parser.add_argument("--view-weights", help="a weight for each depth map, for each run alone (as it had them)")
    arguments = parser.parse_args(argv)
    try:
        weights = _weights(arguments.weights, "--weights", "one for each run")
        view_weights = _weights(arguments.view_weights, "--view-weights", "one for each depth map")
        runs = [read_run(folder_of(named)) for named in arguments.runs]
        unfinished = [str(run.path) for run in runs if not run.finished]
        if unfinished:
            raise UserError(
                f"not finished: {', '.join(unfinished)}. Give the command of the run again, which does the rest"
            )
        if view_weights:
            for run in runs:
                sys.stdout.write(f"{run.method} with these weights of views: {percent(_weighted(run, view_weights))}\n")
            return 0
        relations = {"on": True, "off": False}.get(arguments.relations)
        frames = [run.records() for run in runs]
        together = combine(frames, arguments.how, weights, relations, _min_area(runs))
        searched = search_run_weights(frames, arguments.how) if arguments.search else None
        found = metrics_for(runs[0].kind, together, runs[0].group_shares)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for run in runs:
        sys.stdout.write(f"{run.method}: {accuracy(run.metrics)}\n")
    given = f", weights {' '.join(f'{weight:g}' for weight in weights)}" if weights else ""
    switched = f", relations {arguments.relations}" if arguments.relations else ""
    sys.stdout.write(f"{arguments.how} of {len(runs)} runs{given}{switched}: {accuracy(found)}\n")
    if searched:
        best = " ".join(f"{weight:g}" for weight in searched.weights)
        sys.stdout.write(
            f"\n{SEARCHED}, an upper bound and no result: {percent(searched.accuracy)} with weights {best}, the best of "
            f"{searched.tried}\n"
        )
    return 0


def _min_area(runs: Sequence[Run]) -> float:
    """The share of the image that a candidate had to exceed in all runs."""
    shares = [(run.identity.get("task") or {}).get("min_area") for run in runs]
    return max((float(share) for share in shares if isinstance(share, int | float)), default=0.0)


def _weighted(run: Run, weights: Sequence[float]) -> float | None:
    """The accuracy of a run had its depth maps had these weights."""
    components = run.info.get("components") or []
    if run.kind != "pointcloud" or not components or not all("/view" in name for name in components):
        raise UserError(f"--view-weights: {run.name} has no depth maps to weight. Give runs of point clouds.")
    prompt = run.identity.get("prompt") or {}
    stored = run.records(("status", "target", "component_scores"))
    scores = view_scores(stored, components, prompt.get("combine", "sum"), component_weights(prompt))
    return weight_views(scores, scored(stored)["target"].to_numpy(), weights).accuracy


def _weights(text: str | None, option: str, what: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{option}={text}: give numbers separated by commas, {what}, such as {option}=1,-1") from None


if __name__ == "__main__":
    sys.exit(main())
