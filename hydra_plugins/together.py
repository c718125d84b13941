"""Hydra takes launchers and sweepers from this namespace package alone; what they do is in `benchmarks.run.launcher`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn


class TogetherLauncher(BasicLauncher):
    """Evaluates jobs that differ in prompt and text alone in one pass, in this process."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """One result for each job."""
        from benchmarks.run.launcher import in_this_process

        return in_this_process(self, job_overrides, initial_job_idx)


class GroupSweeper(BasicSweeper):
    """Hydra's own sweeper, which hands a launcher one job for each group that can be evaluated in one pass.

    To `basic` it hands job by job.
    """

    def setup(self, **options: Any) -> None:
        """As Hydra's, then puts the groups between the sweep and its launcher."""
        super().setup(**options)
        launcher: Any = self.launcher
        if isinstance(launcher, TogetherLauncher):
            return
        launch, one_by_one = launcher.launch, type(launcher) is BasicLauncher

        def launch_groups(job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            from benchmarks.run.launcher import spread

            return spread(launcher, launch, job_overrides, initial_job_idx, one_by_one)

        launcher.launch = launch_groups

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """A job that cannot be composed fails by itself, when its turn comes."""


def _register() -> None:
    store = ConfigStore.instance()
    launcher = {"_target_": f"{__name__}.{TogetherLauncher.__name__}"}
    store.store(group="hydra/launcher", name="together", provider="falip", node=launcher)
    sweeper = {"_target_": f"{__name__}.{GroupSweeper.__name__}", "max_batch_size": None, "params": None}
    store.store(group="hydra/sweeper", name="groups", provider="falip", node=sweeper)


_register()
