"""Runs that decide by relations: what they ask, how they decide, and that nothing else moves."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from related_scenes import SAID, SPLITS, WORDS, decided, write_referents
from small_jobs import LABELS, Job, assert_same_decisions, composed, execute

import falip
from benchmarks.run import text as run_text
from falip import UserError
from falip.relations import _parsed as parsed
from falip.relations import language, parse

pytest.importorskip("spacy", reason="relations need spaCy: pip install 'falip[relations]'")
TASK = ("task=rec/refcoco", "task.split=testA", "task.dataset.contract=false", "runtime.progress=false")


@pytest.fixture
def made(clip_folder, tmp_path):
    """A job over the small expressions; `towers` are the grids of its backbones."""
    root = write_referents(tmp_path / "data")

    def make(*overrides, towers=("small",), results="results", kind=Job):
        backbone = "backbone=vit_b32_b16" if len(towers) == 2 else "backbone=vit_b16"
        config = composed([*TASK, f"data_root={root}", f"results_root={tmp_path / results}", backbone, *overrides])
        members = config.backbone.get("members", [config.backbone])
        for member, tower in zip(members, towers, strict=True):
            member.name, member.revision = str(clip_folder(tower)), None
        return kind(config, LABELS, list(overrides))

    return make


def frame_of(job):
    job.execute()
    return job.folder.frame().set_index("text", drop=False)


def logits_of(row):
    """Scores of a text over candidates, as the record has them."""
    return dict(zip(row["texts"], (np.asarray(scores, float) for scores in row["text_scores"]), strict=True))


@pytest.mark.parametrize("settings", [[], ["task.min_area=0.04"], ["prompt=crop_blur"], ["text=relations_subtract"]])
def test_the_decision_is_that_of_the_plain_formula(made, settings):
    frame = frame_of(made("prompt=crop", "text=relations", *settings))
    for text in (text for text in WORDS if text != SPLITS[4][0]):
        row = frame.loc[text]
        share = 0.04 if "task.min_area=0.04" in settings else 0.0
        expected = decided(text, logits_of(row).__getitem__, share)
        assert row["prediction"] == expected.argmax(), text
        assert row["dropped"] == (2 if share else 0)
        with np.errstate(divide="ignore"):
            wanted = np.maximum(np.log(expected / expected.max()), np.log(5e-324))
        kept = ~np.isnan(row["scores"])
        np.testing.assert_allclose(np.asarray(row["scores"])[kept], wanted[kept], atol=1e-4, rtol=1e-6)
        assert row["score"] == 0 and row["chance"] == pytest.approx(1 / kept.sum() if row["oracle"] else 0)


@pytest.mark.parametrize("towers", [("small",), ("small", "ViT-B/32")])
def test_texts_and_their_scores_are_those_of_the_library(made, towers, clip_folder):
    job = made("prompt=crop_blur", "text=relations", towers=towers)
    frame = frame_of(job).set_index("id")
    backbones = [falip.load_backbone(str(clip_folder(tower))) for tower in towers]
    prompt = falip.Ensemble((falip.Crop(), falip.Blur()))
    for i in range(len(job.task.dataset.index)):
        sample = job.task.dataset.load(i)
        (picture,) = sample.pictures
        for query in sample.queries:
            row, parsed = frame.loc[query.id], parse(query.text)
            texts = parsed.texts if len(sample.boxes) > 1 else parsed.texts[:1]
            assert list(row["texts"]) == list(texts)
            scores = falip.score(backbones, picture.image, picture.regions, prompt, texts, template="a photo of {}")
            np.testing.assert_allclose(np.stack(row["text_scores"]), scores.T, atol=1e-3)
            np.testing.assert_array_equal(np.stack(row["boxes"]), sample.boxes)
            assert tuple(row["image_size"]) == picture.image.size
            p = parsed.distribution(np.stack(row["text_scores"]).T, sample.boxes, picture.image.size)
            assert row["prediction"] == p.argmax()


def test_relations_stand_beside_other_texts_and_prompts_in_one_pass_and_each_is_as_alone(made, forward_passes):
    texts = ("default", "relations", "relations_subtract", "subtract")
    share = "task.min_area=0.04"  # two of four candidates are dropped, which relations look at
    choices = [(f"prompt={p}", f"text={t}", share) for p in ("crop", "foveal") for t in texts]
    together = [made(*one, results="together") for one in choices]
    execute(together)
    passes = len(forward_passes)
    for choice, job in zip(choices, together, strict=True):
        alone = made(*choice, results="alone")
        alone.execute()
        assert alone.folder.path.name == job.folder.path.name
        mine, theirs = job.folder.frame(), alone.folder.frame()
        assert_same_decisions(mine, theirs)
        assert mine["texts"].map(list).tolist() == theirs["texts"].map(list).tolist()
        assert (mine["texts"].map(len) > 0).all() == ("relations" in choice[1])
    assert passes <= 2 and len({job.folder.path.name for job in together}) == len(together)


def test_without_a_keyword_relations_decide_as_the_whole_expression_does(made):
    related, plain = frame_of(made("prompt=crop", "text=relations")), frame_of(made("prompt=crop", "text=default"))
    for text in (text for text in WORDS if text not in SAID):
        for field in ("prediction", "correct", "rank", "ties", "chance", "oracle", "iou"):
            assert related.loc[text, field] == plain.loc[text, field]
        assert related.loc[text, "margin"] == pytest.approx(plain.loc[text, "margin"], abs=1e-4)
    for text in WORDS:  # what is stored of components is the whole expression's, with or without
        mine, theirs = (frame.loc[text, "component_scores"][0] for frame in (related, plain))
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_candidates_that_look_alike_tie(made):
    frame = frame_of(made("prompt=plain", "text=relations"))
    assert (frame.loc[["red thing", "left"], "ties"] == 4).all()
    left = frame.loc["leftmost cup"]  # all are a cup, so the place alone decides
    assert (left["prediction"], left["ties"]) == (0, 1)
    frame = frame_of(made("prompt=plain", "text=default"))
    assert (frame["ties"] == frame["candidates"]).all()


class Killed(Exception):
    """Stands for a kill."""


class KilledJob(Job):
    def save(self, records, components):
        if self.folder.parts():
            raise Killed
        super().save(records, components)


def test_shards_and_kills_move_nothing(made):
    reference = made("prompt=crop", "text=relations", results="whole")
    reference.execute()
    for shard in ("1/2", "0/2"):
        options = ("prompt=crop", "text=relations", f"runtime.shard={shard}", "runtime.batch_views=1")
        with contextlib.suppress(Killed):
            made(*options, kind=KilledJob).execute()
        job = made(*options)
        assert job.folder.info["status"] == "failed" and 0 < len(job.folder.frame()) < len(WORDS)
        job.execute()
    mine, theirs = made("prompt=crop", "text=relations").folder.frame(), reference.folder.frame()
    assert_same_decisions(mine, theirs)
    for name in ("texts", "boxes", "image_size"):
        pd.testing.assert_series_equal(mine[name].map(np.vstack), theirs[name].map(np.vstack))


def test_the_parser_is_part_of_the_identity_where_it_is_used(made, monkeypatch):
    plain, related = made("text=default").identity["text"], made("text=relations").identity["text"]
    assert "relations" not in plain, "runs that people have on disk keep their ids"
    assert related.pop("relations") == {"version": 1, **language.versions()} and related == plain
    monkeypatch.setattr(run_text.relations, "versions", lambda: {"spacy": "4.0.0", "model": "en_core_web_sm 4.0.0"})
    assert made("text=relations").folder.path.name != made("text=default").folder.path.name
    assert made("text=relations").identity["text"]["relations"]["spacy"] == "4.0.0"


def test_without_spacy_nothing_is_encoded_and_the_command_that_installs_it_is_named(made, monkeypatch, forward_passes):
    def missing(package):
        raise language.PackageNotFoundError(package)

    monkeypatch.setattr(language, "version", missing)
    with pytest.raises(UserError, match=r"spaCy, which is not installed.*falip\[relations\]"):
        made("text=relations").execute()
    made("text=default").execute()
    assert len(forward_passes) == 1


def test_a_model_that_does_not_fit_spacy_is_noticed_before_anything_is_encoded(made, monkeypatch, forward_passes):
    def broken():
        raise UserError("en_core_web_sm cannot be loaded")

    monkeypatch.setattr(language, "_pipeline", broken)
    parsed.cache_clear()
    with pytest.raises(UserError, match="cannot be loaded"):
        made("text=relations").execute()
    assert forward_passes == []


@pytest.mark.parametrize("task", ["classification/shapes", "pointcloud/solids"])
def test_tasks_without_expressions_refuse_relations(job, task):
    with pytest.raises(UserError, match=f"{task} has no expressions.*text=default"):
        job(f"task={task}", "text=relations")
