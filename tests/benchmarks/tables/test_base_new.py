"""The grid of base and new classes with their harmonic mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_runs import class_records, write_new_run

from benchmarks.tables.__main__ import main


def write(root: Path, prompt: str, skill: float, data: dict[str, Any], name: str = "cub") -> None:
    """A run of 40 pictures with so much skill over a part of the classes."""
    task = {"name": f"classification/{name}", "version": 1, "dataset": {"name": name, "split": "test", **data}}
    identity = {"task": task, "prompt": {"name": prompt, "version": 1}}
    labels = {"task": f"classification/{name}", "split": "test", "prompt": prompt}
    overrides = [f"task.dataset.{key}={value}" for key, value in data.items() if key in ("classes", "open_ratio")]
    records = class_records(samples=40, classes=4, skill=skill)
    write_new_run(root, records, labels=labels, identity=identity, overrides=overrides)


def grid(root: Path, out: Path, said: pytest.CaptureFixture[str]) -> list[list[str]]:
    assert main(["--runs", str(root), "--out", str(out), "--name", "parts"]) == 0
    _, _, text = said.readouterr().out.partition("## Base and new classes")
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_h_is_the_harmonic_mean_of_both_parts_of_one_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "runs"
    for prompt, skill in (("plain", 1.0), ("foveal", 2.0)):
        write(root, prompt, 9.0, {"pictures": "0" * 64})
        write(root, prompt, skill, {"classes": "base", "open_ratio": 0.5, "pictures": "1" * 64})
        write(root, prompt, 0.3, {"classes": "new", "open_ratio": 0.5, "pictures": "2" * 64})
    write(root, "plain", 9.0, {"classes": "new", "open_ratio": 0.2, "pictures": "3" * 64})
    header, *body = grid(root, tmp_path, capsys)
    assert header == ["Method", "Base classes", "Accuracy", "New classes", "Accuracy", "H"]
    assert [line[0] for line in body] == ["plain", "foveal"]
    for _, base_label, base, new_label, new, h in body:
        assert "classes=base, open_ratio=0.5" in base_label and "classes=new, open_ratio=0.5" in new_label
        b, n = (float(cell.split()[0]) for cell in (base, new))
        assert 20 < n < b < 100
        assert float(h) == pytest.approx(2 / (1 / b + 1 / n), abs=0.1)


def test_a_part_alone_has_no_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "runs", "plain", 1.0, {"classes": "base", "open_ratio": 0.5})
    write(tmp_path / "runs", "plain", 1.0, {"classes": "new", "open_ratio": 0.2})
    write(tmp_path / "runs", "plain", 1.0, {"classes": ["a", "b", "c", "d"]}, name="csv")
    assert grid(tmp_path / "runs", tmp_path, capsys) == []


def test_where_all_of_a_part_are_wrong_h_is_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "runs", "plain", 9.0, {"classes": "base", "open_ratio": 0.5})
    write(tmp_path / "runs", "plain", -99.0, {"classes": "new", "open_ratio": 0.5})
    ((_, *_, h),) = grid(tmp_path / "runs", tmp_path, capsys)[1:]
    assert h == "0.0"
