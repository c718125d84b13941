"""FG-OVD: which of several captions fits a box, the right one or one of those in which attributes were changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.data.files import (
    box_from_xywh,
    check_choice,
    check_count,
    check_text,
    existing,
    identifier,
    inside,
    read_json_lines,
    required,
    required_list,
    shown,
)
from benchmarks.data.region_sets import AskedRegion, RegionDataset, RegionImage, read_object
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box

_FOLDER = "fg_ovd"
# FG-OVD, benchmarks/README.md, lines 4 to 12.
_OFFICIAL = {
    "hard": "1_attributes", "medium": "2_attributes", "easy": "3_attributes", "trivial": "shuffle_negatives",
    "color": "color", "material": "material", "pattern": "pattern", "transparency": "transparency",
}  # fmt: skip
# FG-CLIP v1.0, data/fgovd, with the number of lines of each.
_FGCLIP = {
    "hard": ("h_attributes_llava", 3545),
    "medium": ("m_attributes_llava", 2968),
    "easy": ("e_attributes_llava", 1299),
    "trivial": ("shuffle_negatives_llava", 3545),
}
_SOURCE = "FG-CLIP v1.0, data/fgovd"


class FGOVD(RegionDataset):
    """Boxes with one right caption and some wrong ones, in `<root>/fg_ovd/`; pictures in `train2017/` and `val2017/`.

    A box is right where its right caption has the highest score (FG-CLIP v1.0, fgclip/eval/fgovd_eval.py, lines 73 to 129).
    The published measure of FG-OVD itself is a detector's mean average precision, which is none of this.

    Args:
        root: The folder of all data sets.
        split: `hard`, `medium`, `easy` or `trivial`; of the official files also `color`, `material`, `pattern`,
            `transparency`.
        source: `fgclip` reads FG-CLIP's `{h,m,e}_attributes_llava.jsonl`, `shuffle_negatives_llava.jsonl`; `official` reads
            FG-OVD's own files, such as `1_attributes.json`.
        negatives: Of the wrong captions the first so many, of boxes that have as many (FG-OVD,
            evaluation/evaluate_map.py, lines 199 to 209); null for all of them, as FG-CLIP has it.
        ties: Whether a right caption that shares the highest score is `right`, as FG-CLIP has it, or `wrong`.
        missing: See `RegionDataset`, as for the rest.
        contract: Whether the published number of boxes is required.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
    """

    name = "fg_ovd"
    splits = tuple(_OFFICIAL)

    def __init__(
        self,
        root: str,
        split: str = "hard",
        source: str = "fgclip",
        negatives: int | None = None,
        ties: str = "right",
        missing: str = "fail",
        contract: bool = True,
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        super().__init__(root, split, missing, contract, accept_outside, megapixels)
        check_choice(source, ("fgclip", "official"), "The source", "task.dataset.source")
        check_choice(ties, ("right", "wrong"), "What a tie is", "task.dataset.ties")
        if source == "fgclip":
            check_choice(split, list(_FGCLIP), "The split of FG-CLIP's files", "task.split")
        if negatives is not None and negatives < 1:
            raise UserError(
                f"task.dataset.negatives={negatives}: give a number of wrong captions from 1 on, or null for all."
            )
        self.source, self.negatives, self.ties = source, negatives, ties

    @property
    def annotations(self) -> Path:
        """The file of the split."""
        name = f"{_FGCLIP[self.split][0]}.jsonl" if self.source == "fgclip" else f"{_OFFICIAL[self.split]}.json"
        return existing(self.data_root / _FOLDER / name, "annotation file", self.mend)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Whose files, how many wrong captions, and what a tie is."""
        return {"source": self.source, "negatives": self.negatives, "ties": self.ties}

    @property
    def unjoined(self) -> int:
        """Boxes of pictures or captions that the file does not have; they are left out."""
        return self._joined[1]

    @cached_property
    def _joined(self) -> tuple[list[RegionImage], int]:
        if self.source == "fgclip":
            return self._grouped(self._lines()), 0
        content = read_object(self.annotations, ("images", "annotations", "categories"), self.mend)
        captions = {self._id(one): one.get("name") for one in content["categories"]}
        pictures = {
            self._id(one): one.get("coco_url") or required(one, "file_name", str(self.annotations))
            for one in content["images"]
        }
        lost, found = 0, []
        for number, one in enumerate(content["annotations"]):
            place = f"{self.annotations}, annotation {number}"
            image, right = (identifier(required(one, key, place), place) for key in ("image_id", "category_id"))
            texts = [right, *(identifier(text, place) for text in required_list(one, "neg_category_ids", place))]
            if image not in pictures or any(text not in captions for text in texts):
                lost += 1
                continue
            box = box_from_xywh(required(one, "bbox", place), place)
            found.append((place, self._id(one), pictures[image], box, [captions[text] for text in texts]))
        return self._grouped(iter(found)), lost

    def _id(self, one: Any) -> str:
        return identifier(required(one, "id", str(self.annotations)), str(self.annotations))

    def _lines(self) -> Iterator[tuple[str, str, Any, Box, list[Any]]]:
        for number, (place, line) in enumerate(read_json_lines(self.annotations, self.mend)):
            right, wrong = required(line, "pos_expression", place), required(line, "neg_expression", place)
            if not isinstance(right, list) or len(right) != 1 or not isinstance(wrong, list):
                raise UserError(
                    f"{place}: expected a list of one right caption and a list of wrong ones, and found {shown(right)} and "
                    f"{shown(wrong)}. Fetch the file again: {self.mend}"
                )
            box = box_from_xywh(required(line, "bbox", place), place)
            yield place, str(number), required(line, "img_path", place), box, right + wrong

    def _grouped(self, boxes: Iterator[tuple[str, str, Any, Box, list[Any]]]) -> list[RegionImage]:
        """The boxes of each picture, in the order of the pictures' first."""
        regions: dict[Path, list[AskedRegion]] = defaultdict(list)
        for place, own, picture, box, captions in boxes:
            for caption in captions:
                check_text(caption, "a caption", place, self.mend)
            wrong = captions[1:] if self.negatives is None else captions[1 : 1 + self.negatives]
            if not wrong or (self.negatives is not None and len(wrong) < self.negatives):
                continue
            # Of equal scores the first wins, so the right caption's place says what a tie is.
            texts = (captions[0], *wrong) if self.ties == "right" else (*wrong, captions[0])
            label = 0 if self.ties == "right" else len(wrong)
            regions[self._picture(picture, place)].append(
                AskedRegion(identifier(own, place), box, label, captions[0], texts=tuple(texts))
            )
        return [RegionImage(f"{path.parent.name}/{path.stem}", path, tuple(own)) for path, own in regions.items()]

    def _picture(self, name: Any, place: str) -> Path:
        """The file in train2017 or val2017 that a path or address ends with."""
        parts = str(name).split("/")[-2:]
        named = inside(self.data_root, "/".join(parts), place)
        folders = ("val2017", "train2017")
        if parts[0] in folders:
            return named
        return next((p for folder in folders if (p := self.data_root / folder / parts[-1]).is_file()), named)

    def _read(self) -> list[RegionImage]:
        images = self._joined[0]
        if self.contract and self.source == "fgclip" and self.negatives is None:
            found, stated = sum(len(image.regions) for image in images), _FGCLIP[self.split][1]
            check_count("boxes", found, stated, _SOURCE, str(self.annotations), self.mend)
        return images
