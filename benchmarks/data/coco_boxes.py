"""COCO's and LVIS's annotated boxes, each with its class, as FG-CLIP evaluates region recognition."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.data.files import (
    box_from_xywh,
    check_choice,
    check_count,
    check_text,
    first_existing,
    identifier,
    inside,
    required,
)
from benchmarks.data.region_sets import AskedRegion, RegionDataset, RegionImage, read_object
from falip.reading import MEGAPIXELS


class BoxDataset(RegionDataset):
    """What files in COCO's form have in common: images, annotations with a box and a category, and categories."""

    pictures_stated: ClassVar[tuple[int, str]]

    @cached_property
    def _content(self) -> dict[str, list[Any]]:
        return read_object(self.annotations, ("images", "annotations", "categories"), self.mend)

    @cached_property
    def _categories(self) -> tuple[tuple[str, str], ...]:
        """(Id, name) of each class in label order."""
        found = []
        for number, one in enumerate(self._content["categories"]):
            place = f"{self.annotations}, category {number}"
            name = required(one, "name", place)
            check_text(name, "the category's name", place, self.mend)
            found.append((identifier(required(one, "id", place), place), name))
        return tuple(self._ordered(found))

    def _ordered(self, categories: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The classes in label order, which is the file's."""
        return categories

    @property
    def class_names(self) -> tuple[str, ...]:
        """As the file has them."""
        return tuple(name for _, name in self._categories)

    @abstractmethod
    def _picture(self, image: Mapping[str, Any], place: str) -> Path:
        """The file of a picture that the annotations name."""

    def _takes(self, annotation: Mapping[str, Any]) -> bool:
        """Whether an annotation is asked about."""
        return True

    @property
    def unjoined(self) -> int:
        """Annotations of pictures or classes that the file does not have; they are left out."""
        return self._joined[1]

    @cached_property
    def _joined(self) -> tuple[list[RegionImage], int]:
        content, names = self._content, self.class_names
        labels = {one: label for label, (one, _) in enumerate(self._categories)}
        images = [
            (identifier(required(image, "id", f"{self.annotations}, image {n}"), f"{self.annotations}, image {n}"), image)
            for n, image in enumerate(content["images"])
        ]
        regions: dict[str, list[AskedRegion]] = defaultdict(list)
        known, lost = {image_id for image_id, _ in images}, 0
        for number, one in enumerate(content["annotations"]):
            place = f"{self.annotations}, annotation {number}"
            image_id, category, own = (
                identifier(required(one, key, place), place) for key in ("image_id", "category_id", "id")
            )
            if image_id not in known or category not in labels:
                lost += 1
            elif self._takes(one):
                box, label = box_from_xywh(required(one, "bbox", place), place), labels[category]
                regions[image_id].append(AskedRegion(own, box, label, names[label]))
        return [
            RegionImage(image_id, self._picture(image, f"{self.annotations}, image {image_id}"), tuple(regions[image_id]))
            for image_id, image in images
        ], lost

    def _read(self) -> list[RegionImage]:
        images = self._joined[0]
        if self.contract:
            count, source = self.pictures_stated
            check_count("pictures", len(images), count, source, str(self.annotations), self.mend)
        return images


class COCOBoxes(BoxDataset):
    """Every annotated box of COCO 2017, split `val`.

    Files: `instances_val2017.json` in `coco_2017/` or `annotations/`, and `val2017/*.jpg`.

    FG-CLIP v1.0, fgclip/eval/in_1K/coco_box_cls.py, lines 41 to 138: 80 names in the order of the file, every annotation.

    Args:
        root: The folder of all data sets.
        split: `val`.
        crowd: `keep` as the source does, or `skip` boxes around crowds.
        missing: See `RegionDataset`, as for the rest.
        contract: Whether the published numbers of pictures and classes are required.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
    """

    name = "coco_boxes"
    splits = ("val",)
    named_classes = (80, "COCO 2017: cocodataset.org")
    pictures_stated = (5000, "COCO 2017: cocodataset.org")

    def __init__(
        self,
        root: str,
        split: str = "val",
        crowd: str = "keep",
        missing: str = "fail",
        contract: bool = True,
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        super().__init__(root, split, missing, contract, accept_outside, megapixels)
        check_choice(crowd, ("keep", "skip"), "What is done with crowds", "task.dataset.crowd")
        self.crowd = crowd

    @property
    def annotations(self) -> Path:
        """COCO's file of instances."""
        name = f"instances_{self.split}2017.json"
        paths = [self.data_root / folder / name for folder in ("coco_2017", "annotations", ".")]
        return first_existing(paths, "annotation file", self.mend)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Whether crowds are asked about."""
        return {"crowd": self.crowd}

    def _picture(self, image: Mapping[str, Any], place: str) -> Path:
        return inside(self.data_root / f"{self.split}2017", required(image, "file_name", place), place)

    def _takes(self, annotation: Mapping[str, Any]) -> bool:
        return self.crowd == "keep" or not annotation.get("iscrowd")
