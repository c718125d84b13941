"""What commands will cost here: their demand at the pace that this machine has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.acquire.sources import human
from benchmarks.run.demand import Demand, demand
from benchmarks.settings.sweep import Asked
from benchmarks.speed.encoding import Pace, pace
from benchmarks.tasks import Task
from falip.errors import UserError

MEASURED_S = 10.0
"""Seconds of measuring, over all models that commands ask for."""


def seconds_of(wanted: Demand, paces: Mapping[str, Pace | None]) -> float | None:
    """Seconds of encoding; None where the pace of a model is not known."""
    total = 0.0
    for name, times in wanted.towers.items():
        found = paces[name]
        if found is None:
            return None
        total += times * (wanted.views * found.view + wanted.texts * found.text)
    return total


@dataclass
class Forecasts:
    """What each of some commands costs, and all together; a model is measured when the first command asks for it.

    Attributes:
        measured_s: Seconds of measuring for each model.
    """

    measured_s: float = MEASURED_S / 4
    _tasks: dict[str, Task] = field(default_factory=dict)
    _seconds: float = 0.0
    _disk: int = 0
    _unknown: int = 0

    def of(self, jobs: Sequence[Asked]) -> str:
        """In words, what the jobs of one command need and cost."""
        try:
            wanted = demand(jobs, self._tasks)
        except UserError as error:
            self._unknown += 1
            return f"not known: {str(error).splitlines()[0].partition('. ')[0]}"
        device = str(jobs[0].settings["runtime"]["device"])
        paces = {name: pace(name, device, self.measured_s) for name in wanted.towers}
        seconds = seconds_of(wanted, paces)
        self._disk += wanted.disk
        self._seconds += seconds or 0.0
        self._unknown += seconds is None
        towers = ", ".join(f"{name} twice" if times > 1 else name for name, times in wanted.towers.items())
        time = "time not known for this model's shape" if seconds is None else f"at most {duration(seconds)} on {device}"
        about = "" if wanted.counted else "about "
        asked = f"{len(jobs)} runs of {about}{wanted.pictures:,} pictures and {wanted.queries:,} queries"
        work = f"{wanted.views:,} encodings and up to {wanted.texts:,} texts by {towers}"
        return f"{asked}: {work}; {time}; about {human(wanted.disk)} of records"

    def total(self) -> str:
        """In words, what all of them cost."""
        unknown = f"; {self._unknown} of them not known" if self._unknown else ""
        return f"at most {duration(self._seconds)}; about {human(self._disk)} of records{unknown}"


def duration(seconds: float) -> str:
    """A time span for people: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
