"""Decisions from scores: what wins, what a tie or a dropped candidate does, and that the order does not matter."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.measure.decisions import decide_class, decide_rec

NAN = float("nan")


def test_the_best_candidate_wins_and_its_iou_must_be_strictly_above_the_threshold():
    decision = decide_rec([1.0, 3.0, 2.0], [0.9, 0.5, 0.6])
    assert (decision.prediction, decision.correct, decision.iou) == (1, False, 0.5)
    assert decide_rec([1.0, 3.0, 2.0], [0.9, 0.5, 0.6], strict=False).correct
    assert decision.margin == 1.0
    assert decision.target == 0  # largest overlap, although candidate 2 is right too
    assert decision.rank == 2  # candidate 2 is the best right one, and one scores higher
    assert decision.candidate_correct == (True, False, True)


def test_ties_go_to_the_lowest_index_and_are_counted():
    decision = decide_rec([2.0, 2.0, 1.0, 2.0], [0.1, 0.8, 0.1, 0.7])
    assert (decision.prediction, decision.correct, decision.ties, decision.margin) == (0, False, 3, 0.0)
    assert decision.tie_accuracy == pytest.approx(2 / 3)
    assert decision.rank == 1


def test_a_dropped_candidate_cannot_win_nor_be_found_by_chance():
    decision = decide_rec([NAN, 1.0, 0.5], [0.9, 0.1, 0.1])
    assert (decision.prediction, decision.dropped, decision.candidates) == (1, 1, 3)
    assert (decision.chance, decision.oracle, decision.rank) == (0.0, False, 0)


def test_no_candidate_is_right():
    decision = decide_rec([1.0, 2.0], [0.2, 0.3])
    assert (decision.target, decision.rank, decision.oracle, decision.chance) == (-1, 0, False, 0.0)


def test_a_single_candidate_has_no_runner_up():
    assert decide_rec([1.0], [0.9]).margin == math.inf


def test_classes():
    decision = decide_class([0.1, 0.4, 0.3, 0.2], 2)
    assert (decision.prediction, decision.target, decision.rank, decision.correct) == (1, 2, 2, False)
    assert (decision.chance, decision.oracle) == (0.25, True)
    assert math.isnan(decision.iou)
    assert decision.candidate_correct == ()


@pytest.mark.parametrize(
    "call", [lambda: decide_rec([NAN], [0.9]), lambda: decide_rec([1.0, 2.0], [0.9]), lambda: decide_class([1.0], 1)]
)
def test_impossible_input_is_refused(call):
    with pytest.raises(ValueError):
        call()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-20, 20), st.floats(0, 1)), min_size=1, max_size=8), st.randoms())
def test_permuting_candidates_permutes_the_decision(candidates, random):
    order = list(range(len(candidates)))
    random.shuffle(order)
    scores, ious = map(np.asarray, zip(*candidates, strict=True))
    before, after = decide_rec(scores, ious), decide_rec(scores[order], ious[order])
    for field in ("score", "margin", "rank", "oracle", "ties", "dropped"):
        assert getattr(before, field) == getattr(after, field)
    assert after.tie_accuracy == pytest.approx(before.tie_accuracy)
    assert after.chance == pytest.approx(before.chance)
    assert scores[order][after.prediction] == scores[before.prediction]
    if before.ties == 1:
        assert order[after.prediction] == before.prediction
        assert (after.correct, after.iou) == (before.correct, before.iou)
