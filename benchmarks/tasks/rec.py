"""Referring expression comprehension: which candidate box does an expression mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pycocotools import mask as coco_mask

from benchmarks.data.boxes import inside
from benchmarks.data.samples import Dataset, Picture, Query, Sample
from benchmarks.measure.decisions import decide_rec
from benchmarks.records.record import Record
from benchmarks.tasks import Combine, combined, decided
from falip import Region
from falip.regions import Box, area, clip_box


@dataclass(frozen=True)
class ReferringExpressions:
    """The REC task as ReCLIP and FALIP evaluate it (FALIP main.py, lines 154 to 225).

    Attributes:
        dataset: Samples with candidate boxes and expressions.
        name: "rec/refcoco" and so on.
        split: The data set's split.
        proposals: "gt" or "detected"; which candidates the data set gives.
        template: The text protocol's default phrase.
        iou_threshold: IoU with a gold box of the referent from which on a candidate is right.
        iou_strict: Whether it must lie above the threshold (the code of FALIP and ReCLIP) or may equal it (their papers).
        min_area: Candidates whose share of the image's area is not above this are dropped; if none is left, all are kept.
        limit: Number of samples of a seeded subset, or None for all.
        masks: Where the data set has the candidates' masks from, or None; the data set's identity says which they are.
        rows: "all", "reviewed" or "flagged"; which expressions the data set asks.
    """

    dataset: Dataset
    name: str
    split: str
    proposals: str = "gt"
    template: str = "a photo of {}"
    iou_threshold: float = 0.5
    iou_strict: bool = True
    min_area: float = 0.0
    limit: int | None = None
    masks: str | None = None
    rows: str = "all"
    version: ClassVar[int] = 1

    def pictures(self, sample: Sample) -> list[Picture]:
        """The image with the regions of the candidates that are kept, their boxes clipped to it."""
        return [self.picture(sample, self.kept(sample))]

    def picture(self, sample: Sample, candidates: Sequence[int]) -> Picture:
        """The image with the regions of some candidates, their boxes clipped to it."""
        image = sample.pictures[0].image
        masks = {i: region.mask for i, region in enumerate(sample.pictures[0].regions)}
        return Picture(image, tuple(Region((inside(sample.boxes[i], image.size),), masks.get(i)) for i in candidates))

    def texts(self, sample: Sample) -> list[str]:
        """All expressions of the image."""
        return [query.text for query in sample.queries]

    def kept(self, sample: Sample) -> list[int]:
        """Candidates that take part: those with enough area in the image, or all where none has."""
        width, height = sample.pictures[0].image.size
        areas = [area(clip_box(box, (width, height))) / (width * height) for box in sample.boxes]
        return [i for i, share in enumerate(areas) if share > self.min_area] or list(range(len(areas)))

    def decide(self, sample: Sample, scores: np.ndarray, combine: Combine, outside: int) -> list[Record]:
        """One record for each expression; a dropped candidate has the score NaN."""
        every = self.placed(sample, scores)
        total = combined(every, combine)
        return [self.record(sample, query, every[:, :, q], total[:, q], outside) for q, query in enumerate(sample.queries)]

    def placed(self, sample: Sample, scores: np.ndarray) -> np.ndarray:
        """Scores (components, candidates, texts), NaN for a dropped candidate.

        Args:
            sample: The sample.
            scores: Those of the candidates that are kept, or of all: where a run beside this one looks at all of them.
        """
        kept = self.kept(sample)
        every = np.full((scores.shape[0], len(sample.boxes), scores.shape[2]), np.nan, dtype=scores.dtype)
        every[:, kept] = scores if scores.shape[1] == len(kept) else scores[:, kept]
        return every

    def answer(self, sample: Sample, query: Query, record: Record, regions: int) -> list[int]:
        """The right candidate with the largest IoU, where any is right and it was not dropped."""
        kept = self.kept(sample)
        if record.target not in kept:
            return []
        return [record.target if regions == len(sample.boxes) else kept.index(record.target)]

    def record(self, sample: Sample, query: Query, parts: np.ndarray, scores: np.ndarray, outside: int) -> Record:
        """The record of one expression.

        Args:
            sample: Its sample.
            query: The expression.
            parts: Its scores for each component, (components, candidates).
            scores: What decides, (candidates,).
            outside: See `Task.decide`.
        """
        decision = decide_rec(scores, iou(sample.boxes, query.targets), self.iou_threshold, self.iou_strict)
        return decided(sample, query, parts, outside, decision)


def iou(candidates: tuple[Box, ...], targets: tuple[Box, ...]) -> np.ndarray:
    """IoU of each candidate with the gold box it overlaps most; areas are continuous, without +1.

    Returns:
        float64 (candidates,).
    """
    overlaps = coco_mask.iou(_xywh(candidates), _xywh(targets), [0] * len(targets))
    # pycocotools gives an empty list for no boxes and NaN for two boxes without area.
    return np.nan_to_num(np.asarray(overlaps, dtype=float).reshape(len(candidates), len(targets))).max(1, initial=0.0)


def _xywh(boxes: tuple[Box, ...]) -> np.ndarray:
    corners = np.array(boxes, dtype=float).reshape(-1, 4)
    return np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
