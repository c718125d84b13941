"""Commands that have nothing to compute answer without torch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory, clip_folder) -> tuple[Path, list[str]]:
    """A results folder with three complete runs, and the command that made them."""
    root = tmp_path_factory.mktemp("quick")
    command = ["-m", "prompt=plain,foveal,crop_blur", "task.dataset.scenes=3", f"results_root={root}"]
    shutil.copytree(clip_folder("small"), root / "weights")
    command += [f"backbone.name={root / 'weights'}", "runtime.progress=false"]
    subprocess.run([sys.executable, "-m", "benchmarks", *command], cwd=ROOT, check=True, capture_output=True)
    return root, command


@pytest.fixture
def without_torch(tmp_path: Path):
    """Calls a module where torch and transformers cannot be imported; all that it printed."""
    for name in ("torch", "transformers"):
        (tmp_path / "blocked" / name).mkdir(parents=True)
        (tmp_path / "blocked" / name / "__init__.py").write_text("raise ImportError('there is no torch here')")

    def called(*words: str, status: int = 0) -> str:
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "blocked")}
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return called


def test_complete_runs_answer_at_once(results, without_torch):
    _, command = results
    assert without_torch("benchmarks", *command).count("complete already, nothing to do") == 3
    assert without_torch("benchmarks", *command, "runtime.dry_run=true").count(", complete (") == 3


def test_so_do_help_configurations_and_lists(results, without_torch):
    root, _ = results
    assert "prompt" in without_torch("benchmarks", "--help")
    assert "--sweep" in without_torch("benchmarks.speed", "--help")
    assert "alpha: 0.2" in without_torch("benchmarks", "--cfg", "job")
    assert "3 complete" in without_torch("benchmarks.status", "--runs", str(root / "runs"))
    assert "siglip_b16" in without_torch("benchmarks.backbones")
    assert "crop_blur" in without_torch("benchmarks.tables", "--runs", str(root / "runs"), "--out", str(root / "tables"))


def test_figures_of_runs_look_for_them_before_all_else(results, without_torch):
    nothing = ("benchmarks.figures", "lift", "--runs", str(results[0] / "runs"))
    assert "There are no finished runs with attention" in without_torch(*nothing, status=2)


def test_changed_weights_are_another_run(results, without_torch):
    root, command = results
    with (root / "weights" / "config.json").open("a") as file:
        file.write("\n")
    assert without_torch("benchmarks", *command, "runtime.dry_run=true").count(" 0 of ") == 3
