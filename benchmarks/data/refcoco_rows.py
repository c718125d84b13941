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

import pyarrow
from pyarrow import parquet
from pycocotools.coco import COCO

from benchmarks.data.expressions import ReferringDataset
from benchmarks.data.files import box_from_xywh, first_existing, identifier, required, sha256
from benchmarks.data.referents import Referent, referent
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box

# The hub names the splits differently (dataset cards of jxu124/refcoco, refcocoplus and refcocog).
_HUB_SPLITS = {"val": "validation", "testA": "test", "testB": "testB", "test": "test"}
_HUB_IDS = {"refcoco": "jxu124/refcoco", "refcoco_plus": "jxu124/refcocoplus", "refcocog": "jxu124/refcocog"}
_COLUMNS = ("image_id", "ann_id", "file_name", "sentences")
_INSTANCES = "instances_train2014.json"
_INSTANCES_MEND = "falip data coco_instances"


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
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
        review: See `ReferringDataset`.
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
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
        masks: str | None = None,
        review: str = "all",
    ) -> None:
        super().__init__(name, root, split, proposals, contract, accept_outside, megapixels, masks, review)
        self.rows, self.revision = rows, revision

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        split = _HUB_SPLITS[self.split]
        if self.rows is None:
            return _hub_rows(_HUB_IDS[self.name], split, self.revision)
        return _local_rows(Path(self.rows).expanduser(), split)

    @property
    def _annotations_file(self) -> Path:
        places = [self.folder / "annotations" / _INSTANCES, self.folder / _INSTANCES]
        return first_existing(places, "annotation file of COCO", _INSTANCES_MEND)

    @property
    def _sources(self) -> dict[str, str]:
        # Of the rows their content, so that the hub and a copy of it are the same data.
        rows = hashlib.sha256(json.dumps(self._rows, sort_keys=True).encode()).hexdigest()
        return {f"rows of {_HUB_IDS[self.name]}": rows, _INSTANCES: sha256(self._annotations_file)}

    def _referents(self) -> Iterator[Referent]:
        objects = _annotated_objects(self._annotations_file)
        for number, row in enumerate(self._rows):
            place = f"{self.rows or _HUB_IDS[self.name]}, split {_HUB_SPLITS[self.split]}, row {number}"
            image_id = identifier(required(row, "image_id", place), place)
            found = objects.get(image_id, [])
            yield referent(place, image_id, row["file_name"], row["ann_id"], found, row["sentences"], self.mend)


def _hub_rows(repository: str, split: str, revision: str | None) -> list[dict[str, Any]]:
    import datasets  # takes a second, and only this route needs it

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
        try:
            table = parquet.read_table(file)
        except (OSError, pyarrow.ArrowException) as error:
            raise UserError(f"{file} cannot be read as Parquet ({error}). Fetch it from the hub again.") from None
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


def _annotated_objects(path: Path) -> dict[str, list[tuple[str, Box]]]:
    """For each image id the (id, box) of its objects, in the file's order."""
    # pycocotools reports its progress on standard output, which belongs to the entry point.
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            by_image: Mapping[Any, Sequence[Any]] = COCO(str(path)).imgToAnns
    except (ValueError, KeyError, TypeError, AssertionError, OSError, RecursionError) as error:
        raise UserError(
            f"{path} is not an annotation file of COCO ({error!r:.300}). Fetch it again: {_INSTANCES_MEND}"
        ) from None
    objects: dict[str, list[tuple[str, Box]]] = {}
    for image_id, members in by_image.items():
        found = objects.setdefault(identifier(image_id, str(path)), [])
        for one in members:
            name = identifier(required(one, "id", str(path)), str(path))
            place = f"{path}, annotation {name}"
            found.append((name, box_from_xywh(required(one, "bbox", place), place)))
    return objects
