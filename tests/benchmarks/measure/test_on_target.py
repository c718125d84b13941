"""Attention on target: means, lift and their differences, on cases made by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.measure.attention import lift_difference, on_target

NAMES = ("one", "other")


def records(attention, share, heads=None) -> pd.DataFrame:
    heads = [(value,) for value in attention] if heads is None else heads
    rows: list[dict[str, Any]] = [
        {"id": f"{i:03d}", "group": f"{i:03d}", "status": "scored", "attention_on_target": a, "region_share": s}
        | {"attention_by_head": h}
        for i, (a, s, h) in enumerate(zip(attention, share, heads, strict=True))
    ]
    return pd.DataFrame(rows)


def test_lift_is_worked_out_query_by_query_and_head_by_head():
    found = on_target(records([0.3, 0.2], [0.1, 0.4], [(0.2, 0.4), (0.4, 0.0)]))
    assert found is not None
    assert found.attention.mean == pytest.approx(0.25) and found.share == pytest.approx(0.25)
    assert found.lift.mean == pytest.approx((3.0 + 0.5) / 2)
    assert found.heads == pytest.approx(((2 + 1) / 2, (4 + 0) / 2))
    assert found.lift.method == "none", "two pictures give no interval"


def test_the_interval_of_the_lift_is_that_of_its_values():
    rng = np.random.default_rng(0)
    attention, share = rng.uniform(0.1, 0.5, 40), rng.uniform(0.1, 0.3, 40)
    found = on_target(records(attention, share))
    assert found is not None
    lift = attention / share
    assert found.lift.high - found.lift.mean == pytest.approx(1.96 * lift.std(ddof=1) / np.sqrt(40))


def test_queries_without_attention_count_for_nothing():
    nothing = float("nan")
    frame = records([0.3, nothing], [0.1, nothing], [(0.3,), ()])
    found = on_target(frame)
    assert found is not None and found.lift.n == 1 and found.lift.mean == pytest.approx(3.0)
    assert on_target(records([nothing], [nothing], [()])) is None
    unscored = frame.assign(status="unscored")
    assert on_target(unscored) is None


def test_a_difference_is_paired_and_leaves_out_what_one_of_both_lacks():
    attention = np.linspace(0.1, 0.5, 12)
    first, second = records(attention + 0.05, [0.1] * 12), records(attention, [0.1] * 12)
    second.loc[0, ["attention_on_target", "region_share"]] = np.nan
    found = lift_difference(first, second.sample(frac=1, random_state=0), NAMES)
    assert found is not None and found.clusters == 11
    assert found.difference == pytest.approx(0.5) and found.low == pytest.approx(0.5) and found.p_value < 0.001
    second[["attention_on_target", "region_share"]] = np.nan
    assert lift_difference(first, second, NAMES) is None
