"""Recognition of 3D point clouds from their depth maps, as PointCLIP does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np

from benchmarks.data.samples import Sample
from benchmarks.data.sentences import sentences_of
from benchmarks.measure.decisions import decide_class
from benchmarks.records.record import Record
from benchmarks.tasks import Combine, combined
from benchmarks.tasks.classification import Recognition
from falip.errors import UserError


@dataclass(frozen=True)
class PointCloudRecognition(Recognition):
    """Zero-shot 3D recognition: the scores of all views are summed, with equal weights by default.

    PointCLIP's score is 100 / sqrt(6) times the sum of the six cosines (trainers/zeroshot.py, lines 74 to 90): the same
    ranking. The scores of each view are stored without weights, so others are a matter of the table and not of the model.

    Attributes:
        view_weights: One for each view, such as PointCLIP V2 publishes for each tower (trainers/best_param.py); those were
            searched on test labels, and tables say so. None for equal ones, or for those that come with the sentences.
        sentences: A sentence for each class in the place of its name (`ClassSentences`), with weights of the views where
            they were searched together; None for names.
        released: The tower that released sentences were searched for; None where they are not PointCLIP V2's.
    """

    view_weights: Sequence[float] | None = None
    sentences: Mapping[str, Any] | None = None
    released: str | None = None

    def __post_init__(self) -> None:
        """Rejects weights without meaning."""
        weights = self.view_weights
        if weights is not None and not (len(weights) and all(isfinite(w) and w >= 0 for w in weights) and sum(weights)):
            raise UserError(f"task.view_weights={list(weights)}: give finite numbers of at least 0, one of them above 0.")

    def texts(self, sample: Sample) -> list[str]:
        """The names of all classes, or their sentences."""
        if self.sentences is None:
            return super().texts(sample)
        return sentences_of(self.sentences, self.dataset.class_names)

    @property
    def _weights(self) -> Sequence[float] | None:
        return self.view_weights or (self.sentences or {}).get("view_weights")

    def decide(self, sample: Sample, scores: np.ndarray, combine: Combine, outside: int) -> list[Record]:
        """One record; its component scores have a row for each component and view, without weights."""
        records = super().decide(sample, scores, combine, outside)
        weights = self._weights
        if weights is None:
            return records
        if len(weights) != scores.shape[1]:
            where = "task.view_weights" if self.view_weights else "task.sentences"
            raise UserError(f"{where} has {len(weights)} weights, and {sample.id} has {scores.shape[1]} views.")
        total = np.tensordot(np.asarray(weights, dtype=np.float32), combined(scores, combine).astype(np.float32), axes=1)
        return [
            replace(record, **vars(decide_class(total, query.label)))
            for record, query in zip(records, sample.queries, strict=True)
        ]
