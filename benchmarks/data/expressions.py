"""What the two routes to RefCOCO have in common: referents grouped by image, and how they become samples."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from benchmarks.acquire.masks import SAM, masks_file
from benchmarks.data.boxes import check_frame, check_unit
from benchmarks.data.files import check_choice, check_contract, data_folder, fingerprint, first_existing, sha256
from benchmarks.data.images import picture_reader, read_image
from benchmarks.data.masks import ANNOTATED, AnnotatedMasks, MaskFile
from benchmarks.data.referents import ImageReferents, Referent, group_by_image, read_detections
from benchmarks.data.reviewed import ROWS, Review, read_review, reviewed
from benchmarks.data.samples import Picture, Sample, SampleInfo, SplitContract
from falip import Region
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box, ImageSize

log = logging.getLogger(__name__)

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
_REVIEW_MEND = "falip data ref_l4_reviewed"


class ReferringDataset(ABC):
    """RefCOCO, RefCOCO+ or RefCOCOg as samples of an image with all its expressions, by image id.

    An image with a bad line stays in the index, and `load` says what is wrong with it.

    A subclass says where the referents come from. Candidates are all annotated objects of the image ("gt",
    ReCLIP main.py:128) or MAttNet's detections ("detected"); an image without detections has itself as the
    only candidate (FALIP main.py:155-158).

    Args:
        name: `refcoco`, `refcoco_plus` or `refcocog`.
        root: Folder with `train2014/` and, in it or in `reclip_data/`, the files of ReCLIP.
        split: `val`, `testA` or `testB`; `val` or `test` for RefCOCOg.
        proposals: `gt` or `detected`.
        contract: Whether the split must have the published number of expressions.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.
        masks: File of the candidates' masks (`MaskFile`); "sam" for the one that `falip data masks` makes; "annotations"
            for those of annotated objects; None for none.
        review: Which expressions are asked: `all`; `reviewed` for those that Ref-L4's authors found right; or `flagged` for
            all with their verdicts as slices. The verdicts lie in `ref_l4_reviewed/`.

    Raises:
        UserError: If a value is not offered, or when read: if a file is missing, broken, or not what it
            should be.
    """

    def __init__(
        self,
        name: str,
        root: str,
        split: str,
        proposals: str,
        contract: bool = True,
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
        masks: str | None = None,
        review: str = "all",
    ) -> None:
        check_choice(review, ROWS, "The choice of rows", "task.rows")
        check_choice(name, NAMES, "The data set", "task.dataset.name")
        check_choice(split, [s for n, s in CONTRACTS if n == name], f"The split of {name}", "task.split")
        check_choice(proposals, PROPOSALS, "The kind of proposals", "task.proposals")
        self.name, self.split, self.proposals = name, split, proposals
        self.root, self.contract, self.accept_outside, self.review = Path(root), contract, accept_outside, review
        if masks == ANNOTATED and proposals != "gt":
            raise UserError(
                f"task.masks={ANNOTATED} are the outlines of annotated objects, and task.proposals={proposals} are others: "
                "give the file of their masks, or task.proposals=gt."
            )
        self.masks = masks
        self.mend = f"falip data {name}"
        self.reader = picture_reader(megapixels, self.mend)

    @abstractmethod
    def _referents(self) -> Iterable[Referent]: ...

    @property
    @abstractmethod
    def _sources(self) -> dict[str, str]:
        """Hashes of what the referents are read from."""

    def _outlines(self) -> dict[str, list[Any]]:
        """The segmentation of every annotated object by image id, in the order of the candidates."""
        raise UserError(f"task.masks={ANNOTATED}: {type(self).__name__} has no outlines; give a file of masks.")

    @cached_property
    def _masks(self) -> MaskFile | AnnotatedMasks | None:
        if self.masks == ANNOTATED:
            return AnnotatedMasks(str(self._annotations_file), self._outlines())
        if self.masks == SAM:
            return MaskFile(masks_file(self.folder, self.name, self.split, self.proposals))
        return None if self.masks is None else MaskFile(Path(self.masks).expanduser())

    @cached_property
    def folder(self) -> Path:
        """The data folder."""
        return data_folder(self.root, self.mend)

    def file(self, file_name: str, what: str) -> Path:
        """A file of ReCLIP's archive, in `reclip_data/` or in the data folder itself."""
        return first_existing([self.folder / "reclip_data" / file_name, self.folder / file_name], what, self.mend)

    @property
    @abstractmethod
    def _annotations_file(self) -> Path:
        """The file that has the boxes of the annotated objects."""

    @property
    def _proposals_file(self) -> Path:
        return self.file(f"{FILE_NAMES[self.name]}_dets_dict.json", "proposals file")

    @property
    def _review_file(self) -> Path:
        name = f"{FILE_NAMES[self.name]}_{self.split}_reviewed.json"
        folders = ("ref_l4_reviewed", "ref_l4/refcocos_annotation_reviewed", "refcocos_annotation_reviewed")
        return first_existing([self.folder / folder / name for folder in folders], "file of verdicts", _REVIEW_MEND)

    @cached_property
    def _review(self) -> Review:
        return read_review(self._review_file, self._every_image, _REVIEW_MEND)

    @cached_property
    def _images(self) -> tuple[ImageReferents, ...]:
        """Those of which something is asked."""
        return self._every_image if self.review == "all" else reviewed(self._every_image, self._review, self.review)

    @cached_property
    def _every_image(self) -> tuple[ImageReferents, ...]:
        detections = read_detections(self._proposals_file, self.mend) if self.proposals == "detected" else None
        images = group_by_image(self._referents(), detections, self.mend)
        queries = sum(len(image.queries) for image in images)
        where = f"The split {self.split} of {self.name}, read from {', '.join(self._sources)} in {self.folder},"
        if not queries:
            raise UserError(f"{where} has no expression at all. Fetch it again: {self.mend}")
        if self.contract:
            check_contract(CONTRACTS[self.name, self.split], len(images), queries, where, self.mend)
        check_unit((box for image in images for box in image.annotated), str(self._annotations_file))
        if detections is not None and not any(image.boxes for image in images):
            raise UserError(
                f"{self._proposals_file} has no detection for any of the {len(images)} images of {self.name} "
                f"{self.split}, so it belongs to another data set. Fetch it again: {self.mend}"
            )
        return images

    def _check_frames(self) -> None:
        """Looks at the sizes of the pictures, and says how many images have no detection."""
        files = {str(self._annotations_file): [(self._picture(image), image.annotated) for image in self._images]}
        if self.proposals == "detected":
            files[str(self._proposals_file)] = [(self._picture(image), image.boxes) for image in self._images]
            alone = sum(not image.boxes for image in self._images)
            if alone:
                log.warning(
                    "%s has no detection for %d of the %d images of %s %s; the whole picture is their only candidate.",
                    self._proposals_file, alone, len(self._images), self.name, self.split,
                )  # fmt: skip
        size_of = cache(self.reader.size)
        for where, pictures in files.items():
            check_frame(pictures, where, size_of, self.accept_outside)

    @cached_property
    def _index(self) -> tuple[SampleInfo, ...]:
        self._check_frames()
        return tuple(SampleInfo(image.image_id, len(image.queries), max(1, len(image.boxes))) for image in self._images)

    @property
    def index(self) -> Sequence[SampleInfo]:
        """One entry for each image, in the order of image ids."""
        return self._index

    @property
    def class_names(self) -> tuple[str, ...]:
        """None: expressions are free text."""
        return ()

    def candidates(self) -> list[tuple[str, Path, tuple[Box, ...]]]:
        """Id, picture and candidates (corners) of every image; bad lines are left out."""
        return [(image.image_id, self._picture(image), image.boxes) for image in self._images if not image.error]

    def expressions(self) -> list[str]:
        """All expressions of the split, for the pool of those that are subtracted; bad lines are left out."""
        return [query.text for image in self._images if not image.error for query in image.queries]

    @property
    def identity(self) -> dict[str, Any]:
        """Name, split, proposals, version, hashes of the files read, masks too, and of pictures names and sizes."""
        sources = dict(self._sources)
        if self.proposals == "detected":
            sources[self._proposals_file.name] = sha256(self._proposals_file)
        masks = {} if self._masks is None else {"masks": self._masks.identity}
        review = {} if self.review == "all" else {"review": {"rows": self.review, **self._review.identity}}
        if review:
            sources[self._review_file.name] = sha256(self._review_file)
        return {
            **masks,
            **review,
            "name": self.name,
            "split": self.split,
            "proposals": self.proposals,
            "version": 2,
            "files": sources,
            "pictures": fingerprint((image.file_name, self._picture(image)) for image in self._images),
        }

    def _picture(self, image: ImageReferents) -> Path:
        return self.folder / "train2014" / image.file_name

    def load(self, i: int) -> Sample:
        """One image with its candidates and all its expressions.

        Raises:
            UserError: If the picture is missing or broken, or a line about it is.
        """
        referents = self._images[i]
        if referents.error:
            raise UserError(referents.error)
        image = read_image(self._picture(referents), self.reader, self.mend)
        boxes = referents.boxes or ((0.0, 0.0, float(image.width), float(image.height)),)
        picture = Picture(image, self._regions(referents, boxes, image.size))
        return Sample(referents.image_id, (picture,), referents.queries, boxes, fallback=not referents.boxes)

    def _regions(self, referents: ImageReferents, boxes: Sequence[Box], size: ImageSize) -> tuple[Region, ...]:
        masks: Sequence[Any] = [None] * len(boxes)
        if self._masks is not None and referents.boxes:
            masks = self._masks.masks(referents.image_id, boxes, size)
        return tuple(Region((box,), mask) for box, mask in zip(boxes, masks, strict=True))
