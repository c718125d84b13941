"""Two runs on the same samples, pair by pair, and the queries on which they differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.measure.formats import accuracy, comparison
from benchmarks.measure.statistics import Comparison, align
from benchmarks.measure.statistics import compare as compared
from benchmarks.notebook.frames import Source, folder_of, selected
from benchmarks.records.run import Run, read_run
from falip.errors import UserError

WORDS = (
    "difference in points",
    "95 % interval (bootstrap over samples)",
    "p (bootstrap)",
    "only the first right",
    "only the second right",
    "p (McNemar, exact)",
    "pairs",
)
_SHOWN = ["id", "group", "text", "slice", "target", "prediction", "correct", "score", "margin"]


@dataclass(frozen=True, eq=False)
class PairedRuns:
    """A run against another.

    Attributes:
        names: What they are called.
        accuracies: Of each, in words.
        statistics: The paired statistics.
        differing: A row for each query that only one of them has right: its fields in the first run, and with `_second`
            those of the second.
    """

    names: tuple[str, str]
    accuracies: tuple[str, str]
    statistics: Comparison
    differing: pd.DataFrame

    @property
    def table(self) -> pd.Series:
        """The statistics in words."""
        return pd.Series(dict(zip(WORDS, comparison(self.statistics), strict=True)))

    def __str__(self) -> str:
        heads = [f"{name}: {words}" for name, words in zip(self.names, self.accuracies, strict=True)]
        return "\n".join([*heads, *(f"  {name}: {value}" for name, value in self.table.items())])

    def _repr_html_(self) -> str:
        heads = pd.Series(dict(zip(self.names, self.accuracies, strict=True)))
        return pd.concat([heads, self.table]).to_frame("").to_html(header=False)


def compare(first: Source, second: Source) -> PairedRuns:
    """Compares two finished runs on the same queries.

    Args:
        first: A run's folder or id, or a row of `runs`.
        second: Another.

    Raises:
        UserError: If one of them is not exactly one run or not finished, or they did not answer the same queries.
    """
    one, other = _single(first, "first"), _single(second, "second")
    statistics = compared(one.frame, other.frame, (one.name, other.name))
    left, right = (run.records(_SHOWN) for run in (one, other))
    both = sorted(set(left["id"]) & set(right["id"]))
    left, right = align(left.loc[left["id"].isin(both)], right.loc[right["id"].isin(both)], (one.name, other.name))
    told = ["prediction", "correct", "score", "margin"]
    joined = left.join(right[told].add_suffix("_second"))
    differing = joined.loc[joined["correct"] != joined["correct_second"]].reset_index(drop=True)
    return PairedRuns((one.name, other.name), (accuracy(one.metrics), accuracy(other.metrics)), statistics, differing)


def _single(source: Source, what: str) -> Run:
    found = selected(source)
    if not found and isinstance(source, str | Path):
        found = [read_run(folder_of(source))]  # which says what is wrong with it
    if len(found) != 1:
        raise UserError(
            f"The {what} of the two is {len(found)} runs. Give one run's folder or id, or one row of falip.runs()."
        )
    if not found[0].finished:
        raise UserError(f"{found[0].path} is not finished. Evaluate it again, which does the rest.")
    return found[0]
