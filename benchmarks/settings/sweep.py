"""From the words of a sweep to the settings of its jobs."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from benchmarks.settings.choices import label
from benchmarks.settings.folders import brought

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
        settings: Its configuration, resolved, as plain dictionaries and lists.
        labels: Names of its choices.
        overrides: What was given on the command line, for the record.
        packages: Versions of the installed distributions that brought what was chosen, other than the project's own.
    """

    settings: dict[str, Any]
    labels: Labels
    overrides: tuple[str, ...]
    packages: Mapping[str, str] = field(default_factory=dict)


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
    settings: Any = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    return Asked(settings, labels, tuple(map(_as_written, overrides)), brought(choices))


def _as_written(override: str) -> str:
    """An override as configurations spell it: Hydra's sweeper hands on False where false was given."""
    name, _, value = override.partition("=")
    return f"{name}={value.lower()}" if value in ("True", "False") else override


class Composer:
    """Makes the jobs of one sweep or of many, composing what they have in common once.

    Composing takes Hydra some 40 ms, and a reproduction has hundreds of jobs. Where the rest of a job's overrides leaves
    prompt and text as they are without it, those two are composed by themselves and put in place of the others.
    """

    def __init__(self, compose: Callable[[Sequence[str]], DictConfig]) -> None:
        self._compose = compose
        self._known: dict[tuple[str, ...], DictConfig] = {}
        self._separable: dict[tuple[tuple[str, ...], tuple[str, ...]], bool] = {}

    def config(self, overrides: Sequence[str]) -> DictConfig:
        """What Hydra makes of some overrides, its own part included; remembered, so not to be changed."""
        key = tuple(overrides)
        if key not in self._known:
            values = [override for override in overrides if _is_value(override)]
            chosen = [override for override in overrides if not _is_value(override)]
            self._known[key] = _with_values(self.config(chosen), values) if values else self._compose(chosen)
        return self._known[key]

    def __call__(self, overrides: Sequence[str]) -> Asked:
        """The job of some overrides."""
        rest, varied = without(overrides)
        general = [override for override in rest if _is_of(override, ("experiment", "hydra"))]
        plainest = [override for override in general if _is_of(override, ("hydra",))]
        if self._separates(general, plainest):  # as for most experiments, which name a task and what is swept
            general = plainest
        if not self._separates(rest, general):
            config = self._compose(list(overrides))
            return asked(config, config.hydra.runtime.choices, overrides)
        base, own = self.config(rest), self.config([*general, *varied])
        choices = dict(base.hydra.runtime.choices) | {group: own.hydra.runtime.choices[group] for group in VARIED}
        with open_dict(base):
            kept = {group: base[group] for group in VARIED}
            try:
                for group in VARIED:
                    base[group] = own[group]
                return asked(base, choices, overrides)
            finally:
                for group in VARIED:
                    base[group] = kept[group]

    def _separates(self, rest: Sequence[str], general: Sequence[str]) -> bool:
        key = tuple(rest), tuple(general)
        if key not in self._separable:
            one, other = self.config(rest), self.config(general)
            self._separable[key] = all(
                OmegaConf.to_container(one[group]) == OmegaConf.to_container(other[group]) for group in VARIED
            )
        return self._separable[key]


def without(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Overrides of a job other than those of prompt and text, and those."""
    return [o for o in overrides if not _is_of(o, VARIED)], [o for o in overrides if _is_of(o, VARIED)]


def grouped(jobs: Sequence[Asked]) -> list[list[int]]:
    """Places of jobs that can be evaluated in one pass: those equal in all but prompt and text."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, job in enumerate(jobs):
        common = {key: value for key, value in job.settings.items() if key not in VARIED}
        groups[json.dumps(common, sort_keys=True, default=str)].append(place)
    return list(groups.values())


def _is_value(override: str) -> bool:
    """Whether an override sets a value ("task.split=test") and chooses no option, so that it can be set afterwards."""
    name = override.lstrip("+~").partition("=")[0]
    return "." in name and "/" not in name and "@" not in name and not name.startswith("hydra.")


def _with_values(config: DictConfig, values: Sequence[str]) -> DictConfig:
    """A copy of what was composed with some values set, as Hydra sets them after it has composed."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.override_parser.overrides_parser import OverridesParser

    changed = copy.deepcopy(config)
    ConfigLoaderImpl._apply_overrides_to_config(OverridesParser.create().parse_overrides(list(values)), changed)
    return changed


def _is_of(override: str, groups: Sequence[str]) -> bool:
    """Whether an override ("prompt=...", "++prompt.alpha=...", "~text") is of one of some groups."""
    name = override.lstrip("+~").partition("=")[0]
    for sign in ".@/":
        name = name.partition(sign)[0]
    return name in groups
