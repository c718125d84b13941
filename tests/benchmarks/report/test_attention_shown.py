"""What the report shows of attention in other towers than CLIP's."""

import json

import pytest
from alpha_weights import write_alpha_weights
from open_clip_reference import write_open_clip
from siglip_reference import write_siglip
from small_jobs import small_job
from test_report import content

from benchmarks.report.__main__ import main


def _page(tmp_path, folder, *overrides, prompt="foveal") -> dict:
    job = small_job(folder, tmp_path / "results", f"prompt={prompt}", "task.limit=1", *overrides)
    job.labels["prompt"] = prompt
    job.execute()
    assert main([str(tmp_path / "results" / "runs"), "--out", str(tmp_path / "page.html"), "--attention"]) == 0
    return content(tmp_path / "page.html")


def _maps(page: dict) -> list[dict]:
    slots = [views for sample in page["samples"] for method in sample["views"] for views in method.values()]
    return [view for views in slots for view in views if "attention" in view]


@pytest.mark.parametrize("write", [write_siglip, lambda folder: write_open_clip(folder, "resnet")])
def test_the_attention_of_the_pooling_query_is_shown(tmp_path, write):
    write(tmp_path / "model")
    maps = _maps(_page(tmp_path, tmp_path / "model"))
    assert maps and all(one["mask"].startswith("data:image/png") for one in maps)
    assert any(one["attention"]["before"] != one["attention"]["after"] for one in maps)


@pytest.fixture
def alpha(tmp_path, clip_folder):
    path = tmp_path / "visual.pth"
    write_alpha_weights(clip_folder("small"), path)
    return path


def test_the_attention_under_an_alpha_map_is_shown(tmp_path, clip_folder, alpha):
    maps = _maps(_page(tmp_path, clip_folder("small"), f"backbone.alpha_weights={alpha}", prompt="alpha"))
    assert maps and any(one["attention"]["before"] != one["attention"]["after"] for one in maps)


@pytest.mark.parametrize("change, said", [("tune", "not those that the run had"), ("remove", "There is no file")])
def test_alpha_weights_that_are_others_or_gone_are_a_note(tmp_path, clip_folder, alpha, change, said):
    job = small_job(
        clip_folder("small"), tmp_path / "results", "prompt=alpha", "task.limit=1", f"backbone.alpha_weights={alpha}"
    )
    job.labels["prompt"] = "alpha"
    job.execute()
    if change == "tune":
        write_alpha_weights(clip_folder("small"), alpha, tuning=0.5)
    else:
        alpha.unlink()
    assert main([str(tmp_path / "results" / "runs"), "--out", str(tmp_path / "page.html"), "--attention"]) == 0
    page = content(tmp_path / "page.html")
    assert not _maps(page) and said in json.dumps(page["groups"])
