"""Stanford Dogs: 120 breeds, with one or several boxes for each picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from benchmarks.data.files import existing, fingerprint, first_existing, inside, sha256, shown
from benchmarks.data.images import LabelledDataset, LabelledImage, label_from_one
from benchmarks.data.matlab import read_matlab
from benchmarks.data.samples import SplitContract
from falip import Region
from falip.errors import UserError
from falip.regions import Box

_FOLDER = "stanford_dogs"
_KEYS = ("file_list", "annotation_list", "labels")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_SOURCE = "official page, vision.stanford.edu/aditya86/ImageNetDogs"
_CONTRACTS = {"train": SplitContract(12000, source=_SOURCE), "test": SplitContract(8580, source=_SOURCE)}


class StanfordDogs(LabelledDataset):
    """The official files, found in `<root>/stanford_dogs/`; see `LabelledDataset` for the arguments.

    `lists/train_list.mat` and `lists/test_list.mat` (or beside the other folders) have `file_list`, `annotation_list` and
    `labels`, counted from 1; pictures are in `Images/`, and `Annotation/` has an XML file for each. Several dogs are one
    region of several boxes. A breed is named after its folder: "n02085936-Maltese_dog" is "Maltese dog".
    """

    name = "stanford_dogs"
    contracts = _CONTRACTS
    stated_classes = 120

    @property
    def every_class(self) -> tuple[str, ...]:
        """Names of the breeds in label order."""
        return tuple(folder.partition("-")[2].replace("_", " ") for folder in self._folders)

    @property
    def _list_file(self) -> Path:
        name = f"{self.split}_list.mat"
        folder = self.data_root / _FOLDER
        return first_existing([folder / "lists" / name, folder / name], "list of the split", self.mend)

    @cached_property
    def _rows(self) -> tuple[tuple[str, str, int], ...]:
        return read_split_list(self._list_file, self.mend)

    @cached_property
    def _folders(self) -> tuple[str, ...]:
        by_label: dict[int, str] = {}
        for image, _, label in self._rows:
            folder = PurePosixPath(image).parts[0] if image else ""
            if by_label.setdefault(label, folder) != folder:
                raise UserError(
                    f"{self._list_file}: label {label} is {by_label[label]} and also {folder}. Fetch it again: {self.mend}"
                )
        missing = sorted(set(range(1, max(by_label, default=0) + 1)) - by_label.keys())
        if missing:
            raise UserError(
                f"{self._list_file}: the labels {', '.join(map(str, missing))} have no picture, so the breeds have no "
                f"name; labels are counted from 1. Fetch it again: {self.mend}"
            )
        return tuple(by_label[label] for label in sorted(by_label))

    @property
    def _sources(self) -> dict[str, str]:
        names = [annotation for _, annotation, _ in self._rows]
        files = [(name, existing(self._annotation(name), "annotation file", self.mend)) for name in names]
        return {self._list_file.name: sha256(self._list_file), "Annotation": fingerprint(files)}

    def _annotated(self) -> tuple[str, Sequence[tuple[Path, Sequence[Box]]]]:
        found = []
        for item in self._every_item:
            with suppress(UserError):  # a broken annotation is its picture's fault, and said where that is loaded
                found.append((item.path, read_objects(self._annotation(item.region_key), self.mend).boxes))
        return str(self.data_root / _FOLDER / "Annotation"), found

    def _annotation(self, name: str) -> Path:
        return inside(self.data_root / _FOLDER / "Annotation", name, str(self._list_file))

    def _read(self) -> list[LabelledImage]:
        folder = self.data_root / _FOLDER / "Images"
        return [
            LabelledImage(
                str(PurePosixPath(image).with_suffix("")),
                inside(folder, image, str(self._list_file)),
                label_from_one(label, len(self._folders), str(self._list_file)),
                annotation,
            )
            for image, annotation, label in self._rows
        ]

    def _region(self, item: LabelledImage, image: Image.Image) -> Region:
        return read_objects(self._annotation(item.region_key), self.mend)


def read_split_list(path: Path, mend: str) -> tuple[tuple[str, str, int], ...]:
    """The (picture, annotation, label from 1) of every row of a `.mat` list.

    Raises:
        UserError: If the file is broken or has other keys; the message says what was found.
    """
    try:
        content = read_matlab(path)
    except ValueError as error:
        raise UserError(f"{path} is not a MATLAB file that can be read ({error}). Fetch it again: {mend}") from None
    found = {key: value.shape for key, value in content.items()}
    if any(key not in found for key in _KEYS):
        raise UserError(
            f"{path} must have the keys {', '.join(_KEYS)}, and has (with shapes): {found}. Fetch it again: {mend}"
        )
    # Cells: an array of arrays of one text each.
    images, annotations = ([_text(cell, f"{path}, {key}") for cell in np.ravel(content[key])] for key in _KEYS[:2])
    labels = [_whole(label, path) for label in np.ravel(content["labels"])]
    if not len(images) == len(annotations) == len(labels):
        raise UserError(f"{path}: the keys must be of one length, and have the shapes {found}. Fetch it again: {mend}")
    return tuple(zip(images, annotations, labels, strict=True))


def _text(cell: object, place: str) -> str:
    texts = np.ravel(np.asarray(cell))
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise UserError(f"{place}: expected the path of a file, and found {shown(cell)}.")
    return str(texts[0])


def _whole(label: float, path: Path) -> int:
    if not np.isreal(label) or not float(label).is_integer():
        raise UserError(f"{path}: a label is a whole number from 1, and found {shown(label)}.")
    return int(label)


def read_objects(path: Path, mend: str) -> Region:
    """The region of all objects in an annotation of the PASCAL VOC form, corners in pixels.

    Raises:
        UserError: If the file is missing, broken or names no object.
    """
    existing(path, "annotation file", mend)
    try:
        corners = [
            [node.findtext(f"bndbox/{name}") for name in _CORNERS] for node in ElementTree.parse(path).iter("object")
        ]
        boxes = [[float(value or "") for value in box] for box in corners]
    except (ElementTree.ParseError, ValueError, OSError) as error:
        raise UserError(
            f"{path} is no annotation with objects and their bndbox ({error}). Fetch it again: {mend}"
        ) from None
    if not boxes:
        raise UserError(f"{path} names no object, so there is no region. Fetch it again: {mend}")
    try:
        return Region.from_boxes(boxes)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
