"""LVIS v1: boxes of 1,203 classes in pictures of COCO 2017."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data.coco_boxes import BoxDataset
from benchmarks.data.files import check_choice, first_existing, inside, required
from falip.errors import UserError
from falip.reading import MEGAPIXELS


class LVISBoxes(BoxDataset):
    """Every annotated box, split `val`; file `lvis_v1_val.json` in `lvis/` or `annotations/`.

    FG-CLIP v2, fgclip2/eval/in1k/lvis_box_cls_ddp.py, lines 107 to 195: a class is its id less one, its name in lower case
    with spaces, and pictures that are not in the folder (val2017) are left out. The whole split has pictures of train2017,
    too: `pictures=[train2017,val2017]`.

    Args:
        root: The folder of all data sets.
        split: `val`.
        names: `lower` as the source does, or `written` as the file has them.
        pictures: The folders in which a picture is looked for.
        missing: `skip` as the source does, or `fail`.
        contract: Whether the published numbers of pictures and classes are required.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
    """

    name = "lvis_boxes"
    splits = ("val",)
    named_classes = (1203, "LVIS v1: lvisdataset.org")
    pictures_stated = (19_809, "LVIS v1: lvisdataset.org")

    def __init__(
        self,
        root: str,
        split: str = "val",
        names: str = "lower",
        pictures: Sequence[str] = ("val2017",),
        missing: str = "skip",
        contract: bool = True,
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        super().__init__(root, split, missing, contract, accept_outside, megapixels)
        check_choice(names, ("lower", "written"), "The form of names", "task.dataset.names")
        if not pictures:
            raise UserError("task.dataset.pictures=[]: give at least one folder of pictures, such as val2017.")
        self.names, self.folders = names, tuple(pictures)

    @property
    def annotations(self) -> Path:
        """The publisher's file."""
        name = f"lvis_v1_{self.split}.json"
        paths = [self.data_root / folder / name for folder in ("lvis", "annotations", ".")]
        return first_existing(paths, "annotation file", self.mend)

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of ids, which count from 1."""
        names = super().class_names
        return tuple(name.lower() for name in names) if self.names == "lower" else names

    def _ordered(self, categories: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return sorted(categories, key=lambda one: (len(one[0]), one[0]))  # ids are whole numbers from 1 on

    @property
    def settings(self) -> Mapping[str, Any]:
        """The form of names, and where pictures are looked for."""
        return {"names": self.names, "folders": list(self.folders)}

    def _picture(self, image: Mapping[str, Any], place: str) -> Path:
        # The file's name stands at the end of coco_url; file_name is of older files.
        name = str(image.get("coco_url") or required(image, "file_name", place)).rpartition("/")[2]
        paths = [inside(self.data_root / folder, name, place) for folder in self.folders]
        return next((path for path in paths if path.is_file()), paths[0])
