"""What the report shows of runs whose embeddings are read out."""

import json
import re
from dataclasses import replace

import pytest
from small_jobs import small_job

from benchmarks.records.run import read_run
from benchmarks.report.__main__ import main
from benchmarks.report.restore import RunSetting
from falip import MaskPool, load_backbone


@pytest.fixture
def runs(clip_folder, tmp_path):
    """Run folders of a foveal mask and two read-outs, with a larger input."""
    for prompt in ("foveal", "sclip", "text_region"):
        job = small_job(clip_folder("small"), tmp_path, f"prompt={prompt}", "task.limit=2", "backbone.image_size=96")
        job.labels["prompt"] = prompt
        job.execute()
    return tmp_path / "runs"


def test_similarity_stands_in_the_place_of_attention(runs, tmp_path):
    assert main([str(runs), "--out", str(tmp_path / "page.html"), "--attention"]) == 0
    page = (tmp_path / "page.html").read_text()
    words = re.findall(r'"words": ?\\?(\[[^]]*\])', page)
    assert {tuple(json.loads(found)) for found in words} == {
        ("similarity to the picture", "similarity to the region"),
        ("attention before", "attention after"),
    }
    assert "Head response: foveal" in page and "Head response: sclip" not in page


def test_a_run_with_another_input_size_is_restored_with_it(runs, clip_folder):
    (path,) = (path for path in runs.rglob("run.json") if json.loads(path.read_text())["labels"]["prompt"] == "sclip")
    setting = RunSetting(read_run(path.parent))
    assert setting.prompt == MaskPool("sclip")
    whole = load_backbone(str(clip_folder("small")), image_size=96).geometry
    assert setting.geometry == replace(whole, heads=1)  # no prompt asks how many there are
    assert setting.backbone and setting.backbone["image_size"] == 96
