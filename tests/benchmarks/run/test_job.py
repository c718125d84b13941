import errno
import json
import logging

import pytest
from small_jobs import Job, assert_same_decisions

from benchmarks.records import folder as run_folder
from benchmarks.records.runs import discover, usable
from falip import UserError


class Killed(Exception):
    """Stands for a kill in the middle."""


class KilledJob(Job):
    """A job that ends when it is about to save its batch number `after`."""

    after = 1

    def save(self, records, components):
        if len(self.folder.parts()) >= self.after:
            raise Killed
        super().save(records, components)


@pytest.fixture(autouse=True)
def _messages(caplog):
    caplog.set_level(logging.INFO)


def test_a_run_records_every_query_and_what_it_was(job):
    one = job("task.limit=4", "prompt=foveal_red_circle")
    one.execute()
    info, frame = one.folder.info, one.folder.frame()
    assert info["status"] == "complete" and info["error"] is None and info["finished"]
    assert info["counts"]["expected"] == info["counts"]["scored"] == len(frame) == one.expected
    assert info["counts"]["samples"] == 4 and info["subset"] is True
    assert info["components"] == ["red_circle+foveal"]
    assert info["run_id"] == one.folder.path.name and info["identity"] == one.identity
    assert info["overrides"] == ["task.limit=4", "prompt=foveal_red_circle"]
    assert info["config"]["task"]["limit"] == 4
    assert {"torch", "transformers", "python", "pillow"} <= set(info["versions"])
    assert info["numerics"]["dtype"] == "float32" and info["numerics"]["tf32"] is False
    assert {"commit", "dirty"} == set(info["git"]) and {"encode_s", "text_s", "total_s"} <= set(info["timing"])
    metrics = json.loads((one.folder.path / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx(frame["correct"].mean())


def test_the_total_is_told_before_the_work_begins(job, caplog):
    one = job("task.limit=2", kind=type("Nothing", (KilledJob,), {"after": 0}))
    with pytest.raises(Killed):
        one.execute()
    assert f"{one.expected} queries in 2 pictures to do" in caplog.text


def test_the_same_command_again_does_no_forward_pass_and_says_so(job, forward_passes, caplog):
    job().execute()
    assert forward_passes
    forward_passes.clear()
    before = job().folder.info
    job().execute()
    assert not forward_passes
    assert "complete already, nothing to do" in caplog.text
    assert job().folder.info == before


def test_always_starts_again_and_gives_the_same(job, forward_passes):
    job().execute()
    first, passes = job().folder.frame(), len(forward_passes)
    job("runtime.overwrite=always").execute()
    assert len(forward_passes) == 2 * passes
    assert job().folder.frame().equals(first)


def test_always_is_refused_to_a_shard_which_would_delete_the_others_work(job):
    job("runtime.shard=0/2").execute()
    with pytest.raises(UserError, match="other shards"):
        job("runtime.shard=1/2", "runtime.overwrite=always").execute()
    assert len(job().folder.parts())


def test_never_leaves_alone_what_is_begun(job, forward_passes, caplog):
    with pytest.raises(Killed):
        job("runtime.batch_views=6", kind=KilledJob).execute()
    forward_passes.clear()
    job("runtime.overwrite=never").execute()
    assert not forward_passes and "begun already" in caplog.text
    job("runtime.overwrite=never", "prompt.alpha=0.5").execute()
    assert forward_passes, "what is not there is run"


def test_only_cache_computes_nothing(job, forward_passes):
    with pytest.raises(UserError, match=r"0 of \d+ are recorded.*only-cache"):
        job("runtime.overwrite=only-cache").execute()
    assert not forward_passes
    job().execute()
    forward_passes.clear()
    job("runtime.overwrite=only-cache").execute()
    assert not forward_passes


def test_a_dry_run_says_what_is_there_and_writes_nothing(job, forward_passes, caplog, tmp_path):
    job("runtime.dry_run=true").execute()
    assert f"0 of {job().expected} recorded" in caplog.text
    assert not forward_passes and not (tmp_path / "results").exists()
    job().execute()
    job("runtime.dry_run=true").execute()
    assert ", complete (" in caplog.text


def test_after_a_kill_the_next_run_does_only_the_rest(job, forward_passes):
    job(results="whole").execute()
    with pytest.raises(Killed):
        job("runtime.batch_views=6", kind=type("Late", (KilledJob,), {"after": 2})).execute()
    one = job()
    done = one.folder.frame()
    assert one.folder.info["status"] == "failed" and one.folder.info["error"]["type"] == "Killed"
    assert 0 < len(done) < one.expected
    forward_passes.clear()
    one.execute()
    assert sum(forward_passes) == one.expected - len(done), "each object of a scene is queried once"
    assert one.folder.info["status"] == "complete" and one.folder.info["error"] is None
    assert one.folder.info["components"] == ["foveal"]
    assert_same_decisions(one.folder.frame(), job(results="whole").folder.frame())


def test_a_run_killed_after_its_last_batch_is_finished_without_a_forward_pass(job, forward_passes):
    job().execute()
    one = job()
    one.folder.write_info(one.folder.info | {"status": "started"})
    (one.folder.path / "metrics.json").unlink()
    forward_passes.clear()
    one.execute()
    assert not forward_passes
    assert one.folder.info["status"] == "complete" and one.folder.info["components"] == ["foveal"]
    assert (one.folder.path / "metrics.json").is_file()


def test_a_full_disk_is_one_message_and_the_next_run_goes_on(job, monkeypatch):
    write, calls = run_folder.write_part, []

    def filling(records, path, run_id):
        calls.append(path)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(records, path, run_id)

    monkeypatch.setattr(run_folder, "write_part", filling)
    with pytest.raises(UserError, match=r"No space left on device.*same command again"):
        job("runtime.batch_views=6").execute()
    one = job()
    kept = one.folder.frame()
    assert one.folder.info["status"] == "failed" and "No space left" in one.folder.info["error"]["message"]
    assert len(one.folder.parts()) == 2 and len(kept)
    monkeypatch.setattr(run_folder, "write_part", write)
    one.execute()
    assert one.folder.info["status"] == "complete" and set(kept["id"]) < set(one.folder.frame()["id"])


def test_a_disk_too_full_for_run_json_still_says_what_went_wrong(job, monkeypatch):
    def full(records, path, run_id):
        monkeypatch.setattr(run_folder, "write_json", no_json)
        raise OSError(errno.ENOSPC, "No space left on device")

    def no_json(path, content):
        raise UserError(f"{path} could not be written")

    monkeypatch.setattr(run_folder, "write_part", full)
    with pytest.raises(UserError, match=r"parquet could not be written: No space left"):
        job().execute()
    assert job().folder.info["status"] == "started"


def test_a_damaged_run_json_costs_no_records(job, forward_passes):
    job().execute()
    file = job().folder.path / "run.json"
    file.write_text(file.read_text()[:50])
    with pytest.raises(UserError, match="Delete this file"):
        job().execute()
    file.unlink()
    forward_passes.clear()
    job().execute()
    assert not forward_passes and job().folder.info["status"] == "complete"


def test_a_second_process_on_the_same_run_is_turned_away(job):
    with job().folder.locked((0, 1)), pytest.raises(UserError, match="Another process"):
        job().execute()


def test_an_error_of_the_prompt_is_recorded_as_the_runs_failure(job):
    one = job("prompt.layers=[99]")
    with pytest.raises(UserError, match=r"layers=\[99\]"):
        one.execute()
    assert one.folder.info["status"] == "failed" and "layers=[99]" in one.folder.info["error"]["message"]
    (run,) = discover(one.folder.path)
    assert run.state == "failed"


def test_a_subset_is_stamped_and_refused_by_tables(job, tmp_path):
    job("task.limit=2").execute()
    job("task.limit=3").execute()
    job().execute()
    runs = discover(tmp_path / "results")
    assert sorted(run.subset for run in runs) == [False, True, True]
    assert len(usable(runs).runs) == 1 and len(usable(runs).subsets) == 2
    small, large = sorted((run for run in runs if run.subset), key=lambda run: run.recorded)
    assert set(small.frame["id"]) < set(large.frame["id"])


def test_the_frozen_approximation_is_another_run(job):
    exact, frozen = job("prompt.alpha=5.0"), job("prompt.alpha=5.0", "approximation=frozen")
    exact.execute()
    frozen.execute()
    assert exact.folder.path != frozen.folder.path and frozen.folder.info["identity"]["approximation"] == "frozen"
    scores = [[row.tolist() for row in one.folder.frame()["scores"]] for one in (exact, frozen)]
    assert scores[0] != scores[1]


def test_a_shard_without_samples_ends_well_and_all_shards_make_a_whole_run(job):
    for shard in ("3/4", "0/4", "2/4", "1/4"):
        job("task.limit=2", f"runtime.shard={shard}").execute()
    one = job("task.limit=2")
    assert one.folder.info["status"] == "complete" and len(one.folder.frame()) == one.expected


def test_two_backbones_give_the_sum_of_their_scores(job, clip_folder):
    members = ",".join(f"{{name: {clip_folder('small')}, resize: {resize}}}" for resize in ("squash", "crop"))
    for resize in ("squash", "crop"):
        job(f"backbone.resize={resize}", results=resize).execute()
    both = job(f"+backbone.members=[{members}]", results="both")
    both.execute()
    frames = [job(f"backbone.resize={r}", results=r).folder.frame() for r in ("squash", "crop")]
    assert len(both.identity["backbone"]) == 2
    for summed, one, other in zip(both.folder.frame()["scores"], *(frame["scores"] for frame in frames), strict=True):
        assert summed == pytest.approx(one + other, abs=2e-4)


def test_an_experiment_claims_a_run_that_another_has_made(job):
    first, second = job(), job()
    first.experiment, second.experiment = "table_a", "table_b"
    first.execute()
    second.execute()
    assert job().folder.info["experiments"] == ["table_a", "table_b"]


@pytest.mark.parametrize("value", ["x", "exact", "None"])
def test_an_unknown_approximation_is_an_error(job, value):
    with pytest.raises(UserError, match=f"approximation={value}"):
        job(f"approximation={value}")
