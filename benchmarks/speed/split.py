"""A split like RefCOCO's testA in its sizes: pictures of noise in files, with candidates and expressions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from benchmarks.speed.load import expression
from benchmarks.speed.windows import SIZE, scene
from benchmarks.tasks.rec import ReferringExpressions
from falip import UserError

_GRAIN = 8  # pixels of a spot of noise; its files have about 110 KB, those of COCO about 160


@dataclass(frozen=True)
class Amount:
    """How much there is to do.

    Attributes:
        pictures: Pictures of `SIZE`.
        regions: Candidates of each.
        expressions: Expressions of each, on average.
    """

    pictures: int
    regions: int
    expressions: float

    def __post_init__(self) -> None:
        """Rejects nothing to do."""
        if self.pictures < 1 or self.regions < 1 or self.expressions <= 0:
            raise UserError(f"{self}: all must be above 0.")


class RandomSplit:
    """Expressions about candidate boxes in pictures, all of them random; the same for the same arguments.

    Args:
        folder: Where its JPEG files are; those that lack are written.
        amount: How much of everything.
    """

    def __init__(self, folder: Path, amount: Amount) -> None:
        self._folder, self._amount = folder, amount
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(amount.pictures):
            if not self._file(i).is_file():
                noise = np.random.default_rng(i).integers(0, 256, (SIZE[1] // _GRAIN, SIZE[0] // _GRAIN, 3), np.uint8)
                Image.fromarray(noise).resize(SIZE).save(self._file(i), quality=95)

    @cached_property
    def index(self) -> list[SampleInfo]:
        """All pictures."""
        return [SampleInfo(str(i), self._count(i), self._amount.regions) for i in range(self._amount.pictures)]

    @property
    def class_names(self) -> tuple[str, ...]:
        """There are no classes."""
        return ()

    @property
    def identity(self) -> dict[str, Any]:
        """Its sizes."""
        return {"name": "random split", **vars(self._amount)}

    def load(self, i: int) -> Sample:
        """Picture `i`, decoded, with its candidates and expressions."""
        with Image.open(self._file(i)) as file:
            picture = file.convert("RGB")
        _, regions = scene(SIZE, self._amount.regions, i)
        boxes = tuple(region.boxes[0] for region in regions)
        rng = np.random.default_rng(i)
        targets = rng.integers(0, len(boxes), self._count(i))
        queries = tuple(Query(f"{i}/{q}", expression(rng), (boxes[target],)) for q, target in enumerate(targets))
        return Sample(str(i), (Picture(picture, tuple(regions)),), queries, boxes)

    def _count(self, i: int) -> int:
        return round((i + 1) * self._amount.expressions) - round(i * self._amount.expressions)

    def _file(self, i: int) -> Path:
        return self._folder / f"{i}.jpg"


def random_task(folder: Path, amount: Amount) -> ReferringExpressions:
    """The task of such a split."""
    return ReferringExpressions(RandomSplit(folder, amount), "rec/random", "test")  # pyright: ignore[reportArgumentType]
