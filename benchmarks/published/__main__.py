"""Lists published figures with the commands that make ours: `falip published [--file reclip_rec]`."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Sequence

from benchmarks.published.commands import Answer, listed, totals
from benchmarks.published.figures import load_averages, load_expectations, load_figures, load_reasons
from benchmarks.published.fill_in import page
from falip.errors import UserError

_SHOWN = ("method", "backbone", "dataset", "split", "setting", "metric", "value")
_MEAN = "mean of: "


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 if the user must mend something."""
    parser = argparse.ArgumentParser(
        prog="falip published",
        description="Lists every published figure with the command that makes ours, or the reason why none can, as "
        "tab-separated lines.",
    )
    parser.add_argument("--file", help="only the figures of this file of benchmarks/published, such as reclip_rec")
    parser.add_argument("--without", action="store_true", help="only figures that no command makes, with the reason")
    parser.add_argument(
        "--fill-in", action="store_true", help="instead: the figures of FALIP's paper that a reader of it can add, and how"
    )
    arguments = parser.parse_args(argv)
    try:
        answers = listed(load_figures(), load_expectations(), load_averages(), load_reasons())
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if arguments.fill_in:
        sys.stdout.write(page([answer.figure for answer in answers]))
        return 0
    files = sorted({answer.figure.file.removesuffix(".csv") for answer in answers})
    if arguments.file and arguments.file.removesuffix(".csv") not in files:
        sys.stderr.write(f"error: --file {arguments.file}: there are {', '.join(files)}.\n")
        return 2
    wanted = arguments.file and arguments.file.removesuffix(".csv")
    chosen = [answer for answer in answers if not wanted or answer.figure.file == f"{wanted}.csv"]
    _write(answer for answer in chosen if not (arguments.without and answer.ways))
    sys.stdout.write(f"{totals(chosen)}\n")
    return 0


def _write(answers: Iterable[Answer]) -> None:
    """One line for each way to make our answer; where it is a mean, one for each result that it is of."""
    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    writer.writerow([*_SHOWN, "command"])
    for answer in answers:
        figure = [getattr(answer.figure, name) for name in _SHOWN]
        lines = [(_MEAN if len(way) > 1 else "") + command for way in answer.ways for command in way]
        writer.writerows([*figure, line] for line in lines or [f"none: {answer.reason}"])


if __name__ == "__main__":
    sys.exit(main())
