"""Expressions that may mean nothing: the answer "none", and where its threshold comes from."""

from dataclasses import replace

import numpy as np
import pandas as pd
from fake_runs import rec_records, write_run
from PIL import Image

from benchmarks.data.samples import Picture, Query, Sample
from benchmarks.measure.decisions import decide_rec
from benchmarks.measure.metrics import rec_metrics
from benchmarks.measure.thresholds import best_threshold
from benchmarks.records.run import read_run
from benchmarks.tables.document import document
from benchmarks.tables.layout import build
from benchmarks.tasks.none import ReferringOrNone

BOXES = ((0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 30.0, 10.0))
QUERIES = (
    Query("a", "left", (BOXES[0],), slice="one target"),
    Query("b", "a whale", slice="no target"),
    Query("c", "a ship", slice="no target"),
)
SAMPLE = Sample("1", (Picture(Image.new("RGB", (40, 20)), ()),), QUERIES, BOXES)


def decided(scores, combine="sum", **settings):
    task = ReferringOrNone(dataset=None, name="rec/grefcoco", split="val", **settings)
    return task.decide(SAMPLE, np.asarray(scores, dtype=np.float32), combine, 0)


def test_none_is_the_answer_where_every_candidate_scores_less():
    found = decided([[[25, 15, 22], [18, 19, 10]]])
    assert [(record.prediction, record.correct) for record in found] == [(0, True), (2, True), (0, False)]
    assert found[1].scores == (15.0, 19.0, 20.0) and found[1].candidate_correct == (False, False, True)
    figures = rec_metrics(pd.DataFrame([vars(record) for record in found]))
    assert figures["slices"]["no target"]["accuracy"] == 0.5 and figures["slices"]["one target"]["accuracy"] == 1.0


def test_the_threshold_counts_for_each_component_that_is_summed():
    scores = [[[15, 15, 9], [1, 1, 1]], [[15, 4, 9], [1, 1, 1]]]
    assert [record.prediction for record in decided(scores, none_below=10.0)] == [0, 2, 2]
    assert decided(scores, none_below=10.0)[0].scores[-1] == 20.0
    assert [record.prediction for record in decided(scores, "max", none_below=10.0)] == [0, 0, 2]


def naive(frame):
    """Tries every value between scores."""
    best = [max(scores[:-1]) for scores in frame["scores"]]
    tried = {}
    for threshold in [min(best) - 1, *best, max(best) + 1]:
        answers = [
            right[-1] if threshold > top else right[int(np.argmax(scores[:-1]))]
            for top, scores, right in zip(best, frame["scores"], frame["candidate_correct"], strict=True)
        ]
        tried[threshold] = np.mean(answers)
    return max(tried.values())


def or_none(seed=0):
    """Records with a last candidate of 0.5, right for every third query, whose others score less."""
    found = []
    for i, record in enumerate(rec_records(images=20, seed=seed)):
        nothing = i % 3 == 0
        scores = np.append(np.float32(record.scores) - (1.0 if nothing else 0.0), np.float32(0.5))
        right = np.append(np.zeros(4, bool) if nothing else np.array(record.candidate_correct), nothing)
        decision = decide_rec(scores, right)
        found.append(replace(record, **vars(decision), component_scores=(tuple(map(float, scores)),)))
    return found


def test_the_best_threshold_is_the_one_that_trying_all_of_them_finds():
    for seed in range(4):
        frame = pd.DataFrame([vars(record) for record in or_none(seed)])
        best = best_threshold(frame)
        assert best.accuracy == naive(frame)
        answers = [
            right[-1] if best.score > max(scores[:-1]) else right[int(np.argmax(scores[:-1]))]
            for scores, right in zip(frame["scores"], frame["candidate_correct"], strict=True)
        ]
        assert np.mean(answers) == best.accuracy


def test_a_threshold_is_shown_for_val_and_never_for_a_test_split(tmp_path):
    for split, shown in (("val", 1), ("testA", 0)):
        task = {"name": "rec/grefcoco", "none_below": 0.5, "version": 1, "dataset": {"name": "grefcoco", "split": split}}
        path = write_run(
            tmp_path, f"{split}-run", or_none(), labels={"task": "rec/grefcoco", "split": split}, identity={"task": task}
        )
        (table,) = build([read_run(path)], "plain")
        grids = [grid for grid in document(table, (), "", ()).grids if grid.title == "Threshold of none"]
        assert len(grids) == shown
        if shown:
            best = best_threshold(pd.DataFrame([vars(record) for record in or_none()]))
            assert f"{best.score:.3f}" in grids[0].body[0] and f"{100 * best.accuracy:.1f}" in grids[0].body[0]
