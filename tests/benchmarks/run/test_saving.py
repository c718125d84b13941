"""Records are written some batches at a time, and all of them whatever ends a run."""

import pytest
from small_jobs import small_job

from benchmarks.run import saving
from benchmarks.run.saving import Saver
from benchmarks.tasks.rec import ReferringExpressions


def saver(monkeypatch, every):
    saved = []
    monkeypatch.setattr(saving, "EVERY_S", every)
    return Saver(lambda records, names: saved.append((records, names))), saved


def test_batches_are_collected_until_it_is_time(monkeypatch):
    one, saved = saver(monkeypatch, 1000.0)
    one.add(["a"], ["foveal"])
    one.add(["b", "c"], [])
    assert not saved
    one.flush()
    assert saved == [(["a", "b", "c"], ["foveal"])]
    one.flush()
    assert len(saved) == 1, "nothing is saved twice, and no file is empty"


def test_a_batch_is_saved_when_it_is_time(monkeypatch):
    one, saved = saver(monkeypatch, 0.0)
    one.add(["a"], ["x"])
    one.add([], [])
    one.add(["b"], ["x"])
    assert saved == [(["a"], ["x"]), (["b"], ["x"])]


def test_what_cannot_be_saved_is_tried_again(monkeypatch):
    full, saved = [True], []
    monkeypatch.setattr(saving, "EVERY_S", 1000.0)

    def save(records, names):
        if full.pop():
            raise OSError("no space left")
        saved.extend(records)

    one = Saver(save)
    one.add(["a"], ["x"])
    with pytest.raises(OSError, match="no space"):
        one.flush()
    full.append(False)
    one.add(["b"], ["x"])
    one.flush()
    assert saved == ["a", "b"]


def test_what_was_decided_before_an_interruption_is_kept(clip_folder, tmp_path, monkeypatch):
    decide, seen, options = ReferringExpressions.decide, [], ("runtime.batch_views=1", "runtime.workers=0")

    def interrupted(task, sample, *rest):
        seen.append(sample.id)
        if len(set(seen)) == 4:
            raise KeyboardInterrupt
        return decide(task, sample, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(saving, "EVERY_S", 1000.0)
        patched.setattr(ReferringExpressions, "decide", interrupted)
        with pytest.raises(KeyboardInterrupt):
            small_job(clip_folder("small"), tmp_path, *options).execute()
    one = small_job(clip_folder("small"), tmp_path, *options)
    assert len(one.folder.done()) == 3 and len(one.folder.parts()) == 1
    one.execute()
    assert one.folder.info["status"] == "complete" and len(one.folder.done()) == 6
