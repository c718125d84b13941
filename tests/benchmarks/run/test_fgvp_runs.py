"""FGVP's prompts from the command line, in one pass with prompts that are prepared otherwise."""

import json
import sys

import pytest
from small_jobs import assert_same_decisions, small_job

from benchmarks.records.record import read_parts
from benchmarks.settings.choices import options
from falip.prompts.fgvp.prompt import CUTS, DRAWINGS

NAMES = [name for name in options("prompt") if name.startswith("fgvp_")]


def test_each_of_its_prompts_and_ensembles_has_a_configuration():
    rows = ("p_c1", "p_d4", "c1_c3_c4", "d1_d3_d4", "p_c1_c3_c4", "p_d1_d3_d4")  # of its README's table
    ensembles = {f"fgvp_{row}" for row in rows}
    assert set(NAMES) == {f"fgvp_{name}" for name in (*CUTS, *DRAWINGS)} | ensembles


def test_in_one_pass_with_others_each_keeps_its_numbers(cli, clip_folder, tmp_path):
    pytest.importorskip("cv2", reason="FGVP's prompts need OpenCV: pip install opencv-python-headless")
    swept = ("crop", "fgvp_crop", "fgvp_contour", "fgvp_p_d1_d3_d4", "fgvp_p_c1_c3_c4")
    where = [f"backbone.name={clip_folder('small')}", f"results_root={tmp_path / 'results'}", "task.dataset.scenes=3"]
    status, printed = cli("-m", f"prompt={','.join(swept)}", *where)
    assert status == 0, printed
    runs = {}
    for file in (tmp_path / "results").rglob("run.json"):
        info = json.loads(file.read_text())
        runs[info["labels"]["prompt"]] = info, read_parts((file.parent / "records").glob("*.parquet"))
    assert set(runs) == set(swept) and {info["timing"]["runs_together"] for info, _ in runs.values()} == {5}
    assert runs["fgvp_p_d1_d3_d4"][0]["components"] == ["crop", "fgvp_contour", "fgvp_grayscale_mask", "fgvp_blur_mask"]
    assert runs["fgvp_p_c1_c3_c4"][0]["components"] == [
        "crop", "fgvp_circle", "fgvp_grayscale_circle_mask", "fgvp_blur_circle_mask",
    ]  # fmt: skip
    for name in ("crop", "fgvp_crop", "fgvp_p_c1_c3_c4"):
        alone = small_job(clip_folder("small"), tmp_path / "alone", f"prompt={name}", "task=rec/shapes", where[-1])
        alone.execute()
        assert_same_decisions(runs[name][1], alone.folder.frame())
    scores = {name: [tuple(row) for row in frame["scores"]] for name, (_, frame) in runs.items()}
    assert scores["crop"] != scores["fgvp_crop"], "it is resized in its own way"


def test_without_opencv_a_run_fails_with_one_message_and_the_command(cli, clip_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    where = [f"backbone.name={clip_folder('small')}", f"results_root={tmp_path / 'results'}", "task.dataset.scenes=2"]
    status, printed = cli("prompt=fgvp_box", *where)
    assert status == 2 and "pip install opencv-python-headless" in printed and "Traceback" not in printed
    (file,) = (tmp_path / "results").rglob("run.json")
    assert json.loads(file.read_text())["status"] == "failed"
    assert cli("-m", "prompt=fgvp_box,crop", *where)[0] == 2
    done = {info["labels"]["prompt"]: info["status"] for info in map(_read, (tmp_path / "results").rglob("run.json"))}
    assert done == {"fgvp_box": "failed", "crop": "complete"}


def _read(file):
    return json.loads(file.read_text())
