"""Naming and localising keypoints; Sinkhorn and PCK worked out by hand."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from benchmarks.data.samples import Picture, Query, Sample
from benchmarks.measure.sinkhorn import sinkhorn
from benchmarks.records.run import read_run
from benchmarks.report.known import task_from
from benchmarks.tables.__main__ import main as tables
from benchmarks.tasks.keypoint import Keypoints
from falip import UserError


class Nothing:
    class_names = ()


def task(**rules) -> Keypoints:
    return Keypoints(Nothing(), "keypoint/test", "test", "This is the {}", **rules)  # pyright: ignore[reportArgumentType]


def sample() -> Sample:
    """A picture of 100 x 50 with a beak at (10, 20) and a tail at (90, 30), on a bird of 80 x 40."""
    places = {"beak": (10.0, 20.0), "tail": (90.0, 30.0)}
    queries = tuple(Query(name, name, ((x, y, x, y),), k) for k, (name, (x, y)) in enumerate(places.items()))
    return Sample("one", (Picture(Image.new("RGB", (100, 50)), ()),), queries, ((10.0, 5.0, 90.0, 45.0),) * 2)


# Keypoints are rows, names are columns: the first keypoint is best for both names.
SCORES = np.asarray([[[3.0, 2.0], [2.0, 0.5]]], np.float32)


def decided(**rules) -> list[int]:
    return [record.prediction for record in task(**rules).decide(sample(), SCORES, "sum", 0)]


def test_regions_lie_around_the_keypoints():
    (picture,) = task().pictures(sample())
    assert [region.box for region in picture.regions] == [(7.0, 17.0, 13.0, 23.0), (87.0, 27.0, 93.0, 33.0)]
    assert task().texts(sample()) == ["beak", "tail"]


def test_a_name_chooses_among_keypoints_and_a_keypoint_among_names():
    assert decided() == [0, 0]
    tilted = np.asarray([[[3.0, 2.0], [2.0, 2.5]]], np.float32)
    named = task(ask="keypoint_to_name").decide(sample(), tilted, "sum", 3)
    assert [record.prediction for record in named] == [0, 1] and all(record.correct for record in named)
    assert named[1].component_scores == ((2.0, 2.5),) and named[1].outside == 3
    (first, second) = task().decide(sample(), SCORES, "sum", 0)
    assert first.correct and not second.correct and second.component_scores == ((2.0, 0.5),)
    assert (second.target, second.chance, second.candidates) == (1, 0.5, 2)


@pytest.mark.parametrize("ask", ["name_to_keypoint", "keypoint_to_name"])
def test_the_answer_lies_at_the_keypoint_that_is_asked_about(ask):
    one, queries = task(ask=ask), sample()
    records = one.decide(queries, SCORES, "sum", 0)
    assert [one.answer(queries, q, r, 2) for q, r in zip(queries.queries, records, strict=True)] == [[0], [1]]


def test_sinkhorn_by_hand_is_rows_then_columns():
    matrix = np.log([[1.0, 3.0], [1.0, 1.0]])
    rows = [[1 / 4, 3 / 4], [1 / 2, 1 / 2]]
    expected = [[rows[0][0] / 0.75, rows[0][1] / 1.25], [rows[1][0] / 0.75, rows[1][1] / 1.25]]
    assert np.exp(sinkhorn(matrix, 1)) == pytest.approx(np.array(expected))
    # Its limit keeps the ratio ab : cd of a 2 x 2 matrix: p / (1 - p) is the root of 1 / 3.
    p = 1 / (1 + math.sqrt(3))
    assert np.exp(sinkhorn(matrix, 200)) == pytest.approx(np.array([[p, 1 - p], [1 - p, p]]))
    assert np.isfinite(sinkhorn(np.array([[900.0, 0.0], [0.0, -900.0]]), 5)).all()


def test_matching_gives_each_name_a_keypoint_of_its_own():
    # 3 + 0.5 < 2 + 2: the beak's name moves to the second keypoint.
    assert decided(sinkhorn=True) == [1, 0]
    assert decided(sinkhorn=True, ask="keypoint_to_name") == [1, 0]
    (record, _) = task(sinkhorn=True).decide(sample(), SCORES, "sum", 0)
    # At the temperature 1/150 scores of 100 times the cosine count 1.5 times: log odds of half of 1.5 * (3 + 0.5 - 2 - 2).
    odds = record.scores[0] - record.scores[1]
    assert odds == pytest.approx(0.5 * 1.5 * (3 + 0.5 - 2 - 2), abs=1e-5)


def test_a_place_of_the_grid_is_right_within_a_share_of_the_objects_larger_side():
    rules = task(ask="localise", grid=10)
    (picture,) = rules.pictures(sample())
    assert len(picture.regions) == 100 and picture.regions[11].box == (12.0, 4.5, 18.0, 10.5)
    scores = np.zeros((1, 100, 2), np.float32)
    scores[0, 11, 0] = scores[0, 59, 1] = 1.0
    beak, tail = rules.decide(sample(), scores, "sum", 0)
    # Within 0.1 * 80 = 8 pixels of (10, 20): centres (5 or 15, 17.5 or 22.5) are 5.6 pixels off, the next 9.
    assert [i for i, right in enumerate(beak.candidate_correct) if right] == [30, 31, 40, 41]
    assert beak.chance == 0.04 and not beak.correct
    # (95, 27.5) is 5.6 pixels from (90, 30).
    assert tail.correct
    assert task(ask="localise", grid=10, alpha=0.05).decide(sample(), scores, "sum", 0)[1].oracle is False


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"ask": "localise", "sinkhorn": True}, r"task\.sinkhorn=true"),
        ({"ask": "where"}, "keypoint_to_name"),
        ({"grid": 0}, r"task\.grid=0"),
        ({"temperature": -1.0}, r"task\.temperature"),
    ],
)
def test_rules_without_meaning_are_refused(rules, words):
    with pytest.raises(UserError, match=words):
        task(**rules)


@pytest.mark.parametrize("ask", ["name_to_keypoint", "keypoint_to_name", "localise"])
def test_the_drawn_scenes_run_and_stand_in_a_table(job, tmp_path, ask):
    one = job("task=keypoint/shapes", "prompt=keypoint_circle", f"task.ask={ask}", "task.grid=4", "task.dataset.scenes=3")
    one.execute()
    run = read_run(one.folder.path)
    assert run.finished and run.embedded and run.metrics["counts"]["n"] == one.expected
    frame = run.records()
    visible = frame.groupby("group")["id"].transform("count").tolist()
    assert frame["candidates"].tolist() == ([16] * len(frame) if ask == "localise" else visible)
    described = json.loads(json.dumps(one.identity["task"]))
    restored = task_from(described, one.resolved["task"]["dataset"])
    assert len(restored.pictures(restored.dataset.load(0))[0].regions) == frame["candidates"].iloc[0]
    assert tables(["--runs", str(one.folder.path), "--out", str(tmp_path / "tables")]) == 0
    assert "Keypoint naming and localisation" in (tmp_path / "tables" / "keypoint_embedded.md").read_text()
