"""A fine-tuning whose process is killed, and called again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_jobs import small_job

from falip import load_backbone

ROOT = Path(__file__).parents[3]
TASK = ("task=classification/shapes", "task.dataset.scenes=8")
TERMS = ("--margin", "0.3", "--beta", "0.5", "--attention", "10", "--similarity", "10", "--smoothing", "1")
RECIPE = ("--steps", "60", "--batch", "3", "--learning-rate", "1e-3", "--every", "1", *TERMS)


@pytest.fixture
def started(clip_folder, tmp_path):
    """Starts `falip train align` in a process of its own, which is gone when the test is over."""
    running = []

    def start(out):
        command = [
            sys.executable,
            "-m",
            "benchmarks.console",
            "train",
            "align",
            *TASK,
            f"backbone.name={clip_folder('small')}",
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with (tmp_path / "said.txt").open("a") as said:
            process = subprocess.Popen(
                [*command, "--out", str(out), *RECIPE], cwd=tmp_path, env=environment, stdout=said, stderr=said
            )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def _checkpoint_of(process, out, seconds=120):
    end = time.monotonic() + seconds
    while not (out / "checkpoint.pt").is_file():
        assert process.poll() is None and time.monotonic() < end, "the training ended without a checkpoint"
        time.sleep(0.005)


@pytest.mark.slow
def test_killed_in_the_middle_it_ends_with_the_same_weights_and_its_runs_name_it(started, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert started(whole).wait() == 0, (tmp_path / "said.txt").read_text()
    process = started(killed)
    _checkpoint_of(process, killed)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "training.json").exists()
    assert started(killed).wait() == 0, (tmp_path / "said.txt").read_text()
    for name in ("model.safetensors", "training_log.csv", "training.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    (identity,) = small_job(killed, tmp_path / "runs", *TASK).identity["backbone"]
    assert identity == load_backbone(str(killed)).identity
    assert identity["training"]["recipe"]["steps"] == 60
    assert identity["training"]["data"]["task"] == "classification/shapes"
