"""Runs that record how much of the attention lies on the answer's region."""

import contextlib
from dataclasses import fields

import numpy as np
import pytest
from test_invariance import Killed, killed_after

from benchmarks.records.record import Record
from benchmarks.settings.building import build
from falip import Region, UserError
from falip.foveal import covered_tokens

ON = "metrics.attention=true"
MEASURED = ["attention_on_target", "attention_by_head", "region_share"]


def answers(one):
    """Query id, picture and region of every answer of a run over scenes."""
    for i in range(len(one.task.dataset.index)):
        sample = one.task.dataset.load(i)
        for query in sample.queries:
            yield query.id, sample.pictures[0].image, Region.from_box(*query.targets[0])


@pytest.mark.parametrize("prompt", ["plain", "foveal", "red_circle", "hard_mask"])
def test_it_is_what_attention_gives_on_the_tokens_of_the_answer(job, random_clip, prompt):
    one = job(f"prompt={prompt}", ON)
    one.execute()
    frame, backbone = one.folder.frame().set_index("id"), random_clip()
    assert len(frame) == one.expected > 10
    for name, image, region in answers(one):
        inside = covered_tokens([region], image.size, backbone.geometry)[0]
        weights = backbone.attention(image, [region], one.prompt)[0, -4:]  # (layers, heads, tokens)
        by_head = weights[:, :, inside].sum(-1).mean(0).numpy()
        row = frame.loc[name]
        np.testing.assert_allclose(row["attention_by_head"], by_head, atol=2e-5)
        assert row["attention_on_target"] == pytest.approx(by_head.mean(), abs=2e-5)
        assert row["region_share"] == pytest.approx(float(inside.sum()) / 16)


def test_without_it_nothing_is_recorded_and_with_it_no_decision_moves(job):
    off, on = job("prompt=foveal"), job("prompt=foveal", ON)
    off.execute()
    on.execute()
    without, measured = off.folder.frame(), on.folder.frame()
    assert "metrics" not in off.identity and on.identity == off.identity | {"metrics": {"attention": True, "version": 2}}
    assert np.isnan(without[["attention_on_target", "region_share"]].to_numpy()).all()
    assert (without["attention_by_head"].map(len) == 0).all()
    rest = [field.name for field in fields(Record) if field.name not in MEASURED]
    for name in rest:
        assert without[name].map(str).tolist() == measured[name].map(str).tolist(), name


def test_a_cut_out_is_all_region_and_a_resized_canvas_is_not(job):
    one = job("prompt=crop", ON)
    one.execute()
    frame = one.folder.frame()
    assert (frame["region_share"] == 1).all()
    assert frame["attention_on_target"].between(0.3, 0.9999).all(), "CLS attends to itself too"
    pytest.importorskip("cv2", reason="FGVP's prompts need OpenCV: pip install opencv-python-headless")
    shares = {}
    for prompt in ("plain", "fgvp_circle", "fgvp_crop"):
        one = job(f"prompt={prompt}", ON, "task.dataset.scenes=2")
        one.execute()
        shares[prompt] = one.folder.frame()["region_share"].tolist()
    assert shares["fgvp_circle"] == shares["plain"] and set(shares["fgvp_crop"]) == {1.0}


def test_of_several_views_it_is_the_mean_and_a_read_out_has_its_likeness(job):
    frames = {}
    for name in ("plain", "blackout", "plain_minus_blackout", "sclip"):
        one = job(f"prompt={name}", ON, "task.dataset.scenes=2")
        one.execute()
        frames[name] = one.folder.frame()
    read = frames["sclip"]
    assert (read["attention_by_head"].map(len) == 1).all() and read["attention_on_target"].between(0.01, 0.99).all()
    assert read["region_share"].tolist() == frames["plain"]["region_share"].tolist()
    both = (frames["plain"]["attention_on_target"] + frames["blackout"]["attention_on_target"]) / 2
    np.testing.assert_allclose(frames["plain_minus_blackout"]["attention_on_target"], both, atol=1e-6)


@pytest.mark.parametrize("text", ["default", "relations"])
def test_candidates_that_were_dropped_do_not_shift_the_answer(job, random_clip, text):
    """With a least area the regions that are encoded are fewer than the candidates."""
    if text == "relations":
        pytest.importorskip("spacy")
    one = job("prompt=foveal", "task.min_area=0.08", f"text={text}", ON)
    one.execute()
    frame, backbone = one.folder.frame().set_index("id"), random_clip()
    assert frame["dropped"].max() > 0
    seen = 0
    for name, image, region in answers(one):
        row = frame.loc[name]
        if row["rank"] == 0:  # the answer itself was dropped
            assert np.isnan(row["attention_on_target"])
            continue
        seen += 1
        inside = covered_tokens([region], image.size, backbone.geometry)[0]
        weights = backbone.attention(image, [region], one.prompt)[0, -4:]
        assert row["attention_on_target"] == pytest.approx(float(weights[:, :, inside].sum(-1).mean()), abs=2e-5)
    assert seen > 3


def test_how_it_was_carried_out_does_not_move_it(job, clip_folder):
    reference = job("prompt=foveal", ON, "runtime.workers=0")
    reference.execute()
    for shard in ("1/2", "0/2"):
        options = ["prompt=foveal", ON, f"runtime.shard={shard}", "runtime.batch_views=3"]
        with contextlib.suppress(Killed):
            job(*options, results="pieces", kind=killed_after(1)).execute()
        job(*options, "runtime.sharing=none", results="pieces").execute()
    pieces = job("prompt=foveal", ON, results="pieces").folder
    assert pieces.path.name == reference.folder.path.name and pieces.info["status"] == "complete"
    mine, theirs = pieces.frame(), reference.folder.frame()
    assert mine["id"].tolist() == theirs["id"].tolist()
    np.testing.assert_allclose(mine["attention_on_target"], theirs["attention_on_target"], atol=2e-5)
    np.testing.assert_allclose(np.stack(mine["attention_by_head"]), np.stack(theirs["attention_by_head"]), atol=2e-5)
    assert mine["region_share"].tolist() == theirs["region_share"].tolist()


@pytest.mark.parametrize("task", ["classification/shapes", "classification/shapes_regions"])
def test_recognition_looks_at_the_region_that_is_asked_about(job, task):
    one = job(f"task={task}", "task.dataset.scenes=3", "prompt=plain", ON)
    one.execute()
    frame = one.folder.frame()
    assert frame["attention_on_target"].between(0, 1).all() and frame["region_share"].between(0.05, 1).all()
    if task.endswith("regions"):
        assert frame.groupby("group")["region_share"].nunique().max() > 1, "each query has a region of its own"


def test_the_maps_of_a_cloud_are_averaged(job, random_clip):
    one = job("task=pointcloud/solids", "task.dataset.samples=2", "prompt=plain", ON)
    one.execute()
    row, backbone = one.folder.frame().iloc[0], random_clip()
    found = []
    for picture in one.task.dataset.load(0).pictures:
        inside = covered_tokens(picture.regions, picture.image.size, backbone.geometry)[0]
        weights = backbone.attention(picture.image, picture.regions, build({"_target_": "falip.Plain"}, "prompt"))
        found.append(float(weights[0, -4:, :, inside].sum(-1).mean()))
    assert len(found) == 6 and row["attention_on_target"] == pytest.approx(np.mean(found), abs=2e-5)


def test_a_word_in_its_place_is_an_error(job):
    with pytest.raises(UserError, match=r"metrics\.attention='yes'.*true or false"):
        job("metrics.attention='yes'")
