"""The script of the embedded shift, from trainings to the table, and again without doing anything."""

import csv

import pytest

from scripts import shift

SMALL = ["--seeds", "0", "1", "--steps", "1", "--batch", "2", "--pictures", "3", "--tests", "2"]


@pytest.mark.slow
def test_the_table_names_every_recipe_and_is_made_again_from_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(shift, "RECIPES", {name: shift.RECIPES[name] for name in ("plain", "clipood", "similarity_code")})
    command = [*SMALL, "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    assert shift.main(command) == 0
    table, text = tmp_path / "out/table_align.csv", (tmp_path / "out/table_align.md").read_text()
    rows = list(csv.DictReader(table.open()))
    assert [(row["recipe"], row["seed"]) for row in rows] == [
        ("untrained", ""), *((name, seed) for name in shift.RECIPES for seed in "01"),
    ]  # fmt: skip
    for row in rows:
        assert float(row["target"]) == pytest.approx(sum(float(row[domain]) for domain in shift.DOMAINS) / 3, abs=1e-3)
    assert "±" in text and "| similarity_code |" in text and "| 0.001 |" in text
    weights = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.safetensors")}
    before = table.read_text()
    assert len(weights) == 8 and shift.main(command) == 0
    assert weights == {path: path.stat().st_mtime_ns for path in weights} and table.read_text() == before


def test_an_interval_is_students():
    # By hand: mean 2, standard deviation 1, t of 2 degrees of freedom 4.303, so 4.303 / sqrt(3).
    assert shift._shown([1.0, 2.0, 3.0], "target") == "2.0 ± 2.5"
    assert shift._shown([1.0, 2.0, 3.0], "lift", "+") == "+2.00 ± 2.48"
    assert shift._shown([1.5], "hue") == "1.5"


def test_settings_without_meaning_end_in_a_message(tmp_path, capsys):
    assert shift.main(["--pictures", "1", "--work", str(tmp_path / "work"), "--out", str(tmp_path)]) == 2
    assert "task.dataset.pictures" in capsys.readouterr().err
