"""What a data set holds, and what is wrong with it, before a model spends hours on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.data.samples import Dataset, Picture, Sample
from falip.errors import UserError
from falip.regions import ends_outside

PictureMaker = Callable[[Sample], Sequence[Picture]]


@dataclass
class Survey:
    """Counts of a data set's samples.

    Attributes:
        samples: Samples looked at.
        queries: Their queries.
        regions: Regions or candidates in them.
        labels: How often each class is the right one.
        outside: Ids of samples with a box that ends outside of its picture by more than rounding.
        unread: Ids of samples that could not be loaded, with the reason.
        unused: Classes that no sample has.
        doubled: Ids of queries or samples that are there more than once.
    """

    samples: int = 0
    queries: int = 0
    regions: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    outside: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether a run would score every query, each once."""
        return not self.unread and not self.doubled


def survey(dataset: Dataset, pictures: PictureMaker, places: Iterable[int]) -> Survey:
    """Loads samples one by one and counts.

    Args:
        dataset: What is looked at.
        pictures: The task's pictures of a sample, which may find fault with it too.
        places: Indices of the samples.
    """
    found, ids = Survey(), Counter[str]()
    for i in places:
        info = dataset.index[i]
        found.samples += 1
        ids[info.id] += 1
        try:
            sample = dataset.load(i)
            regions = sum(len(picture.regions) for picture in pictures(sample))
        except UserError as error:
            found.unread[info.id] = str(error)
            continue
        found.queries += len(sample.queries)
        found.regions += regions
        ids.update(query.id for query in sample.queries if query.id != info.id)
        found.labels.update(query.text for query in sample.queries if query.label >= 0)
        if _outside(sample):
            found.outside.append(info.id)
    names = dataset.class_names if len(found.labels) else ()
    found.unused = [name for name in names if name not in found.labels]
    found.doubled = sorted(name for name, count in ids.items() if count > 1)
    return found


def _outside(sample: Sample) -> bool:
    if sample.boxes:
        return any(ends_outside(box, sample.pictures[0].image.size) for box in sample.boxes)
    return any(
        ends_outside(box, picture.image.size)
        for picture in sample.pictures
        for region in picture.regions
        for box in region.boxes
    )
