"""Jobs over a few scenes and a random CLIP, as small as a run can be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from benchmarks.run import job, one_pass
from benchmarks.settings.choices import CONFIGS
from benchmarks.settings.sweep import Asked, Labels

LABELS = Labels("small", "foveal", "default")


class Job(job.Job):
    """A job that is run by itself, from what was composed for it."""

    def __init__(self, config: DictConfig, labels: Labels = LABELS, overrides: Sequence[str] = ()) -> None:
        super().__init__(asked_by(config, labels, overrides))

    def execute(self) -> None:
        """Runs what is missing; raises what ended it."""
        execute([self])


def asked_by(config: DictConfig, labels: Labels = LABELS, overrides: Sequence[str] = ()) -> Asked:
    """A job from what was composed for it."""
    settings: Any = OmegaConf.to_container(config, resolve=True)
    return Asked(settings, labels, tuple(overrides))


def execute(jobs: Sequence[job.Job]) -> None:
    """Runs what is missing of jobs in one pass; raises what ended the first that failed."""
    for error in one_pass.execute([one for one in jobs if one.wants_running()]).values():
        raise error


def composed(overrides: Sequence[str] = (), folder: Path = CONFIGS) -> DictConfig:
    """What Hydra makes of a command line."""
    with initialize_config_dir(str(folder.resolve()), version_base="1.3"):
        return compose("run", list(overrides))


def small_job(backbone: Path, results: Path, *overrides: str, kind: type[Job] = Job) -> Job:
    """A job over six scenes of shapes, unless the overrides choose another task."""
    task = [] if any(o.startswith("task=") for o in overrides) else ["task.dataset.scenes=6"]
    given = [f"backbone.name={backbone}", f"results_root={results}", "runtime.progress=false", *task, *overrides]
    return kind(composed(given), LABELS, list(overrides))


def assert_same_decisions(frame: pd.DataFrame, reference: pd.DataFrame) -> None:
    """The same ids and counts; scores to 2e-4; decisions wherever they are not that close."""
    exact = ["id", "group", "text", "candidates", "target", "oracle", "chance", "dropped", "fallback", "status"]
    pd.testing.assert_frame_equal(frame[exact], reference[exact])
    for mine, theirs in zip(frame["scores"], reference["scores"], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-4, rtol=0)
    clear = reference["margin"] > 1e-4
    assert clear.mean() > 0.5, "most decisions must be clear, or the comparison says nothing"
    pd.testing.assert_series_equal(frame["prediction"][clear], reference["prediction"][clear])
    pd.testing.assert_series_equal(frame["correct"][clear], reference["correct"][clear])
