"""Accuracy by a parameter of the prompt, drawn from runs."""

import re

import numpy as np
import pytest
from fake_runs import rec_records, write_new_run
from PIL import Image

from benchmarks.figures.__main__ import main
from benchmarks.figures.sweep import draw
from benchmarks.records.runs import find
from falip.errors import UserError


@pytest.fixture
def runs(tmp_path):
    """Foveal runs over alpha at two sigmas, a run of another prompt, and one of another alpha that stands alone."""
    root = tmp_path / "runs"
    for sigma in (5.0, 100.0):
        for alpha in (0.01, 0.1, 0.5):
            write(root, alpha, sigma, alpha)
    write(root, 0.3, 7.0, 1.0)
    write_new_run(root, rec_records(), labels={"prompt": "plain"}, identity={"prompt": {"type": "Plain"}})
    return root


def write(root, alpha, sigma, skill):
    prompt = {"type": "Ensemble", "version": 1, "prompts": [{"type": "Foveal", "alpha": alpha}], "sigma": sigma}
    records = rec_records(images=30, skill=4 * skill, seed=int(sigma))
    label = {"prompt": f"foveal,alpha={alpha},sigma={sigma}"}
    write_new_run(root, records, labels=label, identity={"prompt": prompt}, experiments=["mine"])


def test_lines_stand_at_the_accuracies_and_intervals_of_runs(runs):
    (axes, *_) = draw(runs, "prompts.0.alpha", "sigma", "mine").axes
    lines = {bars.get_label(): bars for bars in axes.containers}
    assert list(lines) == ["sigma 5.0", "sigma 100.0"]
    expected = {
        run.identity["prompt"]["prompts"][0]["alpha"]: run.metrics
        for run in find(runs).runs
        if run.identity["prompt"].get("sigma") == 5.0
    }
    line, _, (bars,) = lines["sigma 5.0"]
    np.testing.assert_allclose(line.get_xdata(orig=False), [0.01, 0.1, 0.5])
    np.testing.assert_allclose(line.get_ydata(orig=False), [100 * expected[x]["accuracy"] for x in (0.01, 0.1, 0.5)])
    low, high = (expected[0.1]["interval"][end] for end in ("low", "high"))
    np.testing.assert_allclose(bars.get_segments()[1][:, 1], [100 * low, 100 * high])
    assert axes.get_xscale() == "log"  # 0.01 to 0.5


def test_values_within_a_decade_have_a_plain_axis_and_lines_are_named_by_what_differs(tmp_path):
    for alpha in (0.1, 0.2):
        for sigma in (5.0, 100.0):
            write(tmp_path, alpha, sigma, alpha)
    (axes,) = draw(tmp_path, "prompts.0.alpha").axes
    assert axes.get_xscale() == "linear"
    assert [bars.get_label() for bars in axes.containers] == ["sigma=5.0", "sigma=100.0"]


def test_the_command_writes_both_formats(runs, tmp_path):
    assert main(["sweep", "--runs", str(runs), "--x", "sigma", "--by", "prompts.0.alpha", "--out", str(tmp_path)]) == 0
    with Image.open(tmp_path / "sweep.png") as drawn:
        assert drawn.width > 300
    assert (tmp_path / "sweep.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--x", "alpha"], "no prompt of the runs .* has such a number. There are: prompts.0.alpha, sigma."),
        (["--experiment", "theirs"], "no finished runs under .* of the experiment theirs.*falip sweep"),
    ],
)
def test_where_there_is_nothing_to_draw_it_says_why(runs, tmp_path, capsys, asked, words):
    assert main(["sweep", "--runs", str(runs), "--out", str(tmp_path), *asked]) == 2
    printed = capsys.readouterr().err
    assert not list(tmp_path.glob("*.png"))
    assert re.search(words, printed), printed


def test_a_parameter_with_one_value_is_told_from_one_that_is_not_there(tmp_path):
    write(tmp_path, 0.1, 5.0, 1.0)
    with pytest.raises(UserError, match=r"No two finished runs .* differ in sigma alone: falip sweep prompt\.sigma=A,B,C"):
        draw(tmp_path, "sigma")
