"""Combining stored runs and weighting the views of depth maps."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_runs import class_records, rec_records, unscored

from benchmarks.measure.decisions import decide_rec
from benchmarks.measure.recombination import SEARCHED, combine, search_view_weights, view_scores, weight_views
from benchmarks.records.record import RECORD_SCHEMA, Record, read_parts, write_part
from falip import UserError


def stored(records, folder: Path, name: str = "part") -> pd.DataFrame:
    """As a table would read them, so that types are those of the files."""
    write_part(records, folder / f"{name}.parquet", "a run")
    return read_parts([folder / f"{name}.parquet"])


def plain(frame: pd.DataFrame) -> list[dict]:
    def simple(value):
        if isinstance(value, (list, tuple, np.ndarray)):
            return [simple(v) for v in value]
        return "NaN" if value != value else value

    return [{k: simple(v) for k, v in row.items()} for row in frame.to_dict("records")]


@pytest.mark.parametrize("how", ["sum", "max"])
@pytest.mark.parametrize("make", [rec_records, class_records])
def test_one_run_combined_is_that_run(make, how, tmp_path):
    frame = stored(make(), tmp_path)
    assert plain(combine([frame], how)) == plain(frame)


def test_several_runs_are_decided_anew_on_their_summed_scores(tmp_path):
    a, b = rec_records(seed=1), rec_records(seed=2)
    combined = combine([stored(a, tmp_path, "a"), stored(b[::-1], tmp_path, "b")])
    for row, first, second in zip(combined.to_dict("records"), a, b, strict=True):
        scores = np.asarray(first.scores, np.float32) + np.asarray(second.scores, np.float32)
        expected = decide_rec(scores, np.asarray(first.candidate_correct))
        assert (row["prediction"], row["correct"], row["rank"]) == (expected.prediction, expected.correct, expected.rank)
        assert row["margin"] == np.float32(expected.margin)
        assert row["target"] == first.target
        assert len(row["component_scores"]) == 2
    assert list(combined.columns) == RECORD_SCHEMA.names


def test_max_differs_from_sum(tmp_path):
    frames = [stored(rec_records(seed=seed), tmp_path, str(seed)) for seed in (1, 2)]
    top = combine(frames, "max")
    assert [list(row) for row in top["scores"]] == [
        list(np.maximum(x, y)) for x, y in zip(frames[0]["scores"], frames[1]["scores"], strict=True)
    ]
    assert list(top["prediction"]) != list(combine(frames)["prediction"])


def test_what_one_run_dropped_or_could_not_score_stays_so(tmp_path):
    records = rec_records()
    fields = vars(records[0]) | vars(decide_rec([float("nan"), 0.0, 1.0, 2.0], records[0].candidate_correct))
    first = stored([Record(**{**vars(records[0]), **fields}), unscored(records[1]), *records[2:]], tmp_path, "a")
    combined = combine([stored(records, tmp_path, "b"), first])
    assert combined["dropped"].tolist()[:2] == [1, 0]
    assert combined["status"].tolist()[:3] == ["scored", "unscored", "scored"]


def test_runs_that_cannot_be_combined_are_refused(tmp_path):
    frame = stored(rec_records(), tmp_path, "a")
    with pytest.raises(UserError, match="different queries"):
        combine([frame, stored(rec_records(images=5), tmp_path, "b")])
    with pytest.raises(UserError, match="disagree on the candidates of query '000-0'"):
        combine([frame, stored(rec_records(candidates=5), tmp_path, "c")])
    with pytest.raises(UserError, match="by 'mean'"):
        combine([frame], "mean")
    with pytest.raises(UserError, match="at least one run"):
        combine([])


VIEWS = [f"foveal/view{i}" for i in range(6)]


def test_equal_weights_give_the_runs_own_predictions(tmp_path):
    frame = stored(class_records(views=6, samples=40), tmp_path)
    equal = weight_views(view_scores(frame, VIEWS), frame["target"].to_numpy())
    assert equal.prediction.tolist() == frame["prediction"].tolist()
    assert equal.accuracy == pytest.approx(frame["correct"].mean())
    assert equal.label == "equal weights"


def test_views_are_combined_over_components_that_may_share_a_name(tmp_path):
    frame = stored(class_records(views=4, samples=5), tmp_path)
    parts = np.stack([np.stack(row) for row in frame["component_scores"]])
    names = ["a/view0", "a/view1"] * 2
    np.testing.assert_allclose(view_scores(frame, names), parts[:, :2] + parts[:, 2:])
    np.testing.assert_allclose(view_scores(frame, names, "max"), np.maximum(parts[:, :2], parts[:, 2:]))


def test_the_search_is_exhaustive_and_says_what_it_was_tuned_on(tmp_path):
    frame = stored(class_records(views=3, samples=60, skill=0.4), tmp_path)
    scores, labels = view_scores(frame, VIEWS[:3]), frame["target"].to_numpy()
    best = search_view_weights(scores, labels)
    grid = itertools.product((1.0, 0.75, 0.5, 0.25), repeat=3)
    assert best.accuracy == max(weight_views(scores, labels, weights).accuracy for weights in grid)
    assert best.accuracy >= weight_views(scores, labels).accuracy
    assert best.label == SEARCHED == "searched on test labels"


def test_a_weight_of_zero_silences_a_view():
    scores = np.array([[[1.0, 0.0], [0.0, 5.0]]], dtype=np.float32)
    assert weight_views(scores, np.array([0]), (1.0, 0.0)).accuracy == 1.0
    assert weight_views(scores, np.array([0])).accuracy == 0.0


@pytest.mark.parametrize(
    "names", [["foveal"], ["a/view0", "a/view1", "b/view0"], ["a/view0", "b/view0", "a/view1", "b/view1"]]
)
def test_components_that_are_no_views_are_refused(names, tmp_path):
    with pytest.raises(UserError, match="foveal/view0"):
        view_scores(stored(class_records(views=len(names)), tmp_path), names)


def test_the_number_of_weights_must_fit():
    with pytest.raises(UserError, match="2 weights for 3 views"):
        weight_views(np.zeros((1, 3, 2), np.float32), np.array([0]), (1.0, 1.0))
