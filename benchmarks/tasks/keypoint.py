"""Keypoints of an object: which of them a name means, what one is called, and where in the picture a name lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from benchmarks.data.files import check_choice
from benchmarks.data.samples import Dataset, Picture, Query, Sample
from benchmarks.measure.decisions import decide_rec
from benchmarks.measure.sinkhorn import sinkhorn
from benchmarks.records.record import Record
from benchmarks.tasks import Combine, combined, decided
from falip import Region
from falip.errors import UserError

Ask = Literal["name_to_keypoint", "keypoint_to_name", "localise"]
COSINE = 100.0
"""Scores are this many times the cosine: CLIP's scale."""


@dataclass(frozen=True)
class Keypoints:
    """Naming and localisation of keypoints as RedCircle asks (ICCV 2023, section 4.2 and appendix 8.2).

    Candidates are the annotated keypoints of the picture that are visible and their names; or, to localise, the centres of
    the cells of a grid over the whole picture.

    Attributes:
        dataset: Samples with a query for each visible keypoint: its name, its place as a box without area, and the box of
            the object that it belongs to, in `Sample.boxes` at the same place.
        name: "keypoint/cub" and so on.
        split: The data set's split.
        template: The text protocol's default phrase.
        ask: "name_to_keypoint": which keypoint a name means; "keypoint_to_name": which name a keypoint has; "localise":
            where in the picture a name lies.
        sinkhorn: Whether the scores of keypoints and names are matched one to one before any decision.
        iterations: Of that, rows and columns each; no source states a number.
        temperature: Of that, on cosines; the paper's is 1/150.
        grid: To localise, cells in a row and in a column; the paper's is 30.
        alpha: To localise, the share of the larger side of the object's box within which a place is right (PCK); the paper
            has 0.1. No source states whose side it is; the paper's level of chance on CUB fits the object's box.
        radius: Half the side of the region around a place, as a share of the picture's shorter side.
        limit: Number of samples of a seeded subset, or None for all.
    """

    dataset: Dataset
    name: str
    split: str
    template: str | Sequence[str]
    ask: Ask = "name_to_keypoint"
    sinkhorn: bool = False
    iterations: int = 100
    temperature: float = 1 / 150
    grid: int = 30
    alpha: float = 0.1
    radius: float = 0.06
    limit: int | None = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects rules without meaning."""
        check_choice(self.ask, get_args(Ask), "What is asked of keypoints", "task.ask")
        for name in ("iterations", "temperature", "grid", "alpha", "radius"):
            if getattr(self, name) <= 0:
                raise UserError(f"task.{name}={getattr(self, name)}: give a number above 0.")
        if self.sinkhorn and self.ask == "localise":
            raise UserError(
                "task.sinkhorn=true matches keypoints and names one to one, and task.ask=localise has places of a grid "
                "instead of keypoints. Leave one of them out."
            )

    def pictures(self, sample: Sample) -> list[Picture]:
        """The image with the region around each keypoint, or around the centre of each cell of the grid."""
        image = sample.pictures[0].image
        half = self.radius * min(image.size)
        boxes = ((x - half, y - half, x + half, y + half) for x, y in self._places(sample))
        return [Picture(image, tuple(Region.from_box(*box) for box in boxes))]

    def texts(self, sample: Sample) -> list[str]:
        """The names of the visible keypoints."""
        return [query.text for query in sample.queries]

    def decide(self, sample: Sample, scores: np.ndarray, combine: Combine, outside: int) -> list[Record]:
        """One record for each keypoint; with Sinkhorn its scores are the logarithms of the matched matrix."""
        total = combined(scores, combine)
        if self.sinkhorn:
            total = sinkhorn(total / (COSINE * self.temperature), self.iterations)
        records = []
        for q, query in enumerate(sample.queries):
            if self.ask == "keypoint_to_name":
                mine, parts = total[q], scores[:, q, :]
            else:
                mine, parts = total[:, q], scores[:, :, q]
            decision = decide_rec(mine, self._right(sample, q))
            records.append(decided(sample, query, parts, outside, decision))
        return records

    def answer(self, sample: Sample, query: Query, record: Record, regions: int) -> list[int]:
        """The keypoint that is asked about, or the place that is right, where any is."""
        place = sample.queries.index(query) if self.ask == "keypoint_to_name" else record.target
        return [place] if place >= 0 else []

    def kept(self, sample: Sample) -> list[int]:
        """Candidates that take part: all."""
        return list(range(len(self._places(sample))))

    def _places(self, sample: Sample) -> list[tuple[float, float]]:
        if self.ask != "localise":
            return [_point(query) for query in sample.queries]
        width, height = sample.pictures[0].image.size
        steps = [(k + 0.5) / self.grid for k in range(self.grid)]
        return [(x * width, y * height) for y in steps for x in steps]

    def _right(self, sample: Sample, q: int) -> np.ndarray:
        """Which candidates are right, bool (candidates,)."""
        if self.ask != "localise":
            return np.arange(len(sample.queries)) == q
        x0, y0, x1, y1 = sample.boxes[q]
        distances = np.linalg.norm(np.array(self._places(sample)) - _point(sample.queries[q]), axis=1)
        return distances <= self.alpha * max(x1 - x0, y1 - y0)


def _point(query: Query) -> tuple[float, float]:
    x, y, _, _ = query.targets[0]
    return x, y
