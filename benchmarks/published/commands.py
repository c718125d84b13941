"""The command that makes our answer to a published figure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.published.figures import ANY, COUNTS, Expectation, Figure

_DEFAULTS = {"backbone": "vit_b16", "prompt": "plain", "text": "default"}
"""What stands in where any will do: chance depends on none of them, and some sources name no text."""


def overrides_of(expectation: Expectation) -> list[str]:
    """Settings of `python -m benchmarks` for the run that answers to a figure."""
    chosen = []
    for group in ("backbone", "prompt", "text"):
        label = getattr(expectation, group)
        option, *values = (_DEFAULTS[group] if label == ANY else label).split(",")
        chosen += [f"{group}={option}", *(f"{group}.{value}" for value in values)]
    proposals = [f"task.proposals={expectation.proposals}"] if expectation.proposals else []
    return [f"task={expectation.task}", f"task.split={expectation.split}", *proposals, *chosen]


def command_of(expectation: Expectation) -> str:
    """The command line for it."""
    return shlex.join(["python", "-m", "benchmarks", *overrides_of(expectation)])


def listed(figures: Iterable[Figure], expectations: Iterable[Expectation]) -> list[dict[str, Any]]:
    """Each figure, with the commands that make ours: several where its source leaves open which of our prompts it means."""
    commands: dict[Figure, list[str]] = {}
    for expectation in expectations:
        commands.setdefault(expectation.figure, []).append(command_of(expectation))
    results = [figure for figure in figures if figure.file != COUNTS]
    return [{"figure": figure, "commands": commands.get(figure, [])} for figure in results]


def totals(rows: Iterable[Mapping[str, Any]]) -> str:
    """How many figures have a command, in words."""
    rows = list(rows)
    return f"{sum(bool(row['commands']) for row in rows)} of {len(rows)} published figures have a command"
