"""What is measured of every query beside its decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmarks.settings.building import checked_arguments


@dataclass(frozen=True)
class Measures:
    """The group `metrics` of a configuration.

    Attributes:
        attention: Whether to record how much of the attention of the answer's views, or of the likeness that a
            read-out finds, lies on the answer's region.
        version: Raised when what is measured can come out otherwise.
    """

    attention: bool = False
    version: ClassVar[int] = 2

    @staticmethod
    def of(settings: Mapping[str, Any]) -> Measures:
        """Those of a job's settings; none where they do not speak of them."""
        return Measures(**checked_arguments(Measures, settings.get("metrics") or {}, "metrics"))

    @property
    def identity(self) -> dict[str, Any]:
        """Its part of a run's identity: nothing where nothing is measured, so that such a run is the same run without."""
        return {"metrics": {"attention": True, "version": self.version}} if self.attention else {}
