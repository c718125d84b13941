"""Draws one figure as PNG and PDF: `falip figures attention|depth_maps|heads|examples|lift|sweep`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from benchmarks.records.folder import write_atomically
from benchmarks.settings.choices import weights_of
from falip.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from falip import Backbone

FIGURES = {
    "attention": "CLS attention before and after a foveal mask, on scenes of the embedded benchmark",
    "depth_maps": "the six depth maps of a solid, with attention before and after",
    "heads": "how much each head's output changes under a prompt, by layer",
    "examples": "referring expressions: what plain CLIP, a red circle and a foveal mask decide",
}
OF_RUNS = {
    "lift": "attention on the answer's region against accuracy, of runs with metrics.attention=true",
    "sweep": "accuracy by a parameter of the prompt, of runs that differ in nothing else",
}
FORMATS = ("png", "pdf")
log = logging.getLogger("benchmarks.figures")


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 if the user must mend something."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    try:
        _run(_parser().parse_args(argv))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="falip figures",
        description="Draws a figure as PNG and PDF, from the embedded benchmark or from runs.",
        epilog="figures:\n" + "\n".join(f"  {name:<11}{words}" for name, words in (FIGURES | OF_RUNS).items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*FIGURES, *OF_RUNS]
    parser.add_argument("figure", choices=names, metavar="figure", help=", ".join(names))
    parser.add_argument("--backbone", default="tiny", help="of `falip list backbones`, a hub id or a folder (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("results/figures"), help="folder (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first scene or solid (%(default)s)")
    parser.add_argument(
        "--scenes", type=int, default=40, help="scenes that heads averages over and examples picks from (%(default)s)"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("results/runs"), help="folder of runs, for lift and sweep (%(default)s)"
    )
    parser.add_argument("--experiment", help="only runs that this experiment asked for, for lift and sweep")
    parser.add_argument("--x", default="alpha", help="parameter of the prompt, for sweep (%(default)s)")
    parser.add_argument("--by", help="another one, which the lines of sweep are named by")
    parser.add_argument("--dpi", type=int, default=110, help="resolution of the PNG (%(default)s)")
    parser.add_argument("--palette", action="store_true", help="a PNG of 256 colours, about a third of the size")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    figure = _of_runs(arguments) if arguments.figure in OF_RUNS else _of_scenes(arguments)
    for ending in FORMATS:
        path = arguments.out / f"{arguments.figure}.{ending}"
        write_atomically(path, partial(_save, figure, ending, arguments.dpi, arguments.palette))
        log.info("wrote %s", path)


def _of_runs(arguments: argparse.Namespace) -> Figure:
    from benchmarks.figures import lift, sweep

    if arguments.figure == "sweep":
        return sweep.draw(arguments.runs, arguments.x, arguments.by, arguments.experiment)
    return lift.draw(arguments.runs, arguments.experiment)


def _of_scenes(arguments: argparse.Namespace) -> Figure:
    from falip import load_backbone

    if arguments.first < 0 or arguments.scenes < 1:
        raise UserError("--first counts from 0, and --scenes is at least 1.")
    draw = _drawing(arguments.figure)
    name, revision = weights_of(arguments.backbone)
    return draw(load_backbone(name, revision=revision), arguments.first, arguments.scenes)


def _save(figure: Figure, ending: str, dpi: int, palette: bool, path: Path) -> None:
    # A date inside would make every drawing a new file for git.
    figure.savefig(path, format=ending, dpi=dpi, metadata={"CreationDate": None} if ending == "pdf" else {})
    if ending == "png" and palette:
        with Image.open(path) as image:
            small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(path, "PNG", optimize=True)


def _drawing(name: str) -> Callable[[Backbone, int, int], Figure]:
    from benchmarks.figures import attention, depth_maps, examples, heads

    return {"attention": attention, "depth_maps": depth_maps, "heads": heads, "examples": examples}[name].draw


if __name__ == "__main__":
    sys.exit(main())
