"""The benchmark of the data side: both of its ways make one input."""

import csv

import pytest
import torch

from benchmarks.speed.__main__ import main
from benchmarks.speed.windows import (
    HEAD,
    PROMPTS,
    both_inputs,
    by_pillow,
    by_windows,
    count_different,
    masked_scene,
    measure_workers,
    odd_sizes,
    picture_prompts,
    scene,
)
from falip import Geometry


@pytest.mark.parametrize("size", [(200, 150), (97, 211), (301, 40)])
@pytest.mark.parametrize("name", PROMPTS)
def test_both_ways_make_the_same_input_to_the_bit(name, size):
    picture, regions = scene(size, 4, 0)
    found = by_windows(PROMPTS[name], picture, regions)
    assert found.shape == (4, 3, 224, 224) and torch.equal(found, by_pillow(PROMPTS[name], picture, regions))


@pytest.mark.parametrize("size", [(1, 1), (300, 9), (224, 224), (97, 130)])
def test_every_prompt_of_the_configurations_that_edits_pictures_has_the_input_of_its_drawn_pictures(size):
    picture, regions = masked_scene(size, 2, 0)
    thin = max(size) > 8 * min(size)
    prompts = {name: p for name, p in picture_prompts().items() if not (thin and name.startswith("fgvp"))}
    assert {"blur_mask", "marker", "three_circles", "foveal_red_circle", "crop_blur", "alpha_blur"} <= set(prompts)
    for name, prompt in prompts.items():
        pairs = list(both_inputs(prompt(picture, regions, Geometry(224, 16, 12, 12))))
        assert pairs and all(torch.equal(*pair) for pair in pairs), name


def test_odd_sizes_are_tall_and_wide_tiny_and_huge_and_the_models_own():
    sizes = odd_sizes(200)
    assert len(sizes) == len(set(sizes)) == 200 and {(1, 1), (224, 224), (2400, 1800)} <= set(sizes)
    assert any(width > 8 * height for width, height in sizes) and any(height > 8 * width for width, height in sizes)


def test_numbers_that_differ_are_counted(monkeypatch):
    assert count_different(2, PROMPTS)[0] == 0
    monkeypatch.setattr("benchmarks.speed.windows._whole", lambda drawn, own: torch.full((3, 224, 224), 9.0))
    different, compared = count_different(1, PROMPTS)
    assert different == compared > 0


def test_the_command_prints_both_ways(tmp_path, capsys):
    out = tmp_path / "data"
    assert main(["--data", "--quick", "--out", str(out)]) == 0
    rows = list(csv.DictReader(out.with_suffix(".csv").open()))
    assert tuple(rows[0]) == HEAD and [row["prompt"] for row in rows] == list(PROMPTS)
    assert all(float(row[column]) > 0 for row in rows for column in HEAD[1:])
    text = capsys.readouterr().out
    assert text == out.with_suffix(".md").read_text() and "0 of " in text


@pytest.mark.slow
def test_threads_and_processes_hand_their_input_over():
    rows = measure_workers(2, counts=(1,))
    assert [row[1] for row in rows] == ["1 threads", "1 processes"] * 2 and all(float(row[2]) > 0 for row in rows)
