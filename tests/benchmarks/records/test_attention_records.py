"""What is recorded of attention comes back, is refused where it cannot be, and is lacking in earlier runs."""

from dataclasses import replace

import numpy as np
import pytest
from fake_runs import rec_records, write_new_run, write_run

from benchmarks.records.record import read_parts, write_part
from benchmarks.records.run import read_run
from falip import UserError


def measured(record):
    return replace(record, attention_on_target=0.25, attention_by_head=(0.125, 0.375), region_share=0.5)


def test_it_comes_back_as_it_was_written(tmp_path):
    records = [measured(record) if i % 3 else record for i, record in enumerate(rec_records())]
    frame = read_run(write_new_run(tmp_path, records, parts=2)).records()
    for record, (_, row) in zip(records, frame.iterrows(), strict=True):
        assert tuple(row["attention_by_head"]) == record.attention_by_head
        np.testing.assert_equal(row["attention_on_target"], record.attention_on_target)
        np.testing.assert_equal(row["region_share"], record.region_share)


def test_earlier_runs_have_none(tmp_path):
    frame = read_run(write_run(tmp_path, "aaaaaaaaaaaa", rec_records())).records()
    assert np.isnan(frame[["attention_on_target", "region_share"]].to_numpy()).all()
    assert not any(frame["attention_by_head"].map(len))


@pytest.mark.parametrize(
    "damage",
    [
        {"attention_on_target": 1.5},
        {"attention_on_target": -0.1},
        {"attention_on_target": float("nan")},
        {"attention_by_head": ()},
        {"attention_by_head": (0.1, float("nan"))},
        {"attention_by_head": (0.1, 7.0)},
        {"region_share": 0.0},
        {"region_share": float("nan")},
        {"region_share": 2.0},
    ],
)
def test_what_is_no_share_is_refused_by_file_and_query(damage, tmp_path):
    records = [measured(record) for record in rec_records()]
    records[4] = replace(records[4], **damage)
    path = tmp_path / "part.parquet"
    write_part(records, path, "a run")
    with pytest.raises(UserError, match=f"part.parquet was edited or is damaged: of the query '{records[4].id}'"):
        read_parts([path])


@pytest.mark.parametrize("share", [-0.1, 1.5, float("inf")])
def test_a_target_of_no_size_is_refused_by_file_and_query(share, tmp_path):
    records = [replace(record, target_share=0.25) for record in rec_records()]
    records[4] = replace(records[4], target_share=share)
    path = tmp_path / "part.parquet"
    write_part(records, path, "a run")
    with pytest.raises(UserError, match=f"of the query '{records[4].id}', its target_share is no share"):
        read_parts([path])
    assert len(read_parts([path], columns=["id", "correct"])) == len(records)
