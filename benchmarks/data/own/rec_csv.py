"""One's own referring expressions: a table of candidate boxes, and a table of expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.data.boxes import check_frame, check_unit
from benchmarks.data.files import sha256
from benchmarks.data.own.pictures import Pictures
from benchmarks.data.own.table import BOX, Faults, Row, read_table
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box


@dataclass
class _Image:
    path: Path
    candidates: dict[str, Box] = field(default_factory=dict)
    queries: list[Query] = field(default_factory=list)


class ReferringTable:
    """Expressions and the boxes that they may mean, from two CSV files.

    `candidates` has the columns image, id, x0, y0, x1, y1 (pixels), one line for each candidate box; pictures are named
    relative to it. `expressions` has image, id, expression, target, and may have slice; target is the id of the candidate
    that is meant.

    Args:
        candidates: The table of boxes.
        expressions: The table of expressions.
        split: What tables call this part of the data.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.

    Raises:
        UserError: When read: if a file is missing or has faults; all of them are named.
    """

    def __init__(
        self,
        candidates: str,
        expressions: str,
        split: str = "all",
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        self.candidates, self.expressions_file = Path(candidates).expanduser(), Path(expressions).expanduser()
        self.split, self.accept_outside = split, accept_outside
        self.pictures = Pictures(self.candidates.parent, megapixels)

    @cached_property
    def _images(self) -> dict[str, _Image]:
        images: dict[str, _Image] = {}
        faults = Faults()
        for row in read_table(self.candidates, ("image", "id", *BOX)):
            with faults.caught():
                self._add_candidate(images, row)
        faults.raise_any(str(self.candidates))
        check_unit((box for image in images.values() for box in image.candidates.values()), str(self.candidates))
        ids: set[str] = set()
        for row in read_table(self.expressions_file, ("image", "id", "expression", "target")):
            with faults.caught():
                _add_expression(images, row, ids)
        faults.raise_any(str(self.expressions_file))
        boxes = [(image.path, tuple(image.candidates.values())) for image in images.values()]
        check_frame(boxes, str(self.candidates), self.pictures.reader.size, self.accept_outside)
        return {name: image for name, image in images.items() if image.queries}

    def _add_candidate(self, images: dict[str, _Image], row: Row) -> None:
        name, key = row.text("image"), row.text("id")
        image = images.get(name) or _Image(self.pictures.path(name, row.place))
        if key in image.candidates:
            raise UserError(f"{row.place}: the candidate {key} of {name} is there already.")
        image.candidates[key] = row.box()
        images[name] = image

    @property
    def index(self) -> Sequence[SampleInfo]:
        """The pictures that an expression asks about, in the order of the table of candidates."""
        return [SampleInfo(name, len(image.queries), len(image.candidates)) for name, image in self._images.items()]

    @property
    def class_names(self) -> tuple[str, ...]:
        """None: expressions are free text."""
        return ()

    @property
    def identity(self) -> dict[str, Any]:
        """Name, split, version of the loader, hashes of both tables, and of pictures names and sizes."""
        pictures = self.pictures.digest(self._images)
        files = {path.name: sha256(path) for path in (self.candidates, self.expressions_file)}
        return {"name": "csv", "split": self.split, "version": 1, "files": files, "pictures": pictures}

    def expressions(self) -> list[str]:
        """All expressions, for the pool of those that are subtracted."""
        return [query.text for image in self._images.values() for query in image.queries]

    def load(self, i: int) -> Sample:
        """One picture with its candidates and all its expressions.

        Raises:
            UserError: If the picture is broken.
        """
        name, image = list(self._images.items())[i]
        boxes = tuple(image.candidates.values())
        picture = Picture(self.pictures.read(image.path), tuple(Region.from_box(*box) for box in boxes))
        return Sample(name, (picture,), tuple(image.queries), boxes)


def _add_expression(images: dict[str, _Image], row: Row, ids: set[str]) -> None:
    name, target = row.text("image"), row.text("target")
    if name not in images:
        raise UserError(f"{row.place}: no candidate is of the picture {name}.")
    candidates = images[name].candidates
    if target not in candidates:
        raise UserError(f"{row.place}: {name} has no candidate {target}; it has {', '.join(candidates)}.")
    query = f"{name}/{row.text('id')}"
    if query in ids:
        raise UserError(f"{row.place}: the expression {row.text('id')} of {name} is there already.")
    ids.add(query)
    expression, part = row.text("expression"), row.values.get("slice", "")
    images[name].queries.append(Query(query, expression, (candidates[target],), slice=part))
