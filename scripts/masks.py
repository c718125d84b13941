"""Make the masks of candidate boxes with SAM: `falip data masks --help`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.acquire import check
from benchmarks.acquire.masks import masks_file
from benchmarks.data.expressions import NAMES, PROPOSALS
from benchmarks.data.files import existing, inside, sha256
from benchmarks.data.refcoco import RefCOCO
from benchmarks.data.referents import read_detections
from benchmarks.data.segmenting import CHOICES, Segmenter, Segmenting, write_masks
from falip.errors import UserError
from falip.regions import Box

_DESCRIPTION = """\
Make the masks of the candidates of a split with SAM, for task.masks=sam, or with --out for task.masks=FILE.

  falip data masks refcoco --split testA --device cuda

Or of the boxes in a file of detections, as ReCLIP's: {image id: [[x, y, width, height], ...]}, or a list of
{"image_id": ..., "box": [x, y, width, height]}. Pictures are called COCO_train2014_<12 digits>.jpg or <image id>.jpg.

  falip data masks --boxes dets.json --pictures DIR --out masks.jsonl --device cuda

A call that was interrupted is continued by the same command.
"""


@dataclass(frozen=True)
class _Source:
    """Boxes to segment (image ids, pictures, corners), what they are known by, the file to write, and the mend."""

    images: list[tuple[str, Path, tuple[Box, ...]]]
    identity: dict[str, Any]
    out: Path
    mend: str


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    default = Segmenting()
    made = argparse.ArgumentParser(
        prog="falip data masks",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("data_set", choices=NAMES, nargs="?")
    made.add_argument("--split")
    made.add_argument("--proposals", choices=PROPOSALS, help="(default: detected)")
    made.add_argument("--boxes", type=Path, metavar="FILE", help="detections, instead of a data set's candidates")
    made.add_argument("--pictures", type=Path, metavar="DIR", help="with --boxes: where the pictures are")
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
    source = _detections(asked) if asked.boxes else _candidates(asked)
    how = Segmenting(
        asked.model, asked.revision, asked.choice, asked.min_pixels, asked.dtype, asked.device, asked.boxes_at_once
    )
    segmenter = Segmenter(how)
    header = {"masks_of": source.identity, **segmenter.header}
    write_masks(source.out, source.images, header, segmenter.masks, source.mend, lambda text: print(text, flush=True))
    return 0


def _candidates(asked: argparse.Namespace) -> _Source:
    if not asked.data_set or not asked.split or asked.pictures:
        raise UserError("Give a data set and --split, or --boxes FILE with --pictures DIR and --out FILE.")
    root, proposals = asked.root or check.default_root(), asked.proposals or "detected"
    data = RefCOCO(asked.data_set, str(root), asked.split, proposals, contract=False)
    out = asked.out or masks_file(root, asked.data_set, asked.split, proposals)
    return _Source(data.candidates(), data.identity, out, data.mend)


def _detections(asked: argparse.Namespace) -> _Source:
    if asked.data_set or asked.split or asked.proposals or not (asked.pictures and asked.out):
        raise UserError("--boxes FILE goes with --pictures DIR and --out FILE, and with no data set, split or proposals.")
    mend = f"falip data masks --boxes {asked.boxes} --pictures FOLDER-WITH-ALL-PICTURES --out {asked.out}"
    boxes = read_detections(existing(asked.boxes, "file of detections", mend), mend)
    images = [(id, _picture(asked.pictures, id), found) for id, found in boxes.items()]
    return _Source(images, {"boxes": sha256(asked.boxes)}, asked.out, mend)


def _picture(folder: Path, image_id: str) -> Path:
    own = inside(folder, f"{image_id}.jpg", "the file of detections")
    coco = folder / f"COCO_train2014_{image_id:0>12}.jpg"
    return own if own.exists() else coco
