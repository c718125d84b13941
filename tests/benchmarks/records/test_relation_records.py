"""What relations are worked out from is stored whole, and runs from before there were relations stay readable."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_runs import rec_records, run_info, unscored, write_new_run, write_old_part

from benchmarks.records.folder import RunFolder
from benchmarks.records.record import EARLIER_SCHEMAS, SCHEMA_VERSION, read_parts, write_part
from benchmarks.records.run import read_run
from benchmarks.settings.identity import run_id
from falip import UserError

EMPTY = ("texts", "text_scores", "boxes", "image_size")


def related(record, texts=2):
    boxes = tuple((float(i), 0.0, i + 2.5, 3.0) for i in range(record.candidates))
    rows = tuple(tuple(float(np.float32(t + i / 3)) for i in range(record.candidates)) for t in range(texts))
    names = (record.text, *(f"entity {t}" for t in range(1, texts)))
    return replace(record, texts=names, text_scores=rows, boxes=boxes, image_size=(64, 48))


def old_run(root, records, schema):
    info = run_info("", len(records))
    info |= {"schema": schema, "run_id": run_id(info["identity"])}
    folder = root / info["run_id"]
    (folder / "records").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(info))
    write_old_part(records, folder / "records" / "0of1-000000.parquet", info["run_id"], schema)
    return folder


@pytest.mark.parametrize("schema", EARLIER_SCHEMAS)
def test_a_run_of_an_earlier_schema_is_read_with_nothing_in_what_it_lacks(schema, tmp_path):
    records = [*rec_records()[:-1], unscored(rec_records()[-1])]
    run = read_run(old_run(tmp_path, records, schema))
    frame = run.records()
    assert run.state == "unscored" and len(frame) == len(records)
    assert all(len(value) == 0 for name in EMPTY for value in frame[name]) and frame["target_share"].isna().all()
    assert [tuple(row) for row in frame["scores"]] == [record.scores for record in records]
    assert list(run.records(["id", "texts"]).columns) == ["id", "texts"]


@pytest.mark.parametrize("schema", [2, 3])
def test_a_run_of_an_earlier_schema_goes_on_and_its_parts_count_beside_new_ones(schema, tmp_path):
    records = rec_records()
    folder = RunFolder(old_run(tmp_path, records[:9], schema))
    assert folder.schema == SCHEMA_VERSION and len(folder.done()) == 3
    folder.write_records([related(record) for record in records[9:]], (0, 1))
    frame = folder.frame()
    assert frame["texts"].map(len).tolist() == [0] * 9 + [2] * 9
    folder.compact((0, 1))
    assert len(folder.parts()) == 1
    pd.testing.assert_frame_equal(folder.frame(), frame)


def test_what_relations_need_comes_back_as_it_was_written(tmp_path):
    records = [related(record, 1 + i % 3) for i, record in enumerate(rec_records())]
    frame = read_run(write_new_run(tmp_path, records, parts=3)).records()
    for record, (_, row) in zip(records, frame.iterrows(), strict=True):
        assert tuple(row["texts"]) == record.texts and tuple(row["image_size"]) == record.image_size
        np.testing.assert_array_equal(np.stack(row["text_scores"]), np.float32(record.text_scores))
        np.testing.assert_array_equal(np.stack(row["boxes"]), record.boxes)


DAMAGE = {
    "a score is lacking": lambda r: {"text_scores": (r.text_scores[0], r.text_scores[1][1:])},
    "a text is lacking": lambda r: {"texts": r.texts[:1]},
    "a score is no number": lambda r: {"text_scores": (r.text_scores[0], (float("nan"), *r.text_scores[1][1:]))},
    "scores without texts": lambda r: {"texts": ()},
    "a box is lacking": lambda r: {"boxes": r.boxes[1:]},
    "a box of three numbers": lambda r: {"boxes": (r.boxes[0][:3], *r.boxes[1:])},
    "a box without end": lambda r: {"boxes": ((0.0, 0.0, float("inf"), 1.0), *r.boxes[1:])},
    "no size": lambda r: {"image_size": ()},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_whole_is_refused_by_file_and_query(damage, tmp_path):
    records = [related(record) for record in rec_records()]
    records[4] = replace(records[4], **DAMAGE[damage](records[4]))
    path = tmp_path / "part.parquet"
    write_part(records, path, "a run")
    with pytest.raises(
        UserError, match=f"part.parquet was edited or is damaged: of the query '{records[4].id}', it has not"
    ):
        read_parts([path])
    assert len(read_parts([path], columns=["id", "correct"])) == len(records), "a table needs none of it"
