"""Make the masks of candidate boxes with SAM: `falip data masks --help`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.acquire import check
from benchmarks.acquire.masks import masks_file
from benchmarks.data.expressions import NAMES, PROPOSALS
from benchmarks.data.refcoco import RefCOCO
from benchmarks.data.segmenting import CHOICES, Segmenter, Segmenting, write_masks

_DESCRIPTION = """\
Make the masks of the candidates of a split with SAM, for task.masks=sam, or with --out for task.masks=FILE.

  falip data masks refcoco --split testA --device cuda

A call that was interrupted is continued by the same command.
"""


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    default = Segmenting()
    made = argparse.ArgumentParser(
        prog="falip data masks",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("data_set", choices=NAMES)
    made.add_argument("--split", required=True)
    made.add_argument("--proposals", choices=PROPOSALS, default="detected")
    made.add_argument("--out", type=Path, metavar="FILE", help="(that of task.masks=sam, below the data root)")
    made.add_argument("--root", type=Path, metavar="DIR", help="the data root (default: $FALIP_DATA, else data)")
    made.add_argument("--model", default=default.model, help="a folder, or a repository of the hub (default: %(default)s)")
    made.add_argument("--revision", help="of the hub's repository")
    made.add_argument("--choice", choices=CHOICES, default=default.choice, help="SAM's single mask, or the best of three")
    made.add_argument("--min-pixels", type=int, default=default.min_pixels, help="smaller holes and islands are removed")
    made.add_argument("--dtype", default=default.dtype)
    made.add_argument("--device", default=default.device)
    made.add_argument("--boxes-at-once", type=int, default=default.boxes_at_once)
    return made


def run(arguments: Sequence[str]) -> int:
    """Runs the command; raises `UserError` where something is to be mended."""
    asked = parser().parse_args(arguments)
    root = asked.root or check.default_root()
    data = RefCOCO(asked.data_set, str(root), asked.split, asked.proposals, contract=False)
    how = Segmenting(
        asked.model, asked.revision, asked.choice, asked.min_pixels, asked.dtype, asked.device, asked.boxes_at_once
    )
    images = data.candidates()
    segmenter = Segmenter(how)
    header = {"masks_of": data.identity, **segmenter.header}
    out = asked.out or masks_file(root, asked.data_set, asked.split, asked.proposals)
    write_masks(out, images, header, segmenter.masks, data.mend, lambda text: print(text, flush=True))
    return 0
