"""Run folders: what is found, what state it is in, and what a table may use."""

import json
import shutil
from pathlib import Path

import pytest
from fake_runs import class_records, rec_records, write_run

from benchmarks.records.run import read_run
from benchmarks.records.runs import differences, discover, group, select, usable
from falip import UserError

FROZEN = Path(__file__).parent / "frozen_run"


def test_a_frozen_run_of_schema_1_stays_readable():
    # Written once and never to be changed: whoever breaks this breaks everybody's old results.
    run = read_run(FROZEN)
    assert (run.run_id, run.state, run.kind, run.embedded, run.subset) == ("5c0ffee5c0ff", "complete", "rec", True, True)
    assert run.labels["prompt"] == "foveal" and run.identity["prompt"]["alpha"] == 0.2
    assert run.in_experiment("smoke_rec")
    assert run.frame["id"].tolist() == [f"scene-00{scene}/{i}" for scene in ("089", "109") for i in range(3)]
    assert run.metrics["accuracy"] == pytest.approx(2 / 6) and run.metrics["counts"]["samples"] == 2


def test_states(tmp_path):
    records = rec_records()
    write_run(tmp_path, "a", records)
    write_run(tmp_path, "b", records[:5], expected=18, status="started")
    write_run(tmp_path, "c", [], expected=18, status="started")
    write_run(tmp_path, "d", records[:2], expected=18, status="failed", error={"type": "OSError", "message": "disk full"})
    write_run(tmp_path, "e", [], expected=None, status="started")
    assert {run.run_id: run.state for run in discover(tmp_path)} == {
        "a": "complete",
        "b": "partial",
        "c": "started",
        "d": "failed",
        "e": "started",
    }
    assert [run.run_id for run in usable(discover(tmp_path)).runs] == ["a"]


def test_a_run_that_says_complete_but_lost_records_is_partial(tmp_path):
    folder = write_run(tmp_path, "a", rec_records(), parts=3)
    next((folder / "records").glob("*.parquet")).unlink()
    assert read_run(folder).state == "partial"


def test_shards_are_merged_by_id_and_complete_when_all_are_there(tmp_path):
    records = rec_records(skill=0)
    whole = read_run(write_run(tmp_path / "whole", "a", records))
    folder = write_run(tmp_path / "shards", "a", records, parts=4, status="started")
    part = folder / "records" / "part-00002.parquet"
    shutil.copy(part, part.with_name("part-again.parquet"))  # a shard that was run twice
    shards = read_run(folder)
    assert shards.state == "complete" and shards.recorded == len(records)
    assert shards.frame["id"].tolist() == whole.frame["id"].tolist()
    assert shards.metrics == whole.metrics


def test_subsets_are_left_out_unless_asked_for(tmp_path):
    write_run(tmp_path, "a", rec_records(), identity={"limit": 6})
    assert usable(discover(tmp_path)).runs == ()
    assert len(usable(discover(tmp_path)).subsets) == 1
    assert len(usable(discover(tmp_path), allow_subset=True).runs) == 1


def test_runs_are_selected_and_grouped_by_labels(tmp_path):
    write_run(tmp_path, "a", rec_records(), labels={"prompt": "plain"})
    write_run(tmp_path, "b", rec_records(), labels={"prompt": "falip"})
    write_run(tmp_path, "c", class_records(), labels={"task": "classification/shapes", "prompt": "falip"})
    runs = discover(tmp_path)
    assert [run.run_id for run in select(runs, task="rec", prompt="falip")] == ["b"]
    assert [run.run_id for run in select(runs, task="classification/shapes")] == ["c"]
    assert {key: len(members) for key, members in group(runs, "prompt").items()} == {("falip",): 2, ("plain",): 1}


def test_a_run_belongs_to_every_experiment_that_asked_for_it(tmp_path):
    run = read_run(write_run(tmp_path, "a", rec_records(), experiments=["smoke_rec", "table_rec"]))
    assert run.in_experiment("smoke_rec") and run.in_experiment("table_rec")
    assert not run.in_experiment("smoke")


def test_the_same_run_in_two_places_counts_once(tmp_path):
    write_run(tmp_path / "one", "a", rec_records())
    write_run(tmp_path / "two", "a", rec_records())
    assert len(discover(tmp_path)) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda info: "{", "cannot read .*run.json.*Delete the folder"),
        (lambda info: json.dumps(info | {"schema": 99}), "schema 99, this version reads 1"),
        (lambda info: json.dumps({k: v for k, v in info.items() if k != "run_id"}), "lacks run_id"),
        (lambda info: json.dumps(info | {"labels": {"task": "rec/shapes"}}), "lacks labels.backbone, labels.prompt"),
        (lambda info: "[]", "does not hold a JSON object"),
    ],
)
def test_a_run_json_that_cannot_be_used_is_named(change, message, tmp_path):
    folder = write_run(tmp_path, "a", rec_records())
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(change(info))
    with pytest.raises(UserError, match=message):
        read_run(folder)


def test_group_shares_are_found_in_the_identity(tmp_path):
    records = class_records(slices=("left", "right"))
    dataset = {"group_shares": {"left": 0.9, "right": 0.1}}
    labels = {"task": "classification/waterbirds"}
    run = read_run(write_run(tmp_path, "a", records, labels=labels, identity={"task": {"dataset": dataset}}))
    assert run.metrics["groups"]["shares"] == dataset["group_shares"]


def test_differences_name_only_what_varies():
    trees = [{"a": 1, "b": {"c": [1, 2], "d": 0}}, {"a": 1, "b": {"c": [1, 3], "d": 0}, "e": 5}]
    assert differences(trees) == [{"b.c": [1, 2], "e": None}, {"b.c": [1, 3], "e": 5}]
    ensembles = [{"prompts": [{"alpha": alpha}, {"radius": 100}]} for alpha in (0.2, 0.5)]
    assert differences(ensembles) == [{"prompts.0.alpha": 0.2}, {"prompts.0.alpha": 0.5}]
