"""How much of the attention lies on the answer's region, against the region's share of the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.measure.metrics import scored
from benchmarks.measure.statistics import BootstrapDifference, Interval, align, bootstrap_difference, cluster_interval

COLUMNS = ("id", "group", "status", "attention_on_target", "attention_by_head", "region_share")


@dataclass(frozen=True)
class OnTarget:
    """Of the queries of a run that were measured, means with 95 % intervals clustered by image.

    Attributes:
        attention: Share of the attention that lies on the answer's region, 0 to 1.
        share: The region's share of the patches.
        lift: Attention by share, query by query. Attention that is spread evenly over all patches has 1, less what the
            pooled token attends to itself.
        heads: The lift of each head, of several backbones one after the other.
    """

    attention: Interval
    share: float
    lift: Interval
    heads: tuple[float, ...]


def on_target(records: pd.DataFrame) -> OnTarget | None:
    """What some records say of attention; None where nothing was measured.

    Args:
        records: With the columns `COLUMNS`.
    """
    rows = _measured(records)
    if not len(rows):
        return None
    share = rows["region_share"].to_numpy(np.float64)
    by_head = np.stack(rows["attention_by_head"].to_list()).astype(np.float64) / share[:, None]
    attention = cluster_interval(rows["attention_on_target"], rows["group"])
    heads = tuple(float(head) for head in by_head.mean(0))
    return OnTarget(attention, float(share.mean()), cluster_interval(_lift(rows), rows["group"]), heads)


def lift_difference(first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str]) -> BootstrapDifference | None:
    """The lift of one run less that of another, query by query; None where no query was measured in both.

    Args:
        first: Records with the columns `COLUMNS`.
        second: Those of a run on the same queries.
        names: Of both, for messages.
    """
    left, right = align(first, second, names)
    ours, theirs = _lift(left), _lift(right)
    known = ~(np.isnan(ours) | np.isnan(theirs))
    if not known.any():
        return None
    return bootstrap_difference(ours[known], theirs[known], left.loc[known, "group"])


def half_width(interval: Interval) -> float | None:
    """Half of an interval; None where there is none."""
    return None if math.isnan(interval.low) else (interval.high - interval.low) / 2


def _measured(records: pd.DataFrame) -> pd.DataFrame:
    rows = scored(records)
    return rows.loc[~np.isnan(_lift(rows))]


def _lift(rows: pd.DataFrame) -> NDArray[np.float64]:
    return rows["attention_on_target"].to_numpy(np.float64) / rows["region_share"].to_numpy(np.float64)
