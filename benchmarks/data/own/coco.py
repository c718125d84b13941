"""One's own annotations in COCO's form of instances: labelled objects, and expressions about them."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.data.boxes import check_frame, check_unit
from benchmarks.data.files import (
    box_from_xywh,
    check_choice,
    identifier,
    read_json,
    required,
    sha256,
)
from benchmarks.data.masks import decoded
from benchmarks.data.own.labelled import LabelledFile, LabelledPicture, LabelledRegion
from benchmarks.data.own.pictures import Pictures
from benchmarks.data.own.table import Faults, Row, read_table
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box

REGIONS = ("box", "mask", "both")
MEND = "export it again as COCO instances"


class LabelledInstances(LabelledFile):
    """Each annotated object of a file of COCO instances, with its category.

    Args:
        file: The file: images, annotations (bbox, or segmentation as polygons or run lengths of both forms), categories.
        images: The folder of the pictures; None for that of the file.
        region: "box", "mask", or "both" for prompts that take either.
        crowd: Whether annotations of crowds are asked about.
        split: As for the rest, see `LabelledFile`.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
    """

    name = "coco"

    def __init__(
        self,
        file: str,
        images: str | None = None,
        region: str = "box",
        crowd: bool = False,
        split: str = "all",
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        check_choice(region, REGIONS, "The form of the region", "task.dataset.region")
        super().__init__(file, images, split, accept_outside, megapixels)
        self.region, self.crowd = region, crowd

    @cached_property
    def _instances(self) -> Instances:
        return Instances(self.file, self.pictures)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the categories, in the order of the file."""
        return tuple(self._instances.categories.values())

    def _read(self) -> dict[str, LabelledPicture]:
        found, faults = self._instances, Faults()
        images = {name: LabelledPicture(found.path(name)) for name in found.files.values()}
        for place, image, one in found.annotations:
            with faults.caught():
                if not one.get("iscrowd") or self.crowd:
                    images[image].regions.append(self._labelled(place, one))
        faults.raise_any(str(self.file))
        return images

    def _labelled(self, place: str, one: dict[str, Any]) -> LabelledRegion:
        category = identifier(required(one, "category_id", place), place)
        if category not in self._instances.categories:
            raise UserError(f"{place}: there is no category {category}.")
        outline = required(one, "segmentation", place) if self.region != "box" else None
        box = _box(one, place) if self.region != "mask" else None
        return LabelledRegion(
            identifier(required(one, "id", place), place), self._instances.categories[category], box, outline
        )

    @property
    def identity(self) -> dict[str, Any]:
        """As for all one's own regions, and how they are taken."""
        return super().identity | {"region": self.region, "crowd": self.crowd}

    def _mask(self, one: LabelledRegion, image: Image.Image, place: str) -> np.ndarray | None:
        return decoded(one.outline, image.size, place)


class ReferringInstances:
    """Expressions about the annotated objects of a file of COCO instances; all objects of a picture are candidates.

    Args:
        instances: The file of COCO instances.
        expressions: A CSV file with the columns image (file name or id), id, expression, target (id of the annotation that
            is meant), and perhaps slice.
        images: The folder of the pictures; None for that of the instances.
        split: What tables call this part of the data.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.

    Raises:
        UserError: When read: if a file is missing or has faults; all of them are named.
    """

    def __init__(
        self,
        instances: str,
        expressions: str,
        images: str | None = None,
        split: str = "all",
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        self.file, self.table = Path(instances).expanduser(), Path(expressions).expanduser()
        self.split, self.accept_outside = split, accept_outside
        self.pictures = Pictures(Path(images).expanduser() if images else self.file.parent, megapixels)

    @cached_property
    def _instances(self) -> Instances:
        return Instances(self.file, self.pictures)

    @cached_property
    def _candidates(self) -> dict[str, dict[str, tuple[Box, Any]]]:
        """For each picture the box and the outline of each of its annotations."""
        found: dict[str, dict[str, tuple[Box, Any]]] = defaultdict(dict)
        faults = Faults()
        for place, image, one in self._instances.annotations:
            with faults.caught():
                key = identifier(required(one, "id", place), place)
                found[image][key] = _box(one, place), one.get("segmentation") or None
        faults.raise_any(str(self.file))
        check_unit((box for image in found.values() for box, _ in image.values()), str(self.file))
        frames = [(self._instances.path(image), [box for box, _ in boxes.values()]) for image, boxes in found.items()]
        check_frame(frames, str(self.file), self.pictures.reader.size, self.accept_outside)
        return found

    @cached_property
    def _queries(self) -> dict[str, list[Query]]:
        queries: dict[str, list[Query]] = {}
        faults, ids = Faults(), set[str]()
        for row in read_table(self.table, ("image", "id", "expression", "target")):
            with faults.caught():
                image = self._image(row)
                target, key = identifier(row.text("target"), row.place), f"{image}/{row.text('id')}"
                if target not in self._candidates.get(image, {}):
                    raise UserError(f"{row.place}: {image} has no annotation {target}.")
                if key in ids:
                    raise UserError(f"{row.place}: the expression {row.text('id')} of {image} is there already.")
                ids.add(key)
                box, words = self._candidates[image][target][0], row.text("expression")
                queries.setdefault(image, []).append(Query(key, words, (box,), slice=row.values.get("slice", "")))
        faults.raise_any(str(self.table))
        return queries

    def _image(self, row: Row) -> str:
        text = row.text("image")
        name = text if text in self._candidates else self._instances.files.get(identifier(text, row.place), "")
        if not name:
            raise UserError(f"{row.place}: {self.file} has no picture {text}.")
        return name

    @cached_property
    def index(self) -> list[SampleInfo]:
        """The pictures that an expression asks about."""
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
        return {"name": "coco", "split": self.split, "version": 1, "files": files, "pictures": pictures}

    def expressions(self) -> list[str]:
        """All expressions, for the pool of those that are subtracted."""
        return [query.text for asked in self._queries.values() for query in asked]

    def load(self, i: int) -> Sample:
        """One picture with its candidates, their masks where they have some, and all its expressions.

        Raises:
            UserError: If the picture or a mask is broken.
        """
        name, asked = list(self._queries.items())[i]
        image, candidates = self.pictures.read(self._instances.path(name)), self._candidates[name]
        place = f"{self.file}, {name}, annotation"
        regions = tuple(
            Region((box,), None if outline is None else decoded(outline, image.size, f"{place} {key}"))
            for key, (box, outline) in candidates.items()
        )
        boxes = tuple(box for box, _ in candidates.values())
        return Sample(name, (Picture(image, regions),), tuple(asked), boxes)


class Instances:
    """The content of a file of COCO instances.

    Args:
        file: The file.
        pictures: Reads the pictures that it names.

    Raises:
        UserError: If it is no such file.
    """

    def __init__(self, file: Path, pictures: Pictures) -> None:
        if not file.is_file():
            raise UserError(f"There is no file {file.absolute()}. Give the path of a JSON file of COCO instances.")
        self._file, self._pictures = file, pictures
        self._content = read_json(file, MEND)
        images = [(f"{file}, image {n}", one) for n, one in enumerate(self._list("images"))]
        self.files = {
            identifier(required(one, "id", place), place): str(required(one, "file_name", place)) for place, one in images
        }
        if len(self.files) < len(images):
            raise UserError(f"{file}: two images have the same id.")

    @cached_property
    def categories(self) -> dict[str, str]:
        """Names of the categories by their ids."""
        listed = [(f"{self._file}, category {n}", one) for n, one in enumerate(self._list("categories"))]
        names = {identifier(required(one, "id", place), place): str(required(one, "name", place)) for place, one in listed}
        if len(set(names.values())) < len(listed):
            raise UserError(f"{self._file}: two categories have the same id or the same name.")
        return names

    @cached_property
    def annotations(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(Place for messages, picture, annotation) of each; ids are unique."""
        found, faults, ids = [], Faults(), set[str]()
        for number, one in enumerate(self._list("annotations")):
            place = f"{self._file}, annotation {number}"
            with faults.caught():
                image = identifier(required(one, "image_id", place), place)
                if image not in self.files:
                    raise UserError(f"{place}: there is no image {image}.")
                key = identifier(required(one, "id", place), place)
                if key in ids:
                    raise UserError(f"{place}: the annotation {key} is there already.")
                ids.add(key)
                found.append((place, self.files[image], one))
        faults.raise_any(str(self._file))
        return found

    def path(self, name: str) -> Path:
        """The file of a picture."""
        return self._pictures.path(name, str(self._file))

    def _list(self, key: str) -> list[Any]:
        value = required(self._content, key, str(self._file))
        if not isinstance(value, list):
            raise UserError(f"{self._file}: {key!r} must be a list, and is a {type(value).__name__}.")
        return value


def _box(one: dict[str, Any], place: str) -> Box:
    box = box_from_xywh(required(one, "bbox", place), place)
    if box[2] <= box[0] or box[3] <= box[1]:
        raise UserError(f"{place}: the box {one['bbox']} (x, y, width, height) has no area.")
    return box
