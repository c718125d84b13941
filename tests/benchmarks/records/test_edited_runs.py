"""A run that is not what it says is refused by name, and one that is whole counts whatever was written last."""

import json
import os
import shutil
from dataclasses import replace

import pytest
from fake_runs import class_records, rec_records, unscored, write_new_run, write_old_part, write_run

from benchmarks.recombine import main as recombine
from benchmarks.records.folder import RunFolder
from benchmarks.records.record import unscored as lost
from benchmarks.records.record import write_part
from benchmarks.records.run import read_run
from benchmarks.records.runs import find, usable
from falip import UserError

BLUR = {"labels": {"prompt": "blur"}, "identity": {"prompt": {"type": "Blur", "version": 1}}}


def part(folder):
    return next((folder / "records").glob("*.parquet"))


def edit(folder, **changes):
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(info | changes))


def assert_refused(folder, message, capsys):
    """By tables, report (which both choose by `usable`) and recombine."""
    found = find(folder)
    choice = usable(found.runs, damaged=found.damaged)
    assert choice.runs == () and len(choice.damaged) == 1
    assert message in choice.damaged[0].reason
    assert recombine([str(folder)]) == 2
    assert message in capsys.readouterr().err


def test_a_new_run_is_whole(tmp_path):
    run = read_run(write_new_run(tmp_path, rec_records(), parts=3))
    assert run.state == "complete" and len(usable([run]).runs) == 1


def test_parts_of_another_run_are_refused_by_name(tmp_path, capsys):
    foveal = write_new_run(tmp_path, rec_records(skill=0))
    blur = write_new_run(tmp_path / "other", rec_records(skill=3), **BLUR)
    shutil.copy(part(blur), part(foveal))
    assert_refused(foveal, str(part(foveal)), capsys)
    with pytest.raises(UserError, match=f"is of run {blur.name}"):
        _ = read_run(foveal).state
    with pytest.raises(UserError, match=f"is of run {blur.name}"):
        RunFolder(foveal).frame()


def test_a_part_without_an_id_is_taken_of_old_runs_alone(tmp_path, capsys):
    old, new = write_run(tmp_path / "old", "aaa", rec_records()), write_new_run(tmp_path, rec_records())
    assert read_run(old).state == "complete"
    write_old_part(rec_records(), part(new))
    assert_refused(new, "does not say of which run it is", capsys)
    edit(new, schema=1)
    assert read_run(new).state == "complete", "this is what an old run looks like"


def test_an_old_run_that_is_continued_has_parts_of_both_kinds(tmp_path):
    records = rec_records()
    new = write_new_run(tmp_path, records, parts=2)
    edit(new, schema=1)
    write_old_part(records[::2], new / "records" / "part-00000.parquet")
    assert read_run(new).state == "complete" and RunFolder(new).schema == 1
    assert len(RunFolder(new).frame()) == 18


@pytest.mark.parametrize("schema", [1, 2])
def test_an_edited_identity_or_id_is_refused(schema, tmp_path, capsys):
    folder = write_new_run(tmp_path / "one", rec_records())
    info = json.loads((folder / "run.json").read_text())
    identity = info["identity"] | {"prompt": {"type": "Foveal", "alpha": 9.0}}
    edit(folder, schema=schema, identity=identity)
    assert_refused(folder, "edited", capsys)
    edit(folder, schema=schema, identity=info["identity"], run_id="0123456789ab")
    assert_refused(folder, "0123456789ab", capsys)


def test_a_run_in_a_folder_of_another_name_is_refused(tmp_path):
    folder = write_new_run(tmp_path, rec_records())
    with pytest.raises(UserError, match="lies in the folder elsewhere"):
        read_run(folder.rename(folder.with_name("elsewhere")))


FIELDS = {
    "prediction": lambda r: {"prediction": (r.prediction + 1) % r.candidates},
    "correct": lambda r: {"correct": not r.correct},
    "score": lambda r: {"score": r.score + 1},
    "margin": lambda r: {"margin": 9.0},
    "rank": lambda r: {"rank": r.rank + 1},
    "ties": lambda r: {"ties": 2},
    "tie_accuracy": lambda r: {"tie_accuracy": 0.5},
    "chance": lambda r: {"chance": 0.9},
    "oracle": lambda r: {"oracle": not r.oracle},
    "dropped": lambda r: {"dropped": 1},
    "target": lambda r: {"target": (r.target + 1) % r.candidates},
    "candidates": lambda r: {"candidates": r.candidates + 1},
    "scores": lambda r: {"scores": r.scores[::-1]},
    "status": lambda r: {"status": "fine"},
}


@pytest.mark.parametrize("make", [rec_records, class_records])
@pytest.mark.parametrize("field", FIELDS)
def test_an_edited_decision_is_refused_by_file_and_query(field, make, tmp_path, capsys):
    records = make()
    k = next(i for i, r in enumerate(records) if r.prediction != r.target)  # so that any change is one
    labels = {"task": "rec/shapes" if make is rec_records else "classification/shapes"}
    folder = write_new_run(tmp_path, records, labels=labels)
    assert usable([read_run(folder)]).damaged == ()
    records[k] = replace(records[k], **FIELDS[field](records[k]))
    write_part(records, part(folder), folder.name)
    assert_refused(folder, f"{part(folder)} was edited or is damaged: of the query {records[k].id!r}", capsys)


def test_a_run_whose_last_word_was_not_written_is_complete_and_the_newest(tmp_path):
    old = write_new_run(tmp_path / "old", rec_records(seed=1), identity={"backbone": [{"weights": "old"}]})
    new = write_new_run(tmp_path / "new", rec_records(seed=2), status="started", finished=None)
    (run,) = usable(find(tmp_path).runs).runs
    assert run.path == new and run.state == "complete"
    os.utime(part(new), (0, 0))  # its parts are older than what the other one says of itself
    (run,) = usable(find(tmp_path).runs).runs
    assert run.path == old


def test_records_that_are_all_there_outweigh_a_failure_that_was_noted(tmp_path):
    folder = write_new_run(tmp_path, rec_records(), status="failed", error={"type": "OSError", "message": "disk full"})
    assert read_run(folder).state == "complete"


def test_a_damaged_newest_run_gives_way_to_the_one_before(tmp_path):
    write_new_run(tmp_path / "old", rec_records(seed=1), identity={"backbone": [{"weights": "old"}]}, finished="2025-01-01")
    new = write_new_run(tmp_path / "new", rec_records(seed=2))
    part(new).write_bytes(b"")
    found = find(tmp_path)
    choice = usable(found.runs, damaged=found.damaged)
    assert [run.path.parts[-7] for run in choice.runs] == ["old"] and [d.path for d in choice.damaged] == [new]
    assert choice.superseded == ()


@pytest.fixture
def mended(tmp_path):
    """A run with a sample that could not be loaded at first: all records, and those of the second try."""
    records = rec_records()
    bad = [r for r in records if r.group == "image-002"]
    rest = [r for r in records if r.group != "image-002"]
    first = [*rest, *lost("image-002", len(bad), 4, "the picture is broken")]
    return write_new_run(tmp_path, first, expected=len(records)), bad


def test_unscored_samples_are_still_to_be_done_and_give_way_to_scored_ones(mended):
    folder, bad = mended
    run = read_run(folder)
    assert run.state == "unscored" and run.finished and (run.counts.scored, run.counts.unscored) == (15, 3)
    assert "image-002" not in RunFolder(folder).done() and len(RunFolder(folder).done()) == 5
    assert run.metrics["counts"]["unscored"] == 3
    RunFolder(folder).write_records(bad, (0, 1))
    run = read_run(folder)
    assert run.state == "complete" and run.recorded == 18
    frame = RunFolder(folder).frame()
    assert set(frame["status"]) == {"scored"} and len(frame) == 18 and len(RunFolder(folder).done()) == 6
    assert run.metrics["counts"]["unscored"] == 0


def test_a_query_that_was_scored_counts_wherever_its_unscored_record_lies(tmp_path):
    records = rec_records()
    folder = write_new_run(tmp_path, [unscored(records[0]), *records[1:]])
    assert read_run(folder).state == "unscored"
    RunFolder(folder).write_records(records[:1], (0, 1))  # 0of1-000000 comes before part-00000
    assert read_run(folder).state == "complete"
    (folder / "records" / "0of1-000000.parquet").rename(folder / "records" / "z.parquet")
    assert read_run(folder).state == "complete"


def test_a_shards_parts_can_become_one(tmp_path):
    records = rec_records()
    folder = RunFolder(write_new_run(tmp_path, []).joinpath())
    for start in range(0, 18, 6):
        folder.write_records(records[start : start + 6], (0, 1))
    before = folder.frame()
    folder.compact((0, 1))
    assert [path.name for path in folder.parts()].count("0of1-000002.parquet") == 1
    assert len([path for path in folder.parts() if path.name.startswith("0of1")]) == 1
    assert folder.frame().equals(before)
