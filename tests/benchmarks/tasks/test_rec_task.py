import numpy as np
import pytest
from PIL import Image

from benchmarks.data.boxes import inside
from benchmarks.data.samples import Picture, Query, Sample
from benchmarks.tasks.rec import ReferringExpressions, iou

SIZE = (100, 80)


def sample(boxes, *queries, fallback=False):
    asked = tuple(Query(f"q{i}", f"text {i}", tuple(gold)) for i, gold in enumerate(queries))
    return Sample("image", (Picture(Image.new("RGB", SIZE), ()),), asked, tuple(boxes), fallback)


def task(**rules):
    return ReferringExpressions(dataset=None, name="rec/test", split="test", **rules)  # pyright: ignore[reportArgumentType]


def decide(one, scores, combine="sum", **rules):
    return task(**rules).decide(one, np.asarray(scores, np.float32), combine, 0)


HALF = [(0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)]
GOLD = (0.0, 0.0, 10.0, 20.0)  # its IoU with the first box is exactly 0.5


def test_an_iou_of_exactly_half_is_wrong_and_right_where_the_papers_words_are_followed():
    one = sample(HALF, [GOLD])
    (strict,) = decide(one, [[[1.0], [0.0]]])
    (loose,) = decide(one, [[[1.0], [0.0]]], iou_strict=False)
    assert strict.iou == loose.iou == 0.5
    assert (strict.correct, strict.oracle, strict.target, strict.chance) == (False, False, -1, 0.0)
    assert (loose.correct, loose.oracle, loose.target, loose.chance) == (True, True, 0, 0.5)


def test_just_above_half_is_right():
    (record,) = decide(sample(HALF, [(0.0, 0.0, 10.0, 19.99)]), [[[1.0], [0.0]]])
    assert record.correct and record.target == 0


def test_any_annotated_box_that_overlaps_enough_is_right():
    boxes = [(0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 9.0)]
    (record,) = decide(sample(boxes, [boxes[0]]), [[[0.0], [1.0]]])
    assert record.prediction == 1 and record.correct and record.target == 0
    assert record.candidate_correct == (True, True) and record.chance == 1.0


def test_the_best_of_several_gold_boxes_counts():
    boxes = [(0.0, 0.0, 10.0, 10.0), (40.0, 40.0, 50.0, 50.0), (70.0, 0.0, 80.0, 10.0)]
    (record,) = decide(sample(boxes, [boxes[1], boxes[2]]), [[[0.0], [0.0], [1.0]]])
    assert record.correct and record.iou == 1.0 and record.candidate_correct == (False, True, True)


def test_accuracy_is_over_expressions_one_record_for_each():
    one = sample(HALF, [HALF[0]], [HALF[1]], [HALF[1]])
    found = decide(one, [[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    assert [record.correct for record in found] == [True, False, True]
    assert [record.id for record in found] == ["q0", "q1", "q2"] and {record.group for record in found} == {"image"}


def test_ties_go_to_the_lowest_index_and_are_counted():
    (record,) = decide(sample(HALF, [HALF[1]]), [[[2.0], [2.0]]])
    assert (record.prediction, record.ties, record.correct, record.tie_accuracy) == (0, 2, False, 0.5)


def test_candidates_without_area_are_dropped_and_counted():
    boxes = [(5.0, 5.0, 5.0, 30.0), (50.0, 50.0, 60.0, 60.0), (200.0, 0.0, 220.0, 10.0)]
    one = sample(boxes, [boxes[1]])
    assert [region.box for region in task().pictures(one)[0].regions] == [boxes[1]]
    (record,) = decide(one, [[[3.0]]])
    assert (record.prediction, record.correct, record.dropped, record.candidates) == (1, True, 2, 3)
    assert np.isnan(record.scores[0]) and record.scores[1] == 3.0 and record.chance == 1.0
    assert record.margin == float("inf")


def test_all_are_kept_where_none_has_area_and_each_has_a_pixel_to_look_at():
    boxes = [(5.0, 5.0, 5.0, 5.0), (300.0, 300.0, 310.0, 310.0), (-9.0, -9.0, -1.0, -1.0)]
    one = sample(boxes, [boxes[0]])
    regions = task().pictures(one)[0].regions
    assert [region.clipped(SIZE).box for region in regions] == [(5, 5, 6, 6), (99, 79, 100, 80), (0, 0, 1, 1)]
    (record,) = decide(one, [[[0.0], [1.0], [0.0]]])
    assert (record.dropped, record.prediction, record.candidates) == (0, 1, 3)


def test_a_box_that_reaches_out_of_the_image_is_looked_at_inside_and_judged_whole():
    one = sample([(90.0, 70.0, 190.0, 170.0)], [(90.0, 70.0, 190.0, 170.0)])
    assert task().pictures(one)[0].regions[0].box == (90, 70, 100, 80)
    assert decide(one, [[[0.0]]])[0].iou == 1.0


def test_small_candidates_are_dropped_where_a_smallest_share_is_asked_for():
    one = sample(HALF, [HALF[0]])
    share = 100 / (SIZE[0] * SIZE[1])
    assert task(min_area=share * 0.99).kept(one) == [0, 1]
    assert task(min_area=share).kept(one) == [0, 1], "none is above, so all are kept"
    larger = sample([*HALF, (0.0, 0.0, 50.0, 50.0)], [HALF[0]])
    assert task(min_area=share).kept(larger) == [2]


def test_the_whole_image_that_stands_in_for_missing_proposals_is_counted():
    whole = (0.0, 0.0, *map(float, SIZE))
    (record,) = decide(sample([whole], [HALF[0]], fallback=True), [[[1.0]]])
    assert record.fallback and not record.correct and not record.oracle and record.candidates == 1


@pytest.mark.parametrize(("combine", "prediction"), [("sum", 0), ("max", 1)])
def test_components_are_summed_or_maximised_and_stored(combine, prediction):
    (record,) = decide(sample(HALF, [HALF[0]]), [[[2.0], [3.0]], [[2.0], [0.0]]], combine)
    assert record.prediction == prediction
    assert record.component_scores == ((2.0, 3.0), (2.0, 0.0))


def test_inside_keeps_what_has_area_and_mends_what_has_none():
    assert inside((10.0, 10.0, 20.0, 20.0), SIZE) == (10, 10, 20, 20)
    assert inside((20.0, 10.0, 10.0, 20.0), SIZE) == (20, 10, 21, 20)
    assert inside((100.0, 80.0, 100.0, 80.0), SIZE) == (99, 79, 100, 80)


def test_iou_without_boxes_or_area_is_zero():
    assert iou((), (GOLD,)).shape == (0,)
    assert iou((GOLD,), ()).tolist() == [0.0]
    assert iou(((1.0, 1.0, 1.0, 1.0),), ((1.0, 1.0, 1.0, 1.0),)).tolist() == [0.0]


def test_the_target_is_as_large_as_its_largest_gold_box_inside_the_picture():
    gold = [(0.0, 0.0, 10.0, 20.0), (60.0, 40.0, 140.0, 80.0)]
    large, small, none = decide(sample(HALF, gold, gold[:1], []), np.zeros((1, 2, 3)))
    assert (large.target_share, small.target_share) == (40 * 40 / 8000, 200 / 8000) and np.isnan(none.target_share)


def test_a_point_has_no_size():
    (record,) = decide(sample(HALF, [(5.0, 5.0, 5.0, 5.0)]), np.zeros((1, 2, 1)))
    assert np.isnan(record.target_share)
