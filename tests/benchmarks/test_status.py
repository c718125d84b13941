"""The list of runs."""

import subprocess
import sys
from pathlib import Path

from fake_runs import rec_records, write_run

from benchmarks.runs import discover
from benchmarks.status import main, status_rows

ROOT = Path(__file__).resolve().parents[2]


def test_every_run_is_listed_with_how_far_it_came_or_why_it_failed(tmp_path, capsys):
    records = rec_records()
    write_run(tmp_path, "aaa", records, identity={"limit": 6})
    write_run(tmp_path, "bbb", records[:5], expected=18, status="started", labels={"prompt": "crop"})
    error = {"type": "UserError", "message": "no images under\n  data"}
    write_run(tmp_path, "ccc", [], expected=18, status="failed", error=error, labels={"prompt": "falip"})
    assert main(["--runs", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("complete" in line and "aaa" in line and "18 of 18 (subset)" in line for line in lines)
    assert any("partial" in line and "crop" in line and "5 of 18" in line for line in lines)
    assert any("failed" in line and "UserError: no images under data" in line for line in lines)
    assert lines[-1] == "1 complete, 1 failed, 1 partial"


def test_a_broken_folder_is_listed_and_does_not_hide_the_others(tmp_path, capsys):
    write_run(tmp_path, "aaa", rec_records())
    (write_run(tmp_path, "bbb", rec_records(), labels={"prompt": "crop"}) / "run.json").write_text("{")
    assert main(["--runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "unreadable" in out and "Delete the folder" in out and "18 of 18" in out


def test_no_runs_is_an_answer(tmp_path, capsys):
    assert main(["--runs", str(tmp_path / "nowhere")]) == 0
    assert "no runs under" in capsys.readouterr().out


def test_missing_runs_of_an_experiment_are_listed(tmp_path):
    write_run(tmp_path, "aaa", rec_records())
    write_run(tmp_path, "bbb", rec_records(), labels={"prompt": "crop"})
    rows = status_rows(discover(tmp_path), expected={"aaa", "zzz"})
    assert [(row.run_id, row.state) for row in rows] == [("aaa", "complete"), ("zzz", "missing")]


def test_what_is_computed_from_records_loads_no_torch():
    modules = "status, tables.__main__, metrics, recombine, published, decisions"
    code = f"import sys; from benchmarks import {modules.replace('tables.__main__', 'tables')}; "
    code += "import benchmarks.tables.__main__; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
