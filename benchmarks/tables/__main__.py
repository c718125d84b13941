"""Makes tables from finished runs: `falip tables [--task rec] [--strict]`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables.request import FORMATS, Request, make, without_places
from falip.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """0; 1 if `--strict` and a number differs from its published one; 2 if the user must mend something."""
    argv = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        options = vars(_parser().parse_args(argv))
        options["formats"] = _formats(options["formats"])
        return make(Request(**options, command=without_places(["falip", "tables", *argv])))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="falip tables", description="Makes tables from finished runs.")
    parser.add_argument("--runs", type=Path, default=Path("results/runs"), help="folder of runs (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("results/tables"), help="where tables go (%(default)s)")
    parser.add_argument("--task", help="only this task (rec/refcoco) or kind (rec, classification, pointcloud, keypoint)")
    parser.add_argument("--experiment", help="only runs that this experiment asked for; the files are named by it")
    parser.add_argument("--data", choices=("embedded", "published"), help="only the embedded benchmark, or only real data")
    parser.add_argument("--name", help="name of the files, without ending (the experiment's, else the kind of task)")
    parser.add_argument("--baseline", default="plain", help="prompt that the others are compared with (%(default)s)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a number differs from the published one")
    parser.add_argument("--allow-subset", action="store_true", help="take runs on subsets too, and stamp the tables")
    parser.add_argument("--formats", default="csv,md", help="some of csv,md,latex (%(default)s)")
    parser.add_argument("--latex", action="store_true", help="also the one table as a paper prints it: NAME_paper.tex")
    parser.add_argument("--names", type=Path, help="YAML of labels for --latex: rows, columns and tables, each name: label")
    return parser


def _formats(text: str) -> tuple[str, ...]:
    formats = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise UserError(f"--formats {text!r}: choose some of {', '.join(FORMATS)}, separated by commas")
    return formats


if __name__ == "__main__":
    sys.exit(main())
