"""Runs by their names, as `status` lists them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.settings.expansion import expanded
from benchmarks.settings.sweep import Asked


@dataclass(frozen=True)
class Expected:
    """A run by its labels, as run.json has them, and what else of the settings tells runs apart."""

    task: str
    split: str
    backbone: str
    prompt: str
    text: str
    proposals: str
    approximation: str
    limit: int | None


def expected_runs(commands: Iterable[Sequence[str]]) -> list[Expected]:
    """The runs of some command lines of `falip run`, each once, in the order of running.

    Raises:
        UserError: If a command line cannot be composed.
    """
    return list(dict.fromkeys(_expected(job) for jobs in expanded(commands) for job in jobs))


def _expected(job: Asked) -> Expected:
    task, labels = job.settings["task"], job.labels
    return Expected(
        task=task["name"],
        split=task["split"],
        backbone=labels.backbone,
        prompt=labels.prompt,
        text=labels.text,
        proposals=task.get("proposals") or "",
        approximation=job.settings["approximation"],
        limit=task.get("limit"),
    )
