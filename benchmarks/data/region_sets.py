"""Data sets of pictures in which many regions are asked about; a subclass reads its publisher's files."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from benchmarks.data.boxes import check_frame, check_unit, inside
from benchmarks.data.files import check_choice, check_count, data_folder, fingerprint, read_json, required, sha256
from benchmarks.data.images import picture_reader, read_image
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AskedRegion:
    """A region and the question about it.

    Attributes:
        id: Unique among the regions of the data set.
        box: Its corners in pixels.
        label: Index of the right class, or of the right one of `texts`.
        text: The name of the right class, or the right text.
        slice: What tables break results down by, or "".
        texts: What it has to choose from; empty where that is the classes.
    """

    id: str
    box: Box
    label: int
    text: str
    slice: str = ""
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class RegionImage:
    """A picture and its regions.

    Attributes:
        id: Of the picture, unique in the data set.
        path: The picture's file.
        regions: In the order of the publisher's file.
    """

    id: str
    path: Path
    regions: tuple[AskedRegion, ...]


class RegionDataset(ABC):
    """Pictures with any number of regions, each with one question; pictures without a region are left out.

    Attributes:
        name: Name in identities and of the command that fetches it.
        version: Of the loader; raised where what it reads can change.
        splits: What can be chosen.
        named_classes: The number of classes that its source states, and where; None where texts belong to queries.

    Args:
        root: The folder of all data sets.
        split: One of `splits`.
        missing: `fail`, so that a picture that is not there is an error of its sample; or `skip` to leave it out.
        contract: Whether the stated numbers are required; switched off for a sample of the data.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.

    Raises:
        UserError: If a value is not offered, or when read: if a file is missing, broken, or not what it should be.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    splits: ClassVar[Sequence[str]]
    named_classes: ClassVar[tuple[int, str] | None] = None

    def __init__(
        self, root: str, split: str, missing: str, contract: bool, accept_outside: bool, megapixels: float = MEGAPIXELS
    ) -> None:
        check_choice(split, list(self.splits), f"The split of {self.name}", "task.split")
        check_choice(missing, ("fail", "skip"), "What is done without a picture", "task.dataset.missing")
        self.root, self.split, self.missing = Path(root), split, missing
        self.contract, self.accept_outside = contract, accept_outside
        self.mend = f"falip data {self.name}"
        self.reader = picture_reader(megapixels, self.mend)

    @property
    @abstractmethod
    def annotations(self) -> Path:
        """The file that the regions are read from."""

    @abstractmethod
    def _read(self) -> list[RegionImage]:
        """All pictures with their regions, in a fixed order."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """What beside split and files can move a number."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in label order; empty where texts belong to queries."""
        return ()

    @property
    def unjoined(self) -> int:
        """Annotations of pictures or classes that the file does not have; they are left out."""
        return 0

    @cached_property
    def data_root(self) -> Path:
        """The folder of all data sets."""
        return data_folder(self.root, self.mend)

    @cached_property
    def _images(self) -> tuple[RegionImage, ...]:
        images = self._read()
        where = f"The split {self.split} of {self.name}, read from {self.annotations},"
        if self.contract and self.named_classes is not None:
            count, source = self.named_classes
            check_count("classes", len(self.class_names), count, source, where, self.mend)
        if self.unjoined:
            log.warning("%s: %d annotations of no picture or class are left out.", self.annotations, self.unjoined)
        kept = [image for image in images if image.regions and (self.missing == "fail" or image.path.is_file())]
        if len(kept) < len(images):
            log.info("%s: %d of %d pictures are asked about.", self.annotations, len(kept), len(images))
        if not kept:
            raise UserError(f"{where} has no region in any picture that is there. Fetch it again: {self.mend}")
        return tuple(kept)

    @cached_property
    def _index(self) -> tuple[SampleInfo, ...]:
        where, images = str(self.annotations), self._images
        check_unit((region.box for image in images for region in image.regions), where)
        boxes = [(image.path, [region.box for region in image.regions]) for image in images]
        check_frame(boxes, where, cache(self.reader.size), self.accept_outside)
        return tuple(SampleInfo(image.id, len(image.regions), len(image.regions)) for image in images)

    @property
    def index(self) -> Sequence[SampleInfo]:
        """One entry for each picture that has a region, in the publisher's order."""
        return self._index

    @property
    def identity(self) -> dict[str, Any]:
        """Name, split, settings, version of the loader, the hash of the file read, and of pictures names and sizes."""
        return {
            "name": self.name,
            "split": self.split,
            "version": self.version,
            **self.settings,
            "missing": self.missing,
            "unjoined": self.unjoined,
            "files": {self.annotations.name: sha256(self.annotations)},
            "pictures": fingerprint((image.id, image.path) for image in self._images),
        }

    def load(self, i: int) -> Sample:
        """One picture with all its regions and their questions.

        Raises:
            UserError: If the picture, or the file that has its segments, is missing or broken.
        """
        item = self._images[i]
        image = read_image(item.path, self.reader, self.mend)
        queries = tuple(
            Query(f"{item.id}/{one.id}", one.text, label=one.label, slice=one.slice, region=place, texts=one.texts)
            for place, one in enumerate(item.regions)
        )
        return Sample(item.id, (Picture(image, self._regions(item, image)),), queries)

    def _regions(self, item: RegionImage, image: Image.Image) -> tuple[Region, ...]:
        """The regions of a picture: boxes clipped to it; one without area there is the pixel next to it."""
        return tuple(Region.from_box(*inside(one.box, image.size)) for one in item.regions)


def read_object(path: Path, keys: Sequence[str], mend: str) -> dict[str, list[Any]]:
    """The lists of an annotation file in COCO's form.

    Raises:
        UserError: If the file is no such file.
    """
    content = read_json(path, mend)
    found = {key: required(content, key, str(path)) for key in keys}
    for key, value in found.items():
        if not isinstance(value, list):
            raise UserError(f"{path}: {key!r} must be a list, and is a {type(value).__name__}. Fetch it again: {mend}")
    return found
