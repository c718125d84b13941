"""Metrics of records, on numbers that can be counted by hand."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_runs import class_records, rec_records, unscored
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.measure.decisions import decide_class, decide_rec
from benchmarks.measure.metrics import (
    class_means,
    classification_metrics,
    metrics_for,
    per_class_accuracy,
    rec_metrics,
    within_top,
)
from benchmarks.records.record import Record
from falip import UserError


def frame_of(records) -> pd.DataFrame:
    return pd.DataFrame([vars(record) for record in records])


def answer(name: str, label: int, scores: list[float], group: str = "") -> Record:
    return Record(id=name, group=name, text="", slice=group, component_scores=(), **vars(decide_class(scores, label)))


def test_accuracy_is_over_scored_queries_and_the_others_are_counted():
    records = rec_records(images=12, skill=9)
    figures = rec_metrics(frame_of([unscored(records[0]), *records[1:]]))
    assert figures["accuracy"] == 1.0
    assert figures["counts"]["n"] == 35 and figures["counts"]["unscored"] == 1
    assert figures["interval"]["method"] == "wilson" and figures["interval"]["n"] == 35
    assert (figures["chance"], figures["oracle"]) == (0.25, 1.0)
    assert figures["slices"]["colour"]["n"] + figures["slices"]["shape"]["n"] == 35


def test_nothing_scored_gives_no_accuracy_and_no_error():
    figures = metrics_for("rec", frame_of([unscored(record) for record in rec_records()]))
    assert figures["accuracy"] is None and figures["counts"]["unscored"] == 18
    assert metrics_for("classification", frame_of(map(unscored, class_records())))["top5"] is None


@pytest.mark.parametrize(
    ("kind", "make"), [("rec", rec_records), ("classification", class_records), ("pointcloud", class_records)]
)
def test_metrics_survive_strict_json(kind, make):
    figures = metrics_for(kind, frame_of(make()))
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_one_image_has_an_accuracy_without_interval():
    figures = rec_metrics(frame_of(rec_records(images=1, expressions=5, skill=0)))
    assert 0 < figures["accuracy"] < 1 and figures["interval"]["low"] is None
    json.dumps(figures, allow_nan=False)


def test_ties_are_counted_with_the_accuracy_that_chance_would_give():
    figures = classification_metrics(frame_of([answer("a", 1, [1.0, 1.0, 0.0]), answer("b", 0, [1.0, 0.0, 0.0])]))
    assert (figures["accuracy"], figures["tie_accuracy"], figures["counts"]["ties"]) == (0.5, 0.75, 1)


def test_class_means_weigh_classes_alike():
    rows = [answer(f"a{i}", 0, [1.0, 0.0]) for i in range(3)] + [answer("b", 1, [1.0, 0.0])]
    figures = classification_metrics(frame_of(rows))
    assert (figures["top1"], figures["class_mean_top1"], figures["class_mean_top5"]) == (0.75, 0.5, 1.0)


def things_and_stuff() -> pd.DataFrame:
    """Of eight classes 0, 1 and 7 are present: 0 has one of three right, 1 its only one, 7 none and within five."""
    best = np.eye(8, dtype=np.float32)
    rows = [answer("a", 0, list(best[0]), "thing"), answer("b", 0, list(best[1]), "thing")]
    rows += [answer("c", 0, [0.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 7.0], "thing"), answer("d", 1, list(best[1]), "thing")]
    return frame_of([*rows, answer("e", 7, [9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], "stuff")])


def test_macc_is_the_mean_over_classes_present_for_things_and_stuff_apart():
    frame = things_and_stuff()
    assert per_class_accuracy(frame, 1) == {0: pytest.approx(1 / 3), 1: 1.0, 7: 0.0}
    assert per_class_accuracy(frame, 5) == {0: pytest.approx(2 / 3), 1: 1.0, 7: 1.0}
    things, stuff = (class_means(frame)[name] for name in ("thing", "stuff"))
    assert (things["classes"], things["n"], stuff["classes"], stuff["n"]) == (2, 4, 1, 1)
    assert things["macc1"] == pytest.approx(2 / 3) and things["macc5"] == pytest.approx(5 / 6)
    assert (things["top1"], things["top5"]) == (0.5, 0.75)  # micro
    assert (stuff["macc1"], stuff["macc5"]) == (0.0, 1.0)
    assert classification_metrics(frame)["class_means"] == class_means(frame)


def test_macc_in_half_precision_rounds_each_class_first():
    things = class_means(things_and_stuff())["thing"]
    third = float(np.float16(1 / 3))
    assert third != 1 / 3 and things["macc1_float16"] == (third + 1) / 2


def test_slices_that_do_not_part_the_classes_have_no_macc():
    rows = [answer("a", 0, [1.0, 0.0], "land"), answer("b", 0, [1.0, 0.0], "water")]
    assert class_means(frame_of(rows)) == {} and "class_means" not in classification_metrics(frame_of(rows))


def test_captions_of_their_own_are_no_classes():
    def asked(name, scores):
        own = decide_rec(np.float32(scores), np.arange(len(scores)) == 0)
        return Record(id=name, group=name, text="", slice="", component_scores=(), **vars(own))

    figures = classification_metrics(frame_of([asked("a", [1.0, 0.0]), asked("b", [0.0, 1.0, 0.5])]))
    assert (figures["accuracy"], figures["top1"], figures["top5"], figures["class_mean_top1"]) == (0.5, 0.5, None, None)


def test_top_5_breaks_ties_by_index():
    scores = np.zeros((2, 8), dtype=np.float32)
    assert within_top(scores, np.array([4, 5]), 5).tolist() == [True, False]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=6, max_size=9), st.integers(0, 5))
def test_top_k_is_a_stable_sort(scores, label):
    order = np.argsort(-np.asarray(scores), kind="stable")
    got = within_top(np.asarray([scores], dtype=np.float32), np.array([label]), 3)
    assert got[0] == (label in order[:3])
    assert (
        within_top(np.asarray([scores], dtype=np.float32), np.array([label]), 1)[0] == decide_class(scores, label).correct
    )


def test_waterbirds_get_a_plain_mean_a_weighted_mean_and_the_worst_group():
    rows = [answer(f"a{i}", 0, [1.0, 0.0], "land on land") for i in range(2)]
    rows += [answer("b", 0, [1.0, 0.0], "land on water"), answer("c", 0, [0.0, 1.0], "land on water")]
    shares = {"land on land": 9.0, "land on water": 1.0}  # counts will do
    groups = classification_metrics(frame_of(rows), shares)["groups"]
    assert groups["mean"] == 0.75
    assert groups["weighted_mean"] == pytest.approx(0.95)
    assert (groups["worst"], groups["worst_group"]) == (0.5, "land on water")


def test_a_subset_without_one_of_the_groups_has_no_weighted_mean():
    rows = [answer("a", 0, [1.0, 0.0], "land on land")]
    groups = classification_metrics(frame_of(rows), {"land on land": 0.9, "land on water": 0.1})["groups"]
    assert (groups["weighted_mean"], groups["worst"]) == (None, 1.0)


def test_what_an_image_lacks_is_counted_once_for_all_its_expressions():
    records = [replace(record, outside=2, dropped=1) for record in rec_records(images=2, expressions=3)]
    counts = rec_metrics(frame_of(records))["counts"]
    assert (counts["outside"], counts["dropped"], counts["samples"]) == (4, 2, 2)


def test_shares_for_other_groups_are_refused():
    with pytest.raises(UserError, match=r"groups \['left'\].*\['right'\]"):
        classification_metrics(frame_of([answer("a", 0, [1.0], "left")]), {"right": 1.0})


def test_an_unknown_kind_is_refused():
    with pytest.raises(UserError, match="'captioning'"):
        metrics_for("captioning", frame_of(rec_records()))


def test_records_with_different_numbers_of_classes_do_not_mix():
    with pytest.raises(UserError, match="from 2 to 3 classes"):
        classification_metrics(frame_of([answer("a", 0, [1.0, 2.0]), answer("b", 0, [1.0, 2.0, 3.0])]))
