"""What one's own labelled regions have in common: pictures with any number of them, a class for each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from benchmarks.data.boxes import check_frame, check_unit, inside
from benchmarks.data.files import sha256
from benchmarks.data.own.pictures import Pictures
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip import Region
from falip.errors import UserError
from falip.regions import Box


@dataclass(frozen=True)
class LabelledRegion:
    """A region and its class.

    Attributes:
        id: Unique in its picture.
        name: Of its class.
        box: Its corners in pixels; None where a mask alone says where it is.
        outline: What its mask is read from, as the data set knows it; None without a mask.
        slice: What tables break results down by, or "".
    """

    id: str
    name: str
    box: Box | None = None
    outline: Any = None
    slice: str = ""


@dataclass(eq=False)
class LabelledPicture:
    """A picture's file and its regions."""

    path: Path
    regions: list[LabelledRegion] = field(default_factory=list)


class LabelledFile(ABC):
    """Pictures and regions that one file names.

    Attributes:
        name: What identities call the data.

    Args:
        file: The file.
        images: The folder of the pictures; None for that of the file.
        split: What tables call this part of the data.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.

    Raises:
        UserError: When read: if a file is missing or has faults; all of them are named.
    """

    name: ClassVar[str]

    def __init__(self, file: str, images: str | None, split: str, accept_outside: bool, megapixels: float) -> None:
        self.file, self.split, self.accept_outside = Path(file).expanduser(), split, accept_outside
        self.pictures = Pictures(Path(images).expanduser() if images else self.file.parent, megapixels)

    @abstractmethod
    def _read(self) -> dict[str, LabelledPicture]:
        """The pictures by their names, in the order of the file."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in label order."""

    @abstractmethod
    def _mask(self, one: LabelledRegion, image: Image.Image, place: str) -> Any:
        """The mask of a region that has an outline, as `Region` takes it; None where it is empty."""

    @cached_property
    def _images(self) -> dict[str, LabelledPicture]:
        images = {name: image for name, image in self._read().items() if image.regions}
        if not images:
            raise UserError(f"{self.file} has no region to classify.")
        where = str(self.file)
        check_unit((box for image in images.values() for box in _boxes(image)), where)
        frames = [(image.path, _boxes(image)) for image in images.values()]
        check_frame(frames, where, cache(self.pictures.reader.size), self.accept_outside)
        return images

    @cached_property
    def index(self) -> Sequence[SampleInfo]:
        """The pictures that have a region, in the order of the file."""
        return [SampleInfo(name, len(image.regions), len(image.regions)) for name, image in self._images.items()]

    @property
    def identity(self) -> dict[str, Any]:
        """Name, split, version of the loader, classes, the hash of the file, and of pictures names and sizes."""
        pictures = self.pictures.digest(self._images)
        return {
            "name": self.name,
            "split": self.split,
            "version": 1,
            "classes": list(self.class_names),
            "files": {self.file.name: sha256(self.file)},
            "pictures": pictures,
        }

    def load(self, i: int) -> Sample:
        """One picture with all its regions, each of which is asked about.

        Raises:
            UserError: If the picture or a mask is broken.
        """
        name, picture = list(self._images.items())[i]
        image, labels = self.pictures.read(picture.path), {text: label for label, text in enumerate(self.class_names)}
        regions = tuple(self._region(one, image, f"{self.file}, {name}") for one in picture.regions)
        queries = tuple(
            Query(f"{name}/{one.id}", one.name, label=labels[one.name], slice=one.slice, region=place)
            for place, one in enumerate(picture.regions)
        )
        return Sample(name, (Picture(image, regions),), queries)

    def _region(self, one: LabelledRegion, image: Image.Image, where: str) -> Region:
        place = f"{where}, region {one.id}"
        mask = None if one.outline is None else self._mask(one, image, place)
        if one.box is not None:
            return Region((inside(one.box, image.size),), mask)
        if mask is None:
            raise UserError(f"{place}: its mask has no pixel, and it has no box.")
        return Region.from_mask(mask)


def _boxes(image: LabelledPicture) -> list[Box]:
    return [one.box for one in image.regions if one.box is not None]
