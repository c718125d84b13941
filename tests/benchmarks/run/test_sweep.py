"""Several runs in one pass over their samples."""

import json
from pathlib import Path

import pytest
from small_jobs import assert_same_decisions

from benchmarks import recombine, sweep
from benchmarks.measure.recombination import combine
from benchmarks.run.job import execute
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
    encode = Backbone.encode_views

    def counted(self, views, *args, **kwargs):
        counts.append(len(views.pixels))
        return encode(self, views, *args, **kwargs)

    monkeypatch.setattr(Backbone, "encode_views", counted)
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


def test_what_runs_together_differs_in_prompt_and_text_alone(job):
    given = [
        job("prompt=foveal"),
        job("prompt=crop", "text=bird"),
        job("prompt=crop", "approximation=frozen"),
        job("prompt=foveal", "task.limit=2"),
        job("prompt=foveal"),
    ]
    groups = sweep.together(given)
    assert [[given.index(one) for one in group] for group in groups] == [[0, 1], [2], [3]]


def test_the_command_line_sweeps_values_and_experiments(clip_folder, tmp_path: Path):
    where = [f"backbone.name={clip_folder('small')}", f"results_root={tmp_path}", "task.dataset.scenes=2"]
    assert sweep.main(["prompt=foveal,plain", "text=default,bird", "runtime.progress=false", *where]) == 0
    runs = [json.loads(file.read_text()) for file in tmp_path.rglob("run.json")]
    assert {(run["labels"]["prompt"], run["labels"]["text"]) for run in runs} == {
        (prompt, text) for prompt in ("foveal", "plain") for text in ("default", "bird")
    }
    named = sweep.jobs(["+experiment=smoke_rec", *where])
    assert len(named) > 5 and {job.experiment for job in named} == {"smoke_rec"}


def test_a_wrong_choice_is_one_message(capsys):
    assert sweep.main(["prompt=foveal,nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
