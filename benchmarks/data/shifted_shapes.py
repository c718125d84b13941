"""The embedded domain shift: pictures of one shape, tied to something beside it in training and to nothing in the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.data.class_split import ClassSplit, check_share
from benchmarks.data.domainbed import SPLITS
from benchmarks.data.files import check_choice
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from benchmarks.embedded import shift
from falip import Region
from falip.errors import UserError


@dataclass(frozen=True)
class _Item:
    domain: str
    number: int
    tied: bool

    @property
    def label(self) -> int:
        return self.number % len(shift.CLASS_NAMES)

    @property
    def id(self) -> str:
        tie = "tied" if self.tied else "untied"
        return f"{self.domain}/{tie}/{shift.CLASS_NAMES[self.label]}-{self.number:05d}"


class ShiftedShapes:
    """Pictures of one shape; the domains, which are slices, are what is tied to the class: "hue", "pattern" or "colour".

    Args:
        pictures: Tied pictures of each domain, and untied ones of each domain; each class equally often.
        split: "train" and "held_out" part the tied pictures, "target" are the untied ones, "all" is everything.
        held_out: Share of each domain's tied pictures that "held_out" has and "train" has not.
        seed: Draws it.
        classes: As the next, see `ClassSplit`; pictures of other classes are left out, and labels count the kept ones.
        open_ratio: Share of the classes that are new.

    Raises:
        UserError: If a setting has no meaning.
    """

    def __init__(
        self,
        pictures: int = 240,
        split: str = "target",
        held_out: float = 0.2,
        seed: int = 0,
        classes: str = "all",
        open_ratio: float = 0.5,
    ) -> None:
        check_choice(split, SPLITS, "The split of the shifted shapes", "task.split")
        if pictures < 2:
            raise UserError(f"task.dataset.pictures={pictures}: give a whole number from 2 on.")
        check_share("held_out", held_out)
        self.class_split = ClassSplit(classes, open_ratio)
        self._kept = self.class_split.kept(len(shift.CLASS_NAMES))
        self.pictures, self.split, self.held_out, self.seed = pictures, split, held_out, seed

    @cached_property
    def _items(self) -> tuple[_Item, ...]:
        items = (
            _Item(domain, number, tied)
            for place, domain in enumerate(shift.DOMAINS)
            for tied in (True, False)
            for number in self._numbers(place, tied)
        )
        kept = tuple(item for item in items if item.label in self._kept)
        if not kept:
            raise UserError(f"task.dataset.pictures={self.pictures} has no picture of the classes asked for: give more.")
        return kept

    def _numbers(self, place: int, tied: bool) -> Sequence[int]:
        """The pictures of a domain that the split has, of the tied or of the untied ones."""
        if self.split == "all":
            return range(self.pictures)
        if not tied or self.split == "target":
            return range(self.pictures) if not tied and self.split == "target" else ()
        order = np.random.default_rng([self.seed, place]).permutation(self.pictures)
        out = max(1, int(self.pictures * self.held_out))
        return sorted((order[:out] if self.split == "held_out" else order[out:]).tolist())

    @cached_property
    def index(self) -> Sequence[SampleInfo]:
        """One entry for each picture, without drawing it."""
        return [SampleInfo(item.id, 1, 1) for item in self._items]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The eight shapes, or those that are kept."""
        return tuple(shift.CLASS_NAMES[label] for label in self._kept)

    @property
    def identity(self) -> dict[str, Any]:
        """The generator and its version, what was drawn, and equal shares: domains count alike in their mean."""
        return {
            "name": "shapes_shift", "version": 1, "generator_version": shift.VERSION, "pictures": self.pictures,
            "split": self.split, "held_out": self.held_out, "seed": self.seed, **self.class_split.identity,
            "group_shares": {domain: 1 / len(shift.DOMAINS) for domain in shift.DOMAINS},
        }  # fmt: skip

    def load(self, i: int) -> Sample:
        """Picture `i`, drawn; its region is the shape's box."""
        item = self._items[i]
        scene = shift.shift_scene(item.domain, item.label, item.number, item.tied)
        query = Query(item.id, shift.CLASS_NAMES[item.label], label=self._kept.index(item.label), slice=item.domain)
        return Sample(item.id, (Picture(scene.image, (Region.from_box(*scene.objects[0].box),)),), (query,))
