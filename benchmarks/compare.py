"""Two finished runs on the same samples, pair by pair: the difference with its interval, and what each alone got right.

    falip compare results/runs/rec/shapes/test/tiny/{foveal,plain}/*
    falip compare c3209bf803c8 c48cd65be57d      by their ids under results/runs, which falip status lists

needs no model, and no data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.notebook.compare import compare
from benchmarks.records.folder import write_text
from falip.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Prints both accuracies and their paired comparison; 2 if the user must mend something."""
    parser = argparse.ArgumentParser(
        prog="falip compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", help="folder or id of a finished run")
    parser.add_argument("second", help="folder or id of another one on the same queries")
    parser.add_argument("--differing", type=Path, metavar="CSV", help="write the queries that only one of them has right")
    arguments = parser.parse_args(argv)
    try:
        found = compare(arguments.first, arguments.second)
        if arguments.differing:
            write_text(arguments.differing, found.differing.to_csv(index=False))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{found}\n")
    if arguments.differing:
        sys.stderr.write(f"wrote {arguments.differing}: {len(found.differing)} queries\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
