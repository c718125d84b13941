"""Numbers as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.measure.statistics import FEW_CLUSTERS, FEWEST_CLUSTERS, Comparison

EMPTY = "-"
FEW_NOTE = (
    f"Intervals and p-values from fewer than {FEW_CLUSTERS} samples, marked by their number, are too narrow and too small; "
    f"from fewer than {FEWEST_CLUSTERS} none are given."
)


def percent(value: float | None) -> str:
    """A share in per cent with one decimal."""
    return EMPTY if value is None else f"{100 * value:.1f}"


def accuracy(metrics: Mapping[str, Any]) -> str:
    """Accuracy in per cent with its interval, and how many were not scored."""
    if metrics["accuracy"] is None:
        return f"none scored of {metrics['counts']['unscored']}"
    unscored = metrics["counts"]["unscored"]
    return with_interval(metrics) + (f" ({unscored} unscored)" if unscored else "")


def with_interval(metrics: Mapping[str, Any]) -> str:
    """Accuracy with plus and minus, or with the ends where the interval is lopsided (Wilson's).

    Where there are few samples, their number stands beside the interval or in its place.
    """
    text = percent(metrics["accuracy"])
    interval = metrics["interval"]
    if interval is None:
        return text
    if interval["low"] is None:
        return f"{text} ({samples(interval['clusters'])}: no interval)"
    mark = few(interval["clusters"])
    if interval["method"] == "wilson":
        return f"{text} [{percent(interval['low'])}, {percent(interval['high'])}]{mark}"
    return f"{text} ± {percent((interval['high'] - interval['low']) / 2)}{mark}"


def samples(count: int) -> str:
    """How many samples, in words."""
    return f"{count} sample{'' if count == 1 else 's'}"


def few(clusters: int) -> str:
    """The warning beside what is worked out from few clusters; "" where they are enough."""
    return f" ({samples(clusters)})" if clusters < FEW_CLUSTERS else ""


def p_value(value: float) -> str:
    """Three decimals, or an upper bound; EMPTY for NaN."""
    if math.isnan(value):
        return EMPTY
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def comparison(result: Comparison) -> tuple[str, ...]:
    """Difference in points, its interval, p, the discordant pairs and McNemar's p."""
    boot = result.bootstrap
    interval = f"[{signed(100 * boot.low)}, {signed(100 * boot.high)}]" if not math.isnan(boot.low) else "none"
    return (
        signed(100 * boot.difference),
        interval + few(boot.clusters),
        p_value(boot.p_value),
        str(result.only_first),
        str(result.only_second),
        p_value(result.mcnemar_p),
        str(result.pairs),
    )


def signed(points: float, decimals: int = 1) -> str:
    """Points with their sign; never minus zero."""
    return f"{round(points, decimals) + 0.0:+.{decimals}f}"
