"""Sweeps by Hydra's launchers: eight runs in several processes, one of which fails."""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from small_jobs import assert_same_decisions, small_job

from benchmarks.records.record import read_parts

LAUNCHERS = {
    "joblib": ["hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra.launcher.timeout_min=10", "hydra.launcher.submitit_folder=${hydra.sweep.dir}/submitit"],
    "ray": ["+hydra.launcher.ray.init.num_cpus=2"],
}
LAYERS = (1, 2, "[99]", 3, 4, 5, 6)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_sweep_completes_and_survives_a_job_that_fails(launcher, clip_folder, tmp_path):
    plugin = {"submitit_local": "hydra_submitit_launcher"}.get(launcher, f"hydra_{launcher}_launcher")
    if find_spec(f"hydra_plugins.{plugin}") is None:
        pytest.skip(f"{plugin} is not installed: pip install -e '.[joblib,slurm,ray]'")
    layers = ",".join(map(str, LAYERS))
    command = [
        sys.executable, "-m", "benchmarks", "-m", f"hydra/launcher={launcher}", *LAUNCHERS[launcher],
        f"prompt.layers={layers},[0,5]", f"backbone.name={clip_folder('small')}", "task.dataset.scenes=6",
        f"results_root={tmp_path / 'swept'}", "runtime.workers=0",
    ]  # fmt: skip
    root = str(Path(__file__).parents[3])
    # Ray gives its workers a niceness of 15, under which a busy machine starves them.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root, "RAY_worker_niceness": "0"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 2 and "layers=[99]" in done.stderr, done.stdout + done.stderr

    files = list((tmp_path / "swept").rglob("run.json"))
    infos = {file: json.loads(file.read_text()) for file in files}
    assert sorted(info["status"] for info in infos.values()) == ["complete"] * 7 + ["failed"]
    together = {info["timing"]["runs_together"] for info in infos.values() if info["status"] == "complete"}
    assert together == {7}, "a worker gets a group, not a prompt"
    for file, info in infos.items():
        if info["status"] == "complete":
            alone = small_job(
                clip_folder("small"), tmp_path / "alone", f"prompt.layers={info['config']['prompt']['layers']}"
            )
            alone.execute()
            assert alone.folder.path.name == info["run_id"]
            assert_same_decisions(read_parts((file.parent / "records").glob("*.parquet")), alone.folder.frame())


def _working(marker: str) -> list[int]:
    """Processes whose parent was killed and that still work on this sweep."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and marker in (folder / "environ").read_text(errors="replace"):
                found.append(int(folder.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="asks /proc for processes")
def test_workers_end_soon_after_their_parent_is_killed(clip_folder, tmp_path):
    if find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        pytest.skip("hydra_joblib_launcher is not installed")
    marker = f"sweep-{os.getpid()}-{tmp_path.name}"
    command = [
        sys.executable, "-m", "benchmarks", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
        "task.limit=400,500", "prompt=blur,crop", f"backbone.name={clip_folder('small')}",
        f"results_root={tmp_path}", "runtime.workers=0", "runtime.batch_views=1",
    ]  # fmt: skip
    root = Path(__file__).parents[3]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root), "SWEEP": marker}
    parent = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not list(tmp_path.rglob("*.parquet")):
            assert parent.poll() is None, "it ended before it recorded anything"
            time.sleep(0.2)
        assert len(_working(marker)) > 1
    finally:
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 15
    while _working(marker) and time.monotonic() < deadline:
        time.sleep(0.3)
    assert not _working(marker)
