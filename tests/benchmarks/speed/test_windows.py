"""The benchmark of the data side: both of its ways make one input, and windows need less time."""

import csv

import pytest
import torch

from benchmarks.speed.__main__ import main
from benchmarks.speed.windows import HEAD, PROMPTS, by_pillow, by_windows, count_different, measure_workers, scene


@pytest.mark.parametrize("size", [(200, 150), (97, 211), (301, 40)])
@pytest.mark.parametrize("name", PROMPTS)
def test_both_ways_make_the_same_input_to_the_bit(name, size):
    picture, regions = scene(size, 4, 0)
    found = by_windows(PROMPTS[name], picture, regions)
    assert found.shape == (4, 3, 224, 224) and torch.equal(found, by_pillow(PROMPTS[name], picture, regions))


def test_numbers_that_differ_are_counted(monkeypatch):
    assert count_different(1)[0] == 0
    monkeypatch.setattr("benchmarks.speed.windows.by_windows", lambda *given: by_pillow(*given) + 1)
    different, compared = count_different(1)
    assert different == compared > 0


def test_the_command_prints_both_ways(tmp_path, capsys):
    out = tmp_path / "data"
    assert main(["--data", "--quick", "--out", str(out)]) == 0
    rows = list(csv.DictReader(out.with_suffix(".csv").open()))
    assert tuple(rows[0]) == HEAD and [row["prompt"] for row in rows] == list(PROMPTS)
    assert float(rows[0]["times"]) > 1
    text = capsys.readouterr().out
    assert text == out.with_suffix(".md").read_text() and "0 of " in text


@pytest.mark.slow
def test_threads_and_processes_hand_their_input_over():
    rows = measure_workers(2, counts=(1,))
    assert [row[1] for row in rows] == ["1 threads", "1 processes"] * 2 and all(float(row[2]) > 0 for row in rows)
