"""From the words of a sweep to the configurations of its jobs."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from benchmarks.settings.choices import label

VARIED = ("prompt", "text")
"""Jobs that differ in these groups alone share all their work on pictures, and run in one pass."""
_LABELLED = ("backbone", "prompt", "text")


@dataclass(frozen=True)
class Labels:
    """What people call a run: the choices in each group, with their overrides, and the experiment that asks for it."""

    backbone: str
    prompt: str
    text: str
    experiment: str | None = None


@dataclass(frozen=True, eq=False)
class Asked:
    """One job of a command line.

    Attributes:
        config: Its composed configuration, without Hydra's own part.
        labels: Names of its choices.
        overrides: What was given on the command line, for the record.
    """

    config: DictConfig
    labels: Labels
    overrides: tuple[str, ...]


def asked(config: DictConfig, choices: Mapping[str, str], overrides: Sequence[str]) -> Asked:
    """A job from what Hydra composed.

    Args:
        config: With or without Hydra's own part.
        choices: The option chosen in each group.
        overrides: Of the command line.
    """
    named = [override for override in overrides if not override.lstrip("+").startswith("experiment=")]
    labels = Labels(*(label(group, choices, named) for group in _LABELLED), experiment=choices.get("experiment"))
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return Asked(own, labels, tuple(overrides))


class Composer:
    """Composes the jobs of a sweep, the parts that many of them have in common once.

    Composing takes Hydra some 40 ms, and a reproduction has hundreds of jobs. Where the rest of a job's overrides leaves
    prompt and text as they are without it, those two are composed by themselves and put in place of the others.
    """

    def __init__(self, compose: Callable[[Sequence[str]], DictConfig]) -> None:
        self._compose, self._known = compose, {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of a job, Hydra's own part included."""
        rest, _ = without(overrides)
        general = [override for override in rest if _is_of(override, ("experiment", "hydra"))]
        if any(_plain(self._composed(rest), group) != _plain(self._composed(general), group) for group in VARIED):
            return self._compose(list(overrides))
        varied = [override for override in overrides if override in general or _is_of(override, VARIED)]
        base, own = self._composed(rest), self._composed(varied)
        config = copy.deepcopy(base)
        with open_dict(config):
            for group in VARIED:
                config[group] = copy.deepcopy(own[group])
                config.hydra.runtime.choices[group] = own.hydra.runtime.choices[group]
        return config

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        key = tuple(overrides)
        if key not in self._known:
            self._known[key] = self._compose(list(overrides))
        return self._known[key]


def without(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Overrides of a job other than those of prompt and text, and those."""
    return [o for o in overrides if not _is_of(o, VARIED)], [o for o in overrides if _is_of(o, VARIED)]


def grouped(jobs: Sequence[Asked]) -> list[list[int]]:
    """Places of jobs that can be evaluated in one pass: those equal in all but prompt and text."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, job in enumerate(jobs):
        groups[_common(job, place)].append(place)
    return list(groups.values())


def _common(job: Asked, place: int) -> str:
    """What jobs of one pass share."""
    shared = OmegaConf.masked_copy(job.config, [str(key) for key in job.config if key not in VARIED])
    try:
        return json.dumps(OmegaConf.to_container(shared, resolve=True), sort_keys=True, default=str)
    except OmegaConfBaseException:  # the job itself will say what is wrong
        return f"unresolved {place}"


def _plain(config: DictConfig, group: str) -> Any:
    """A part of a configuration, its interpolations as they are written."""
    return OmegaConf.to_container(config[group])


def _is_of(override: str, groups: Sequence[str]) -> bool:
    """Whether an override ("prompt=...", "++prompt.alpha=...", "~text") is of one of some groups."""
    name: Any = override.lstrip("+~").partition("=")[0].partition(".")[0].partition("/")[0].partition("@")[0]
    return name in groups
