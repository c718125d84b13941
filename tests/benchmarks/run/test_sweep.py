"""Several runs in one pass over their samples."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from small_jobs import asked_by, assert_same_decisions, composed, execute

from benchmarks import recombine
from benchmarks.measure.recombination import combine
from benchmarks.settings.sweep import grouped
from benchmarks.status import main as status_command
from falip import Backbone

SWEPT = (
    ["prompt=foveal"],
    ["prompt=foveal", "prompt.alpha=2.0", "prompt.layers=2"],
    ["prompt=crop"],
    ["prompt=crop_blur_foveal"],
    ["prompt=shade"],
    ["prompt=foveal", "prompt.mask_form=all_rows"],
)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of pictures of each encoding."""
    counts: list[int] = []
    encode = Backbone.features

    def counted(self, views, *args, **kwargs):
        counts.append(len(views.pixels))
        return encode(self, views, *args, **kwargs)

    monkeypatch.setattr(Backbone, "features", counted)
    return counts


def test_runs_made_together_are_those_made_alone_and_share_pictures(job, pictures):
    alone = [job(*overrides, results="alone") for overrides in SWEPT]
    for one in alone:
        one.execute()
    pictures.clear()
    both = [job(*overrides, results="together") for overrides in SWEPT]
    execute(both)
    scenes = both[0].task.dataset.index
    edits = ("crop", "blur", "shade")  # the foveal runs share the picture as it is, the crops are those of both runs
    assert sum(pictures) == len(scenes) + len(edits) * sum(scene.regions for scene in scenes)
    for one, other in zip(both, alone, strict=True):
        assert one.folder.path.name == other.folder.path.name
        assert one.folder.info["status"] == "complete"
        for part in ("components", "counts"):
            assert one.folder.info[part] == other.folder.info[part]
        assert_same_decisions(one.folder.frame(), other.folder.frame())
    assert both[0].folder.info["timing"]["runs_together"] == len(SWEPT)


def test_together_each_run_does_what_it_lacks(job, pictures):
    job("runtime.shard=0/2").execute()
    before = job().folder.parts()
    execute([job(), job("prompt=crop")])
    frame = job().folder.frame()
    assert len(frame) == job().expected and set(before) < set(job().folder.parts())
    assert job("prompt=crop").folder.info["status"] == "complete"
    pictures.clear()
    execute([job(), job("prompt=crop")])
    assert not pictures


def test_stored_runs_combined_without_a_model_are_the_ensemble(job, capsys):
    parts = [job("prompt=crop"), job("prompt=blur"), job("prompt=foveal")]
    whole = job("prompt=crop_blur_foveal")
    for one in (*parts, whole):
        one.execute()
    combined = combine([part.folder.frame() for part in parts])
    assert_same_decisions(combined, whole.folder.frame())
    assert recombine.main([str(part.folder.path) for part in parts]) == 0
    assert f"sum of 3 runs: {100 * combined['correct'].mean():.1f}" in capsys.readouterr().out
    assert recombine.main([str(parts[0].folder.path), "--how", "mean"]) == 2
    assert "choose sum or max" in capsys.readouterr().err


def test_what_runs_together_differs_in_prompt_and_text_alone():
    given = [
        ["prompt=foveal"],
        ["prompt=crop", "text=bird"],
        ["prompt=crop", "approximation=frozen"],
        ["prompt=foveal", "task.limit=2"],
        ["prompt=foveal", "prompt.alpha=9"],
    ]
    asked = [asked_by(composed(overrides)) for overrides in given]
    assert grouped(asked) == [[0, 1, 4], [2], [3]]


@pytest.mark.parametrize("launcher", ["together", "basic"])
def test_the_command_line_sweeps_values_and_experiments(launcher, cli, clip_folder, tmp_path: Path):
    where = [f"backbone.name={clip_folder('small')}", f"results_root={tmp_path / launcher}", "task.dataset.scenes=2"]
    swept = ["prompt=foveal,plain", "text=default,bird", "runtime.progress=false", f"hydra/launcher={launcher}"]
    status, printed = cli("-m", *swept, *where)
    assert status == 0, printed
    runs = [json.loads(file.read_text()) for file in tmp_path.rglob("run.json")]
    assert {(run["labels"]["prompt"], run["labels"]["text"]) for run in runs} == {
        (prompt, text) for prompt in ("foveal", "plain") for text in ("default", "bird")
    }
    together = {run["timing"].get("runs_together", 1) for run in runs}
    assert together == ({4} if launcher == "together" else {1})


def test_bad_jobs_fail_alone_and_each_is_recorded(cli, clip_folder, tmp_path: Path):
    where = [f"backbone.name={clip_folder('small')}", f"results_root={tmp_path}", "task.dataset.scenes=2"]
    status, printed = cli(
        "-m", "prompt=foveal", "prompt.alpha=0.2,-1,0.3", "prompt.layers=2,[99]", "text.template='a {}','none'", *where
    )
    assert status == 2 and "Traceback" not in printed
    infos = [json.loads(file.read_text()) for file in tmp_path.rglob("run.json")]
    states = Counter(info["status"] for info in infos)
    assert states == {"complete": 2, "failed": 10}
    complete = [info["identity"]["prompt"]["alpha"] for info in infos if info["status"] == "complete"]
    assert sorted(complete) == [0.2, 0.3]
    said = {info["error"]["message"].split(":")[0] for info in infos if info["status"] == "failed"}
    assert len(said) >= 3, "each says what is wrong with itself"
    assert status_command(["--runs", str(tmp_path)]) == 0


@pytest.mark.parametrize("launcher", ["together", "basic"])
def test_a_job_that_cannot_be_composed_fails_alone_too(launcher, cli, clip_folder, tmp_path: Path):
    where = [f"backbone.name={clip_folder('small')}", f"results_root={tmp_path}", "task.dataset.scenes=2"]
    status, printed = cli("-m", f"hydra/launcher={launcher}", "prompt=foveal,plain", "prompt.alpha=0.2,0.3", *where)
    assert status == 2 and "Traceback" not in printed
    assert "there is no setting 'prompt.alpha'" in printed and "prompt.name" not in printed
    infos = [json.loads(file.read_text()) for file in tmp_path.rglob("run.json")]
    states = sorted((info["status"], info["labels"]["prompt"]) for info in infos)
    assert states == [
        ("complete", "foveal,alpha=0.2"), ("complete", "foveal,alpha=0.3"),
        ("failed", "plain,alpha=0.2"), ("failed", "plain,alpha=0.3"),
    ]  # fmt: skip


def test_a_failure_before_the_identity_is_known_is_recorded_and_forgotten_once_it_is(cli, clip_folder, tmp_path: Path):
    where = [f"results_root={tmp_path / 'results'}", "task.dataset.scenes=2", "runtime.progress=false"]
    missing = tmp_path / "weights"
    status, printed = cli("-m", "prompt=foveal,plain", f"backbone.name={missing}", *where)
    assert status == 2 and "no such folder" in printed
    infos = [json.loads(file.read_text()) for file in tmp_path.rglob("run.json")]
    assert [info["status"] for info in infos] == ["failed", "failed"]
    assert all("no such folder" in info["error"]["message"] for info in infos)
    shutil.copytree(clip_folder("small"), missing)
    status, printed = cli("-m", "prompt=foveal,plain", f"backbone.name={missing}", *where)
    assert status == 0, printed
    infos = [json.loads(file.read_text()) for file in tmp_path.rglob("run.json")]
    assert [info["status"] for info in infos] == ["complete", "complete"]


def test_a_wrong_choice_is_one_message(cli):
    status, printed = cli("-m", "prompt=foveal,nonsense")
    assert status == 2 and "nonsense" in printed and "Traceback" not in printed
