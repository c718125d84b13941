"""Measures the ways of encoding many regions: `falip speed [--backbone tiny] [--quick]`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.speed.amounts import PART, RANDOM, SMALL_PART
from falip.errors import UserError

INSTEAD = ("sweep", "memory", "windows", "towers", "prompts")
"""What can be measured in place of the ways of encoding; each is a module beside this one, and a flag."""


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 if the user must mend something."""
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(given)
    try:
        if arguments.memory_of:
            return _own_peak(arguments)
        chosen = _chosen(arguments)
        from benchmarks.speed.document import as_csv  # brings torch along

        text, rows = chosen.report(arguments, shlex.join(["falip", "speed", *given]))
        sys.stdout.write(text)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.with_suffix(".md").write_text(text)
        arguments.out.with_suffix(".csv").write_text(as_csv(chosen.HEAD, rows))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _chosen(arguments: argparse.Namespace) -> Any:
    """The module that measures: its `report`, and the columns `HEAD` of it. It brings torch along."""
    name = next((name for name in INSTEAD if getattr(arguments, name)), "overview")
    return import_module(f"benchmarks.speed.{name}")


def _own_peak(arguments: argparse.Namespace) -> int:
    from benchmarks.speed.load import backbone_of, make_load
    from benchmarks.speed.measure import own_peak

    backbone = backbone_of(arguments.backbone[0])
    load = make_load(backbone, arguments.part, arguments.regions[0], 1)
    sys.stdout.write(f"{own_peak(backbone, arguments.memory_of, load)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="falip speed", description="Measures ways to encode many regions.")
    parser.add_argument("--backbone", nargs="+", default=[RANDOM, "tiny"], help="models (%(default)s)")
    parser.add_argument("--images", type=int, default=100, help="images of the load (%(default)s)")
    parser.add_argument("--regions", type=int, nargs="+", default=[8, 10], help="regions of an image (%(default)s)")
    parser.add_argument("--expressions", type=float, default=7.5, help="expressions of an image (%(default)s)")
    parser.add_argument(
        "--part", type=int, help=f"images that are measured; the rest costs the same ({PART[RANDOM]} or {SMALL_PART})"
    )
    parser.add_argument("--repeats", type=int, default=5, help="repetitions in alternation (%(default)s)")
    parser.add_argument("--scenes", type=int, default=600, help="embedded scenes that are decided on (%(default)s)")
    parser.add_argument(
        "--towers", action="store_true", help="instead: exact against none with towers that pool by one attention"
    )
    parser.add_argument(
        "--data", dest="windows", action="store_true", help="instead: the data side, by windows against Pillow's whole way"
    )
    parser.add_argument("--sweep", action="store_true", help="instead: all prompts of a table over a split, in parts")
    parser.add_argument("--memory", action="store_true", help="instead: peak memory for more and more regions and pictures")
    parser.add_argument("--prompts", help="instead: what a region costs under these prompts, such as crop,foveal,maskclip")
    parser.add_argument("--quick", action="store_true", help="one short repetition without memory, to see that all works")
    parser.add_argument(
        "--out", type=Path, default=Path("results/speed/speed"), help="file name, .md and .csv (%(default)s)"
    )
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)  # what the processes for memory are given
    return parser


if __name__ == "__main__":
    sys.exit(main())
