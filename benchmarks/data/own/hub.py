"""Labelled regions from a data set that the `datasets` library reads: of the hub, of a folder, or saved to disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.data.boxes import check_unit, inside
from benchmarks.data.files import check_choice
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip import Region
from falip.errors import UserError
from falip.reading import as_rgb
from falip.regions import Box

FORMS = ("xyxy", "xywh")


class HubRegions:
    """Each row is a picture with one label, or with a list of boxes and a list of labels ("objects.bbox").

    Labels are numbers of a `ClassLabel` column, or texts.

    Args:
        path: A hub id, a folder that `datasets.load_dataset` reads ("imagefolder" layouts and files of rows), or one that
            `save_to_disk` made.
        subset: The configuration's name, where there are several.
        split: The split.
        revision: Commit or tag of a hub id; None takes the newest, and a hash of the rows is in the identity.
        image: The column of pictures.
        label: The column of labels; a dot goes into a struct.
        box: The column of boxes; None for whole pictures.
        form: "xyxy" for corners or "xywh", in pixels.

    Raises:
        UserError: If a value is not offered, or when read: if there is no such data set, split or column.
    """

    def __init__(
        self,
        path: str,
        subset: str | None = None,
        split: str = "test",
        revision: str | None = None,
        image: str = "image",
        label: str = "label",
        box: str | None = None,
        form: str = "xywh",
    ) -> None:
        check_choice(form, FORMS, "The form of boxes", "task.dataset.form")
        self.path, self.subset, self.split, self.revision = path, subset, split, revision
        self.image, self.label, self.box, self.form = image, label, box, form

    @cached_property
    def _rows(self) -> Any:
        import datasets

        folder = Path(self.path).expanduser()
        local = folder.is_dir()
        if not local and self.path.startswith((".", "/", "~")):
            raise UserError(f"There is no folder {folder.absolute()}. Give one, or a hub id such as user/name.")
        try:
            if local and ((folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()):
                found = datasets.load_from_disk(str(folder))
                rows = found[self.split] if isinstance(found, datasets.DatasetDict) else found
            else:
                rows = datasets.load_dataset(
                    str(folder) if local else self.path, self.subset, split=self.split, revision=self.revision
                )
        except Exception as error:  # whatever the library and its connections raise
            words = " ".join(str(error).split())[:300]
            raise UserError(
                f"task.dataset.path={self.path}, split {self.split}: {type(error).__name__}: {words}. Is it a hub id or a "
                "folder of the datasets library, and is the split right (task.split=...)?"
            ) from error
        self._check_columns(rows)
        return rows

    def _check_columns(self, rows: Any) -> None:
        for setting, column in (("image", self.image), ("label", self.label), ("box", self.box)):
            if column is not None and column.partition(".")[0] not in rows.column_names:
                raise UserError(
                    f"task.dataset.{setting}={column}: {self.path} has no such column. There are: "
                    f"{', '.join(rows.column_names)}."
                )

    @cached_property
    def _annotated(self) -> list[tuple[list[Any], list[Box | None]]]:
        """Labels and boxes of each row, without its picture."""
        columns = list(dict.fromkeys(name.partition(".")[0] for name in (self.label, self.box) if name))
        return [self._regions(row, number) for number, row in enumerate(self._rows.select_columns(columns))]

    def _regions(self, row: dict[str, Any], number: int) -> tuple[list[Any], list[Box | None]]:
        place = f"{self.path}, row {number}"
        labels = _value(row, self.label, place)
        if self.box is None:
            return _listed(labels), [None] * len(_listed(labels))
        boxes = _value(row, self.box, place)
        if not isinstance(labels, list):
            labels, boxes = [labels], [boxes]
        if not isinstance(boxes, list) or len(labels) != len(boxes):
            raise UserError(f"{place}: {len(labels)} labels in {self.label}, and other boxes in {self.box}.")
        return labels, [self._corners(box, place) for box in boxes]

    def _corners(self, box: Any, place: str) -> Box:
        try:
            a, b, c, d = map(float, box)
        except (TypeError, ValueError):
            raise UserError(f"{place}: a box is four numbers, and {self.box} has {box!r}.") from None
        corners = (a, b, c, d) if self.form == "xyxy" else (a, b, a + c, b + d)
        if not (corners[2] > corners[0] and corners[3] > corners[1]):
            raise UserError(
                f"{place}: the box {box} has no area as {self.form}. Is it task.dataset.form={_other(self.form)}?"
            )
        return corners

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the label column's feature, or the labels that there are, sorted."""
        feature = _feature(self._rows.features, self.label)
        names = getattr(feature, "names", None)
        if names:
            return tuple(names)
        return tuple(sorted({str(label) for labels, _ in self._annotated for label in labels}))

    @cached_property
    def index(self) -> Sequence[SampleInfo]:
        """The rows that have a region."""
        check_unit((box for _, boxes in self._annotated for box in boxes if box), self.path)
        return [SampleInfo(f"row-{i:06d}", len(self._annotated[i][0]), len(self._annotated[i][0])) for i in self._used]

    @cached_property
    def _used(self) -> list[int]:
        used = [i for i, (labels, _) in enumerate(self._annotated) if labels]
        if not used:
            raise UserError(f"{self.path}, split {self.split}, has no row with a label.")
        return used

    @property
    def identity(self) -> dict[str, Any]:
        """Name, split, columns, classes, and a hash of labels, boxes and pictures."""
        settings = {"subset": self.subset, "image": self.image, "label": self.label, "box": self.box, "form": self.form}
        place = {} if Path(self.path).expanduser().is_dir() else {"path": self.path}
        rows = {"count": len(self._rows), "sha256": self._digest, "classes": list(self.class_names)}
        return {"name": "hub", "split": self.split, "version": 1, **place, **settings, **rows}

    @cached_property
    def _digest(self) -> str:
        """Of labels, boxes and encoded pictures, the same on every machine."""
        import datasets

        digest = hashlib.sha256(repr(self._annotated).encode())
        for row in self._rows.select_columns([self.image]).cast_column(self.image, datasets.Image(decode=False)):
            picture = row[self.image]
            digest.update(picture["bytes"] if picture["bytes"] is not None else Path(picture["path"]).read_bytes())
        return digest.hexdigest()

    def load(self, i: int) -> Sample:
        """One row: its picture, regions and labels.

        Raises:
            UserError: If the picture cannot be read.
        """
        number, name = self._used[i], self.index[i].id
        try:
            image = as_rgb(self._rows[number][self.image], f"{self.path}, row {number}")
        except UserError:
            raise
        except Exception as error:  # of the library's decoder
            raise UserError(f"{self.path}, row {number}: its picture cannot be read ({error}).") from error
        labels, boxes = self._annotated[number]
        regions = tuple(
            Region.from_box(*((0, 0, *image.size) if box is None else inside(box, image.size))) for box in boxes
        )
        queries = []
        for place, label in enumerate(labels):
            index = label if isinstance(label, int) else self.class_names.index(str(label))
            queries.append(Query(f"{name}/{place}", self.class_names[index], label=index, region=place))
        return Sample(name, (Picture(image, regions),), tuple(queries))


def _value(row: dict[str, Any], column: str, place: str) -> Any:
    value: Any = row
    for part in column.split("."):
        if not isinstance(value, dict) or part not in value:
            raise UserError(f"{place}: there is no {column}.")
        value = value[part]
    return value


def _feature(features: Any, column: str) -> Any:
    """What the library says of a column; of a list, of what is in it."""
    found = features
    for part in column.split("."):
        found = found[part] if hasattr(found, "keys") else getattr(found, "feature", found)
    return getattr(found, "feature", found)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _other(form: str) -> str:
    return FORMS[1 - FORMS.index(form)]
