"""The benchmark of memory: every kind of prompt is measured, for few and many regions."""

import csv
import sys

import pytest

from benchmarks.speed import memory
from benchmarks.speed.__main__ import main
from falip import UserError


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_command_measures_regions_of_one_picture(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(memory, "_fresh_peak", memory.peak)  # processes would take most of the time
    out = tmp_path / "memory"
    assert main(["--memory", "--backbone", "tiny", "--quick", "--out", str(out)]) == 0
    rows = list(csv.DictReader(out.with_suffix(".csv").open()))
    assert tuple(rows[0]) == memory.HEAD and {row["prompt"] for row in rows} == set(memory.PROMPTS)
    assert {row["number"] for row in rows} == {str(number) for number in memory.QUICK_REGIONS}
    assert all(0 <= float(row["peak MB"]) < 2000 for row in rows)
    assert capsys.readouterr().out == out.with_suffix(".md").read_text()


@pytest.mark.slow
def test_a_process_that_fails_says_why():
    with pytest.raises(UserError, match="no_such"):
        memory._fresh_peak("./no_such", "foveal", "regions", 1)
