"""What one's own referring expressions have in common: pictures with candidate boxes, and a table of expressions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from benchmarks.data.boxes import check_frame, check_unit
from benchmarks.data.files import sha256
from benchmarks.data.own.pictures import Pictures
from benchmarks.data.own.table import Faults, Row, read_table
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip import Region
from falip.errors import UserError
from falip.regions import Box


class ReferringFiles(ABC):
    """Expressions and the boxes that they may mean, from a file of candidates and a CSV file of expressions.

    The latter has the columns image, id, expression, target, and may have slice; target is the id of the candidate that is
    meant.

    Attributes:
        name: What identities call the data.

    Args:
        candidates: The file of candidates.
        expressions: The table of expressions.
        images: The folder of the pictures; None for that of the candidates.
        split: What tables call this part of the data.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.

    Raises:
        UserError: When read: if a file is missing or has faults; all of them are named.
    """

    name: ClassVar[str]

    def __init__(
        self, candidates: str, expressions: str, images: str | None, split: str, accept_outside: bool, megapixels: float
    ) -> None:
        self.file, self.table = Path(candidates).expanduser(), Path(expressions).expanduser()
        self.split, self.accept_outside = split, accept_outside
        self.pictures = Pictures(Path(images).expanduser() if images else self.file.parent, megapixels)

    @abstractmethod
    def _read(self) -> Mapping[str, Mapping[str, Box]]:
        """The boxes of each picture's candidates by their ids, in the order of the file."""

    @abstractmethod
    def _image(self, row: Row) -> str:
        """The picture that a line of the table of expressions names."""

    def _region(self, name: str, candidate: str, box: Box, image: Image.Image) -> Region:
        """The region of a candidate; a subclass may know its mask."""
        return Region.from_box(*box)

    @cached_property
    def _candidates(self) -> Mapping[str, Mapping[str, Box]]:
        found = self._read()
        check_unit((box for boxes in found.values() for box in boxes.values()), str(self.file))
        frames = [(self.pictures.path(name, str(self.file)), tuple(boxes.values())) for name, boxes in found.items()]
        check_frame(frames, str(self.file), cache(self.pictures.reader.size), self.accept_outside)
        return found

    @cached_property
    def _queries(self) -> dict[str, list[Query]]:
        """The expressions about each picture, in the order of the candidates."""
        queries: dict[str, list[Query]] = {name: [] for name in self._candidates}
        faults, ids = Faults(), set[str]()
        for row in read_table(self.table, ("image", "id", "expression", "target")):
            with faults.caught():
                self._add(queries, row, ids)
        faults.raise_any(str(self.table))
        return {name: asked for name, asked in queries.items() if asked}

    def _add(self, queries: dict[str, list[Query]], row: Row, ids: set[str]) -> None:
        name, target = self._image(row), row.text("target")
        boxes, key = self._candidates[name], f"{name}/{row.text('id')}"
        if target not in boxes:
            raise UserError(f"{row.place}: {name} has no candidate {target}; it has {', '.join(boxes)}.")
        if key in ids:
            raise UserError(f"{row.place}: the expression {row.text('id')} of {name} is there already.")
        ids.add(key)
        queries[name].append(Query(key, row.text("expression"), (boxes[target],), slice=row.values.get("slice", "")))

    @cached_property
    def index(self) -> Sequence[SampleInfo]:
        """The pictures that an expression asks about, in the order of the candidates."""
        return [SampleInfo(name, len(asked), len(self._candidates[name])) for name, asked in self._queries.items()]

    @property
    def class_names(self) -> tuple[str, ...]:
        """None: expressions are free text."""
        return ()

    @property
    def identity(self) -> dict[str, Any]:
        """Name, split, version of the loader, hashes of both files, and of pictures names and sizes."""
        pictures = self.pictures.digest(self._queries)
        files = {path.name: sha256(path) for path in (self.file, self.table)}
        return {"name": self.name, "split": self.split, "version": 1, "files": files, "pictures": pictures}

    def expressions(self) -> list[str]:
        """All expressions, for the pool of those that are subtracted."""
        return [query.text for asked in self._queries.values() for query in asked]

    def load(self, i: int) -> Sample:
        """One picture with its candidates and all its expressions.

        Raises:
            UserError: If the picture or a mask is broken.
        """
        name = self.index[i].id
        image, boxes = self.pictures.read(self.pictures.path(name, str(self.file))), self._candidates[name]
        regions = tuple(self._region(name, key, box, image) for key, box in boxes.items())
        return Sample(name, (Picture(image, regions),), tuple(self._queries[name]), tuple(boxes.values()))
