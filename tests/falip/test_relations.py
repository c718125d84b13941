"""What relations and superlatives mean for boxes, by arithmetic; no parser is needed."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from falip.errors import UserError
from falip.relations import Entity, Relations
from falip.relations.semantics import relation

IMAGE = (640, 480)
# Left to right, top to bottom and small to big: a, b, c.
BOXES = [(0, 0, 10, 10), (100, 100, 120, 120), (300, 300, 340, 340)]
LOGITS = [[0.0, 1.0, 0.5], [1.0, -1.0, 2.0], [0.3, 0.0, -1.0]]
CUP, PLATE = Entity("cup"), Entity("plate")


def said(relations=(), superlatives=()):
    return Relations(("whole", "cup", "plate"), Entity("cup", tuple(relations), tuple(superlatives)))


def softmax(values):
    weights = np.exp(np.array(values))
    return weights / weights.sum()


def columns():
    return [softmax(column) for column in zip(*LOGITS, strict=True)]


# For each kind the candidates that stand in it to each of a, b, c.
ORDER = {
    "left": [[], [0], [0, 1]],
    "right": [[1, 2], [2], []],
    "above": [[], [0], [0, 1]],
    "below": [[1, 2], [2], []],
    "bigger": [[1, 2], [2], []],
    "smaller": [[], [0], [0, 1]],
}


@pytest.mark.parametrize("kind", ORDER)
def test_a_relation_weighs_each_candidate_by_those_it_stands_to(kind):
    whole, cup, plate = columns()
    weight = [sum(plate[j] for j in range(3) if i in ORDER[kind][j]) for i in range(3)]
    expected = whole * (cup * weight) / (cup * weight).sum()
    assert np.allclose(said([(kind, PLATE)]).distribution(LOGITS, BOXES, IMAGE), expected, atol=1e-12)


@pytest.mark.parametrize("kind", ORDER)
def test_a_superlative_weighs_each_candidate_by_those_it_exceeds(kind):
    whole, cup, _ = columns()
    weight = [sum(cup[j] for j in range(3) if i in ORDER[kind][j]) for i in range(3)]
    expected = whole * (cup * weight) / (cup * weight).sum()
    assert np.allclose(said(superlatives=[kind]).distribution(LOGITS, BOXES, IMAGE), expected, atol=1e-12)


def test_within_is_the_share_of_the_one_inside_the_other():
    boxes = np.array([(0, 0, 10, 10), (5, 0, 25, 10), (0, 0, 100, 100), (7, 7, 7, 9)], dtype=float)
    expected = [[1, 0.5, 1, 0], [0.25, 1, 1, 0], [0.01, 0.02, 1, 0], [0, 0, 0, 0]]
    assert np.allclose(relation("within", boxes), expected)


def test_left_is_told_by_the_centre_and_above_by_the_middle():
    # The second and third begin after the first and end before it; one lies before it and one after it.
    boxes = np.array([(0, 0, 100, 100), (20, 40, 30, 50), (60, 60, 90, 90)], dtype=float)
    before = np.array([[0, 0, 1], [1, 0, 1], [0, 0, 0]])
    for kind in ("left", "above"):
        assert np.array_equal(relation(kind, boxes), before)
    for kind in ("right", "below"):
        assert np.array_equal(relation(kind, boxes), before.T)


def test_relations_come_before_superlatives_and_each_is_normalised():
    whole, cup, plate = columns()
    p = cup * [plate[1] + plate[2], plate[2], 0]
    p = p / p.sum()
    p = p * [0, p[0], p[0] + p[1]]
    expected = whole * p / p.sum()
    found = said([("left", PLATE)], ["right"]).distribution(LOGITS, BOXES, IMAGE)
    assert np.allclose(found, expected, atol=1e-12)
    assert found.argmax() == 1


def test_a_second_entity_may_have_relations_of_its_own():
    whole, cup, plate = columns()
    theirs = plate * [0, plate[0], plate[0] + plate[1]]
    theirs = theirs / theirs.sum()
    weight = np.array([theirs[1] + theirs[2], theirs[2], 0])
    expected = whole * (cup * weight) / (cup * weight).sum()
    second = Entity("plate", superlatives=("right",))
    assert np.allclose(said([("left", second)]).distribution(LOGITS, BOXES, IMAGE), expected, atol=1e-12)


def test_superlatives_are_passed_over_where_all_but_one_are_ruled_out():
    boxes = [BOXES[0], BOXES[1]]
    found = said([("left", PLATE)], ["right"]).distribution(LOGITS[:2], boxes, IMAGE)
    assert np.allclose(found, [softmax([0.0, 1.0])[0], 0], atol=1e-12)


def test_where_no_candidate_fits_all_is_0_and_the_first_is_decided_for():
    found = said([("left", PLATE)]).distribution([LOGITS[0]] * 2, [(0, 0, 9, 9), (0, 20, 9, 29)], IMAGE)
    assert found.tolist() == [0, 0]


def test_small_candidates_cannot_be_meant_but_can_be_stood_to():
    min_area = 150 / (IMAGE[0] * IMAGE[1])  # leaves a out
    whole, cup = (np.array([0, *softmax([row[c] for row in LOGITS[1:]])]) for c in (0, 1))
    plate = columns()[2]
    weight = np.array([0, plate[0], plate[0] + plate[1]])
    expected = whole * (cup * weight) / (cup * weight).sum()
    found = said([("right", PLATE)]).distribution(LOGITS, BOXES, IMAGE, min_area)
    assert np.allclose(found, expected, atol=1e-12)
    assert np.allclose(Relations(("whole",)).distribution(np.array(LOGITS)[:, :1], BOXES, IMAGE, min_area), whole)


def test_where_all_are_too_small_all_are_kept():
    parsed = said(superlatives=["left"])
    assert (parsed.distribution(LOGITS, BOXES, IMAGE, 0.9) == parsed.distribution(LOGITS, BOXES, IMAGE)).all()


def test_a_share_that_is_just_the_threshold_is_not_above_it():
    boxes = [(0, 0, 64, 48), (0, 0, 65, 48)]  # the first is a hundredth
    assert Relations(("x",)).distribution([[0.0], [0.0]], boxes, IMAGE, 0.01).tolist() == [0, 1]


def test_a_single_candidate_needs_the_whole_expression_alone():
    assert said([("left", PLATE)]).distribution([[3.0]], BOXES[:1], IMAGE).tolist() == [1, 1]
    assert said([("left", PLATE)]).distribution(LOGITS[:1], BOXES[:1], IMAGE).tolist() == [1, 1]
    assert Relations(("lady",)).distribution([[3.0]], BOXES[:1], IMAGE).tolist() == [1]


def test_tensors_are_taken_as_arrays_are():
    parsed = said([("left", PLATE)])
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    found = parsed.distribution(logits, torch.tensor(BOXES), IMAGE)  # pyright: ignore[reportArgumentType]
    assert found.dtype == np.float64
    assert np.array_equal(found, parsed.distribution(LOGITS, BOXES, IMAGE))


def test_boxes_of_one_size_are_not_bigger_than_each_other_wherever_they_lie():
    """Corners are sums of what an annotation file says, and no longer give its width to the last bit."""
    starts = [0.0, 0.1, 33.33, 211.47, 512.01]
    for kind in (np.float64, np.float32):
        boxes = np.array([(x, x, x + 61.07, x + 40.13) for x in starts], dtype=kind)
        assert not relation("bigger", boxes.astype(float)).any()


def test_equal_boxes_tie():
    found = said([("left", PLATE)], ["above"]).distribution(
        [LOGITS[0], [0.001, 1.0, 0.6], *LOGITS[1:]], [BOXES[0], *BOXES], IMAGE
    )
    assert found[0] == found[1] > 0


KINDS = st.sampled_from([*ORDER, "within"])
ENTITIES = st.recursive(
    st.builds(Entity, st.sampled_from(["whole", "cup", "plate"])),
    lambda inner: st.builds(
        Entity,
        st.sampled_from(["cup", "plate"]),
        st.lists(st.tuples(KINDS, inner), max_size=2).map(tuple),
        st.lists(st.sampled_from(list(ORDER)), max_size=2).map(tuple),
    ),
    max_leaves=4,
)
BOX = st.tuples(*[st.integers(0, 300)] * 2, *[st.integers(1, 300)] * 2).map(lambda b: (*b[:2], b[0] + b[2], b[1] + b[3]))


@given(ENTITIES, st.lists(BOX, min_size=2, max_size=6, unique=True), st.integers(0, 2**32 - 1))
def test_any_tree_gives_a_part_of_the_whole_expressions_softmax(root, boxes, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (len(boxes), 3))
    parsed = Relations(("whole", "cup", "plate"), root)
    found = parsed.distribution(logits, boxes, IMAGE)
    assert found.shape == (len(boxes),) and np.isfinite(found).all() and (found >= 0).all()
    assert (found <= softmax(logits[:, 0]) + 1e-12).all()
    # Neither the order of the candidates, nor where the picture lies, nor how bright a text's scores are, matters.
    order = rng.permutation(len(boxes))
    assert np.allclose(parsed.distribution(logits[order], np.array(boxes)[order], IMAGE), found[order], atol=1e-9)
    assert np.allclose(parsed.distribution(logits + np.array([3, -2, 9]), np.array(boxes) + 7, IMAGE), found, atol=1e-9)


@pytest.mark.parametrize(
    ("logits", "boxes", "size", "min_area", "named"),
    [
        ([[1.0, 2.0]] * 3, BOXES, IMAGE, 0.0, "3 texts"),
        (LOGITS[:2], BOXES, IMAGE, 0.0, "3 boxes"),
        ([1.0, 2.0, 3.0], BOXES, IMAGE, 0.0, "one row for each box"),
        (LOGITS, [(1, 2, 3)] * 3, IMAGE, 0.0, "corners"),
        (LOGITS, [(10, 0, 5, 5)] * 3, IMAGE, 0.0, "x0 <= x1"),
        (np.zeros((0, 3)), np.zeros((0, 4)), IMAGE, 0.0, "at least one"),
        ([[float("nan")] * 3] * 3, BOXES, IMAGE, 0.0, "logits.*finite"),
        ([["a"] * 3] * 3, BOXES, IMAGE, 0.0, "logits"),
        (LOGITS, BOXES, IMAGE, 5.0, "min_area=5.0"),
        (LOGITS, BOXES, IMAGE, float("nan"), "min_area=nan"),
        (LOGITS, BOXES, (0, 480), 0.0, "image_size"),
    ],
)
def test_what_does_not_fit_is_said(logits, boxes, size, min_area, named):
    with pytest.raises(UserError, match=f"(?s){named}"):
        said([("left", PLATE)]).distribution(logits, boxes, size, min_area)
