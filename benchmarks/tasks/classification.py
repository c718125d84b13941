"""Recognition: which class name fits what is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks.data.samples import Dataset, Picture, Query, Sample
from benchmarks.measure.decisions import decide_class, decide_rec
from benchmarks.records.record import Record
from benchmarks.tasks import Combine, combined, decided
from falip.errors import UserError


@dataclass(frozen=True)
class Recognition:
    """One class for each query: of one region of many in a picture, or of a whole sample.

    The scores of a sample's views (depth maps) are summed with equal weights. Queries choose from the classes, or from
    texts of their own.

    Attributes:
        dataset: Samples with their queries, and class names.
        name: "classification/cub" and so on.
        split: The data set's split.
        template: The text protocol's default phrase, or several of which embeddings are averaged.
        limit: Number of samples of a seeded subset, or None for all.
    """

    dataset: Dataset
    name: str
    split: str
    template: str | Sequence[str]
    limit: int | None = None
    version: ClassVar[int] = 1

    def pictures(self, sample: Sample) -> tuple[Picture, ...]:
        """The pictures of the sample; each has one region where a query asks about the whole sample."""
        whole = any(query.region is None for query in sample.queries)
        for picture in sample.pictures:
            if whole and len(picture.regions) != 1:
                raise UserError(
                    f"{sample.id}: recognition needs one region for each picture, not {len(picture.regions)}, where no "
                    "query says which of them it asks about."
                )
        return sample.pictures

    def texts(self, sample: Sample) -> list[str]:
        """The names of all classes, their underscores turned into spaces; or all texts that queries have of their own."""
        own = dict.fromkeys(text for query in sample.queries for text in query.texts)
        return list(own) or [name.replace("_", " ") for name in self.dataset.class_names]

    def decide(self, sample: Sample, scores: np.ndarray, combine: Combine, outside: int) -> list[Record]:
        """One record for each query; its component scores have a row for each component and view."""
        place = {text: i for i, text in enumerate(self.texts(sample))} if any(q.texts for q in sample.queries) else {}
        records = []
        for query in sample.queries:
            mine = scores if query.region is None else scores[:, query.region : query.region + 1]
            if query.texts:
                mine = mine[:, :, [place[text] for text in query.texts]]
            records.append(_record(sample, query, mine, combined(mine, combine).sum(0), outside))
        return records

    def answer(self, sample: Sample, query: Query, record: Record, regions: int) -> Sequence[int]:
        """The region that is asked about, or all of them together."""
        return range(regions) if query.region is None else [query.region]


def _record(sample: Sample, query: Query, parts: np.ndarray, total: np.ndarray, outside: int) -> Record:
    # Of texts of its own an index is no class, so each is said to be right or wrong.
    own = np.arange(len(total)) == query.label if query.texts else None
    decision = decide_class(total, query.label) if own is None else decide_rec(total, own)
    return decided(sample, query, parts.reshape(-1, parts.shape[2]), outside, decision)


class RegionClassification(Recognition):
    """Region-level image classification: the class of what lies in the given region."""
