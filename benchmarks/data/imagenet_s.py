"""ImageNet-S: 919 classes of ImageNet, with a mask of the object for each picture."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as run_length

from benchmarks.data.files import (
    check_choice,
    check_text,
    existing,
    fingerprint,
    inside,
    read_json,
    read_lines,
    required,
    sha256,
    shown,
)
from benchmarks.data.images import LabelledDataset, LabelledImage
from benchmarks.data.samples import SplitContract
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS, mask_ids

_FOLDER = PurePosixPath("imagenet_s")
_PICTURES = _FOLDER / "ImageNetS919" / "validation"
_MASKS = _FOLDER / "ImageNetS919" / "validation-segmentation"
_CONTRACTS = {"val": SplitContract(12419, source="LUSSeg/ImageNet-S README.md:95")}
# Synsets that ImageNet-S counts as others (I:README.md:104-146).
_MERGED = {
    "n04356056": "n04355933",
    "n04493381": "n02808440",
    "n03642806": "n03832673",
    "n04008634": "n03773504",
    "n03887697": "n15075141",
}
_NAMES = {"wordnet": "LOC_synset_mapping.txt", "clip": "clip_classes.txt"}
_NAMES_MEND = {
    "wordnet": "copy LOC_synset_mapping.txt of ImageNet-1k there (lines 'n01440764 tench, Tinca tinca')",
    "clip": "write lines 'n01440764 tench' there, with the names of CLIP's notebook Prompt_Engineering_for_ImageNet",
}
_IGNORED = 1000


class ImageNetS(LabelledDataset):
    """The validation split in one of two forms, found in `<root>/imagenet_s/`; one question for each picture.

    Official form: pictures `ImageNetS919/validation/<synset>/*.JPEG` and masks `ImageNetS919/validation-segmentation/
    <synset>/*.png`, in which the class of a pixel is R + 256 G: 0 for others, 1000 to ignore, else counted from 1 in the
    order of sorted synsets (I:README.md). The class of a picture is its folder's, and its region the pixels of that class.

    List form (A:eval/imagenet_s_zs_test/imagenet_s.py): a JSON list of objects with `category_word` (synset), `image_pth`
    and `mask` (COCO's run lengths). Classes are numbered by sorted synset here, not by first appearance as there.

    Args:
        root: The folder of all data sets.
        split: `val`.
        region: `mask`, or `box` for the bounding box of the mask.
        names: `wordnet`, the first lemma with its underscores as in A:imagenet_s.py:78-82, read from ImageNet's own
            `LOC_synset_mapping.txt`; or `clip`, the names that CLIP's authors wrote, from `clip_classes.txt`.
        annotations: File of the list form, or None for the official form.
        contract: Whether the published numbers of pictures and classes are required.
        megapixels: The largest picture that is decoded.
        classes: As the next, see `ClassSplit`; labels of masks are those of all classes.
        open_ratio: Share of the classes that are new.
    """

    name = "imagenet_s"
    contracts = _CONTRACTS
    stated_classes = 919

    def __init__(
        self,
        root: str,
        split: str = "val",
        region: str = "box",
        names: str = "wordnet",
        annotations: str | None = None,
        contract: bool = True,
        megapixels: float = MEGAPIXELS,
        classes: str = "all",
        open_ratio: float = 0.5,
    ) -> None:
        super().__init__(root, split, contract, megapixels=megapixels, classes=classes, open_ratio=open_ratio)
        check_choice(region, ("box", "mask"), "The region", "task.dataset.region")
        check_choice(names, tuple(_NAMES), "The list of names", "task.dataset.names")
        self.region, self.names = region, names
        self.annotations = None if annotations is None else Path(annotations).expanduser()

    @property
    def identity(self) -> dict[str, Any]:
        """As for every data set, and the kind of region and of names."""
        return {**super().identity, "region": self.region, "names": self.names}

    @property
    def _names_file(self) -> Path:
        path = self.data_root / _FOLDER / _NAMES[self.names]
        if not path.exists():
            raise UserError(f"The file of class names {path.absolute()} is missing. To mend it, {_NAMES_MEND[self.names]}.")
        return path

    @cached_property
    def every_class(self) -> tuple[str, ...]:
        """One name for each synset, in sorted order."""
        names = {synset: name for _, (synset, name) in read_lines(self._names_file, 2, self.mend)}
        missing = [synset for synset in self._synsets if synset not in names]
        if missing:
            raise UserError(
                f"{self._names_file} has no name for {len(missing)} of {len(self._synsets)} classes, such as {missing[0]}. "
                f"To mend it, {_NAMES_MEND[self.names]}."
            )
        if self.names == "clip":
            return tuple(names[synset] for synset in self._synsets)
        return tuple(names[synset].partition(",")[0].strip().replace(" ", "_") for synset in self._synsets)

    @cached_property
    def _synsets(self) -> tuple[str, ...]:
        if self.annotations is None:
            folders = existing(self.data_root / _PICTURES, "folder of pictures", self.mend).iterdir()
            found = (folder.name for folder in folders if folder.is_dir())
        else:
            found = (entry["category_word"] for entry in self._entries)
        return tuple(sorted({_MERGED.get(synset, synset) for synset in found}))

    @cached_property
    def _entries(self) -> list[dict[str, Any]]:
        if self.annotations is None:
            return []
        path = existing(self.annotations, "annotation list (task.dataset.annotations)", self.mend)
        entries = read_json(path, self.mend)
        if not isinstance(entries, list):
            raise UserError(f"{path}: expected a list of annotations, and found a {type(entries).__name__}.")
        for number, entry in enumerate(entries):
            place = f"{path}, entry {number}"
            check_text(required(entry, "category_word", place), "the synset (category_word)", place, self.mend)
            inside(path.parent, required(entry, "image_pth", place), place)
            required(entry, "mask", place)
        return entries

    @property
    def _sources(self) -> dict[str, str]:
        names = {self._names_file.name: sha256(self._names_file)}
        if self.annotations is not None:
            path = existing(self.annotations, "annotation list (task.dataset.annotations)", self.mend)
            return {path.name: sha256(path), **names}
        masks = existing(self.data_root / _MASKS, "folder of masks", self.mend)
        files = ((f"{path.parent.name}/{path.name}", path) for path in masks.glob("*/*.png"))
        return {masks.name: fingerprint(files), **names}

    def _read(self) -> list[LabelledImage]:
        labels = {synset: label for label, synset in enumerate(self._synsets)}
        labels |= {synset: labels[kept] for synset, kept in _MERGED.items() if kept in labels}
        if self.annotations is not None:
            return self._read_list(self.annotations, labels)
        pictures = existing(self.data_root / _PICTURES, "folder of pictures", self.mend)
        paths = sorted(path for path in pictures.glob("*/*") if path.suffix.lower() in (".jpeg", ".jpg"))
        names = (path.relative_to(pictures).with_suffix("").as_posix() for path in paths)
        return [LabelledImage(name, path, labels[path.parent.name], name) for name, path in zip(names, paths, strict=True)]

    def _read_list(self, path: Path, labels: dict[str, int]) -> list[LabelledImage]:
        # The list names pictures relative to a folder that it does not state.
        folders = (path.parent, self.data_root, self.data_root / _FOLDER)
        first = self._entries[0]["image_pth"] if self._entries else ""
        folder = next((folder for folder in folders if (folder / first).exists()), self.data_root)
        seen: Counter[str] = Counter()
        items = []
        for number, entry in enumerate(self._entries):
            name = str(PurePosixPath(entry["image_pth"]).with_suffix(""))
            seen[name] += 1
            unique = name if seen[name] == 1 else f"{name}#{seen[name]}"
            items.append(LabelledImage(unique, folder / entry["image_pth"], labels[entry["category_word"]], str(number)))
        return items

    def _region(self, item: LabelledImage, image: Image.Image) -> Region:
        if self.annotations is None:
            place, mask = self._class_mask(item)
        else:
            place = f"{self.annotations}, entry {item.region_key}"
            mask = _decoded(self._entries[int(item.region_key)]["mask"], image, place)
        if mask.shape != (image.height, image.width):
            raise UserError(
                f"{place}: the mask is {mask.shape[1]} x {mask.shape[0]} pixels and its picture {item.path} {image.width} "
                f"x {image.height}. Fetch them again: {self.mend}"
            )
        if not mask.any():
            raise UserError(f"{place}: the mask has no pixel of its picture's class.")
        region = Region.from_mask(mask)
        return region if self.region == "mask" else Region.from_box(*region.box)

    def _class_mask(self, item: LabelledImage) -> tuple[str, np.ndarray]:
        path = self.data_root / _MASKS / f"{item.region_key}.png"
        classes = class_ids(self.reader.stored(existing(path, "mask", self.mend), "mask"))
        mask = classes == item.label + 1
        if not mask.any():
            found = ", ".join(str(value) for value in np.unique(classes))
            raise UserError(
                f"{path} has no pixel of class {item.label + 1} ({self._synsets[item.label]}, counted from 1 in sorted "
                f"order); found {found} (0: others, {_IGNORED}: ignored). Are the folders of all {self.stated_classes} "
                f"classes there?"
            )
        return str(path), mask


def class_ids(picture: Image.Image) -> np.ndarray:
    """The class of each pixel of a mask of ImageNet-S, R + 256 G (I:README.md), as an int array (height, width).

    A palette stands for its colours, as a PNG that was made smaller has it; blue is not looked at.
    """
    return mask_ids(picture.convert("RGB") if picture.mode == "P" else picture) % 65536


def _stated_size(mask: Any) -> Any:
    return mask.get("size") if isinstance(mask, dict) else None


def _decoded(mask: Any, image: Image.Image, place: str) -> np.ndarray:
    size = _stated_size(mask)
    if isinstance(size, list) and len(size) == 2 and size != [image.height, image.width]:
        # Decoding would take whatever memory the size asks for.
        raise UserError(
            f"{place}: the mask is {shown(size)} high and wide, and its picture {image.height} by {image.width}."
        )
    try:
        return run_length.decode(mask).astype(bool)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise UserError(f"{place}: the mask is not in COCO's compressed run lengths ({error!r}).") from None
