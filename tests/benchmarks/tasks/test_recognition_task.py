import numpy as np
import pytest
from PIL import Image

from benchmarks.data.samples import Picture, Query, Sample
from benchmarks.tasks.classification import RegionClassification
from benchmarks.tasks.pointcloud import PointCloudRecognition
from falip import Region, UserError


class Names:
    class_names = ("tree_swallow", "crow", "night_hawk")


def task(kind):
    return kind(dataset=Names(), name="classification/test", split="test", template="a photo of a {}.")


def sample(views=1, label=1, regions=1):
    region = Region.from_box(0, 0, 4, 4)
    return Sample(
        "one", (Picture(Image.new("RGB", (8, 8)), (region,) * regions),) * views, (Query("one", "crow", label=label),)
    )


def test_class_names_are_read_as_words():
    assert task(RegionClassification).texts(sample()) == ["tree swallow", "crow", "night hawk"]


def test_the_class_with_the_highest_score_is_the_decision():
    (record,) = task(RegionClassification).decide(sample(), np.float32([[[1.0, 3.0, 2.0]]]), "sum", 0)
    assert (record.prediction, record.correct, record.rank, record.candidates) == (1, True, 1, 3)
    assert record.margin == pytest.approx(1.0) and record.chance == pytest.approx(1 / 3)
    assert np.isnan(record.iou) and record.candidate_correct == ()


def test_views_are_summed_with_equal_weights_and_each_is_stored():
    scores = np.float32([[[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 2.0, 0.0]]])
    (record,) = task(PointCloudRecognition).decide(sample(views=3), scores, "sum", 2)
    assert record.scores == (3.0, 4.0, 0.0) and record.correct and record.outside == 2
    assert np.shape(record.component_scores) == (3, 3) and record.component_scores[1] == (0.0, 2.0, 0.0)


def test_components_come_first_and_views_within_them():
    scores = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    (record,) = task(PointCloudRecognition).decide(sample(views=2), scores, "max", 0)
    assert np.array_equal(np.float32(record.component_scores), scores.reshape(4, 3))
    assert record.scores == tuple(scores.max(0).sum(0))


def test_a_picture_with_two_regions_is_an_error_that_names_the_sample():
    with pytest.raises(UserError, match="one: recognition needs one region"):
        task(RegionClassification).pictures(sample(regions=2))


def weighted(weights):
    return PointCloudRecognition(
        dataset=Names(), name="pointcloud/test", split="test", template="{}", view_weights=weights
    )  # fmt: skip


def test_weights_of_views_change_the_sum_and_not_what_is_stored():
    scores = np.float32([[[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 2.0, 0.0]]])
    (record,) = weighted([1.0, 0.5, 0.25]).decide(sample(views=3), scores, "sum", 0)
    assert record.scores == (3.0, 1.5, 0.0) and not record.correct and record.prediction == 0
    assert np.array_equal(np.float32(record.component_scores), scores[0])


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -1.0]])
def test_weights_without_meaning_are_refused(weights):
    with pytest.raises(UserError, match=r"task\.view_weights="):
        weighted(weights)


def test_another_number_of_weights_than_views_is_refused():
    with pytest.raises(UserError, match="2 weights, and one has 3 views"):
        weighted([1.0, 0.5]).decide(sample(views=3), np.zeros((1, 3, 3), np.float32), "sum", 0)


def regions_sample(queries):
    boxes = (Region.from_box(0, 0, 4, 4), Region.from_box(2, 2, 8, 8), Region.from_box(1, 1, 3, 3))
    return Sample("one", (Picture(Image.new("RGB", (8, 8)), boxes),), queries)


def test_each_query_of_a_picture_is_decided_by_the_region_that_it_names():
    queries = tuple(Query(f"one/{r}", "", label=label, region=r) for r, label in ((2, 0), (0, 1)))
    many, scores = (
        regions_sample(queries),
        np.float32([[[1, 3, 2], [9, 9, 9], [0, 1, 5]], [[1, 0, 0], [9, 9, 9], [6, 0, 0]]]),
    )
    assert task(RegionClassification).pictures(many) == many.pictures
    third, first = task(RegionClassification).decide(many, scores, "sum", 1)
    assert (third.id, third.group, third.scores, third.correct) == ("one/2", "one", (6.0, 1.0, 5.0), True)
    assert (first.id, first.scores, first.correct, first.outside) == ("one/0", (2.0, 3.0, 2.0), True, 1)
    assert first.component_scores == ((1.0, 3.0, 2.0), (1.0, 0.0, 0.0))


def test_queries_choose_from_texts_of_their_own():
    queries = (
        Query("one/0", "a red cup", label=0, region=0, texts=("a red cup", "a blue_cup", "a mug")),
        Query("one/1", "a mug", label=1, region=2, texts=("a blue_cup", "a mug")),
    )
    many = regions_sample(queries)
    one = task(RegionClassification)
    assert one.texts(many) == ["a red cup", "a blue_cup", "a mug"]
    first, second = one.decide(many, np.float32([[[2, 2, 1], [0, 0, 0], [9, 3, 4]]]), "sum", 0)
    assert (first.candidates, first.target, first.ties, first.correct) == (3, 0, 2, True)  # of equals the first
    assert (second.candidates, second.scores, second.prediction, second.correct) == (2, (3.0, 4.0), 1, True)
    assert second.candidate_correct == (False, True) and second.chance == 0.5


def share(kind, *pictures, region=None):
    one = Sample("one", pictures, (Query("one", "crow", label=1, region=region),))
    (record,) = task(kind).decide(one, np.zeros((1, len([r for p in pictures for r in p.regions]), 3)), "sum", 0)
    return record.target_share


def test_the_target_is_as_large_as_the_region_that_is_asked_about():
    picture, mask = Image.new("RGB", (8, 8)), np.zeros((8, 8), bool)
    mask[1, 2:5] = True
    box, both = Region.from_box(0, 0, 4, 3), Region.from_boxes([(0, 0, 4, 4), (2, 2, 6, 4)])
    assert share(RegionClassification, Picture(picture, (box,))) == 12 / 64
    assert share(RegionClassification, Picture(picture, (both,))) == (16 + 4) / 64, "what two boxes share counts once"
    assert share(RegionClassification, Picture(picture, (box, Region.from_mask(mask))), region=1) == 3 / 64


def test_views_of_one_object_have_no_target_size():
    views = [Picture(Image.new("F", (8, 8)), (Region.from_box(0, 0, 4, 4),)) for _ in range(2)]
    assert np.isnan(share(PointCloudRecognition, *views)) and np.isnan(share(PointCloudRecognition, views[0]))
