import errno
import json

import pytest

from benchmarks.records import folder as run_folder
from benchmarks.records.folder import RunFolder, write_atomically, write_json
from benchmarks.records.record import unscored, write_part
from falip import UserError

LABELS = {"task": "rec/shapes", "split": "test", "backbone": "tiny", "prompt": "foveal"}


@pytest.fixture
def folder(tmp_path):
    return RunFolder.of(tmp_path, LABELS, "0123456789ab")


def records(name, queries=2):
    return unscored(name, queries, 3, "made by a test")


def test_a_run_lives_under_its_labels_and_id(folder, tmp_path):
    assert folder.path == tmp_path / "runs/rec/shapes/test/tiny/foveal/0123456789ab"


def test_labels_can_neither_leave_the_results_nor_be_too_long_for_a_file_system(tmp_path):
    wild = {"task": "../../rec", "split": "..", "backbone": "a/b:c*", "prompt": "x" * 500}
    path = RunFolder.of(tmp_path, wild, "0123456789ab").path
    path.mkdir(parents=True)
    assert path.resolve().is_relative_to(tmp_path / "runs") and path.parents[1].name == "a--b_c_"


def test_parts_are_numbered_for_each_shard_and_read_as_one_frame(folder):
    folder.write_records(records("a"), (0, 2))
    folder.write_records(records("b"), (1, 2))
    folder.write_records(records("c"), (0, 2))
    assert [path.name for path in folder.parts()] == ["0of2-000000.parquet", "0of2-000001.parquet", "1of2-000000.parquet"]
    assert list(folder.frame()["group"]) == ["a", "a", "b", "b", "c", "c"]


def test_a_record_that_two_parts_hold_counts_once(folder):
    folder.write_records(records("a"), (0, 1))
    folder.write_records(records("a"), (0, 2))
    assert len(folder.frame()) == 2


def test_an_empty_folder_has_an_empty_frame_and_no_info(folder):
    assert folder.info is None and len(folder.frame()) == 0


@pytest.mark.parametrize("content", ['{"status": "sta', "[1]", "\x00\x01"])
def test_a_damaged_run_json_is_named_with_the_mend(folder, content):
    write_json(folder.path / "run.json", {"status": "started"})
    (folder.path / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json.*Delete this file"):
        _ = folder.info


def test_a_damaged_part_is_named_with_the_mend(folder):
    folder.write_records(records("a"), (0, 1))
    (part,) = folder.parts()
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(UserError, match=r"0of1-000000\.parquet cannot be read.*Delete it"):
        folder.frame()


def test_a_file_that_is_begun_is_never_read_and_goes_with_the_next_run(folder):
    folder.write_records(records("a"), (0, 1))
    left_over = folder.path / "records" / ".0of1-000001.parquet.77.tmp"
    left_over.write_bytes(b"half a part")
    of_another = folder.path / "records" / ".0of2-000000.parquet.78.tmp"
    of_another.write_bytes(b"being written")
    assert len(folder.frame()) == 2
    with folder.locked((0, 1)):
        assert not left_over.exists() and of_another.exists()


def test_a_second_process_on_the_same_shard_is_turned_away_and_another_shard_is_not(folder):
    with folder.locked((0, 2)):
        with folder.locked((1, 2)):
            pass
        with pytest.raises(UserError, match="Another process"), folder.locked((0, 2)):
            pass
    with folder.locked((0, 2)):
        pass


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    with (
        pytest.raises(UserError, match=r"cannot be written.*results_root"),
        RunFolder.of(tmp_path, LABELS, "0").locked((0, 1)),
    ):
        pass


def test_a_full_disk_leaves_the_old_file_and_no_rest(folder, monkeypatch):
    path = folder.path / "run.json"
    write_json(path, {"status": "started"})

    def full(temporary):
        temporary.write_bytes(b"begun")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"run\.json could not be written: No space left on device.*make room"):
        write_atomically(path, full)
    assert json.loads(path.read_text()) == {"status": "started"}
    assert [p.name for p in folder.path.iterdir()] == ["run.json"]


def test_a_part_appears_whole_or_not_at_all(folder, monkeypatch):
    seen = []

    def spying(rows, path, run_id):
        write_part(rows, path, run_id)
        seen.append([p.name for p in folder.parts()])

    monkeypatch.setattr(run_folder, "write_part", spying)
    folder.write_records(records("a"), (0, 1))
    assert seen == [[]] and len(folder.parts()) == 1
