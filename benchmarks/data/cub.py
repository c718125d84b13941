"""CUB-200-2011: 200 species of birds, a box for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from PIL import Image

from benchmarks.data.files import box_from_xywh, existing, identifier, inside, integer, read_lines, sha256
from benchmarks.data.images import LabelledDataset, LabelledImage, label_from_one
from benchmarks.data.samples import SplitContract
from falip import Region
from falip.errors import UserError
from falip.regions import Box

FOLDER = "CUB_200_2011"
IMAGES, BOXES = "images.txt", "bounding_boxes.txt"
_CLASSES, _LABELS, _SPLITS = "classes.txt", "image_class_labels.txt", "train_test_split.txt"
_SOURCE = "official page, vision.caltech.edu/datasets/cub_200_2011"
_CONTRACTS = {"train": SplitContract(5994, source=_SOURCE), "test": SplitContract(5794, source=_SOURCE)}


class CUB(LabelledDataset):
    """The official files, found in `<root>/CUB_200_2011/`; see `LabelledDataset` for the arguments.

    Layout as read by K:src/datasets/cub200.py:33-66: 1 in `train_test_split.txt` is training, classes are counted from 1,
    and a class is named after its folder: "001.Black_footed_Albatross" is "Black footed Albatross".
    """

    name = "cub"
    contracts = _CONTRACTS
    stated_classes = 200

    @cached_property
    def _folders(self) -> tuple[str, ...]:
        folders: list[str] = []
        for place, (label, folder) in read_lines(self._file(_CLASSES), 2, self.mend):
            if integer(label, place) != len(folders) + 1:
                raise UserError(
                    f"{place}: expected class {len(folders) + 1}, and found {label}. Fetch it again: {self.mend}"
                )
            folders.append(folder)
        return tuple(folders)

    @property
    def every_class(self) -> tuple[str, ...]:
        """Names of the species in label order."""
        return tuple(folder.partition(".")[2].replace("_", " ") for folder in self._folders)

    @cached_property
    def _boxes(self) -> dict[str, Box]:
        return read_boxes(self._file(BOXES), self.mend)

    def _annotated(self) -> tuple[str, Sequence[tuple[Path, Sequence[Box]]]]:
        return str(self._file(BOXES)), [(item.path, (self._boxes[item.region_key],)) for item in self._every_item]

    @property
    def _sources(self) -> dict[str, str]:
        return {name: sha256(self._file(name)) for name in (IMAGES, _CLASSES, _LABELS, _SPLITS, BOXES)}

    def _file(self, name: str) -> Path:
        return existing(self.data_root / FOLDER / name, "annotation file", self.mend)

    def _read(self) -> list[LabelledImage]:
        wanted = "1" if self.split == "train" else "0"
        splits = read_column(self._file(_SPLITS), self.mend)
        labels = read_column(self._file(_LABELS), self.mend)
        names = read_column(self._file(IMAGES), self.mend)
        for file, column in ((_SPLITS, splits), (_LABELS, labels), (BOXES, self._boxes)):
            if column.keys() != names.keys():
                raise UserError(
                    f"{self._file(file)} is about {len(column)} images and {IMAGES} about {len(names)}: the ids must be "
                    f"the same. Fetch the data again: {self.mend}"
                )
        return [self._item(number, name, labels[number]) for number, name in names.items() if splits[number] == wanted]

    def _item(self, number: str, name: str, label: str) -> LabelledImage:
        place = f"{self._file(_LABELS)}, image {number}"
        index = label_from_one(integer(label, place), len(self._folders), place)
        picture = inside(self.data_root / FOLDER / "images", name, f"{self._file(IMAGES)}, image {number}")
        path = PurePosixPath(name)
        if path.parts[0] != self._folders[index]:
            raise UserError(
                f"{place}: class {label} is {self._folders[index]}, but its picture is {name}. Fetch the data again: "
                f"{self.mend}"
            )
        return LabelledImage(str(path.with_suffix("")), picture, index, number)

    def _region(self, item: LabelledImage, image: Image.Image) -> Region:
        return Region.from_box(*self._boxes[item.region_key])


def read_column(path: Path, mend: str) -> dict[str, str]:
    """The second column of one of CUB's files, by the image id in the first.

    Raises:
        UserError: If a line has one column only, or two lines are about one image.
    """
    return {number: value for number, (_, value) in _by_image(path, 2, mend).items()}


def read_boxes(path: Path, mend: str) -> dict[str, Box]:
    """The corners of each image's box; `bounding_boxes.txt` has the image id, x, y, width and height.

    Raises:
        UserError: If a line has another form, or two lines are about one image.
    """
    return {number: box_from_xywh(values, place) for number, (place, *values) in _by_image(path, 5, mend).items()}


def _by_image(path: Path, columns: int, mend: str) -> dict[str, list[str]]:
    """The place of each line and its columns but the first, by the image id in that."""
    found: dict[str, list[str]] = {}
    for place, (number, *values) in read_lines(path, columns, mend):
        image = identifier(number, place)
        if image in found:
            raise UserError(f"{place}: image {image} has a line already ({found[image][0]}). Fetch the file again: {mend}")
        found[image] = [place, *values]
    return found
