"""Waterbirds: CUB's birds pasted onto land and water, to see who goes by the background."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from benchmarks.data.cub import BOXES, IMAGES, read_boxes, read_column
from benchmarks.data.cub import FOLDER as CUB_FOLDER
from benchmarks.data.files import existing, identifier, inside, readable, sha256, shown
from benchmarks.data.images import LabelledDataset, LabelledImage
from benchmarks.data.samples import SplitContract
from falip import Region
from falip.errors import UserError
from falip.regions import Box

_FOLDER = "waterbird_complete95_forest2water2"
_COLUMNS = ("img_id", "img_filename", "y", "split", "place")
_SPLITS = {"train": "0", "val": "1", "test": "2"}
_BIRDS, _PLACES = ("landbird", "waterbird"), ("land", "water")
_SOURCE = "group DRO paper, Sagawa et al. 2020"
_CONTRACTS = {
    "train": SplitContract(4795, source=_SOURCE),
    "val": SplitContract(1199, source=_SOURCE),
    "test": SplitContract(5794, source=_SOURCE),
}


class Waterbirds(LabelledDataset):
    """The official archive, found in `<root>/waterbird_complete95_forest2water2/`; see `LabelledDataset` for the arguments.

    `metadata.csv` has y (0 landbird, 1 waterbird), place (0 land, 1 water) and split (0 train, 1 val, 2 test):
    W:dataset_scripts/generate_waterbirds.py. A query's slice names its group, of which the number is 2 y + place. Boxes are
    those of CUB, found in `<root>/CUB_200_2011/`, since each bird stays where it was in CUB's picture. Eastern Towhee,
    Western Meadowlark and Western Wood Pewee have the wrong class (W:README.md), and are left so, as everywhere.
    """

    name = "waterbirds"
    contracts = _CONTRACTS
    stated_classes = 2

    @property
    def every_class(self) -> tuple[str, ...]:
        """Landbird and waterbird."""
        return _BIRDS

    @property
    def group_shares(self) -> dict[str, float]:
        """The share of each group in the training split, by slice: what the customary mean accuracy is weighted by.

        Raises:
            UserError: If the metadata has no training picture.
        """
        groups = Counter(_group(row) for _, row in self._rows if row["split"] == _SPLITS["train"])
        if not groups:
            raise UserError(
                f"{self._metadata} has no training picture (split 0), so accuracy cannot be weighted by the groups' shares."
            )
        return {f"{bird} on {place}": groups[f"{bird} on {place}"] / groups.total() for bird in _BIRDS for place in _PLACES}

    @property
    def identity(self) -> dict[str, Any]:
        """That of the pictures, with the training shares, so that the weighted mean follows from the run alone."""
        return {**super().identity, "group_shares": self.group_shares}

    @property
    def _metadata(self) -> Path:
        return existing(self.data_root / _FOLDER / "metadata.csv", "annotation file", self.mend)

    @cached_property
    def _rows(self) -> tuple[tuple[str, dict[str, str]], ...]:
        path = self._metadata
        with readable(path, self.mend), path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise UserError(
                    f"{path}: the columns {', '.join(missing)} are missing; found {', '.join(reader.fieldnames or ())}. "
                    f"Fetch it again: {self.mend}"
                )
            try:
                rows = tuple((f"{path}, line {reader.line_num}", row) for row in reader)
            except csv.Error as error:
                raise UserError(f"{path}, line {reader.line_num}: {error}. Fetch it again: {self.mend}") from None
        for place, row in rows:
            if row["y"] not in ("0", "1") or row["place"] not in ("0", "1") or row["split"] not in _SPLITS.values():
                raise UserError(
                    f"{place}: y and place must be 0 or 1 and split 0, 1 or 2, and they are {shown(row['y'])}, "
                    f"{shown(row['place'])} and {shown(row['split'])}. Fetch it again: {self.mend}"
                )
        return rows

    def _cub_file(self, name: str) -> Path:
        return existing(self.data_root / CUB_FOLDER / name, "file of CUB, which has the boxes of Waterbirds,", self.mend)

    @cached_property
    def _boxes(self) -> dict[str, Box]:
        return read_boxes(self._cub_file(BOXES), self.mend)

    def _annotated(self) -> tuple[str, Sequence[tuple[Path, Sequence[Box]]]]:
        return str(self._cub_file(BOXES)), [(item.path, (self._boxes[item.region_key],)) for item in self._every_item]

    @property
    def _sources(self) -> dict[str, str]:
        files = (self._metadata, self._cub_file(IMAGES), self._cub_file(BOXES))
        return {path.name: sha256(path) for path in files}

    def _read(self) -> list[LabelledImage]:
        cub_names = read_column(self._cub_file(IMAGES), self.mend)
        items = []
        for place, row in self._rows:
            if row["split"] != _SPLITS[self.split]:
                continue
            number, name = identifier(row["img_id"], place), row["img_filename"]
            if cub_names.get(number) != name or number not in self._boxes:
                raise UserError(
                    f"{place}: image {number} is {name}, but in CUB it is {cub_names.get(number, 'missing')}, so its box "
                    f"is not known. Fetch both data sets again: {self.mend}"
                )
            picture = inside(self.data_root / _FOLDER, name, place)
            path = PurePosixPath(name)
            items.append(LabelledImage(str(path.with_suffix("")), picture, int(row["y"]), number, _group(row)))
        return items

    def _region(self, item: LabelledImage, image: Image.Image) -> Region:
        return Region.from_box(*self._boxes[item.region_key])


def _group(row: dict[str, str]) -> str:
    return f"{_BIRDS[int(row['y'])]} on {_PLACES[int(row['place'])]}"
