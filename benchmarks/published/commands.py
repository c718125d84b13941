"""The commands that make our answer to a published figure, or the reason why there is none."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.published.figures import ANY, COUNTS, Average, Expectation, Figure

_DEFAULTS = {"backbone": "vit_b16", "prompt": "plain", "text": "default"}
"""What stands in where any will do: chance depends on none of them, and some sources name no text."""


@dataclass(frozen=True)
class Answer:
    """A published figure and what answers to it.

    Attributes:
        figure: What was published.
        ways: Commands for each reading of its source: one command, or several whose mean is the answer.
        reason: Why there is none; "" where there are commands.
    """

    figure: Figure
    ways: tuple[tuple[str, ...], ...]
    reason: str = ""


def overrides_of(expectation: Expectation) -> list[str]:
    """Settings of `falip run` for the run that answers to a figure."""
    chosen = []
    for group in ("backbone", "prompt", "text"):
        label = getattr(expectation, group)
        option, *values = (_DEFAULTS[group] if label == ANY else label).split(",")
        chosen += [f"{group}={option}", *(f"{group}.{value}" for value in values)]
    proposals = [f"task.proposals={expectation.proposals}"] if expectation.proposals else []
    return [f"task={expectation.task}", f"task.split={expectation.split}", *proposals, *expectation.rules, *chosen]


def command_of(expectation: Expectation) -> str:
    """The command line for it."""
    return shlex.join(["falip", "run", *overrides_of(expectation)])


def listed(
    figures: Iterable[Figure],
    expectations: Iterable[Expectation],
    averages: Iterable[Average] = (),
    reasons: Mapping[Figure, str] | None = None,
) -> list[Answer]:
    """Each figure with what answers to it: several ways where its source leaves open which of our prompts it means."""
    ways: dict[Figure, list[tuple[str, ...]]] = {}
    for expectation in expectations:
        ways.setdefault(expectation.figure, []).append((command_of(expectation),))
    for average in averages:
        ways.setdefault(average.figure, []).append(tuple(command_of(member) for member in average.members))
    results = [figure for figure in figures if figure.file != COUNTS]
    return [Answer(figure, tuple(ways.get(figure, ())), (reasons or {}).get(figure, "")) for figure in results]


def totals(answers: Iterable[Answer]) -> str:
    """How many figures have a command, in words."""
    answers = list(answers)
    return f"{sum(bool(one.ways) for one in answers)} of {len(answers)} published figures have a command"
