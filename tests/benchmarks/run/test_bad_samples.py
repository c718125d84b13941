"""Data sets that a user adds: one file and one YAML, good samples and bad ones."""

import logging
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from small_jobs import LABELS, Job, composed

from benchmarks.records.runs import discover
from falip import UserError

MODULE = '''
from PIL import Image

from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip import Region, UserError

BOX = (4.0, 4.0, 30.0, 30.0)


class Stripes:
    """Grey pictures, some of them broken."""

    class_names = ("stripe", "dot")

    def __init__(self, pictures: int = 6, broken: str = "", promised: int = 1) -> None:
        self.pictures, self.broken, self.promised = pictures, broken, promised

    @property
    def index(self):
        return [SampleInfo(f"stripe-{i}", self.promised, 1) for i in range(self.pictures)]

    @property
    def identity(self):
        return {"name": "stripes", "pictures": self.pictures, "broken": self.broken}

    def load(self, i):
        box = BOX
        if str(i) in self.broken.split("+"):
            raise UserError(f"stripe-{i}.png cannot be read")
        if f"outside-{i}" in self.broken.split("+"):
            box = (900.0, 900.0, 910.0, 910.0)
        picture = Picture(Image.new("RGB", (40, 40), (i * 20,) * 3), (Region.from_box(*box),))
        return Sample(f"stripe-{i}", (picture,), (Query(f"stripe-{i}", "stripe", label=0),))
'''
YAML = """
_target_: benchmarks.tasks.classification.RegionClassification
name: classification/stripes
split: test
template: a photo of a {}
limit: null
dataset:
  _target_: stripes.Stripes
  pictures: 6
  broken: ""
  promised: 1
"""


@pytest.fixture
def added(tmp_path, monkeypatch) -> Path:
    """A folder with a data set's module and configuration."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "stripes.py").write_text(MODULE)
    (tmp_path / "added" / "task" / "classification").mkdir(parents=True)
    (tmp_path / "added" / "task" / "classification" / "stripes.yaml").write_text(YAML)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    monkeypatch.delitem(sys.modules, "stripes", raising=False)
    return tmp_path / "added"


@pytest.fixture
def stripes(added, tmp_path, clip_folder):
    """Makes a job over the added data set."""

    def made(*overrides: str) -> Job:
        config = composed(["task=classification/shapes", f"backbone.name={clip_folder('small')}", "runtime.batch_views=2"])
        config.results_root = str(tmp_path / "results")
        changes = OmegaConf.from_dotlist(list(overrides))
        config.task = OmegaConf.merge(OmegaConf.create(YAML), changes.get("task", {}))
        config.runtime = OmegaConf.merge(config.runtime, changes.get("runtime", {}))
        return Job(config, LABELS)

    return made


def test_an_added_data_set_runs_from_the_command_line(added, cli, clip_folder):
    status, printed = cli(
        f"hydra.searchpath=[file://{added}]", "task=classification/stripes", f"backbone.name={clip_folder('small')}"
    )
    assert status == 0, printed
    assert "classification/stripes/test" in printed and "6 queries in 6 pictures" in printed


def test_a_bad_sample_fails_the_run_by_default(stripes):
    one = stripes("task.dataset.broken='4'")
    with pytest.raises(UserError, match=r"stripe-4\.png cannot be read"):
        one.execute()
    assert one.folder.info["status"] == "failed"
    assert len(one.folder.frame()) == 4, "what was whole before it is kept"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_sample_can_be_recorded_as_unscored(stripes, caplog, workers):
    caplog.set_level(logging.INFO)
    one = stripes("task.dataset.broken='1+4'", "runtime.on_error=record", f"runtime.workers={workers}")
    one.execute()
    info, frame = one.folder.info, one.folder.frame()
    assert info["status"] == "complete" and info["counts"]["unscored"] == 2 and info["counts"]["scored"] == 4
    unscored = frame[frame["status"] == "unscored"]
    assert list(unscored["group"]) == ["stripe-1", "stripe-4"] and "cannot be read" in unscored["error"].iloc[0]
    assert "stripe-1 is left unscored" in caplog.text


def test_a_region_outside_of_its_picture_is_the_samples_fault(stripes):
    one = stripes("task.dataset.broken='outside-2'", "runtime.on_error=record")
    one.execute()
    assert one.folder.info["counts"]["unscored"] == 1
    assert "no area inside its image" in one.folder.frame()["error"].max()


def test_a_run_in_which_nothing_could_be_scored_ends_and_says_so(stripes, caplog):
    caplog.set_level(logging.INFO)
    one = stripes("task.dataset.broken='0+1'", "task.dataset.pictures=2", "runtime.on_error=record")
    one.execute()
    assert one.folder.info["status"] == "complete" and one.folder.info["counts"]["scored"] == 0
    assert "accuracy none scored of 2" in caplog.text


def test_an_index_that_promises_other_queries_than_there_are_is_an_error(stripes):
    one = stripes("task.dataset.promised=2")
    with pytest.raises(UserError, match=r"6 records.*promised 12"):
        one.execute()
    assert one.folder.info["status"] == "failed"


def test_the_first_sample_may_be_the_bad_one(stripes):
    one = stripes("task.dataset.broken='0'", "runtime.on_error=record")
    one.execute()
    info = one.folder.info
    assert info["components"] == ["foveal"] and info["counts"]["scored"] == 5 and info["counts"]["unscored"] == 1


def test_an_unscored_sample_is_tried_again_by_the_next_run(added, tmp_path, stripes, caplog):
    caplog.set_level(logging.INFO)
    import stripes as module  # pyright: ignore[reportMissingImports]

    load = module.Stripes.load
    broken = stripes("runtime.on_error=record")
    module.Stripes.load = lambda self, i: load(self, i) if i != 3 else (_ for _ in ()).throw(UserError("3.png is cut"))
    broken.execute()
    assert broken.folder.info["counts"]["unscored"] == 1
    assert discover(tmp_path / "results")[0].state == "unscored"
    with pytest.raises(UserError, match=r"3\.png is cut"):
        stripes().execute()
    module.Stripes.load = load
    caplog.clear()
    stripes().execute()
    assert "1 queries in 1 pictures to do" in caplog.text
    whole = stripes()
    assert whole.folder.info["status"] == "complete" and whole.folder.info["counts"]["unscored"] == 0
    assert len(whole.folder.frame()) == 6 and discover(tmp_path / "results")[0].state == "complete"


def test_shards_that_end_in_any_order_leave_a_complete_run(stripes):
    class Late(Job):
        """Finishes after the other shard, which it has overtaken."""

        def finish(self, *arguments):
            stripes("runtime.shard='1/2'").execute()
            super().finish(*arguments)

    late = stripes("runtime.shard='0/2'")
    late.__class__ = Late
    late.execute()
    assert late.folder.info["status"] == "complete" and late.folder.info["counts"]["scored"] == 6
