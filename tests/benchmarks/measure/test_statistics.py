"""Intervals and tests, held against statsmodels and scipy."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from fake_runs import rec_records, unscored
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from benchmarks.measure.statistics import bootstrap_difference, cluster_interval, compare, mcnemar_exact
from falip import UserError


def frame_of(records) -> pd.DataFrame:
    return pd.DataFrame([vars(record) for record in records])


def clustered(seed: int, clusters: int = 30, size: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Answers that agree within an image."""
    rng = np.random.default_rng(seed)
    ease = rng.uniform(0.1, 0.9, clusters)
    groups = np.repeat(np.arange(clusters), rng.integers(1, size + 1, clusters))
    return rng.random(len(groups)) < ease[groups], groups


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_is_that_of_a_clustered_regression(seed):
    values, groups = clustered(seed)
    ours = cluster_interval(values, [f"image {g}" for g in groups])
    fit = sm.OLS(values.astype(float), np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert ours.se == pytest.approx(fit.bse[0], abs=1e-9)
    low, high = fit.conf_int()[0]
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=5e-6)  # 1.96 for 1.959964
    assert (ours.method, ours.clusters, ours.n) == ("cluster", 30, len(values))


def test_clusters_widen_the_interval_of_answers_that_go_together():
    values = np.repeat([1, 0] * 10, 5)
    together = cluster_interval(values, np.repeat(np.arange(20), 5))
    apart = cluster_interval(values, np.arange(100))
    assert together.se > 2 * apart.se


@pytest.mark.parametrize("answer", [0, 1])
def test_equal_answers_get_wilsons_interval(answer):
    ours = cluster_interval([answer] * 12, list("abcdefghijkl"))
    wilson = binomtest(12 * answer, 12).proportion_ci(method="wilson")
    assert (ours.low, ours.high, ours.method) == (pytest.approx(wilson.low), pytest.approx(wilson.high), "wilson")
    assert ours.high - ours.low > 0.1


@pytest.mark.parametrize("images", [1, 2, 9])
@pytest.mark.parametrize("answers", [[0, 1, 1], [1, 1, 1], [0, 0, 0]])
def test_fewer_than_ten_images_give_no_interval_and_no_p(images, answers):
    groups = np.repeat(np.arange(images), 3)
    ours = cluster_interval(answers * images, groups)
    assert ours.mean == pytest.approx(np.mean(answers)) and ours.clusters == images
    assert np.isnan([ours.low, ours.high, ours.se]).all() and ours.method == "none"
    boot = bootstrap_difference(answers * images, [0, 0, 0] * images, groups)
    assert boot.difference == pytest.approx(np.mean(answers))
    assert np.isnan([boot.low, boot.high, boot.p_value]).all()


def test_ten_images_give_both():
    groups = np.repeat(np.arange(10), 3)
    assert not np.isnan(cluster_interval([0, 1, 1] * 10, groups).low)
    assert not np.isnan(bootstrap_difference([0, 1, 1] * 10, [0, 0, 1] * 10, groups).p_value)


@pytest.mark.parametrize(("samples", "clusters"), [(60, 12), (300, 100), (40, 40)])
def test_the_bootstrap_sums_what_it_draws_cluster_by_cluster(samples, clusters):
    rng = np.random.default_rng(0)
    groups = np.concatenate([np.arange(clusters), rng.integers(0, clusters, samples - clusters)])
    first, second = rng.random(samples) < 0.6, rng.random(samples) < 0.5
    ours = bootstrap_difference(first, second, groups, resamples=400, seed=7)
    picks = np.random.default_rng(7).integers(0, clusters, size=(400, clusters))
    order = list(dict.fromkeys(groups.tolist()))
    difference = first.astype(float) - second
    members = [np.flatnonzero(groups == name) for name in order]
    drawn = [np.mean(np.concatenate([difference[members[k]] for k in row])) for row in picks]
    assert (ours.low, ours.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-12)


@pytest.mark.parametrize("missing", ["", None, float("nan")])
def test_a_missing_cluster_is_named_even_where_all_answers_are_equal(missing):
    with pytest.raises(UserError, match=r"1 of 3 values have no cluster, the first at row 1"):
        cluster_interval([1, 1, 1], ["a", missing, "b"])


def test_clusters_of_another_length_or_no_values_are_refused():
    with pytest.raises(UserError, match="3 values but 2 clusters"):
        cluster_interval([1, 0, 1], ["a", "b"])
    with pytest.raises(UserError, match="no scored values"):
        cluster_interval([], [])


def test_the_bootstrap_is_decided_by_its_seed():
    first, groups = clustered(1)
    second = clustered(2)[0]
    second = np.resize(second, len(first))
    one = bootstrap_difference(first, second, groups, resamples=500, seed=3)
    assert one == bootstrap_difference(first, second, groups, resamples=500, seed=3)
    assert one != bootstrap_difference(first, second, groups, resamples=500, seed=4)
    assert one.difference == pytest.approx(first.mean() - second.mean())
    assert one.low <= one.difference <= one.high


def test_the_bootstrap_agrees_with_the_clustered_standard_error():
    first, groups = clustered(5, clusters=200)
    second = np.random.default_rng(0).random(len(first)) < 0.5
    boot = bootstrap_difference(first, second, groups, seed=0)
    se = cluster_interval(first.astype(float) - second, groups).se
    assert (boot.high - boot.low) / (2 * 1.96) == pytest.approx(se, rel=0.05)


def test_chunks_of_the_bootstrap_do_not_show(monkeypatch):
    values, groups = clustered(1)
    whole = bootstrap_difference(values, ~values, groups, resamples=300)
    monkeypatch.setattr("benchmarks.measure.statistics._CHUNK", 700)
    assert bootstrap_difference(values, ~values, groups, resamples=300) == whole


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=12, max_size=40))
def test_swapping_the_runs_turns_the_difference_around(rows):
    first, second = map(np.asarray, zip(*rows, strict=True))
    groups = np.arange(len(rows)) % 12
    there = bootstrap_difference(first, second, groups, resamples=200)
    back = bootstrap_difference(second, first, groups, resamples=200)
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p_value == back.p_value
    assert 0 < there.p_value <= 1


def test_equal_runs_do_not_differ():
    values, groups = clustered(0)
    same = bootstrap_difference(values, values, groups, resamples=100)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    assert mcnemar_exact(values, values) == (0, 0, 1.0)


def test_a_clear_difference_is_significant():
    groups = np.repeat(np.arange(40), 3)
    boot = bootstrap_difference(np.ones(120), np.arange(120) % 3 == 0, groups)
    assert boot.p_value < 0.001 and boot.low > 0.5


@pytest.mark.parametrize(("wins", "losses"), [(9, 2), (5, 5), (0, 7), (1, 0), (0, 0), (300, 251), (1200, 1203), (3000, 2)])
def test_mcnemar_is_that_of_statsmodels(wins, losses):
    first = np.array([1] * wins + [0] * losses + [1, 1, 0])
    second = np.array([0] * wins + [1] * losses + [1, 1, 0])
    reference = mcnemar([[2, wins], [losses, 1]], exact=True).pvalue
    assert mcnemar_exact(first, second) == (wins, losses, pytest.approx(reference))


def test_runs_are_compared_by_query_whatever_their_order():
    a, b = rec_records(images=12, skill=3, seed=1), rec_records(images=12, skill=0, seed=2)
    straight = compare(frame_of(a), frame_of(b), resamples=200)
    shuffled = compare(frame_of(a[::-1]), frame_of(b[5:] + b[:5]), resamples=200)
    assert straight == shuffled
    assert straight.only_first > straight.only_second and straight.pairs == 36


def test_unscored_queries_are_left_out_of_the_pairs_and_counted():
    a, b = rec_records(skill=3), rec_records(seed=2)
    lost = [replace(unscored(record), id=f"{record.group}/unscored-{i}") for i, record in enumerate(a[:3])]
    result = compare(frame_of([*lost, *a[3:]]), frame_of(b), resamples=50)
    assert (result.pairs, result.left_out) == (15, 3)


def test_runs_on_different_queries_are_refused_with_counts_and_an_example():
    records = rec_records()
    with pytest.raises(UserError, match=r"falip \(17 queries\) and plain \(18 queries\).*0 are only.*1 only.*'000-0'"):
        compare(frame_of(records[1:]), frame_of(records), ("falip", "plain"))


def test_runs_on_other_images_are_refused():
    frame = frame_of(rec_records())
    with pytest.raises(UserError, match=r"18 queries belong to different images.*'000-0'"):
        compare(frame, frame.assign(group=frame["group"] + "x"))
