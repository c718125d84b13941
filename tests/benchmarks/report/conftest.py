"""A page of a small smoke run, and of runs whose texts are markup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_runs import write_run
from scenes import config, identity_of, scene_records
from small_jobs import small_job

from benchmarks.report.__main__ import main


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory, clip_folder: Callable[[str], Path]) -> Path:
    """Run folders of all three kinds of tasks, made by the runner with a small random model."""
    results = tmp_path_factory.mktemp("smoke")
    tasks = ("task=rec/shapes", "task=classification/shapes", "task=pointcloud/solids")
    for task in tasks:
        for prompt in ("plain", "foveal", "crop_blur") if task == tasks[0] else ("plain", "foveal"):
            job = small_job(clip_folder("small"), results, task, f"prompt={prompt}", "task.limit=3")
            job.labels["prompt"] = prompt
            job.execute()
    return results / "runs"


@pytest.fixture(scope="session")
def page(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the smoke run."""
    out = tmp_path_factory.mktemp("page") / "index.html"
    assert main([str(smoke), "--out", str(out)]) == 0
    return out


@pytest.fixture
def write_scenes(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run over embedded scenes without a model; `prompt` is an override such as "foveal"."""

    def written(run_id: str, prompt: str = "foveal", scenes: int = 3, text: str | None = None, **changes) -> Path:
        stored = config("task=rec/shapes", f"prompt={prompt}", f"task.dataset.scenes={scenes}")
        records = scene_records(scenes, int(run_id[:4], 16), text)
        identity = identity_of(stored)
        identity["task"] |= {"dataset": changes.pop("dataset", identity["task"]["dataset"])}
        identity |= changes.pop("identity", {})
        labels = {"prompt": prompt, **changes.pop("labels", {})}
        write_run(
            tmp_path / "runs", run_id, records, **{"config": stored, "labels": labels, "identity": identity, **changes}
        )
        return tmp_path / "runs"

    return written
