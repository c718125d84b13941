"""What the two routes to RefCOCO have in common: referents grouped by image, and how they become samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.data.files import (
    box_from_xywh,
    check_choice,
    check_contract,
    data_folder,
    first_existing,
    read_json,
    required,
    sha256,
)
from benchmarks.data.images import read_image
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo, SplitContract
from falip import Region
from falip.errors import UserError
from falip.regions import Box

_SOURCE = "ReCLIP paper, appendix E.7"
# Expressions, not images: accuracy is over sentences (FALIP main.py:154).
CONTRACTS = {
    ("refcoco", "val"): SplitContract(queries=10834, source=_SOURCE),
    ("refcoco", "testA"): SplitContract(queries=5657, source=_SOURCE),
    ("refcoco", "testB"): SplitContract(queries=5095, source=_SOURCE),
    ("refcoco_plus", "val"): SplitContract(queries=10758, source=_SOURCE),
    ("refcoco_plus", "testA"): SplitContract(queries=5726, source=_SOURCE),
    ("refcoco_plus", "testB"): SplitContract(queries=4889, source=_SOURCE),
    ("refcocog", "val"): SplitContract(queries=4896, source=_SOURCE),
    ("refcocog", "test"): SplitContract(queries=9602, source=_SOURCE),
}
NAMES = tuple(dict.fromkeys(name for name, _ in CONTRACTS))
# The files of RefCOCO+ carry a plus sign, which is awkward in a configuration's name.
FILE_NAMES = {"refcoco": "refcoco", "refcoco_plus": "refcoco+", "refcocog": "refcocog"}
PROPOSALS = ("gt", "detected")


@dataclass(frozen=True)
class Referent:
    """One referred object, or several at once, with its expressions, as one line of a file gives it.

    Attributes:
        place: "FILE, line N", for messages.
        image_id: COCO's id of the image.
        file_name: Name of the picture's file in train2014.
        ids: Ids of the annotations that are the gold answer.
        annotations: Box (x0, y0, x1, y1) of every annotated object of the image by id, in the file's order.
        sentences: (sentence id or "", expression in lower case).
    """

    place: str
    image_id: str
    file_name: str
    ids: tuple[str, ...]
    annotations: Mapping[str, Box]
    sentences: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ImageReferents:
    """Everything that is asked about one image.

    Attributes:
        image_id: COCO's id of the image.
        file_name: Name of the picture's file in train2014.
        boxes: The candidates; none where the detector found nothing.
        queries: All expressions of the image.
    """

    image_id: str
    file_name: str
    boxes: tuple[Box, ...]
    queries: tuple[Query, ...]


class ReferringDataset(ABC):
    """RefCOCO, RefCOCO+ or RefCOCOg as samples of an image with all its expressions, by image id.

    A subclass says where the referents come from. Candidates are all annotated objects of the image ("gt",
    ReCLIP main.py:128) or MAttNet's detections ("detected"); an image without detections has itself as the
    only candidate (FALIP main.py:155-158).

    Args:
        name: `refcoco`, `refcoco_plus` or `refcocog`.
        root: Folder with `train2014/` and, in it or in `reclip_data/`, the files of ReCLIP.
        split: `val`, `testA` or `testB`; `val` or `test` for RefCOCOg.
        proposals: `gt` or `detected`.
        contract: Whether the split must have the published number of expressions.

    Raises:
        UserError: If a value is not offered, or when read: if a file is missing, broken, or not what it
            should be.
    """

    def __init__(self, name: str, root: str, split: str, proposals: str, contract: bool = True) -> None:
        check_choice(name, NAMES, "The data set", "task.dataset.name")
        check_choice(split, [s for n, s in CONTRACTS if n == name], f"The split of {name}", "task.split")
        check_choice(proposals, PROPOSALS, "The kind of proposals", "task.proposals")
        self.name, self.split, self.proposals = name, split, proposals
        self.root, self.contract = Path(root), contract
        self.mend = f"python -m scripts.data {name}"

    @abstractmethod
    def _referents(self) -> Iterable[Referent]: ...

    @property
    @abstractmethod
    def _sources(self) -> dict[str, str]:
        """Hashes of what the referents are read from."""

    @cached_property
    def folder(self) -> Path:
        """The data folder."""
        return data_folder(self.root, self.mend)

    def file(self, file_name: str, what: str) -> Path:
        """A file of ReCLIP's archive, in `reclip_data/` or in the data folder itself."""
        return first_existing([self.folder / "reclip_data" / file_name, self.folder / file_name], what, self.mend)

    @property
    def _proposals_file(self) -> Path:
        return self.file(f"{FILE_NAMES[self.name]}_dets_dict.json", "proposals file")

    @cached_property
    def _images(self) -> tuple[ImageReferents, ...]:
        detections = read_detections(self._proposals_file, self.mend) if self.proposals == "detected" else None
        images = group_by_image(self._referents(), detections, self.mend)
        queries = sum(len(image.queries) for image in images)
        where = f"The split {self.split} of {self.name}, read from {', '.join(self._sources)} in {self.folder},"
        if not queries:
            raise UserError(f"{where} has no expression at all. Fetch it again: {self.mend}")
        if self.contract:
            check_contract(CONTRACTS[self.name, self.split], len(images), queries, where, self.mend)
        if detections is not None and not any(image.boxes for image in images):
            raise UserError(
                f"{self._proposals_file} has no detection for any of the {len(images)} images of {self.name} "
                f"{self.split}, so it belongs to another data set. Fetch it again: {self.mend}"
            )
        return images

    @cached_property
    def _index(self) -> tuple[SampleInfo, ...]:
        return tuple(SampleInfo(image.image_id, len(image.queries), max(1, len(image.boxes))) for image in self._images)

    @property
    def index(self) -> Sequence[SampleInfo]:
        """One entry for each image, in the order of image ids."""
        return self._index

    @property
    def class_names(self) -> tuple[str, ...]:
        """None: expressions are free text."""
        return ()

    @property
    def identity(self) -> dict[str, Any]:
        """Name, split, proposals, version of the loader and hashes of all files read but pictures."""
        sources = dict(self._sources)
        if self.proposals == "detected":
            sources[self._proposals_file.name] = sha256(self._proposals_file)
        return {
            "name": self.name,
            "split": self.split,
            "proposals": self.proposals,
            "version": 1,
            "files": sources,
        }

    def load(self, i: int) -> Sample:
        """One image with its candidates and all its expressions.

        Raises:
            UserError: If the picture is missing or broken.
        """
        referents = self._images[i]
        image = read_image(self.folder / "train2014" / referents.file_name, self.mend)
        boxes = referents.boxes or ((0.0, 0.0, float(image.width), float(image.height)),)
        picture = Picture(image, tuple(Region.from_box(*box) for box in boxes))
        return Sample(referents.image_id, (picture,), referents.queries, boxes, fallback=not referents.boxes)


def picture_file(file_name: str) -> str:
    """COCO_train2014_<12 digits>_<annotation id>.jpg without the last part, which is the picture's file.

    ReCLIP main.py:122-126. A name that ends with the 12 digits is a picture's already.
    """
    stem, _, last = file_name.rpartition("_")
    if "coco" not in file_name.lower() or len(last.partition(".")[0]) == 12:
        return file_name
    return f"{stem}.jpg"


def read_sentences(sentences: Any, place: str, mend: str) -> tuple[tuple[str, str], ...]:
    """(Sentence id or "", raw expression in lower case) of each sentence of a referent.

    Raises:
        UserError: If the form is another, or an expression is empty.
    """
    if not isinstance(sentences, list) or not all(isinstance(sentence, dict) for sentence in sentences):
        raise UserError(f"{place}: 'sentences' must be a list of objects with the key 'raw', and is {sentences!r:.200}.")
    read = []
    for sentence in sentences:
        raw = required(sentence, "raw", place)
        if not isinstance(raw, str) or not raw.strip():
            raise UserError(
                f"{place}: an expression is empty (raw: {raw!r}). Mend or remove it, or fetch the file again: {mend}"
            )
        sentence_id = sentence.get("sent_id")
        read.append(("" if sentence_id is None else str(sentence_id), raw.lower()))
    return tuple(read)


def read_detections(path: Path, mend: str) -> dict[str, tuple[Box, ...]]:
    """The detected boxes of each image id, as corners.

    Both forms of ReCLIP main.py:102-107 are read: {image id: [[x, y, w, h], ...]} and [{"image_id": ...,
    "box": [x, y, w, h]}].

    Raises:
        UserError: If the file is broken or has another form.
    """
    content = read_json(path, mend)
    if isinstance(content, dict):
        return {
            image_id: tuple(box_from_xywh(box, f"{path}, image id {image_id}") for box in boxes)
            for image_id, boxes in content.items()
        }
    if not isinstance(content, list):
        raise UserError(
            f"{path}: expected an object or a list, and found a {type(content).__name__}. Fetch it again: {mend}"
        )
    detections: dict[str, list[Box]] = defaultdict(list)
    for number, entry in enumerate(content):
        place = f"{path}, entry {number}"
        detections[str(required(entry, "image_id", place))].append(box_from_xywh(required(entry, "box", place), place))
    return {image_id: tuple(boxes) for image_id, boxes in detections.items()}


def group_by_image(
    referents: Iterable[Referent], detections: Mapping[str, tuple[Box, ...]] | None, mend: str
) -> tuple[ImageReferents, ...]:
    """Puts all expressions of an image together.

    Images come in the order of their ids and expressions in the order of their annotations, so that the
    result does not depend on the order of a file's lines.

    Args:
        referents: In any order.
        detections: Boxes of each image id, or None where all annotated objects are the candidates.
        mend: The command that fetches the file again.

    Raises:
        UserError: If two lines disagree about the annotated objects of an image.
    """
    by_image: dict[str, list[Referent]] = defaultdict(list)
    for referent in referents:
        known = by_image[referent.image_id]
        if known and known[0].annotations != referent.annotations:
            raise UserError(
                f"{referent.place}: the annotated objects ('anns') of image {referent.image_id} differ from "
                f"those at {known[0].place}, and one image has one set of candidates. Fetch the file again: "
                f"{mend}"
            )
        known.append(referent)
    sentence_ids = [s_id for group in by_image.values() for referent in group for s_id, _ in referent.sentences]
    unique = all(sentence_ids) and len(set(sentence_ids)) == len(sentence_ids)
    return tuple(
        _image_referents(by_image[image_id], detections, unique)
        for image_id in sorted(by_image, key=lambda image_id: (len(image_id), image_id))
    )


def _image_referents(
    group: Sequence[Referent], detections: Mapping[str, tuple[Box, ...]] | None, unique: bool
) -> ImageReferents:
    first = group[0]
    order = {annotation: position for position, annotation in enumerate(first.annotations)}
    group = sorted(group, key=lambda referent: [order[annotation] for annotation in referent.ids])
    boxes = tuple(first.annotations.values()) if detections is None else detections.get(first.image_id, ())
    return ImageReferents(first.image_id, first.file_name, boxes, tuple(_queries(group, unique)))


def _queries(group: Sequence[Referent], unique: bool) -> Iterator[Query]:
    seen: dict[str, int] = defaultdict(int)
    for referent in group:
        targets = tuple(referent.annotations[annotation] for annotation in referent.ids)
        key = f"{referent.image_id}/{'+'.join(referent.ids)}"
        for sentence_id, text in referent.sentences:
            yield Query(sentence_id if unique else f"{key}/{seen[key]}", text, targets)
            seen[key] += 1
