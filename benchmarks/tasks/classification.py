"""Recognition: which class name fits what is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks.data.samples import Dataset, Picture, Sample
from benchmarks.measure.decisions import decide_class
from benchmarks.records.record import Record
from benchmarks.tasks import Combine, combined, rows
from falip.errors import UserError


@dataclass(frozen=True)
class Recognition:
    """One class for each sample: from one picture, or from several views whose scores are summed with equal weights.

    Attributes:
        dataset: Samples with one query each, and class names.
        name: "classification/cub" and so on.
        split: The data set's split.
        template: The text protocol's default phrase.
        limit: Number of samples of a seeded subset, or None for all.
    """

    dataset: Dataset
    name: str
    split: str
    template: str
    limit: int | None = None
    version: ClassVar[int] = 1

    def pictures(self, sample: Sample) -> tuple[Picture, ...]:
        """The pictures of the sample; each has one region, of one box or of several, or of a mask."""
        for picture in sample.pictures:
            if len(picture.regions) != 1:
                raise UserError(f"{sample.id}: recognition needs one region for each picture, not {len(picture.regions)}.")
        return sample.pictures

    def texts(self, sample: Sample) -> list[str]:
        """The names of all classes, their underscores turned into spaces."""
        return [name.replace("_", " ") for name in self.dataset.class_names]

    def decide(self, sample: Sample, scores: np.ndarray, combine: Combine, outside: int) -> list[Record]:
        """One record; its component scores have a row for each component and view."""
        total = combined(scores, combine).sum(0)
        return [
            Record(
                id=query.id,
                group=sample.id,
                text=query.text,
                slice=query.slice,
                component_scores=rows(scores.reshape(-1, scores.shape[2])),
                outside=outside,
                fallback=sample.fallback,
                **vars(decide_class(total, query.label)),
            )
            for query in sample.queries
        ]


class RegionClassification(Recognition):
    """Region-level image classification: the class of what lies in the given region."""
