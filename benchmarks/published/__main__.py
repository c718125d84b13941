"""Lists published figures with the commands that make ours: `python -m benchmarks.published [--file reclip_rec]`."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence

from benchmarks.published.commands import listed, totals
from benchmarks.published.figures import load_expectations, load_figures
from falip.errors import UserError

_SHOWN = ("method", "backbone", "dataset", "split", "setting", "metric", "value")


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 if the user must mend something."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.published",
        description="Lists every published figure with the command that makes ours, as tab-separated lines.",
    )
    parser.add_argument("--file", help="only the figures of this file of benchmarks/published, such as reclip_rec")
    parser.add_argument("--without", action="store_true", help="only figures that no command makes yet")
    arguments = parser.parse_args(argv)
    try:
        rows = listed(load_figures(), load_expectations())
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    files = sorted({row["figure"].file.removesuffix(".csv") for row in rows})
    if arguments.file and arguments.file.removesuffix(".csv") not in files:
        sys.stderr.write(f"error: --file {arguments.file}: there are {', '.join(files)}.\n")
        return 2
    chosen = [row for row in rows if not arguments.file or row["figure"].file.startswith(f"{arguments.file}.")]
    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    writer.writerow([*_SHOWN, "command"])
    for row in chosen:
        figure = [getattr(row["figure"], name) for name in _SHOWN]
        if not (arguments.without and row["commands"]):
            writer.writerows([*figure, command] for command in row["commands"] or ["none yet"])
    sys.stdout.write(f"{totals(chosen)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
