"""The list of runs."""

import subprocess
import sys
from pathlib import Path

from fake_runs import rec_records, write_run

from benchmarks.status import main

ROOT = Path(__file__).resolve().parents[2]


def test_every_run_is_listed_with_how_far_it_came_or_why_it_failed(tmp_path, capsys):
    records = rec_records()
    write_run(tmp_path, "aaa", records, identity={"limit": 6})
    write_run(tmp_path, "bbb", records[:5], expected=18, status="started", labels={"prompt": "crop"})
    error = {"type": "UserError", "message": "no images under\n  data"}
    write_run(tmp_path, "ccc", [], expected=18, status="failed", error=error, labels={"prompt": "falip"})
    assert main(["--runs", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert f"deleting its folder under {tmp_path} forgets it" in printed.err
    assert any("complete" in line and "aaa" in line and "18 of 18 (subset)" in line for line in lines)
    assert any("partial" in line and "crop" in line and "5 of 18" in line for line in lines)
    assert any("failed" in line and "UserError: no images under data" in line for line in lines)
    assert lines[-1] == "1 complete, 1 failed, 1 partial"


def test_a_broken_folder_is_listed_and_does_not_hide_the_others(tmp_path, capsys):
    write_run(tmp_path, "aaa", rec_records())
    (write_run(tmp_path, "bbb", rec_records(), labels={"prompt": "crop"}) / "run.json").write_text("{")
    assert main(["--runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "damaged" in out and "Delete the folder" in out and "18 of 18" in out


def test_no_runs_is_an_answer(tmp_path, capsys):
    assert main(["--runs", str(tmp_path)]) == 0
    assert "no runs under" in capsys.readouterr().out


def test_a_misspelt_folder_is_no_answer(tmp_path, capsys):
    assert main(["--runs", str(tmp_path / "nowhere")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_missing_runs_of_an_experiment_are_listed_by_what_they_are(tmp_path, capsys):
    labels = {"task": "rec/refcoco", "split": "testA", "backbone": "vit_b16"}
    write_run(tmp_path, "aaa", rec_records(), labels={**labels, "prompt": "plain"})
    write_run(tmp_path, "bbb", rec_records()[:5], expected=18, status="started", labels={**labels, "prompt": "foveal"})
    write_run(tmp_path, "ccc", rec_records(), labels={**labels, "prompt": "crop"})
    write_run(tmp_path, "ddd", rec_records(), labels={**labels, "prompt": "foveal_diagonal"}, identity={"limit": 6})
    chosen = ["--experiment", "table_mask_form", "task=rec/refcoco", "task.split=testA", "backbone=vit_b16"]
    assert main(["--runs", str(tmp_path), *chosen]) == 0
    lines = capsys.readouterr().out.splitlines()
    words = {tuple(line.split()[i] for i in (0, 4)) for line in lines[1:-2]}
    assert words == {
        ("complete", "plain"),
        ("partial", "foveal"),
        ("missing", "foveal_all_rows"),
        ("missing", "foveal_diagonal"),
    }
    assert lines[-1] == "1 complete, 2 missing, 1 partial"
    assert main(["--runs", str(tmp_path), *chosen, "task.limit=6"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 complete, 3 missing"


def test_the_settings_of_a_sweep_are_part_of_what_is_expected(tmp_path, capsys):
    labels = {"split": "test", "prompt": "foveal,alpha=0.2,sigma=100.0"}
    write_run(tmp_path, "aaa", rec_records(), labels=labels)
    assert main(["--runs", str(tmp_path), "--experiment", "sweep_alpha_sigma"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 complete, 19 missing"


def test_what_make_reproduce_asks_for(tmp_path, capsys):
    assert main(["--runs", str(tmp_path), "--reproduce", "--tables", "pointcloud", "--backbone", "vit_l14"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "6 missing" and "pointcloud/scanobjectnn  test   vit_l14   foveal_tokens" in said


def test_a_misspelt_experiment_is_one_message(tmp_path, capsys):
    assert main(["--runs", str(tmp_path), "--experiment", "table_rek"]) == 2
    assert "there is no experiment 'table_rek'. Did you mean table_rec?" in capsys.readouterr().err


def test_what_is_computed_from_records_loads_no_torch():
    code = "import sys, benchmarks.status, benchmarks.tables.request; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_misspelt_setting_of_an_experiment_is_one_message(tmp_path, capsys):
    assert main(["--runs", str(tmp_path), "--experiment", "table_rec", "prompt.alfa=1"]) == 2
    assert "there is no setting 'prompt.alfa'. Did you mean prompt.alpha?" in capsys.readouterr().err
