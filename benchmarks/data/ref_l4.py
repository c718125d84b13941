"""Ref-L4: long expressions of 365 kinds of objects, in pictures of COCO and Objects365."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.data.files import box_from_xywh, check_choice, check_text, existing, identifier, inside
from benchmarks.data.referents import read_detections
from benchmarks.data.referring_sets import AskedImage, ReferringSet, read_rows
from benchmarks.data.samples import Query
from falip.reading import MEGAPIXELS
from falip.regions import Box

_FOLDER = "ref_l4"
_COLUMNS = ("id", "caption", "bbox", "file_name")
_SMALL, _LARGE = 128, 256  # Ref-L4, ref_l4/evaluation.py, lines 104 and 105


class RefL4(ReferringSet):
    """Splits `val`, `test` and `all`; files `ref_l4/ref-l4-{val,test}.parquet` and the pictures in `ref_l4/images/`.

    A query's slice is the size of its object, the root of its box's area: small below 128 pixels, large above 256.

    Args:
        root: The folder of all data sets.
        split: `val`, `test` or `all`.
        proposals: `gt` for the distinct boxes that the split's expressions of an image have, often no more than one or two;
            or `detected` for those of `ref_l4/dets_dict.json`, a list of [x, y, width, height] for each file name.
        contract: Whether the published number of expressions is required.
        megapixels: The largest picture that is decoded.
    """

    name = "ref_l4"
    splits = ("val", "test", "all")
    stated: ClassVar = {"all": (45_341, "JierunChen/Ref-L4, README.md")}

    def __init__(
        self,
        root: str,
        split: str = "val",
        proposals: str = "gt",
        contract: bool = True,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        super().__init__(root, split, contract, megapixels)
        check_choice(proposals, ("gt", "detected"), "The kind of proposals", "task.proposals")
        self.proposals = proposals

    @property
    def settings(self) -> Mapping[str, Any]:
        """Which candidates there are."""
        return {"proposals": self.proposals}

    @property
    def sources(self) -> Sequence[Path]:
        """The files of the split, and that of detections."""
        splits = ("val", "test") if self.split == "all" else (self.split,)
        folder = self.data_root / _FOLDER
        files = [existing(folder / f"ref-l4-{split}.parquet", "annotation file", self.mend) for split in splits]
        if self.proposals == "detected":
            mend = "write {file name: [[x, y, width, height], ...]} there"
            files.append(existing(folder / "dets_dict.json", "proposals file", mend))
        return files

    def _read(self) -> list[AskedImage]:
        files = [path for path in self.sources if path.suffix == ".parquet"]
        detected = read_detections(self.sources[-1], self.mend) if self.proposals == "detected" else None
        boxes: dict[str, list[Box]] = defaultdict(list)
        queries: dict[str, list[Query]] = defaultdict(list)
        paths: dict[str, Path] = {}
        for path in files:
            for number, row in enumerate(read_rows(path, _COLUMNS, self.mend)):
                place = f"{path}, row {number}"
                check_text(row["caption"], "an expression", place, self.mend)
                box, name = box_from_xywh(row["bbox"], place), identifier(row["file_name"], place)
                paths[name] = inside(self.data_root / _FOLDER / "images", row["file_name"], place)
                boxes[name].append(box)
                queries[name].append(Query(identifier(row["id"], place), row["caption"], (box,), slice=_size(box)))
        return [
            AskedImage(name, path, tuple(dict.fromkeys(boxes[name])) if detected is None else detected.get(name, ()),
                       tuple(queries[name]))
            for name, path in paths.items()
        ]  # fmt: skip


def _size(box: Box) -> str:
    side = math.sqrt(max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0))
    return "small" if side < _SMALL else "medium" if side <= _LARGE else "large"
