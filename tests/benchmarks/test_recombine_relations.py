"""Stored runs decided anew: relations switched on and off, and several runs as one, without a model."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_runs import write_new_run
from related_scenes import BOXES, SAID, SIZE, WORDS, corners, decided

from benchmarks.data.samples import Picture, Query, Sample
from benchmarks.measure.recombination import combine
from benchmarks.recombine import main
from benchmarks.records.record import Record
from benchmarks.records.run import read_run
from benchmarks.tasks.rec import ReferringExpressions
from benchmarks.tasks.related import related
from falip import UserError

pytest.importorskip("spacy", reason="relations need spaCy: pip install 'falip[relations]'")
EXPRESSIONS = [text for text in WORDS if text != "the cat left of the dog"]
CANDIDATES = tuple(tuple(map(float, box)) for box in corners())


class Blank:
    """A picture of which nobody looks at more than the size."""

    size = SIZE


SCENE = Sample(
    "scene",
    (Picture(Blank(), ()),),  # pyright: ignore[reportArgumentType]
    tuple(Query(f"{q:02d}", text, (CANDIDATES[q % 4],)) for q, text in enumerate(EXPRESSIONS)),  # pyright: ignore[reportArgumentType]
    CANDIDATES,  # pyright: ignore[reportArgumentType]
)


def records(seed: int, min_area: float = 0.0, relations: bool = True) -> list[Record]:
    plain = ReferringExpressions(None, "rec/scenes", "test", min_area=min_area)  # pyright: ignore[reportArgumentType]
    task = related(plain) if relations else plain
    scores = np.random.default_rng(seed).normal(size=(2, len(BOXES), len(task.texts(SCENE)))) * 3
    return task.decide(SCENE, scores.astype(np.float32), "sum", 0)


def written(root, seed, min_area=0.0, relations=True, **labels):
    rules = {"name": "rec/scenes", "version": 1, "min_area": min_area, "dataset": {"name": "scenes", "split": "test"}}
    identity = {"task": rules, "prompt": {"seed": seed}, "text": {"relations": relations}}
    names = {"text": "relations" if relations else "default", "prompt": f"crop-{seed}", **labels}
    return write_new_run(root, records(seed, min_area, relations), identity=identity, labels=names)


def frame(*arguments, **options) -> pd.DataFrame:
    return read_run(written(*arguments, **options)).records()


@pytest.mark.parametrize("share", [0.0, 0.04])
def test_relations_worked_out_again_are_those_of_the_run(tmp_path, share):
    one = frame(tmp_path, 1, share)
    for again in (combine([one], min_area=share), combine([one], relations=True, min_area=share)):
        pd.testing.assert_frame_equal(plain(again), plain(one))


def plain(table):
    """Lists in the place of arrays, so that tables can be compared."""

    def simple(value):
        return [simple(part) for part in value] if isinstance(value, (list, tuple, np.ndarray)) else value

    return table.map(simple)


@pytest.mark.parametrize("share", [0.0, 0.04])
def test_switched_off_the_whole_expression_decides(tmp_path, share):
    one = frame(tmp_path, 1, share)
    off = combine([one], relations=False)
    for (_, row), stored in zip(off.iterrows(), one["text_scores"], strict=True):
        whole = np.where(np.isnan(row["scores"]), -np.inf, stored[0])
        assert row["prediction"] == whole.argmax() and row["score"] == np.float32(whole.max())
        assert row["dropped"] == (2 if share else 0) and len(row["texts"]) == len(row["text_scores"]) == 0
    assert (off["prediction"] != one["prediction"]).any()
    pd.testing.assert_frame_equal(plain(combine([off])), plain(off))


@pytest.mark.parametrize("how", ["sum", "max"])
@pytest.mark.parametrize("share", [0.0, 0.04])
def test_several_runs_are_decided_by_the_relations_of_their_combined_scores(tmp_path, how, share):
    runs = [frame(tmp_path, seed, share) for seed in (1, 2, 3)]
    together = combine(runs, how, min_area=share).set_index("text", drop=False)
    differs = 0
    for text in EXPRESSIONS:
        rows = [run.set_index("text").loc[text] for run in runs]
        totals = dict(
            zip(rows[0]["texts"], getattr(np.stack([np.stack(r["text_scores"]) for r in rows]), how)(0), strict=True)
        )
        expected = decided(text, lambda text, totals=totals: totals[text].astype(float), share)
        row = together.loc[text]
        assert row["prediction"] == expected.argmax()
        second, best = np.sort(expected)[-2:]
        if second > 0:
            assert row["margin"] == pytest.approx(np.log(best / second), abs=1e-4)
            naive = np.sort(getattr(np.nan_to_num([r["scores"] for r in rows], nan=-np.inf), how)(0))[-2:]
            differs += int(abs(naive[1] - naive[0] - row["margin"]) > 0.1)
    assert differs, "where distributions combined say the same this shows nothing"


def test_the_command_switches_relations_and_says_so(tmp_path, capsys):
    first, second = (str(written(tmp_path, seed)) for seed in (1, 2))
    outputs = []
    for options in ([], ["--relations", "on"], ["--relations", "off"]):
        assert main([first, second, *options]) == 0
        outputs.append(capsys.readouterr().out.splitlines())
    assert outputs[0][0].startswith("crop-1, relations: ") and outputs[0][-1].startswith("sum of 2 runs: ")
    assert outputs[1][-1].startswith("sum of 2 runs, relations on: ")
    assert outputs[1][-1].partition(": ")[2] == outputs[0][-1].partition(": ")[2]
    assert outputs[2][-1].startswith("sum of 2 runs, relations off: ")


def test_runs_without_the_scores_of_the_texts_are_refused_with_the_mend(tmp_path, capsys):
    with_, without = str(written(tmp_path, 1)), str(written(tmp_path, 2, relations=False))
    for arguments in ([with_, without], [without, "--relations", "on"]):
        assert main(arguments) == 2
        assert "run them with text=relations, or give --relations off" in capsys.readouterr().err
    assert main([with_, without, "--relations", "off"]) == 0


def test_a_run_of_another_parser_is_refused_where_its_texts_do_not_suffice(tmp_path):
    one = read_run(written(tmp_path, 1)).records()
    lacking = [list(texts[:1]) for texts in one["texts"]]
    other = one.assign(texts=lacking, text_scores=[rows[:1] for rows in one["text_scores"]])
    with pytest.raises(UserError, match=r"no scores of 'the cat', which the parser.*another spaCy or model"):
        combine([other])
    assert len(combine([other], relations=False)) == len(EXPRESSIONS)


def test_runs_with_other_candidates_are_refused(tmp_path):
    moved = [replace(r, boxes=tuple((x0 + 1, y0, x1 + 1, y1) for x0, y0, x1, y1 in r.boxes)) for r in records(2)]
    other = read_run(write_new_run(tmp_path, moved, labels={"text": "relations"})).records()
    with pytest.raises(UserError, match="disagree on the candidates"):
        combine([frame(tmp_path, 1), other])


def test_what_has_a_relation_is_among_what_is_tried():
    assert sum(text in SAID for text in EXPRESSIONS) >= 6
