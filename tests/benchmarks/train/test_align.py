"""Fine-tuning from the command line to a run with the folder that it makes."""

import json

import pytest
import torch
from small_jobs import small_job

from benchmarks import align
from benchmarks.train.branches import see
from benchmarks.train.folder import write_folder
from benchmarks.train.pictures import chosen
from benchmarks.train.recipe import Recipe
from benchmarks.train.start import begun
from falip import Plain, Region, load_backbone
from falip.errors import UserError

TERMS = {"margin": 0.3, "beta": 0.5, "attention": 10.0, "similarity": 10.0, "smoothing": 1.0}
TASK = ("task=classification/shapes", "task.dataset.scenes=8")


@pytest.fixture
def tuning(clip_folder):
    def make(out, **changed):
        job = small_job(clip_folder("small"), out, *TASK)
        return begun(job, Recipe(**{"steps": 4, "batch": 3, "learning_rate": 1e-3, **TERMS, **changed}), out)

    return make


def _weights(tuning):
    return {name: tensor.clone() for name, tensor in tuning.model.state_dict().items()}


def test_stopped_at_any_step_it_goes_on_to_the_same_weights(tuning, tmp_path):
    whole, _, _ = tuning(tmp_path / "whole")
    assert whole.run(said=lambda _: None)
    stopped, _, _ = tuning(tmp_path / "stopped")
    assert not stopped.run(until=2, every=1, said=lambda _: None)
    resumed, _, _ = tuning(tmp_path / "stopped")
    assert resumed.step == 2
    assert resumed.run(said=lambda _: None)
    mine, theirs = _weights(resumed), _weights(whole)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert resumed.log == whole.log


def test_the_backbone_that_it_starts_from_stays_as_it_is(clip_folder, tmp_path, photo):
    job = small_job(clip_folder("small"), tmp_path, *TASK)
    region = [Region.from_box(10, 10, 50, 50)]
    before = job.backbones[0].encode_regions(photo, region, Plain())
    training, _, _ = begun(job, Recipe(steps=2, batch=3, learning_rate=1e-2), tmp_path / "out")
    assert training.run(said=lambda _: None)
    assert torch.equal(job.backbones[0].encode_regions(photo, region, Plain()), before)


def test_a_checkpoint_of_other_settings_is_refused(tuning, tmp_path):
    stopped, _, _ = tuning(tmp_path)
    stopped.run(until=1, said=lambda _: None)
    with pytest.raises(UserError, match="is of another training"):
        tuning(tmp_path, attention=1.0)


@pytest.mark.parametrize("term", ["margin", "beta", "attention", "similarity", "smoothing"])
def test_each_term_is_off_at_0_and_moves_the_weights_otherwise(tuning, tmp_path, term):
    off = dict.fromkeys(TERMS, 0.0)
    plain, _, _ = tuning(tmp_path / "plain", **off, steps=2)
    plain.run(said=lambda _: None)
    assert set(plain.log[0]) == {"step", "learning_rate", "loss", "cross_entropy"}
    other, _, _ = tuning(tmp_path / "other", **{**off, term: TERMS[term]}, steps=2)
    other.run(said=lambda _: None)
    name = "visual_projection.weight"
    assert not torch.equal(_weights(plain)[name], _weights(other)[name])


def test_texts_and_temperature_stay(tuning, tmp_path, clip_folder):
    trained, _, _ = tuning(tmp_path)
    trained.run(said=lambda _: None)
    before = load_backbone(str(clip_folder("small"))).model.state_dict()
    after = _weights(trained)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all(name.startswith(("vision_model.", "visual_projection.")) for name in moved)


def test_the_folder_loads_and_a_run_names_its_training(tuning, tmp_path, clip_folder):
    trained, start, record = tuning(tmp_path / "out")
    trained.run(said=lambda _: None)
    write_folder(trained, start, record)
    loaded = load_backbone(str(tmp_path / "out"))
    assert torch.equal(loaded.model.visual_projection.weight, trained.model.visual_projection.weight)
    job = small_job(tmp_path / "out", tmp_path / "runs", *TASK)
    (identity,) = job.identity["backbone"]
    assert identity["training"]["recipe"]["attention"] == 10.0
    assert identity["training"]["data"]["task"] == "classification/shapes"
    assert identity == loaded.identity
    job.execute()
    assert job.folder.info["status"] == "complete"
    card = (tmp_path / "out" / "README.md").read_text()
    assert "attention 10" in card and "Seed 0" in card and "classification/shapes" in card
    assert not (tmp_path / "out" / "checkpoint.pt").exists()
    assert "training" not in load_backbone(str(clip_folder("small"))).identity


def test_the_branches_see_what_the_backbone_sees(random_clip, photo):
    backbone = random_clip("small")
    pixels = backbone.preprocess([photo])
    with torch.no_grad():
        seen, plain = see(backbone.model, pixels, True), see(backbone.model, pixels, False)
    region = [Region.from_box(10, 10, 50, 50)]
    expected = backbone.encode_regions(photo, region, Plain())
    torch.testing.assert_close(seen.features, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(plain.features, expected, atol=1e-5, rtol=0)
    layers, heads = 3, 4
    assert seen.attention.shape == (layers * heads, 1, 16)
    assert seen.patches.shape == seen.diagonal.shape
    assert not torch.allclose(seen.patches, seen.diagonal, atol=1e-3)


def test_every_picture_once_in_each_epoch():
    drawn = [index for step in range(4) for index in chosen(step, 5, 10, seed=1)]
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert drawn[:10] != drawn[10:]
    assert drawn[5:10] == chosen(1, 5, 10, seed=1)


def test_the_command_writes_a_folder_and_a_second_call_knows_it(clip_folder, tmp_path, capsys):
    out = tmp_path / "out"
    command = [*TASK, f"backbone.name={clip_folder('small')}", "--out", str(out), "--steps", "2", "--batch", "2"]
    assert align.main([*command, "--attention", "10"]) == 0
    assert json.loads((out / "training.json").read_text())["recipe"]["attention"] == 10.0
    assert (out / "training_log.csv").read_text().count("\n") == 3
    assert align.main([*command, "--attention", "10"]) == 0
    assert "finished already" in capsys.readouterr().out
    assert align.main(command) == 2
    assert "holds another training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "message"), [(["backbone=rn50"], ""), (["--smoothing", "2"], "share"), (["task=rec/shapes"], "classes")]
)
def test_what_cannot_be_trained_is_said(tmp_path, capsys, changed, message):
    assert align.main([*TASK[:1], "backbone=tiny", "--out", str(tmp_path), "--steps", "1", *changed]) == 2
    assert message in capsys.readouterr().err
