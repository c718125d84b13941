"""COCO panoptic: things and stuff, as CLIPSelf evaluates the recognition of boxes and masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.data.boxes import inside as inside_picture
from benchmarks.data.files import (
    box_from_xywh,
    check_choice,
    check_count,
    check_text,
    existing,
    first_existing,
    identifier,
    inside,
    required,
    required_list,
)
from benchmarks.data.region_sets import AskedRegion, RegionDataset, RegionImage, read_object
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS, mask_ids
from falip.regions import Box

THING, STUFF = "thing", "stuff"
_PICTURES = (5000, "COCO 2017: cocodataset.org")


class _Category(NamedTuple):
    label: int
    name: str
    is_thing: bool


class COCOPanoptic(RegionDataset):
    """Segments of COCO 2017, split `val`; the slice of a query says whether it is a thing or stuff.

    Files: `panoptic_val2017.json` and segments as PNG in `panoptic_val2017/`, both in `coco_panoptic/` or `annotations/`,
    and pictures in `val2017/`. Defaults are those of CLIPSelf (src/training/data.py, lines 284 to 387;
    coco_api.py, lines 65 to 113): a label is the rank of its category's id, so that 80 things come before 53 kinds of
    stuff.

    Args:
        root: The folder of all data sets.
        split: `val`.
        region: `box`, or `mask` for the segment's pixels together with its box.
        stuff_boxes: `indices`, from the first row and column of a segment to its last, which is not counted; or `pixels`,
            with the last. Boxes of things are those of the file.
        most: Only so many segments of a picture are looked at, the first ones.
        crowd: `keep` as the source does, or `skip` segments that are crowds.
        smallest: Segments whose box has a smaller area are left out, in square pixels.
        largest: Segments whose box has a larger area are left out, in square pixels.
        missing: See `RegionDataset`, as for the rest.
        contract: Whether the published numbers of pictures and classes are required.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
    """

    name = "coco_panoptic"
    splits = ("val",)
    named_classes = (133, "COCO 2017: cocodataset.org")

    def __init__(
        self,
        root: str,
        split: str = "val",
        region: str = "box",
        stuff_boxes: str = "indices",
        most: int = 100,
        crowd: str = "keep",
        smallest: float = 64.0,
        largest: float = 1024.0**2,
        missing: str = "fail",
        contract: bool = True,
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        super().__init__(root, split, missing, contract, accept_outside, megapixels)
        check_choice(region, ("box", "mask"), "The region", "task.dataset.region")
        check_choice(stuff_boxes, ("indices", "pixels"), "The form of the boxes of stuff", "task.dataset.stuff_boxes")
        check_choice(crowd, ("keep", "skip"), "What is done with crowds", "task.dataset.crowd")
        if most < 1:
            raise UserError(f"task.dataset.most={most}: give a number of segments from 1 on.")
        self.region, self.stuff_boxes, self.most, self.crowd = region, stuff_boxes, most, crowd
        self.smallest, self.largest = smallest, largest

    @property
    def annotations(self) -> Path:
        """COCO's file of panoptic segments."""
        name = f"panoptic_{self.split}2017.json"
        return first_existing([folder / name for folder in self._folders], "annotation file", self.mend)

    @property
    def _folders(self) -> tuple[Path, ...]:
        return self.data_root / "coco_panoptic", self.data_root / "annotations", self.data_root

    @property
    def settings(self) -> Mapping[str, Any]:
        """What is asked about, and by which boxes or masks."""
        names = ("region", "stuff_boxes", "most", "crowd", "smallest", "largest")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def _content(self) -> dict[str, list[Any]]:
        return read_object(self.annotations, ("images", "annotations", "categories"), self.mend)

    @cached_property
    def _categories(self) -> dict[str, _Category]:
        """By id, in label order."""
        found = []
        for number, one in enumerate(self._content["categories"]):
            place = f"{self.annotations}, category {number}"
            name = required(one, "name", place)
            check_text(name, "the category's name", place, self.mend)
            found.append((identifier(required(one, "id", place), place), name, bool(required(one, "isthing", place))))
        ranked = sorted(found, key=lambda one: (len(one[0]), one[0]))  # ids are whole numbers
        return {one: _Category(label, name, is_thing) for label, (one, name, is_thing) in enumerate(ranked)}

    @property
    def class_names(self) -> tuple[str, ...]:
        """As the file has them ("wall-other-merged"), by rank of id."""
        return tuple(category.name for category in self._categories.values())

    @property
    def unjoined(self) -> int:
        """Segments of pictures or classes that the file does not have; they are left out."""
        return self._joined[1]

    @cached_property
    def _joined(self) -> tuple[list[RegionImage], int]:
        known: dict[str, Path] = {}
        for number, image in enumerate(self._content["images"]):
            place = f"{self.annotations}, image {number}"
            known[identifier(required(image, "id", place), place)] = inside(
                self.data_root / f"{self.split}2017", required(image, "file_name", place), place
            )
        regions: dict[str, list[AskedRegion]] = defaultdict(list)
        lost = 0
        for number, one in enumerate(self._content["annotations"]):
            place = f"{self.annotations}, annotation {number}"
            image_id, segments = (
                identifier(required(one, "image_id", place), place),
                required_list(one, "segments_info", place),
            )
            taken = [segment for segment in segments[: self.most] if self._joins(segment, place)]
            if image_id not in known:
                lost += len(segments)
                continue
            lost += len(segments[: self.most]) - len(taken)
            asked = (self._asked(segment, place) for segment in taken)
            regions[image_id] += [region for region in asked if region is not None]
        return [RegionImage(image_id, path, tuple(regions[image_id])) for image_id, path in known.items()], lost

    def _read(self) -> list[RegionImage]:
        images = self._joined[0]
        if self.contract:
            check_count("pictures", len(images), *_PICTURES, str(self.annotations), self.mend)
        return images

    def _joins(self, segment: Any, place: str) -> bool:
        return identifier(required(segment, "category_id", place), place) in self._categories

    def _asked(self, segment: Mapping[str, Any], place: str) -> AskedRegion | None:
        """The question about a segment; None where it is left out."""
        category = self._categories[identifier(segment["category_id"], place)]
        box = self._box(box_from_xywh(required(segment, "bbox", place), place), category)
        area = (box[2] - box[0]) * (box[3] - box[1])
        if not self.smallest <= area <= self.largest or (self.crowd == "skip" and segment.get("iscrowd")):
            return None
        own = identifier(required(segment, "id", place), place)
        return AskedRegion(own, box, category.label, category.name, THING if category.is_thing else STUFF)

    def _box(self, box: Box, category: _Category) -> Box:
        if category.is_thing or self.stuff_boxes == "pixels":
            return box
        return box[0], box[1], box[2] - 1, box[3] - 1

    def _regions(self, item: RegionImage, image: Image.Image) -> tuple[Region, ...]:
        """Boxes of things as annotated, of stuff as its segment's pixels lie; with masks where they are asked for."""
        things = all(one.slice == THING for one in item.regions)
        if self.region == "box" and things:
            return super()._regions(item, image)
        name = f"panoptic_{self.split}2017"
        packed = self._folders[0] / f"{name}.zip"
        mend = f"python -m zipfile -e {packed} {packed.parent}" if packed.exists() else self.mend
        folder = first_existing([folder / name for folder in self._folders], "folder of segments", mend)
        path = existing(folder / f"{item.path.stem}.png", "file of segments", self.mend)
        ids = mask_ids(self.reader.stored(path, "file of segments"))
        if ids.shape != (image.height, image.width):
            raise UserError(
                f"{path} is {ids.shape[1]} x {ids.shape[0]} pixels and its picture {item.path} {image.width} x "
                f"{image.height}. Fetch them again: {self.mend}"
            )
        return tuple(self._region(one, ids == int(one.id), path, image) for one in item.regions)

    def _region(self, one: AskedRegion, mask: np.ndarray, path: Path, image: Image.Image) -> Region:
        if not mask.any():
            raise UserError(f"{path} has no pixel of the segment {one.id} ({one.text}). Fetch it again: {self.mend}")
        box = one.box
        if one.slice == STUFF:
            x0, y0, x1, y1 = Region.from_mask(mask).box
            box = (x0, y0, x1, y1) if self.stuff_boxes == "pixels" else (x0, y0, x1 - 1, y1 - 1)
        box = inside_picture(box, image.size)
        return Region((box,), mask if self.region == "mask" else None)
