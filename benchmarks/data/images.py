"""Reading pictures, decoded in full so that a broken file is found where it is read, and data sets of labelled ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image, UnidentifiedImageError

from benchmarks.data.files import check_choice, check_contract, check_count, data_folder, existing
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo, SplitContract
from falip import Region
from falip.errors import UserError


def read_image(path: Path, mend: str) -> Image.Image:
    """A picture of mode RGB.

    The EXIF orientation is not applied, as in the reference (ReCLIP main.py, FALIP main.py): the boxes of
    COCO belong to the pixels as they are stored.

    Args:
        path: The file.
        mend: The command that fetches it.

    Raises:
        UserError: If the file is missing, broken or no picture.
    """
    existing(path, "image", mend)
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"The image {path} cannot be decoded ({error}). Delete it and fetch it again: {mend}") from None


@dataclass(frozen=True)
class LabelledImage:
    """A picture to classify.

    Attributes:
        id: The picture's path below the folder of all pictures, without its suffix.
        path: The picture's file.
        label: Index of its class, counted from 0.
        region_key: What the data set finds its region by.
        slice: What tables break results down by, or "".
    """

    id: str
    path: Path
    label: int
    region_key: str
    slice: str = ""


class LabelledDataset(ABC):
    """Pictures with one class and one region each; the region may consist of several boxes.

    A subclass reads its publisher's files.

    Attributes:
        name: Name in identities and of the command that fetches it.
        contracts: For each split the number of pictures that its source states.
        classes: The number of classes that its source states.

    Args:
        root: The folder of all data sets.
        split: One of the keys of `contracts`.
        contract: Whether the stated numbers are required; switched off for a sample of the data.

    Raises:
        UserError: If the split is unknown, or when read: if a file is missing, broken, or not what it should be.
    """

    name: ClassVar[str]
    contracts: ClassVar[Mapping[str, SplitContract]]
    classes: ClassVar[int]

    def __init__(self, root: str, split: str, contract: bool = True) -> None:
        check_choice(split, list(self.contracts), f"The split of {self.name}", "task.split")
        self.root, self.split, self.contract = Path(root), split, contract
        self.mend = f"python -m scripts.data {self.name}"

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in label order."""

    @abstractmethod
    def _read(self) -> list[LabelledImage]:
        """The pictures of the split, in a fixed order."""

    @abstractmethod
    def _region(self, item: LabelledImage, image: Image.Image) -> Region:
        """Where to look in a picture."""

    @property
    @abstractmethod
    def _sources(self) -> dict[str, str]:
        """Hashes of the annotation files that are read."""

    @cached_property
    def data_root(self) -> Path:
        """The folder of all data sets."""
        return data_folder(self.root, self.mend)

    @cached_property
    def _items(self) -> tuple[LabelledImage, ...]:
        items = tuple(self._read())
        where = f"The split {self.split} of {self.name} in {self.data_root}"
        if not items:
            raise UserError(f"{where} has no picture at all. Fetch it again: {self.mend}")
        if self.contract:
            contract = self.contracts[self.split]
            check_contract(contract, len(items), len(items), where, self.mend)
            check_count("classes", len(self.class_names), self.classes, contract.source, where, self.mend)
        return items

    @cached_property
    def _index(self) -> tuple[SampleInfo, ...]:
        return tuple(SampleInfo(item.id, 1, 1) for item in self._items)

    @property
    def index(self) -> Sequence[SampleInfo]:
        """One entry for each picture, in the order of the publisher's list."""
        return self._index

    @property
    def identity(self) -> dict[str, Any]:
        """Name, split, version of the loader and hashes of all files read but pictures."""
        return {"name": self.name, "split": self.split, "version": 1, "files": self._sources}

    def load(self, i: int) -> Sample:
        """One picture with its region and the one question which class it is.

        Raises:
            UserError: If the picture, or the file that has its region, is missing or broken.
        """
        item = self._items[i]
        image = read_image(item.path, self.mend)
        query = Query(item.id, self.class_names[item.label], label=item.label, slice=item.slice)
        return Sample(item.id, (Picture(image, (self._region(item, image),)),), (query,))


def label_from_one(label: int, classes: int, place: str) -> int:
    """The index, from 0, of a class that a file counts from 1.

    Args:
        label: As the file has it.
        classes: The number of classes.
        place: "FILE, line N", for the message.

    Raises:
        UserError: If there is no such class.
    """
    if not 1 <= label <= classes:
        raise UserError(f"{place}: the class {label} does not exist; classes are counted from 1 to {classes}.")
    return label - 1
