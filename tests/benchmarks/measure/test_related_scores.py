"""Scores of candidates from the scores of texts: the order of the distribution, in numbers that float32 holds."""

import numpy as np
import pytest

from benchmarks.measure.decisions import decide_rec
from benchmarks.measure.relations import NEVER, asked_texts, related_scores
from falip.relations import Entity, Relations

SIZE = (100, 100)
BOXES = [(0, 0, 10, 10), (20, 0, 40, 10), (50, 0, 80, 10)]  # left to right and small to big
DOG = Relations(("the dog left of the cat", "the cat", "the dog"), Entity("the dog", (("left", Entity("the cat")),)))
LEFT = Relations(("left dog",), Entity("left dog", superlatives=("left",)))
PLAIN = Relations(("a dog",))


def test_without_a_tree_they_are_the_logits_less_the_largest():
    found = related_scores(PLAIN, [[1.0, 3.0, 2.5]], BOXES, SIZE)
    np.testing.assert_allclose(found, [-2.0, 0.0, -0.5])


def test_they_are_ordered_as_the_distribution_and_differ_by_its_logarithm():
    logits = np.array([[0.3, 0.1, 0.2], [0.0, 1.0, 2.0], [1.0, 1.5, 1.0]])
    p = DOG.distribution(logits.T, BOXES, SIZE)
    found = related_scores(DOG, logits, BOXES, SIZE)
    assert found.argmax() == p.argmax() and found.max() == 0
    np.testing.assert_allclose(found[:2], np.log(p[:2] / p.max()))
    assert found[2] == NEVER, "nothing stands right of the last one"


def test_what_float32_cannot_hold_is_still_told_apart():
    # Whole and entity disagree by so much that all values lie far below 1e-45.
    logits = np.array([[0.0, 300.0, 0.0], [0.0, 0.0, 0.0], [300.0, 0.0, 299.0]])
    p = DOG.distribution(logits.T, BOXES, SIZE)
    assert 0 < p.max() < 1e-100
    found = np.float32(related_scores(DOG, logits, BOXES, SIZE))
    assert found.argmax() == p.argmax() and (np.sort(found)[:-1] < 0).all()


def test_the_smallest_difference_between_the_best_two_survives_float32():
    logits = [[-50.0, 5.0, 5.0 + 1e-12]]
    assert decide_rec(np.float32(related_scores(PLAIN, logits, BOXES, SIZE)), [False, False, True]).correct


def test_where_no_candidate_fits_the_first_is_chosen_and_all_tie():
    alone = [BOXES[0]] * 3  # the same place three times: none is left of another
    decision = decide_rec(related_scores(DOG, np.zeros((3, 3)), alone, SIZE), [True, False, False])
    assert (decision.prediction, decision.ties, decision.margin) == (0, 3, 0.0)


def test_a_single_candidate_is_asked_the_whole_expression_alone():
    assert asked_texts(DOG, 1) == DOG.texts[:1] and asked_texts(DOG, 2) == DOG.texts
    assert related_scores(DOG, [[3.0]], BOXES[:1], SIZE).tolist() == [0.0]


@pytest.mark.parametrize(("share", "best"), [(0.0, 0), (0.015, 1), (0.5, 0)])
def test_small_candidates_cannot_be_meant_but_where_all_are_small(share, best):
    assert related_scores(LEFT, [[0.0, 0.0, 0.0]], BOXES, SIZE, share).argmax() == best
