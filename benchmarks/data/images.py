"""Reading pictures, decoded in full so that a broken file is found where it is read, and data sets of labelled ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from benchmarks.data.boxes import check_frame, check_unit
from benchmarks.data.class_split import ClassSplit
from benchmarks.data.files import check_choice, check_contract, check_count, data_folder, existing, fingerprint
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo, SplitContract
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS, PictureReader
from falip.regions import Box


def picture_reader(megapixels: float, mend: str) -> PictureReader:
    """Reads the pictures of a data set.

    The EXIF orientation is not applied, as in the reference (ReCLIP main.py, FALIP main.py): the boxes of
    COCO belong to the pixels as they are stored.

    Args:
        megapixels: The largest picture that is decoded.
        mend: The command that fetches the data set.
    """
    setting = "task.dataset.megapixels=..."
    return PictureReader(megapixels, setting=setting, mend=f"Delete it and fetch it again: {mend}")


def read_image(path: Path, reader: PictureReader, mend: str) -> Image.Image:
    """A picture of mode RGB.

    Args:
        path: The file.
        reader: From `picture_reader`.
        mend: The command that fetches the data set.

    Raises:
        UserError: If the file is missing, too large, broken or no picture.
    """
    return reader.picture(existing(path, "image", mend))


@dataclass(frozen=True)
class LabelledImage:
    """A picture to classify.

    Attributes:
        id: The picture's path below the folder of all pictures, without its suffix.
        path: The picture's file.
        label: Index of its class among all of the data set, counted from 0.
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
        stated_classes: The number of classes that its source states.

    Args:
        root: The folder of all data sets.
        split: One of the keys of `contracts`.
        contract: Whether the stated numbers are required; switched off for a sample of the data.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
        classes: As the next, see `ClassSplit`; pictures of other classes are left out, and labels count the kept ones.
        open_ratio: Share of the classes that are new.

    Raises:
        UserError: If the split is unknown, or when read: if a file is missing, broken, or not what it should be.
    """

    name: ClassVar[str]
    contracts: ClassVar[Mapping[str, SplitContract]]
    stated_classes: ClassVar[int]

    def __init__(
        self,
        root: str,
        split: str,
        contract: bool = True,
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
        classes: str = "all",
        open_ratio: float = 0.5,
    ) -> None:
        check_choice(split, list(self.contracts), f"The split of {self.name}", "task.split")
        self.root, self.split, self.contract, self.accept_outside = Path(root), split, contract, accept_outside
        self.class_split = ClassSplit(classes, open_ratio)
        self.mend = f"falip data {self.name}"
        self.reader = picture_reader(megapixels, self.mend)

    @property
    @abstractmethod
    def every_class(self) -> tuple[str, ...]:
        """Names of all classes in label order."""

    @abstractmethod
    def _read(self) -> list[LabelledImage]:
        """The pictures of the split with all classes, in a fixed order."""

    @abstractmethod
    def _region(self, item: LabelledImage, image: Image.Image) -> Region:
        """Where to look in a picture."""

    def _annotated(self) -> tuple[str, Sequence[tuple[Path, Sequence[Box]]]]:
        """Which file has the boxes, and those of each picture with any class; none where regions are no boxes."""
        return "", ()

    @property
    @abstractmethod
    def _sources(self) -> dict[str, str]:
        """Hashes of the annotation files that are read."""

    @cached_property
    def data_root(self) -> Path:
        """The folder of all data sets."""
        return data_folder(self.root, self.mend)

    @cached_property
    def _kept(self) -> range:
        return self.class_split.kept(len(self.every_class))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the kept classes in label order."""
        every = self.every_class
        return tuple(every[label] for label in self._kept)

    @property
    def _where(self) -> str:
        return f"The split {self.split} of {self.name} in {self.data_root}"

    @cached_property
    def _every_item(self) -> tuple[LabelledImage, ...]:
        items, where = tuple(self._read()), self._where
        if not items:
            raise UserError(f"{where} has no picture at all. Fetch it again: {self.mend}")
        if self.contract:
            contract = self.contracts[self.split]
            check_contract(contract, len(items), len(items), where, self.mend)
            check_count("classes", len(self.every_class), self.stated_classes, contract.source, where, self.mend)
        return items

    @cached_property
    def _items(self) -> tuple[LabelledImage, ...]:
        kept = tuple(item for item in self._every_item if item.label in self._kept)
        if not kept:
            part = f"task.dataset.classes={self.class_split.classes}"
            raise UserError(f"{self._where} has no picture of {part}. Take another part of the classes.")
        return kept

    @cached_property
    def _index(self) -> tuple[SampleInfo, ...]:
        infos = tuple(SampleInfo(item.id, 1, 1) for item in self._items)
        where, pictures = self._annotated()
        check_unit((box for _, boxes in pictures for box in boxes), where)
        check_frame(pictures, where, self.reader.size, self.accept_outside)
        return infos

    @property
    def index(self) -> Sequence[SampleInfo]:
        """One entry for each picture, in the order of the publisher's list."""
        return self._index

    @property
    def identity(self) -> dict[str, Any]:
        """Name, split, version of the loader, part of the classes, hashes of files read, and pictures' names and sizes."""
        pictures = fingerprint((item.id + item.path.suffix, item.path) for item in self._items)
        which = {"name": self.name, "split": self.split, "version": 2, **self.class_split.identity}
        return {**which, "files": self._sources, "pictures": pictures}

    def load(self, i: int) -> Sample:
        """One picture with its region and the one question which class it is.

        Raises:
            UserError: If the picture, or the file that has its region, is missing or broken.
        """
        item = self._items[i]
        image = read_image(item.path, self.reader, self.mend)
        label = self._kept.index(item.label)
        query = Query(item.id, self.class_names[label], label=label, slice=item.slice)
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
