"""RefCOCO, RefCOCO+ and RefCOCOg from the rows on the Hugging Face hub and COCO's own annotations."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
from pyarrow import parquet
from pycocotools.coco import COCO

from benchmarks.data.expressions import Referent, ReferringDataset, picture_file, read_sentences
from benchmarks.data.files import box_from_xywh, first_existing, required, sha256
from falip.errors import UserError

# The hub names the splits differently (dataset cards of jxu124/refcoco, refcocoplus and refcocog).
_HUB_SPLITS = {"val": "validation", "testA": "test", "testB": "testB", "test": "test"}
_HUB_IDS = {"refcoco": "jxu124/refcoco", "refcoco_plus": "jxu124/refcocoplus", "refcocog": "jxu124/refcocog"}
_COLUMNS = ("image_id", "ann_id", "file_name", "sentences")
_INSTANCES = "instances_train2014.json"
_INSTANCES_MEND = "python -m scripts.data coco_instances"


class RefCOCORows(ReferringDataset):
    """The same samples as `RefCOCO`, by a second route, for where the archive of ReCLIP cannot be had.

    A row holds a referent and its expressions. Its `bbox` is not used, since the card does not state its
    order: the boxes of the referent and of all other annotated objects come from `instances_train2014.json`
    of COCO, in its order, found in `<root>/annotations/` or `<root>`.

    Args:
        name: `refcoco`, `refcoco_plus` or `refcocog`.
        root: The data folder.
        split: As for `RefCOCO`; the hub's own names are looked up here.
        proposals: `gt` or `detected`.
        rows: Folder with the parquet files of the hub (`<split>-*.parquet`, at any depth), or None for the
            hub itself, which honours HF_HUB_OFFLINE.
        revision: Revision of the hub's repository, or None for its newest.
        contract: Whether the split must have the published number of expressions.
    """

    def __init__(
        self,
        name: str,
        root: str,
        split: str,
        proposals: str,
        rows: str | None = None,
        revision: str | None = None,
        contract: bool = True,
    ) -> None:
        super().__init__(name, root, split, proposals, contract)
        self.rows, self.revision = rows, revision

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        split = _HUB_SPLITS[self.split]
        if self.rows is None:
            return _hub_rows(_HUB_IDS[self.name], split, self.revision)
        return _local_rows(Path(self.rows).expanduser(), split)

    @property
    def _instances(self) -> Path:
        places = [self.folder / "annotations" / _INSTANCES, self.folder / _INSTANCES]
        return first_existing(places, "annotation file of COCO", _INSTANCES_MEND)

    @property
    def _sources(self) -> dict[str, str]:
        # Of the rows their content, so that the hub and a copy of it are the same data.
        rows = hashlib.sha256(json.dumps(self._rows, sort_keys=True).encode()).hexdigest()
        return {f"rows of {_HUB_IDS[self.name]}": rows, _INSTANCES: sha256(self._instances)}

    def _referents(self) -> Iterator[Referent]:
        objects = _annotated_objects(self._instances)
        for number, row in enumerate(self._rows):
            place = f"{self.rows or _HUB_IDS[self.name]}, split {_HUB_SPLITS[self.split]}, row {number}"
            image_id = required(row, "image_id", place)
            annotations = {
                str(annotation["id"]): box_from_xywh(
                    annotation["bbox"], f"{self._instances}, annotation {annotation['id']}"
                )
                for annotation in objects.get(image_id, ())
            }
            ann_id = str(row["ann_id"])
            if ann_id not in annotations:
                raise UserError(
                    f"{place}: the referent (ann_id {ann_id}) is not among the objects of image {image_id} "
                    f"in {self._instances}: {', '.join(annotations) or 'none'}. Take COCO's own file: "
                    f"{_INSTANCES_MEND}"
                )
            sentences = read_sentences(row["sentences"], place, self.mend)
            yield Referent(place, str(image_id), picture_file(row["file_name"]), (ann_id,), annotations, sentences)


def _hub_rows(repository: str, split: str, revision: str | None) -> list[dict[str, Any]]:
    try:
        rows = datasets.load_dataset(repository, split=split, revision=revision)
    except (OSError, ValueError) as error:
        raise UserError(
            f"The rows of {repository} (split {split}, revision {revision or 'newest'}) cannot be read from "
            f"the hub or its cache: {error} Without a network, name a folder with its parquet files: "
            f"task.dataset.rows=FOLDER"
        ) from None
    _check_columns(rows.column_names, repository)
    return rows.select_columns(list(_COLUMNS)).to_list()


def _local_rows(folder: Path, split: str) -> list[dict[str, Any]]:
    files = sorted(folder.rglob(f"{split}-*.parquet"))
    if not files:
        found = ", ".join(sorted(path.name for path in folder.rglob("*.parquet"))) or "no parquet file at all"
        raise UserError(
            f"{folder} (task.dataset.rows) has no file {split}-*.parquet; found {found}. Copy the parquet "
            f"files of the hub there, with the names that they have there."
        )
    rows = []
    for file in files:
        table = parquet.read_table(file)
        _check_columns(table.column_names, str(file))
        rows.extend(table.select(list(_COLUMNS)).to_pylist())
    return rows


def _check_columns(found: Sequence[str], where: str) -> None:
    missing = [column for column in _COLUMNS if column not in found]
    if missing:
        raise UserError(
            f"{where}: the columns {', '.join(missing)} are missing; found {', '.join(found)}. The rows of "
            f"{', '.join(_HUB_IDS.values())} have them."
        )


def _annotated_objects(path: Path) -> Mapping[int, Sequence[Any]]:
    # pycocotools reports its progress on standard output, which belongs to the entry point.
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return COCO(str(path)).imgToAnns
    except (ValueError, KeyError, AssertionError) as error:
        raise UserError(
            f"{path} is not an annotation file of COCO ({error!r}). Fetch it again: {_INSTANCES_MEND}"
        ) from None
