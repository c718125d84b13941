"""Measures the ways of encoding many regions: `falip speed [--backbone tiny] [--quick]`."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.speed import document, gpu, memory, prompts, sweep, towers, windows
from benchmarks.speed.data_side import wait_shares
from benchmarks.speed.load import PART, RANDOM, SMALL_PART, backbone_of, make_load
from benchmarks.speed.measure import (
    RELEASED_VIEWS,
    decisions,
    matrix_peak,
    measure_text,
    measure_ways,
    own_peak,
    threads,
    time_shares,
)
from benchmarks.speed.ways import WAYS, encode
from falip import Backbone, UserError

ABOUT = """# Speed

`{command}`, at {commit}, on {machine}; products of 2048 x 2048 matrices reach {peak:.0f} GFLOP/s.

The load: {images} images, each with the regions named and {expressions} expressions; images alone. A part is measured (of
ViT-B/16 {part} images, of the released way {released} views) and scaled to the load, whose images all cost the same.
`released`: one view at a time with the full mask, again for each expression. `none`: each view whole, batched. Median of
{repeats} repetitions in alternation. Peak MB: resident memory above the loaded model, for the part. Differences and
decisions are against none.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 if the user must mend something."""
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(given)
    try:
        if arguments.memory_of:
            backbone = backbone_of(arguments.backbone[0])
            load = make_load(backbone, arguments.part, arguments.regions[0], 1)
            sys.stdout.write(f"{own_peak(backbone, arguments.memory_of, load)}\n")
            return 0
        measure, head = _chosen(arguments)
        text, rows = measure(arguments, shlex.join(["falip", "speed", *given]))
        sys.stdout.write(text)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.with_suffix(".md").write_text(text)
        arguments.out.with_suffix(".csv").write_text(document.as_csv(head, rows))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _chosen(arguments: argparse.Namespace) -> tuple[Callable[..., tuple[str, list[list[str]]]], Sequence[str]]:
    """What measures, and the columns that it has."""
    instead = {
        sweep: arguments.sweep,
        memory: arguments.memory,
        windows: arguments.data,
        towers: arguments.towers,
        prompts: arguments.prompts,
    }
    for part, asked in instead.items():
        if asked:
            return part.report, part.HEAD
    return _measure, document.HEAD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="falip speed", description="Measures ways to encode many regions.")
    parser.add_argument("--backbone", nargs="+", default=[RANDOM, "tiny"], help="models (%(default)s)")
    parser.add_argument("--images", type=int, default=100, help="images of the load (%(default)s)")
    parser.add_argument("--regions", type=int, nargs="+", default=[8, 10], help="regions of an image (%(default)s)")
    parser.add_argument("--expressions", type=float, default=7.5, help="expressions of an image (%(default)s)")
    parser.add_argument(
        "--part", type=int, help=f"images that are measured; the rest costs the same ({PART[RANDOM]} or 32)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="repetitions in alternation (%(default)s)")
    parser.add_argument("--scenes", type=int, default=600, help="embedded scenes that are decided on (%(default)s)")
    parser.add_argument(
        "--towers", action="store_true", help="instead: exact against none with towers that pool by one attention"
    )
    parser.add_argument("--data", action="store_true", help="instead: the data side, by windows against Pillow's whole way")
    parser.add_argument("--sweep", action="store_true", help="instead: all prompts of a table over a split, in parts")
    parser.add_argument("--memory", action="store_true", help="instead: peak memory for more and more regions and pictures")
    parser.add_argument("--prompts", help="instead: what a region costs under these prompts, such as crop,foveal,maskclip")
    parser.add_argument("--quick", action="store_true", help="one short repetition without memory, to see that all works")
    parser.add_argument(
        "--out", type=Path, default=Path("results/speed/speed"), help="file name, .md and .csv (%(default)s)"
    )
    parser.add_argument("--memory-of", choices=WAYS, help=argparse.SUPPRESS)  # what the processes for memory are given
    return parser


def _measure(arguments: argparse.Namespace, command: str) -> tuple[str, list[list[str]]]:
    if arguments.quick:
        arguments.part, arguments.repeats, arguments.scenes = 2, 1, 10
    rows: list[list[str]] = []
    notes: list[str] = []
    for name in arguments.backbone:
        backbone = backbone_of(name)
        part = min(arguments.part or PART.get(name, SMALL_PART), arguments.images)
        for regions in arguments.regions:
            load = make_load(backbone, part, regions, arguments.expressions)
            measured = measure_ways(
                backbone,
                name,
                load,
                arguments.images,
                regions,
                arguments.expressions,
                arguments.repeats,
                not arguments.quick,
            )
            rows += document.rows(name, measured)
        notes += _notes(arguments, name, backbone, part)
    head = ABOUT.format(
        command=command, commit=document.commit(), machine=threads(), peak=matrix_peak() / 1e9, images=arguments.images,
        expressions=arguments.expressions, part=arguments.part or PART[RANDOM], released=RELEASED_VIEWS,
        repeats=arguments.repeats,
    )  # fmt: skip
    notes.append(gpu.section(32 if arguments.quick else arguments.images, arguments.regions[-1], arguments.repeats))
    return "\n".join([head, document.markdown(document.HEAD, rows), *notes]), rows


def _notes(arguments: argparse.Namespace, name: str, backbone: Backbone, part: int) -> list[str]:
    regions, expressions = arguments.regions[0], arguments.expressions
    load = make_load(backbone, part, regions, expressions)
    encode(backbone, "exact", load.views)
    shares = {way: time_shares(lambda way=way: encode(backbone, way, load.views)) for way in WAYS[1:]}
    text = measure_text(backbone, make_load(backbone, arguments.images, 1, expressions).texts, arguments.repeats)
    sides = wait_shares(backbone, part)
    waits = [[p, str(w), f"{s:.2f}", f"{100 * x:.0f} %"] for p, w, s, x in sides]
    notes = [
        f"## {name}: where the time goes, {regions} regions", document.shares_table(shares),
        f"## {name}: texts, {round(arguments.images * expressions)} expressions",
        document.markdown(("way", "seconds", "difference"), [[w, f"{s:.2f}", f"{d:.0e}"] for w, s, d in text]),
        f"## {name}: does the data side keep up, {part} scenes",
        document.markdown(("prompt", "workers", "seconds", "model waits"), waits),
    ]  # fmt: skip
    if name == "tiny":
        found = decisions(backbone, make_load(backbone, arguments.scenes, None, expressions))
        body = [[way, f"{largest:.0e}", f"{100 * changed:.2f} %"] for way, (largest, changed) in found.items()]
        title = f"## {name}: decisions on {arguments.scenes} scenes of the embedded benchmark, against none"
        notes += [title, document.markdown(("way", "largest difference of a score", "changed decisions"), body)]
    return notes


if __name__ == "__main__":
    sys.exit(main())
