"""What stands side by side on the page: one column of a table, its methods, samples and data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.records.run import Run
from benchmarks.report.restore import RunSetting, TaskData
from falip.errors import UserError

log = logging.getLogger(__name__)


@dataclass
class Group:
    """One column of a table: the same questions, answered by several methods.

    Attributes:
        label: Its name.
        kind: rec, classification, pointcloud or keypoint.
        baseline: Index of the method that others are compared with, or -1.
        runs: The methods.
        sample_ids: Samples shown.
        notes: What is not shown, and why.
        settings: Prompt and token grid of each method, None where they are not known.
        data: Its samples, or None where they are not here.
        level: How small views must be to fit, as the samples so far have shown.
    """

    label: str
    kind: str
    baseline: int
    runs: dict[str, Run]
    sample_ids: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    settings: list[RunSetting | None] = field(default_factory=list)
    data: TaskData | None = None
    level: int = 0

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes, as far as they are known."""
        return self.data.class_names if self.data else ()


def chosen_samples(runs: Mapping[str, Run], count: int) -> list[str]:
    """Up to `count` samples, spread evenly over their sorted ids."""
    ids = sorted(set().union(*(run.frame["group"].unique() for run in runs.values())))
    if len(ids) <= count:
        return ids
    return [ids[i] for i in np.linspace(0, len(ids) - 1, count).round().astype(int)]


def restore(group: Group, data_root: str | None) -> None:
    """Brings back data and prompts of a group; what is not here is said in its notes."""
    try:
        group.data = TaskData(next(iter(group.runs.values())), data_root)
    except UserError as error:
        log.warning("%s: no pictures: %s", group.label, error)
        group.notes.insert(0, f"No pictures: {error}")
        group.settings = [None] * len(group.runs)  # without a picture there is no view of it
        return
    for name, run in group.runs.items():
        try:
            group.settings.append(RunSetting(run))
        except UserError as error:
            log.warning("%s: views are not shown: %s", name, error)
            group.settings.append(None)
            group.notes.append(f"No views of {name}: {error}.")
