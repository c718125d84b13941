"""`falip figures`: each figure as PNG and PDF."""

import pytest
from PIL import Image

from benchmarks.figures.__main__ import FIGURES, main
from benchmarks.figures.examples import Example, _chosen


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_written_as_png_and_pdf(tmp_path, clip_folder, name):
    assert (
        main([name, "--out", str(tmp_path), "--scenes", "5", "--dpi", "50", "--backbone", str(clip_folder("small"))]) == 0
    )
    with Image.open(tmp_path / f"{name}.png") as drawn:
        assert drawn.width > 300
    assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(tmp_path.iterdir())) == 2


def test_the_same_command_gives_the_same_pdf(tmp_path, clip_folder):
    for folder in ("a", "b"):
        main(["heads", "--out", str(tmp_path / folder), "--scenes", "1", "--backbone", str(clip_folder("small"))])
    assert (tmp_path / "a/heads.pdf").read_bytes() == (tmp_path / "b/heads.pdf").read_bytes()


def test_a_palette_makes_the_picture_smaller(tmp_path, clip_folder):
    command = ["attention", "--backbone", str(clip_folder("small")), "--dpi", "60"]
    main([*command, "--out", str(tmp_path / "full")])
    main([*command, "--out", str(tmp_path / "small"), "--palette"])
    sizes = [(tmp_path / folder / "attention.png").stat().st_size for folder in ("full", "small")]
    assert sizes[1] < 0.6 * sizes[0]


def test_examples_show_every_outcome_that_there_is():
    def example(circle: int, foveal: int) -> Example:
        decisions = {"plain": 0, "red circle": circle, "foveal mask": foveal}
        return Example(Image.new("RGB", (8, 8)), "x", ((0, 0, 4, 4), (4, 4, 8, 8)), 1, decisions)

    examples = [example(1, 1), example(1, 1), example(1, 1), example(0, 1), example(0, 0)]
    assert [one.outcome for one in _chosen(examples)] == [(False, True), (True, True), (False, False), (True, True)]


def test_a_wrong_number_is_one_message_and_status_2(capsys):
    assert main(["attention", "--first", "-1"]) == 2
    assert "--first" in capsys.readouterr().err
