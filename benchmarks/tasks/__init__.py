"""The tasks: what is asked about a sample, and what a decision is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np

from benchmarks.data.samples import Dataset, Picture, Query, Sample, SampleInfo
from benchmarks.measure.decisions import Decision
from benchmarks.records.record import Record
from falip.regions import ImageSize, Region, area, clip_box


@dataclass(frozen=True)
class Weighted:
    """Scores of components that are combined with weights.

    Attributes:
        how: "sum" or "max" of the weighted scores.
        weights: A factor for each component; it may be negative.
    """

    how: Literal["sum", "max"]
    weights: tuple[float, ...]


Combine = Literal["sum", "max"] | Weighted


class Task(Protocol):
    """What the runner needs of a task. It names no prompt, and a prompt no task.

    Attributes:
        version: Raised when the decisions of a task can change; part of a run's identity.
    """

    version: ClassVar[int]

    @property
    def name(self) -> str:
        """What tables call it: its kind and its data, "rec/refcoco"."""
        ...

    @property
    def split(self) -> str:
        """The data set's split."""
        ...

    @property
    def limit(self) -> int | None:
        """Number of samples of a seeded subset, or None for all."""
        ...

    @property
    def dataset(self) -> Dataset:
        """Where the samples come from."""
        ...

    def pictures(self, sample: Sample) -> Sequence[Picture]:
        """The pictures to encode and the regions in them, all inside their picture."""
        ...

    def texts(self, sample: Sample) -> Sequence[str]:
        """What the regions are scored under, without any template."""
        ...

    def decide(self, sample: Sample, scores: np.ndarray, combine: Combine, outside: int) -> list[Record]:
        """One record for each query of a sample.

        Args:
            sample: The sample.
            scores: float32 (components, regions, texts), the regions of all its pictures in their order.
            combine: How the scores of components become one.
            outside: Number of regions that the model's crop does not see.
        """
        ...

    def answer(self, sample: Sample, query: Query, record: Record, regions: int) -> Sequence[int]:
        """Where the answer of a query is: places among the regions of all pictures of the sample; empty where nowhere.

        Args:
            sample: The sample.
            query: One of its queries.
            record: What `decide` made of it.
            regions: Number of regions that were looked at.
        """
        ...


def looked_at(task: Task, info: SampleInfo) -> int:
    """How many regions of a sample are looked at: those of its index, unless the task has places of its own."""
    own = getattr(task, "regions", None)
    return info.regions if own is None else own(info)


def combined(scores: np.ndarray, combine: Combine) -> np.ndarray:
    """Scores with their first axis, the components, summed or maximised, each times its weight where there are some."""
    if isinstance(combine, Weighted):
        factors = np.array(combine.weights, scores.dtype).reshape(-1, *(1,) * (scores.ndim - 1))
        return combined(scores * factors, combine.how)
    return scores.max(0) if combine == "max" else scores.sum(0)


def decided(sample: Sample, query: Query, parts: np.ndarray, outside: int, decision: Decision) -> Record:
    """The record of one decision.

    Args:
        sample: What was asked about.
        query: The question.
        parts: Its scores for each component, (components, candidates).
        outside: See `Task.decide`.
        decision: What was decided.
    """
    return Record(
        id=query.id,
        group=sample.id,
        text=query.text,
        slice=query.slice,
        component_scores=rows(parts),
        outside=outside,
        fallback=sample.fallback,
        target_share=_target_share(sample, query),
        **vars(decision),
    )


def _target_share(sample: Sample, query: Query) -> float:
    """See `Record`; a keypoint has no area."""
    first, *others = sample.pictures
    several = bool(others) or (query.region is None and len(first.regions) > 1)
    if not query.targets and (query.label < 0 or several or first.image.mode == "F"):
        return float("nan")
    size = first.image.size
    if query.targets:
        share = max(area(clip_box(box, size)) for box in query.targets) / (size[0] * size[1])
    else:
        share = _share(first.regions[query.region or 0].clipped(size), size)
    return share or float("nan")


def _share(region: Region, size: ImageSize) -> float:
    if region.mask is None and len(region.boxes) == 1:
        return area(region.box) / (size[0] * size[1])
    return float(region.pixels(size).mean())


def rows(scores: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Component scores as a record holds them."""
    return tuple(tuple(row) for row in scores.tolist())
