"""One's own labelled boxes or masks, from a table with a line for each."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.data.files import existing, sha256
from benchmarks.data.own.labelled import LabelledFile, LabelledPicture, LabelledRegion
from benchmarks.data.own.table import BOX, Faults, Row, read_table
from falip.errors import UserError
from falip.reading import MEGAPIXELS, mask_inside


class LabelledTable(LabelledFile):
    """Regions and their classes, from a CSV file with the columns image, x0, y0, x1, y1 (pixels), label.

    It may have mask (a picture of the same size, not 0 inside), slice and id. A line with a mask may leave its box empty.
    Pictures and masks are named relative to the table.

    Args:
        file: The table.
        classes: A text file with the name of a class on each line, in label order, for classes that no line has; None
            for the labels of the table, sorted.
        split: As for the rest, see `LabelledFile`.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
    """

    name = "csv"

    def __init__(
        self,
        file: str,
        classes: str | None = None,
        split: str = "all",
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        super().__init__(file, None, split, accept_outside, megapixels)
        self.classes = None if classes is None else Path(classes).expanduser()

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, sorted, or as the file of classes has them."""
        if self.classes is None:
            return tuple(sorted({row.text("label") for row in self._rows}))
        path = existing(self.classes, "list of classes", "one name on each line, in UTF-8")
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled or not names:
            raise UserError(f"{path} {f'names the class {doubled[0]!r} twice' if doubled else 'names no class'}.")
        return tuple(names)

    @cached_property
    def _rows(self) -> list[Row]:
        return read_table(self.file, ("image", *BOX, "label"))

    def _read(self) -> dict[str, LabelledPicture]:
        images: dict[str, LabelledPicture] = {}
        faults, known = Faults(), None
        for row in self._rows:
            with faults.caught():
                row.text("label")
        faults.raise_any(str(self.file))
        known = frozenset(self.class_names)
        for number, row in enumerate(self._rows):
            with faults.caught():
                self._add(images, row, number, known)
        faults.raise_any(str(self.file))
        return images

    def _add(self, images: dict[str, LabelledPicture], row: Row, number: int, known: frozenset[str]) -> None:
        name, label, mask = row.text("image"), row.text("label"), row.values.get("mask", "")
        if label not in known:
            raise UserError(f"{row.place}: the label {label!r} is none of the classes in {self.classes}.")
        image = images.get(name) or LabelledPicture(self.pictures.path(name, row.place))
        key = row.values.get("id") or str(number)
        if any(one.id == key for one in image.regions):
            raise UserError(f"{row.place}: the region {key} of {name} is there already.")
        box = None if mask and not any(row.values[column] for column in BOX) else row.box()
        outline = self.pictures.path(mask, row.place) if mask else None
        image.regions.append(LabelledRegion(key, label, box, outline, row.values.get("slice", "")))
        images[name] = image

    @property
    def identity(self) -> dict[str, Any]:
        """As for all one's own regions, with the hashes of masks."""
        described = super().identity
        masks = sorted({one.outline for image in self._images.values() for one in image.regions if one.outline})
        return described | ({"masks": [sha256(path) for path in masks]} if masks else {})

    def _mask(self, one: LabelledRegion, image: Image.Image, place: str) -> np.ndarray | None:
        mask = self.pictures.reader.stored(one.outline, "mask")
        if mask.size != image.size:
            raise UserError(f"{place}: the mask {one.outline} is {mask.size} wide and high, and its picture {image.size}.")
        pixels = mask_inside(mask, f"The mask {one.outline}")
        return pixels if pixels.any() else None
