"""The grid of attention on target, and the figure of the same runs."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from fake_runs import rec_records, write_new_run
from PIL import Image

from benchmarks.figures.__main__ import main as figures
from benchmarks.tables.__main__ import main

METRICS = {"metrics": {"attention": True, "version": 1}}


def attending(attention, share, **options):
    rng = np.random.default_rng(1)
    found = []
    for record in rec_records(images=40, **options):
        value = float(np.float32(attention * rng.uniform(0.9, 1.1)))
        heads = (value - 0.0625, value + 0.0625)
        found.append(replace(record, attention_on_target=value, attention_by_head=heads, region_share=share))
    return found


@pytest.fixture
def runs(tmp_path):
    root = tmp_path / "runs"
    for prompt, attention, share in (("plain", 0.2, 0.125), ("foveal", 0.25, 0.125), ("crop", 0.8, 1.0)):
        identity = {"prompt": {"name": prompt, "version": 1}, **METRICS}
        write_new_run(root, attending(attention, share, skill=1.0), labels={"prompt": prompt}, identity=identity)
    return root


def rows(text):
    part = text.split("## Attention on target")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|--")]
    return {line[0]: dict(zip(cells[0], line, strict=True)) for line in cells[1:]}


def test_attention_share_lift_and_paired_difference_stand_side_by_side(runs, tmp_path, capsys):
    assert main(["--runs", str(runs), "--out", str(tmp_path), "--name", "lift"]) == 0
    found = rows(capsys.readouterr().out)
    assert list(found) == ["plain", "crop", "foveal"]
    assert found["plain"]["Lift less plain"] == "-" and found["crop"]["Share %"] == "100.0"
    assert found["foveal"]["Attention %"].startswith(("24.", "25.")) and found["foveal"]["Share %"] == "12.5"
    assert float(found["foveal"]["Lift less plain"]) == pytest.approx(0.4, abs=0.01)
    assert found["foveal"]["p"] == "< 0.001" and found["foveal"]["Queries"] == "120"
    with (tmp_path / "lift.csv").open() as file:
        tidy = {row["prompt"]: row for row in csv.DictReader(file)}
    plain, foveal = tidy["plain"], tidy["foveal"]
    assert float(foveal["lift"]) - float(plain["lift"]) == pytest.approx(float(foveal["lift_difference"]))
    low, high = (float(head) for head in plain["lift_by_head"].split())
    assert high - low == pytest.approx(1.0, abs=1e-3)
    assert found["plain"]["Heads"] == f"{low:.2f} to {high:.2f}"


def test_runs_without_attention_have_no_grid_and_no_columns(tmp_path, capsys):
    write_new_run(tmp_path / "runs", rec_records())
    assert main(["--runs", str(tmp_path / "runs"), "--out", str(tmp_path), "--name", "without"]) == 0
    assert "Attention on target" not in capsys.readouterr().out
    assert "lift" not in (tmp_path / "without.csv").read_text()


def test_a_run_without_attention_beside_one_with_it_has_empty_cells(runs, tmp_path, capsys):
    write_new_run(runs, rec_records(images=40), labels={"prompt": "blur"}, identity={"prompt": {"name": "blur"}})
    assert main(["--runs", str(runs), "--out", str(tmp_path), "--name", "mixed"]) == 0
    assert "blur" not in rows(capsys.readouterr().out)
    with (tmp_path / "mixed.csv").open() as file:
        assert {row["prompt"]: bool(row["lift"]) for row in csv.DictReader(file)} == {
            "plain": True, "foveal": True, "crop": True, "blur": False,
        }  # fmt: skip


def test_the_figure_of_lift_and_accuracy_is_drawn_from_runs(runs, tmp_path):
    assert figures(["lift", "--runs", str(runs), "--out", str(tmp_path / "figures")]) == 0
    with Image.open(tmp_path / "figures/lift.png") as drawn:
        assert drawn.width > 300
    assert (tmp_path / "figures/lift.pdf").read_bytes().startswith(b"%PDF")


def test_a_figure_without_runs_says_how_to_make_them(tmp_path, capsys):
    write_new_run(tmp_path / "runs", rec_records())
    assert figures(["lift", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path)]) == 2
    assert "metrics.attention=true" in capsys.readouterr().err and not list(tmp_path.glob("*.png"))
