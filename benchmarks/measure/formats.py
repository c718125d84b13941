"""Numbers as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.measure.statistics import Comparison

EMPTY = "-"


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
    """Accuracy with plus and minus, or with the ends where the interval is lopsided (Wilson's)."""
    text = percent(metrics["accuracy"])
    interval = metrics["interval"]
    if interval is None or interval["low"] is None:
        return text
    if interval["method"] == "wilson":
        return f"{text} [{percent(interval['low'])}, {percent(interval['high'])}]"
    return f"{text} ± {percent((interval['high'] - interval['low']) / 2)}"


def p_value(value: float) -> str:
    """Three decimals, or an upper bound."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def comparison(result: Comparison) -> tuple[str, ...]:
    """Difference in points, its interval, p, the discordant pairs and McNemar's p."""
    boot = result.bootstrap
    return (
        signed(100 * boot.difference),
        f"[{signed(100 * boot.low)}, {signed(100 * boot.high)}]",
        p_value(boot.p_value),
        str(result.only_first),
        str(result.only_second),
        p_value(result.mcnemar_p),
        str(result.pairs),
    )


def signed(points: float, decimals: int = 1) -> str:
    """Points with their sign; never minus zero."""
    return f"{round(points, decimals) + 0.0:+.{decimals}f}"
