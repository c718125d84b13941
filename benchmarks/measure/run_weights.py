"""Weights for the scores of several runs, searched on the labels: an upper bound, never a result."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.measure.decisions import decide_all
from benchmarks.measure.metrics import scored
from benchmarks.measure.statistics import align
from falip.errors import UserError

SIGNED_GRID = (1.0, 0.5, 0.0, -0.5, -1.0)
"""Tried for each run but the first, whose weight is 1: a common positive factor decides nothing."""
MOST_TRIED = 10_000


@dataclass(frozen=True)
class SearchedWeights:
    """The weights that do best on the labels they were searched on.

    Attributes:
        weights: One for each run.
        accuracy: Share of the queries that is right.
        tried: Number of combinations.
    """

    weights: tuple[float, ...]
    accuracy: float
    tried: int


def search_run_weights(
    frames: Sequence[pd.DataFrame], how: str = "sum", grid: Sequence[float] = SIGNED_GRID
) -> SearchedWeights:
    """Tries every combination of weights; among equals the first wins, and weights of 1 come first.

    Args:
        frames: Records of at least two runs on the same queries and candidates.
        how: "sum" or "max" of the weighted scores.
        grid: Weights to try for each run but the first.

    Raises:
        UserError: If there is one run alone, there are too many combinations, or the runs have other candidates.
    """
    if len(frames) < 2:
        raise UserError("there is nothing to weigh: give at least two runs")
    count = len(grid) ** (len(frames) - 1)
    if count > MOST_TRIED:
        raise UserError(f"{len(frames)} runs have {count:,} combinations of weights; give {len(frames) - 1} or fewer")
    first = scored(frames[0]).sort_values("id", ignore_index=True)
    aligned = [first, *(align(first, scored(frame))[1] for frame in frames[1:])]
    every = [np.concatenate([np.asarray(row, np.float32) for row in frame["scores"]]) for frame in aligned]
    if len({len(one) for one in every}) > 1:
        raise UserError("the runs have other candidates: only runs with the same proposals or classes can be combined")
    starts = np.concatenate([[0], np.cumsum([len(row) for row in first["scores"]])])
    right, scores = _right(first), np.stack(every)
    tried = [(1.0, *rest) for rest in itertools.product(grid, repeat=len(frames) - 1)]
    found = [float(decide_all(_together(scores, weights, how), starts, right).correct.mean()) for weights in tried]
    best = int(np.argmax(found))
    return SearchedWeights(tried[best], found[best], len(tried))


def _together(scores: NDArray[np.float32], weights: Sequence[float], how: str) -> NDArray[np.float32]:
    weighted = scores * np.asarray(weights, np.float32)[:, None]
    return weighted.max(0) if how == "max" else weighted.sum(0)


def _right(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether each candidate of each query is right."""
    rows = zip(frame["candidate_correct"], frame["candidates"], frame["target"], strict=True)
    found = [flags if len(flags) else np.arange(count) == target for flags, count, target in rows]
    return np.concatenate(found).astype(bool)
