"""RefCOCO-M: the validation split of RefCOCO with finer masks, less what could not be mended."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from benchmarks.data.files import box_from_xywh, check_choice, check_text, identifier, required, required_list
from benchmarks.data.masks import decoded
from benchmarks.data.referring_sets import AskedImage, ReferringSet, read_rows
from benchmarks.data.samples import Query
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS, as_rgb
from falip.regions import Box

_COLUMNS = ("image", "image_id", "file_name", "samples")


class RefCOCOM(ReferringSet):
    """Split `val`; files `refcoco_m/validation-*.parquet`, at any depth, which hold the pictures too.

    Candidates are the referred objects of a picture. Its other objects are not in the files, so that chance is higher than
    on RefCOCO.

    Args:
        root: The folder of all data sets.
        split: `val`.
        region: `box`, or `mask` for the finer mask together with its box.
        contract: Whether the published number of expressions is required.
        megapixels: The largest picture that is decoded.
    """

    name = "refcoco_m"
    splits = ("val",)
    stated: ClassVar = {"val": (5598, "the card of moondream/refcoco-m")}

    def __init__(
        self, root: str, split: str = "val", region: str = "box", contract: bool = True, megapixels: float = MEGAPIXELS
    ) -> None:
        super().__init__(root, split, contract, megapixels)
        check_choice(region, ("box", "mask"), "The region", "task.dataset.region")
        self.region, self.megapixels = region, megapixels

    @property
    def settings(self) -> Mapping[str, Any]:
        """The form of regions."""
        return {"region": self.region}

    @cached_property
    def sources(self) -> Sequence[Path]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """All files of the split."""
        folder = self.data_root / self.name
        found = sorted(folder.rglob("validation-*.parquet"))
        if not found:
            raise UserError(f"{folder} has no file validation-*.parquet. Prepare it with `{self.mend}`.")
        return found

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return [row for path in self.sources for row in read_rows(path, _COLUMNS, self.mend)]

    def _read(self) -> list[AskedImage]:
        images = []
        for number, row in enumerate(self._rows):
            place = f"{self.sources[0].parent}, row {number}"
            boxes, queries = [], []
            for one in required_list(row, "samples", place):
                box, own = box_from_xywh(required(one, "bbox", place), place), identifier(required(one, "id", place), place)
                boxes.append(box)
                for count, text in enumerate(required_list(one, "sentences", place)):
                    check_text(text, "an expression", place, self.mend)
                    queries.append(Query(f"{own}/{count}", text.lower(), (box,)))
            name = identifier(row["image_id"], place)
            images.append(AskedImage(name, self.sources[0], tuple(boxes), tuple(queries), number))
        return images

    def _picture(self, item: AskedImage) -> Image.Image:
        name = f"The image {self._rows[item.row]['file_name']} of {self.sources[0].parent}"
        try:
            with Image.open(io.BytesIO(self._rows[item.row]["image"]["bytes"])) as image:
                if image.width * image.height > self.megapixels * 1e6:
                    raise UserError(f"{name} has {image.width} x {image.height} pixels; raise task.dataset.megapixels=...")
                image.load()
                return as_rgb(image, name)
        except UserError:
            raise
        except Exception as error:  # a broken picture makes Pillow raise almost anything
            raise UserError(f"{name} cannot be decoded ({error!r:.200}). Fetch it again: {self.mend}") from None

    def _regions(self, item: AskedImage, boxes: Sequence[Box], image: Image.Image) -> tuple[Region, ...]:
        if self.region == "box" or not item.boxes:
            return super()._regions(item, boxes, image)
        masks = (self._mask(one, image, item) for one in self._rows[item.row]["samples"])
        return tuple(Region((box,), mask) for box, mask in zip(boxes, masks, strict=True))

    def _mask(self, one: Mapping[str, Any], image: Image.Image, item: AskedImage) -> np.ndarray | None:
        place = f"{self.name}, image {item.id}, sample {one['id']}"
        return decoded(required(one, "mask", place), image.size, place)
