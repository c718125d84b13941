"""One's own annotations in COCO's form of instances: labelled objects, and expressions about them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.data.files import (
    box_from_xywh,
    check_choice,
    identifier,
    read_json,
    required,
)
from benchmarks.data.masks import decoded
from benchmarks.data.own.labelled import LabelledFile, LabelledPicture, LabelledRegion
from benchmarks.data.own.pictures import Pictures
from benchmarks.data.own.referring import ReferringFiles
from benchmarks.data.own.table import Faults, Row
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box

REGIONS = ("box", "mask", "both")
MEND = "a file of your own is exported as COCO instances"


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


class ReferringInstances(ReferringFiles):
    """Expressions about the annotated objects of a file of COCO instances; all objects of a picture are candidates.

    Args:
        instances: The file of COCO instances; its pictures are named there.
        expressions: As for the rest, see `ReferringFiles`; image is a file name or an id, target the id of an annotation.
        images: The folder of the pictures; None for that of the instances.
        split: What tables call this part of the data.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
    """

    name = "coco"

    def __init__(
        self,
        instances: str,
        expressions: str,
        images: str | None = None,
        split: str = "all",
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        super().__init__(instances, expressions, images, split, accept_outside, megapixels)

    @cached_property
    def _instances(self) -> Instances:
        return Instances(self.file, self.pictures)

    @cached_property
    def _outlines(self) -> dict[tuple[str, str], Any]:
        """The outline of each annotation that has one, by picture and id."""
        listed = [(image, identifier(one["id"], place), one) for place, image, one in self._instances.annotations]
        return {(image, key): one["segmentation"] for image, key, one in listed if one.get("segmentation")}

    def _read(self) -> dict[str, dict[str, Box]]:
        found: dict[str, dict[str, Box]] = {}
        faults = Faults()
        for place, image, one in self._instances.annotations:
            with faults.caught():
                box = _box(one, place)
                found.setdefault(image, {})[identifier(one["id"], place)] = box
        faults.raise_any(str(self.file))
        return found

    def _image(self, row: Row) -> str:
        text = row.text("image")
        name = text if text in self._candidates else self._instances.files.get(identifier(text, row.place), "")
        if name not in self._candidates:
            raise UserError(f"{row.place}: {self.file} has no annotated picture {text}.")
        return name

    def _region(self, name: str, candidate: str, box: Box, image: Image.Image) -> Region:
        outline = self._outlines.get((name, candidate))
        place = f"{self.file}, {name}, annotation {candidate}"
        return Region((box,), None if outline is None else decoded(outline, image.size, place))


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
