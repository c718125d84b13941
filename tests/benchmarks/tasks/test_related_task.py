import numpy as np
import pytest
from PIL import Image

from benchmarks.data.samples import Picture, Query, Sample
from benchmarks.tasks.none import ReferringOrNone
from benchmarks.tasks.rec import ReferringExpressions
from benchmarks.tasks.related import related
from falip.errors import UserError

pytest.importorskip("spacy", reason="relations need spaCy: pip install 'falip[relations]'")
SIZE = (100, 80)
# A speck on the left, two cups, and a box of no area.
BOXES = ((0.0, 0.0, 4.0, 4.0), (20.0, 0.0, 50.0, 30.0), (60.0, 0.0, 90.0, 30.0), (95.0, 0.0, 95.0, 30.0))
TEXTS = ("the cup right of the dot", "the dot", "the cup")


def task(**rules):
    return related(ReferringExpressions(dataset=None, name="rec/test", split="test", **rules))  # pyright: ignore[reportArgumentType]


def test_a_task_that_may_answer_none_has_no_relations():
    with pytest.raises(UserError, match=r"text\.relations=true"):
        related(ReferringOrNone(dataset=None, name="rec/none", split="test"))  # pyright: ignore[reportArgumentType]


def sample(*texts, boxes=BOXES):
    queries = tuple(Query(f"q{i}", text, (BOXES[1],)) for i, text in enumerate(texts))
    return Sample("image", (Picture(Image.new("RGB", SIZE), ()),), queries, boxes)


def scores(**of_texts):
    """Scores of one component (1, candidates, texts)."""
    return np.array([list(of_texts.values())], np.float32).transpose(0, 2, 1)


def test_all_candidates_are_looked_at_whatever_their_size():
    regions = task(min_area=0.05).pictures(sample("a cup"))[0].regions
    assert [region.box for region in regions] == [*BOXES[:3], (95.0, 0.0, 96.0, 30.0)]


def test_every_text_is_asked_once_for_all_expressions_of_an_image():
    one = sample("the cup right of the dot", "the cup", "the cup right of the dot", "the dot under the cup")
    assert task().texts(one) == [*TEXTS, "the dot under the cup"]


def test_what_is_too_small_to_be_meant_is_still_what_others_stand_to():
    one = sample(TEXTS[0])
    likely = scores(whole=[0, 0, 0, 0], dot=[9, 0, 0, 0], cup=[0, 5, 4, 0])
    for share, dropped in ((0.0, 1), (0.05, 2)):
        (record,) = task(min_area=share).decide(one, likely, "sum", 0)
        assert (record.prediction, record.correct, record.dropped) == (1, True, dropped)
        assert np.isnan(record.scores).sum() == dropped and record.chance == 1 / (4 - dropped)
    # The cup on the left is right of the speck alone: with the speck as a dot no longer, the other one is meant.
    (record,) = task(min_area=0.05).decide(one, scores(whole=[0, 0, 0, 0], dot=[0, 9, 0, 0], cup=[0, 5, 4, 0]), "sum", 0)
    assert record.prediction == 2 and not record.correct and record.rank == 2


def test_the_record_keeps_the_scores_of_all_texts_of_all_components_together():
    one, rng = sample(*TEXTS[1:], TEXTS[0]), np.random.default_rng(0)
    parts = rng.normal(size=(2, 4, 3)).astype(np.float32)  # in the order of the task's texts: dot, cup, whole
    record = task().decide(one, parts, "max", 0)[2]
    assert record.texts == TEXTS and record.boxes == BOXES and record.image_size == SIZE
    np.testing.assert_array_equal(np.float32(record.text_scores), parts.max(0).T[[2, 0, 1]])
    np.testing.assert_array_equal(np.float32(record.component_scores)[:, :3], parts[:, :3, 2])


def test_a_single_candidate_is_the_decision_and_the_whole_expression_all_that_is_asked():
    one = sample(TEXTS[0], boxes=BOXES[1:2])
    assert task().texts(one) == list(TEXTS[:1])
    (record,) = task().decide(one, np.full((1, 1, 1), 3, np.float32), "sum", 0)
    assert (record.prediction, record.correct, record.ties, record.candidates) == (0, True, 1, 1)
    assert record.texts == TEXTS[:1] and record.text_scores == ((3.0,),)


def test_a_box_that_ends_before_it_begins_has_no_area_and_is_dropped():
    one = sample("leftmost cup", boxes=((30.0, 0.0, 20.0, 10.0), *BOXES[1:3]))
    (record,) = task().decide(one, np.ones((1, 3, 1), np.float32), "sum", 0)
    assert (record.prediction, record.dropped) == (1, 1)


def test_the_rules_of_the_task_are_kept():
    (record,) = task(iou_threshold=1.0, iou_strict=False).decide(sample("a cup"), np.ones((1, 4, 1), np.float32), "sum", 0)
    assert record.candidate_correct == (False, True, False, False) and record.ties == 3
