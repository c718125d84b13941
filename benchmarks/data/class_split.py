"""The base-to-new split: which classes of a data set are asked about, the others being neither pictures nor texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from benchmarks.data.files import check_choice
from falip.errors import UserError

PARTS = ("all", "base", "new")


@dataclass(frozen=True)
class ClassSplit:
    """A part of the classes in label order, as CoOp parts them (datasets/oxford_pets.py, subsample_classes).

    Attributes:
        classes: "all", or the first ("base") or last ones ("new").
        open_ratio: Share of the classes that are new: 0.5 as CoOp splits its sets and AlignCLIP its sets in the wild.

    Raises:
        UserError: If the part is unknown, or the share not between 0 and 1.
    """

    classes: str = "all"
    open_ratio: float = 0.5

    def __post_init__(self) -> None:
        """Rejects settings without meaning."""
        check_choice(self.classes, PARTS, "The part of the classes", "task.dataset.classes")
        check_share("open_ratio", self.open_ratio)

    def kept(self, count: int) -> range:
        """Labels of the kept classes among so many; the place of a label in it is its label among the kept ones.

        Where the classes cannot be parted so, the base has the odd one.

        Raises:
            UserError: If no class is kept.
        """
        base = math.ceil(count * (1 - Fraction(str(self.open_ratio))))  # exact: 0.55 of 200 are 110, and in floats 111
        kept = {"all": range(count), "base": range(base), "new": range(base, count)}[self.classes]
        if not kept:
            raise UserError(
                f"task.dataset.classes={self.classes} keeps none of {count} classes with "
                f"task.dataset.open_ratio={self.open_ratio}: give another share."
            )
        return kept

    @property
    def identity(self) -> dict[str, Any]:
        """What a run is told apart by; nothing where all classes are kept."""
        return {} if self.classes == "all" else {"classes": self.classes, "open_ratio": self.open_ratio}


def part_of(identity: Mapping[str, Any]) -> str:
    """Which part of the classes a run's identity is about: "all", "base" or "new"."""
    named = ((identity.get("task") or {}).get("dataset") or {}).get("classes")
    return named if named in PARTS else "all"  # one's own data list their classes there


def check_share(name: str, share: float) -> None:
    """Rejects a setting of a data set that is no share.

    Raises:
        UserError: If it is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise UserError(f"task.dataset.{name}={share}: give a share between 0 and 1.")
