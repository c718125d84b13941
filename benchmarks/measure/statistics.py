"""Intervals clustered by image, and paired comparisons of two runs on the same samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from falip.errors import UserError

Z95 = 1.96
_Z95_EXACT = 1.959963984540054  # of Wilson's interval, as statistics packages have it
RESAMPLES = 10_000
# With five to thirty clusters standard errors are too small and tests reject far too often (Cameron, Gelbach and Miller
# 2008, "Bootstrap-Based Improvements for Inference with Clustered Errors").
FEWEST_CLUSTERS = 10  # below, neither an interval nor a p-value is given
FEW_CLUSTERS = 30  # below, they carry a warning
_CHUNK = 1_000_000  # drawn cluster indices held in memory at once
_KEPT = 64_000_000  # counts of draws, of one byte each, that are kept for the next pair of runs


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        mean: Mean of the values.
        low: Lower end; NaN where no interval can be given.
        high: Upper end, or NaN.
        se: Standard error; 0 where all values are equal, NaN where no interval is given.
        n: Number of values.
        clusters: Number of clusters.
        method: "cluster", "wilson" (all values equal) or "none" (fewer than 10 clusters).
    """

    mean: float
    low: float
    high: float
    se: float
    n: int
    clusters: int
    method: str


def cluster_interval(values: ArrayLike, clusters: ArrayLike) -> Interval:
    """Mean and 95 % interval of values that are alike within clusters.

    SE = sqrt(G / (G - 1) * sum_g (sum_{i in g} (y_i - mean))^2) / n, and the interval is the mean plus and
    minus 1.96 SE: what statsmodels gives for an OLS on a constant with `cov_type="cluster"`. Where all
    answers are equal this would be 0, and Wilson's interval stands in. With fewer than 10 clusters there is none.

    Args:
        values: Shape (n,), usually 0 and 1.
        clusters: Shape (n,), the cluster of each value: the image.

    Raises:
        UserError: If there are no values, or a cluster is missing.
    """
    y = np.asarray(values, dtype=np.float64)
    codes, count = _cluster_codes(clusters, len(y))
    mean = float(y.mean())
    if count < FEWEST_CLUSTERS:
        return Interval(mean, float("nan"), float("nan"), float("nan"), len(y), count, "none")
    if bool((y == y[0]).all()) and y[0] in (0.0, 1.0):
        return Interval(mean, *_wilson(mean, len(y)), 0.0, len(y), count, "wilson")
    residuals = np.bincount(codes, weights=y - mean, minlength=count)
    se = float(np.sqrt(count / (count - 1) * np.sum(residuals**2)) / len(y))
    return Interval(mean, mean - Z95 * se, mean + Z95 * se, se, len(y), count, "cluster")


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share of n."""
    z2 = _Z95_EXACT**2
    half = _Z95_EXACT * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = ((share + z2 / (2 * n) + sign * half) / (1 + z2 / n) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


@dataclass(frozen=True)
class BootstrapDifference:
    """Paired difference of two means with a 95 % percentile interval and a two-sided p-value.

    Interval and p-value are NaN with fewer than 10 clusters.
    """

    difference: float
    low: float
    high: float
    p_value: float
    resamples: int
    clusters: int


def bootstrap_difference(
    first: ArrayLike, second: ArrayLike, clusters: ArrayLike, resamples: int = RESAMPLES, seed: int = 0
) -> BootstrapDifference:
    """Cluster bootstrap of mean(first) - mean(second), pair by pair.

    Whole clusters are drawn with replacement, from their stored sums. The p-value is twice the smaller share
    of resampled differences on either side of 0, counting the observed one ((k + 1) / (resamples + 1)), at
    most 1.

    Args:
        first: Shape (n,).
        second: Shape (n,), the same samples in the same order.
        clusters: Shape (n,).
        resamples: How often to draw.
        seed: The same seed gives the same answer.

    Raises:
        UserError: If there are no values, or a cluster is missing.
    """
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    codes, count = _cluster_codes(clusters, len(difference))
    if count < FEWEST_CLUSTERS:
        nothing = float("nan")
        return BootstrapDifference(float(difference.mean()), nothing, nothing, nothing, resamples, count)
    sums = np.bincount(codes, weights=difference, minlength=count).astype(np.float64)
    sizes = np.bincount(codes, minlength=count).astype(np.float64)
    totals = np.concatenate([_weighted(counts, np.stack([sums, sizes], 1)) for counts in _draws(count, resamples, seed)])
    drawn = totals[:, 0] / totals[:, 1]
    low, high = np.quantile(drawn, [0.025, 0.975])
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p_value = min(1.0, 2 * (tail + 1) / (resamples + 1))
    return BootstrapDifference(float(difference.mean()), float(low), float(high), p_value, resamples, count)


def _draws(clusters: int, resamples: int, seed: int) -> Iterable[NDArray[np.uint8]]:
    """How often each resample draws each cluster, in blocks (rows, clusters); whole numbers.

    They depend on nothing else, so that one drawing serves all pairs of runs on the same images.
    """
    if clusters * resamples <= _KEPT:
        return _kept_draws(clusters, resamples, seed)
    return _drawn(clusters, resamples, np.random.default_rng(seed))


@lru_cache(maxsize=1)
def _kept_draws(clusters: int, resamples: int, seed: int) -> tuple[NDArray[np.uint8], ...]:
    return tuple(_drawn(clusters, resamples, np.random.default_rng(seed)))


def _drawn(clusters: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    most = max(1, _CHUNK // clusters)
    for start in range(0, resamples, most):
        rows = min(most, resamples - start)
        picks = rng.integers(0, clusters, size=(rows, clusters))
        picks += clusters * np.arange(rows)[:, None]
        counts = np.bincount(picks.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        assert counts.max() < 256  # of many clusters none is drawn nearly so often
        yield counts.astype(np.uint8)


def _weighted(counts: NDArray[np.uint8], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of values (clusters, k) by how often each is drawn; exact where they are whole, as answers are."""
    whole = bool((values == np.rint(values)).all()) and float(np.abs(values).max()) * counts.shape[1] < 2**24
    kind = np.float32 if whole else np.float64
    weights, columns = counts.astype(kind), np.ascontiguousarray(values.T.astype(kind))
    # A matrix product would be shared out to threads, which on a busy machine wait for each other most of the time.
    return np.stack([np.einsum("rc,c->r", weights, column) for column in columns], axis=1).astype(np.float64)


def mcnemar_exact(first: ArrayLike, second: ArrayLike) -> tuple[int, int, float]:
    """Exact McNemar test of two runs on the same samples, which takes samples as independent.

    Returns:
        How many only the first has right, how many only the second has right, and the two-sided p-value.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    only_first, only_second = int((a & ~b).sum()), int((~a & b).sum())
    discordant, smaller = only_first + only_second, min(only_first, only_second)
    ways = total = 1  # to choose k of the discordant samples, and up to k of them
    for k in range(smaller):
        ways = ways * (discordant - k) // (k + 1)
        total += ways
    return only_first, only_second, min(1.0, 2 * total / 2**discordant)


@dataclass(frozen=True)
class Comparison:
    """A run against another on the same samples.

    Attributes:
        bootstrap: The headline, by clusters.
        only_first: Samples that only the first run has right.
        only_second: Samples that only the second run has right.
        mcnemar_p: Two-sided p-value of the exact McNemar test; NaN with fewer than 10 clusters.
        pairs: Samples compared.
        left_out: Queries of images that one of the runs could not score.
    """

    bootstrap: BootstrapDifference
    only_first: int
    only_second: int
    mcnemar_p: float
    pairs: int
    left_out: int


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    names: tuple[str, str] = ("the first run", "the second run"),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compares the records of two runs pair by pair, clustered by `group`.

    Raises:
        UserError: If the runs did not answer the same queries, or no query was scored in both.
    """
    unscored = set(first.loc[first["status"] != "scored", "group"]) | set(second.loc[second["status"] != "scored", "group"])
    left, right = align(_without(first, unscored), _without(second, unscored), names)
    if not len(left):
        raise UserError(f"{names[0]} and {names[1]} have no query that both could score")
    a, b = np.asarray(left["correct"], dtype=bool), np.asarray(right["correct"], dtype=bool)
    bootstrap = bootstrap_difference(a, b, left["group"], resamples, seed)
    only_first, only_second, p_value = mcnemar_exact(a, b)
    if bootstrap.clusters < FEWEST_CLUSTERS:
        p_value = float("nan")
    left_out = max(len(first), len(second)) - len(left)
    return Comparison(bootstrap, only_first, only_second, p_value, len(left), left_out)


def _without(frame: pd.DataFrame, groups: set[str]) -> pd.DataFrame:
    # By image: a sample that could not be loaded has no texts, so its records have other ids than its queries.
    if not groups:
        return frame
    return frame.loc[[group not in groups for group in frame["group"]]]


def align(
    first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str] = ("the first run", "the second run")
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both frames with the same queries in the same order.

    Raises:
        UserError: If the queries differ, or belong to different images; it tells how many and gives an
            example.
    """
    left, right = (_sorted(frame) for frame in (first, second))
    if len(left) == len(right) and bool((left["id"] == right["id"]).all()):
        return _same_groups(left, right, names)
    only_left = sorted(set(left["id"]) - set(right["id"]))
    only_right = sorted(set(right["id"]) - set(left["id"]))
    if only_left or only_right:
        example = (only_left or only_right)[0]
        raise UserError(
            f"{names[0]} ({len(left)} queries) and {names[1]} ({len(right)} queries) answered "
            f"different queries: {len(only_left)} are only in the first and {len(only_right)} only in the "
            f"second, for example {example!r}. Compare runs of the same task, split and limit"
        )
    return _same_groups(left, right, names)


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    if frame["id"].is_monotonic_increasing:
        return frame.reset_index(drop=True)
    return frame.sort_values("id", ignore_index=True)


def _same_groups(left: pd.DataFrame, right: pd.DataFrame, names: tuple[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    moved = np.asarray(left["group"], dtype=object) != np.asarray(right["group"], dtype=object)
    if moved.any():
        example = np.asarray(left["id"], dtype=object)[moved][0]
        raise UserError(
            f"{int(moved.sum())} queries belong to different images in {names[0]} and {names[1]}, "
            f"for example {example!r}: the two runs were made from different versions of the data"
        )
    return left, right


def _cluster_codes(clusters: ArrayLike, expected: int) -> tuple[NDArray[np.intp], int]:
    # Before anything else, so that clusters that are not set never pass for an easy case.
    groups = np.asarray(clusters, dtype=object)
    if len(groups) != expected:
        raise UserError(f"{expected} values but {len(groups)} clusters: every value needs the image that it belongs to")
    if expected == 0:
        raise UserError("there are no scored values to give an interval for")
    missing = np.asarray(groups == "", dtype=bool) | np.asarray(pd.isna(groups), dtype=bool)
    if missing.any():
        raise UserError(
            f"{int(missing.sum())} of {expected} values have no cluster, "
            f"the first at row {int(np.argmax(missing))}: records must name the image in `group`"
        )
    codes, unique = pd.factorize(groups)
    return codes, len(unique)
