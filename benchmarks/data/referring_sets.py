"""Data sets of referring expressions beside RefCOCO's; a subclass reads its publisher's files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
from PIL import Image
from pyarrow import parquet

from benchmarks.data.boxes import check_unit
from benchmarks.data.files import check_choice, check_count, data_folder, fingerprint, sha256
from benchmarks.data.images import picture_reader, read_image
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box


@dataclass(frozen=True)
class AskedImage:
    """A picture, its candidates and all expressions about it.

    Attributes:
        id: Of the picture, unique in the data set.
        path: The picture's file.
        boxes: The candidates as corners; where there are none, the whole picture is the only one.
        queries: The expressions.
        row: Where the data set finds more about it.
    """

    id: str
    path: Path
    boxes: tuple[Box, ...]
    queries: tuple[Query, ...]
    row: int = -1


class ReferringSet(ABC):
    """Pictures with candidates and expressions.

    Attributes:
        name: Name in identities and of the command that fetches it.
        version: Of the loader; raised where what it reads can change.
        splits: What can be chosen.
        stated: For a split the number of expressions that its source states, and where.

    Args:
        root: The folder of all data sets.
        split: One of `splits`.
        contract: Whether the stated numbers are required; switched off for a sample of the data.
        megapixels: The largest picture that is decoded.

    Raises:
        UserError: If a value is not offered, or when read: if a file is missing, broken, or not what it should be.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    splits: ClassVar[Sequence[str]]
    stated: ClassVar[Mapping[str, tuple[int, str]]] = {}

    def __init__(self, root: str, split: str, contract: bool, megapixels: float = MEGAPIXELS) -> None:
        check_choice(split, list(self.splits), f"The split of {self.name}", "task.split")
        self.root, self.split, self.contract = Path(root), split, contract
        self.mend = f"falip data {self.name}"
        self.reader = picture_reader(megapixels, self.mend)

    @property
    @abstractmethod
    def sources(self) -> Sequence[Path]:
        """The files that are read."""

    @abstractmethod
    def _read(self) -> list[AskedImage]:
        """All pictures with their expressions, in a fixed order."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What beside split and files can move a number."""
        return {}

    @cached_property
    def data_root(self) -> Path:
        """The folder of all data sets."""
        return data_folder(self.root, self.mend)

    @cached_property
    def _images(self) -> tuple[AskedImage, ...]:
        images = tuple(image for image in self._read() if image.queries)
        where = f"The split {self.split} of {self.name} in {self.data_root}"
        if not images:
            raise UserError(f"{where} has no expression at all. Fetch it again: {self.mend}")
        if self.contract and self.split in self.stated:
            count, source = self.stated[self.split]
            check_count("queries", sum(len(image.queries) for image in images), count, source, where, self.mend)
        check_unit((box for image in images for box in image.boxes), str(self.sources[0]))
        return images

    @property
    def index(self) -> Sequence[SampleInfo]:
        """One entry for each picture, in the order of the publisher's file."""
        return [SampleInfo(image.id, len(image.queries), max(1, len(image.boxes))) for image in self._images]

    @property
    def class_names(self) -> tuple[str, ...]:
        """None: expressions are free text."""
        return ()

    def expressions(self) -> list[str]:
        """All expressions of the split, for the pool of those that are subtracted."""
        return [query.text for image in self._images for query in image.queries]

    @property
    def identity(self) -> dict[str, Any]:
        """Name, split, settings, version of the loader, hashes of the files read, and of pictures names and sizes."""
        return {
            "name": self.name,
            "split": self.split,
            "version": self.version,
            **self.settings,
            "files": {path.name: sha256(path) for path in self.sources},
            "pictures": fingerprint((image.id, image.path) for image in self._images),
        }

    def load(self, i: int) -> Sample:
        """One picture with its candidates and all its expressions.

        Raises:
            UserError: If the picture is missing or broken.
        """
        item = self._images[i]
        image = self._picture(item)
        boxes = item.boxes or ((0.0, 0.0, float(image.width), float(image.height)),)
        return Sample(item.id, (Picture(image, self._regions(item, boxes, image)),), item.queries, boxes, not item.boxes)

    def _picture(self, item: AskedImage) -> Image.Image:
        return read_image(item.path, self.reader, self.mend)

    def _regions(self, item: AskedImage, boxes: Sequence[Box], image: Image.Image) -> tuple[Region, ...]:
        return tuple(Region.from_box(*box) for box in boxes)


def read_rows(path: Path, columns: Sequence[str], mend: str) -> list[dict[str, Any]]:
    """Some columns of a Parquet file, row by row.

    Raises:
        UserError: If it is no such file, or lacks a column.
    """
    try:
        schema = parquet.read_schema(path)
        missing = [column for column in columns if column not in schema.names]
        if not missing:
            return parquet.read_table(path, columns=list(columns)).to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise UserError(f"{path} cannot be read as Parquet ({error}). Fetch it again: {mend}") from None
    raise UserError(
        f"{path}: the columns {', '.join(missing)} are missing; found {', '.join(schema.names)}. Fetch it: {mend}"
    )
