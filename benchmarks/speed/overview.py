"""The ways of encoding many regions against each other, on the load that is measured by default."""

from __future__ import annotations

from argparse import Namespace

from benchmarks.speed import document, gpu
from benchmarks.speed.amounts import PART, RANDOM, SMALL_PART
from benchmarks.speed.data_side import wait_shares
from benchmarks.speed.document import HEAD
from benchmarks.speed.load import backbone_of, make_load
from benchmarks.speed.measure import (
    RELEASED_VIEWS,
    decisions,
    matrix_peak,
    measure_text,
    measure_ways,
    threads,
    time_shares,
)
from benchmarks.speed.ways import WAYS, encode
from falip import Backbone

ABOUT = """# Speed

`{command}`, at {commit}, on {machine}; products of 2048 x 2048 matrices reach {peak:.0f} GFLOP/s.

The load: {images} images, each with the regions named and {expressions} expressions; images alone. A part is measured (of
ViT-B/16 {part} images, of the released way {released} views) and scaled to the load, whose images all cost the same.
`released`: one view at a time with the full mask, again for each expression. `none`: each view whole, batched. Median of
{repeats} repetitions in alternation. Peak MB: resident memory above the loaded model, for the part. Differences and
decisions are against none.
"""


def report(arguments: Namespace, command: str) -> tuple[str, list[list[str]]]:
    """The page of `falip speed`, and its rows."""
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
    return "\n".join([head, document.markdown(HEAD, rows), *notes]), rows


def _notes(arguments: Namespace, name: str, backbone: Backbone, part: int) -> list[str]:
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
