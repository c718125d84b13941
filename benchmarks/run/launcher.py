"""How Hydra's launchers run the jobs of a sweep: those that share their work on pictures go together.

`together`, the default, evaluates each group in this process. Other launchers (joblib, submitit, Ray) spread the groups
over workers: each gets one job a group, and a task function that knows the others.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job
from omegaconf import DictConfig, open_dict

from benchmarks.run.one_pass import evaluate, record_failure
from benchmarks.run.orphans import end_with_parent
from benchmarks.settings.choices import explained
from benchmarks.settings.sweep import Asked, Composer, grouped, without
from falip.errors import UserError

log = logging.getLogger("benchmarks")

Overrides = tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """Why a run failed, as it travels between processes.

    Attributes:
        message: In words.
        mendable: Whether the user can mend it.
    """

    message: str
    mendable: bool

    @staticmethod
    def of(error: Exception | None) -> Failure | None:
        """Of what a run ended with."""
        if error is None:
            return None
        known = isinstance(error, UserError)
        return Failure(str(error) if known else f"{type(error).__name__}: {error}", known)


class _Failed(JobReturn):
    """A failure that has been told: Hydra's own would write the overrides of one job above the message of all."""

    @property
    def return_value(self) -> Any:
        raise self._return_value


class RunFailedError(Exception):
    """A run failed by a fault of the program, which has been logged where it happened."""


class GroupTask:
    """A task function that evaluates all jobs of the group that its own job stands for; it travels to workers.

    Args:
        groups: For the overrides of the job that stands for a group all its jobs.
    """

    def __init__(self, groups: Mapping[Overrides, Sequence[Asked]]) -> None:
        self._groups = groups

    def __call__(self, _: DictConfig) -> list[Failure | None]:
        """Runs in a worker, under the overrides that it was given there."""
        end_with_parent()
        return _evaluated(self._groups[tuple(HydraConfig.get().overrides.task)])


def in_this_process(launcher: Any, overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """What the launcher `together` does.

    Args:
        launcher: Hydra's launcher, set up.
        overrides: Of each job of the sweep.
        first: Number of the first job.
    """
    composer = _composer(launcher)
    ready, outcomes = _composed(composer, overrides)
    if ready:
        rest, _ = without(overrides[min(ready)])
        config = copy.deepcopy(composer.config(rest))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = first
        found = run_job(
            hydra_context=launcher.hydra_context,
            task_function=lambda _: _evaluated(list(ready.values())),
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        outcomes |= dict(zip(ready, found.return_value, strict=True))
    return [_returned(overrides[i], outcomes[i]) for i in range(len(overrides))]


def spread(
    launcher: Any,
    launch: Callable[..., Sequence[JobReturn]],
    overrides: Sequence[Sequence[str]],
    first: int,
    one_by_one: bool = False,
) -> list[JobReturn]:
    """Lets another launcher run one job for each group.

    Args:
        launcher: Hydra's launcher, set up.
        launch: Its method.
        overrides: Of each job of the sweep.
        first: Number of the first job.
        one_by_one: Whether each job is a group of its own.
    """
    ready, outcomes = _composed(_composer(launcher), overrides)
    places = list(ready)
    together = [[i] for i in range(len(places))] if one_by_one else grouped(list(ready.values()))
    groups = [[places[i] for i in group] for group in together]
    launcher.task_function = GroupTask({tuple(overrides[group[0]]): [ready[i] for i in group] for group in groups})
    found = launch([list(overrides[group[0]]) for group in groups], initial_job_idx=first) if groups else []
    for group, returned in zip(groups, found, strict=True):
        outcomes |= dict(zip(group, _failures(returned, len(group)), strict=True))
    return [_returned(overrides[i], outcomes[i]) for i in range(len(overrides))]


def _evaluated(jobs: Sequence[Asked]) -> list[Failure | None]:
    return [Failure.of(error) for error in evaluate(jobs)]


def _composer(launcher: Any) -> Composer:
    loader = launcher.hydra_context.config_loader
    return Composer(lambda overrides: loader.load_sweep_config(launcher.config, list(overrides)))


def _composed(composer: Composer, overrides: Sequence[Sequence[str]]) -> tuple[dict[int, Asked], dict[int, Failure | None]]:
    """Jobs that can be composed, by their place, and why the others cannot."""
    ready: dict[int, Asked] = {}
    failed: dict[int, Failure | None] = {}
    for i, own in enumerate(overrides):
        try:
            ready[i] = composer(own)
        except Exception as error:  # Hydra's and omegaconf's, and those of a resolver of the user's own
            failure = Failure(f"{' '.join(own)}: {explained(error, own, composer.config)}", mendable=True)
            log.error("%s", failure.message)
            failed[i] = failure
            _record(composer, own, error)
    return ready, failed


def _record(composer: Composer, overrides: Sequence[str], error: Exception) -> None:
    """A job that cannot be composed is known by the labels of the rest of it."""
    rest, varied = without(overrides)
    with suppress(Exception):  # then nothing is known of it; the message has been logged
        known = composer(rest)
        named = ",".join(word.removeprefix("prompt=").removeprefix("prompt.") for word in varied)
        record_failure(replace(known, labels=replace(known.labels, prompt=named), overrides=tuple(overrides)), error)


def _failures(returned: JobReturn, count: int) -> list[Failure | None]:
    if returned.status == JobStatus.COMPLETED:
        return returned.return_value
    error: Any = returned._return_value  # the property would raise it
    return [Failure.of(error)] * count


def _returned(overrides: Sequence[str], failure: Failure | None) -> JobReturn:
    if failure is None:
        return JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    error = UserError(failure.message) if failure.mendable else RunFailedError(failure.message)
    return _Failed(overrides=list(overrides), status=JobStatus.FAILED, _return_value=error)
