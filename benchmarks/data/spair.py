"""SPair-71k: keypoints of 18 kinds of objects, each with a box."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.data.files import (
    check_choice,
    check_count,
    data_folder,
    existing,
    fingerprint,
    inside,
    read_json,
    read_lines,
    readable,
    required,
    sha256,
    shown,
)
from benchmarks.data.images import picture_reader, read_image
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box

FOLDER, NAMES = "SPair-71k", "spair_names/spair_keypoint_names.csv"
ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow")
"""Those that RedCircle asks about (ICCV 2023, table 1)."""
_OTHERS = ("aeroplane", "bicycle", "boat", "bottle", "bus", "car", "chair", "motorbike", "person", "pottedplant")
_OTHERS += ("train", "tvmonitor")
_ALL = "animals"
# Pairs of each split: the README of SPair-71k.
_PAIRS = {"trn": 53_340, "val": 5_384, "test": 12_234}
_PAIRS_SOURCE = "SPair-71k's README"
_MEND = "falip data spair"


@dataclass(frozen=True)
class _Annotated:
    """An image as its annotation has it.

    Attributes:
        id: Category and name of the picture, "cat/2009_003858".
        picture: Its file.
        category: What the object is.
        box: The object's.
        points: Names of the visible keypoints and where they are, (x, y) in pixels.
        place: The annotation file.
    """

    id: str
    picture: Path
    category: str
    box: Box
    points: tuple[tuple[str, tuple[float, float]], ...]
    place: str


class SPairKeypoints:
    """The visible keypoints of the object in each picture, with their names and places.

    Files in `<root>/SPair-71k/`, as its README says: `Layout/large/{trn,val,test}.txt`, a line for each pair such as
    "000001-2009_003858-2010_001234:cat"; `ImageAnnotation/<category>/<name>.json` with "bndbox" (x0, y0, x1, y1) and "kps",
    an (x, y) or null by the keypoint's number; and `JPEGImages/<category>/<name>.jpg`. A split has every picture of its
    pairs. SPair-71k numbers its keypoints and does not name them: the names are those that probe3d annotated
    (mbanani/probe3d data_processing/spair_keypoint_names.csv), a column for each category, in `<root>/spair_names/`.

    Args:
        root: The folder of all data sets.
        split: `test`, `val` or `trn`.
        category: One of the 18, or `animals` for the six that RedCircle asks about.
        contract: Whether the published number of pairs is required.
        megapixels: The largest picture that is decoded.

    Raises:
        UserError: If there is no such split or category, or when read: if a file is missing, broken, or not as described.
    """

    class_names = ()

    def __init__(
        self, root: str, split: str, category: str = _ALL, contract: bool = True, megapixels: float = MEGAPIXELS
    ) -> None:
        check_choice(split, list(_PAIRS), "The split of spair", "task.split")
        check_choice(category, [_ALL, *ANIMALS, *_OTHERS], "The category", "task.dataset.category")
        self.root, self.split, self.category, self.contract = Path(root), split, category, contract
        self._reader = picture_reader(megapixels, _MEND)

    @property
    def index(self) -> Sequence[SampleInfo]:
        """All pictures with visible keypoints, by category and in the order in which pairs name them."""
        return [SampleInfo(one.id, len(one.points), len(one.points)) for one in self._images]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Name, split and category, hashes of the files that are read, and of pictures their names and sizes."""
        annotations = hashlib.sha256("".join(sha256(Path(one.place)) for one in self._images).encode()).hexdigest()
        return {
            "name": "spair",
            "split": self.split,
            "category": self.category,
            "version": 1,
            "files": {"layout": sha256(self._layout), "names": sha256(self._names_file), "annotations": annotations},
            "pictures": fingerprint((f"{one.id}.jpg", one.picture) for one in self._images),
        }

    def expressions(self) -> list[str]:
        """What is asked about each visible keypoint, for the pool of those that are subtracted."""
        return [f"{name} of the {one.category}" for one in self._images for name, _ in one.points]

    def load(self, i: int) -> Sample:
        """One picture with a query for each visible keypoint, such as "right ear of the cat".

        The slice is the category where there are several.

        Raises:
            UserError: If the picture is missing or broken, or a keypoint lies outside of it.
        """
        one = self._images[i]
        image = read_image(one.picture, self._reader, _MEND)
        queries, kind = [], one.category if self.category == _ALL else ""
        for k, (name, (x, y)) in enumerate(one.points):
            if not (0 <= x <= image.width and 0 <= y <= image.height):
                raise UserError(
                    f"{one.place}: the {name} is at ({x}, {y}), outside of its picture of {image.width} x {image.height} "
                    f"pixels. Fetch the data again: {_MEND}"
                )
            text, key = f"{name} of the {one.category}", name.replace(" ", "_")
            queries.append(Query(f"{one.id}/{key}", text, ((x, y, x, y),), k, slice=kind))
        return Sample(one.id, (Picture(image, ()),), tuple(queries), (one.box,) * len(queries))

    @cached_property
    def _folder(self) -> Path:
        return existing(data_folder(self.root, _MEND) / FOLDER, "data set", _MEND)

    @property
    def _layout(self) -> Path:
        return existing(self._folder / "Layout" / "large" / f"{self.split}.txt", "list of pairs", _MEND)

    @property
    def _names_file(self) -> Path:
        return existing(data_folder(self.root, _MEND) / NAMES, "file of the keypoints' names", _MEND)

    @cached_property
    def _images(self) -> tuple[_Annotated, ...]:
        wanted = ANIMALS if self.category == _ALL else (self.category,)
        found: dict[str, dict[str, str]] = {category: {} for category in wanted}
        lines = list(read_lines(self._layout, 1, _MEND))
        for place, (line,) in lines:
            pair, _, category = line.partition(":")
            parts = pair.split("-")
            if len(parts) != 3:
                raise UserError(f"{place}: a pair is NUMBER-NAME-NAME:CATEGORY, and found {shown(line)}.")
            if category in found:
                found[category] |= dict.fromkeys(parts[1:], place)
        if self.contract:
            check_count("pairs", len(lines), _PAIRS[self.split], _PAIRS_SOURCE, str(self._layout), _MEND)
        images = (self._image(category, name, place) for category in wanted for name, place in found[category].items())
        kept = tuple(one for one in images if one.points)
        if not kept:
            raise UserError(f"{self._layout} has no picture of {', '.join(wanted)}. Fetch it again: {_MEND}")
        return kept

    def _image(self, category: str, name: str, place: str) -> _Annotated:
        file = inside(self._folder / "ImageAnnotation" / category, f"{name}.json", place)
        content = read_json(existing(file, "annotation file", _MEND), _MEND)
        box, points = _numbers(required(content, "bndbox", str(file)), 4, f"{file}, bndbox"), []
        numbered = required(content, "kps", str(file))
        if not isinstance(numbered, dict):
            raise UserError(f"{file}: kps is an object of places by number, and found {shown(numbered)}.")
        for number, point in numbered.items():
            if point is not None:
                named = self._names.get(category, {}).get(number)
                if named is None:
                    raise UserError(
                        f"{file}: the keypoint {shown(number)} of {category} has no name in {self._names_file}."
                    )
                points.append((named, _numbers(point, 2, f"{file}, keypoint {number}")))
        picture = self._folder / "JPEGImages" / category / f"{name}.jpg"
        return _Annotated(f"{category}/{name}", picture, category, box, tuple(points), str(file))

    @cached_property
    def _names(self) -> dict[str, dict[str, str]]:
        """The name of each keypoint by category and number."""
        path = self._names_file
        try:
            with readable(path, _MEND), path.open(encoding="utf-8", newline="") as file:
                rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
        except csv.Error as error:
            raise UserError(f"{path} is no table of commas ({error}). Fetch it again: {_MEND}") from None
        header = rows[0] if rows else []
        if "bird" not in header:
            raise UserError(f"{path}: the first line names the categories, and found {shown(header)}. Fetch it: {_MEND}")
        columns = {category: header.index(category) for category in (*ANIMALS, *_OTHERS) if category in header}
        return {
            category: {row[0]: row[at] for row in rows[1:] if len(row) > at and row[at] not in ("", "N/A")}
            for category, at in columns.items()
        }


def _numbers(values: Any, count: int, place: str) -> Any:
    """So many finite numbers."""
    try:
        found = tuple(float(value) for value in values if isinstance(values, list))
    except (TypeError, ValueError, OverflowError):
        found = ()
    if len(found) != count or any(value - value for value in found):
        raise UserError(f"{place}: expected {count} numbers, and found {shown(values)}. Fetch the data again: {_MEND}")
    return found
