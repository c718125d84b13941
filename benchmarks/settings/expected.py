"""Which runs a command asks for, found by composing its sweep: no data is read and no model loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.settings.choices import CONFIGS, check_overrides, explained, label
from falip.errors import UserError

_NAMED = ("backbone", "prompt", "text")


@dataclass(frozen=True)
class Expected:
    """A run by its labels, as run.json has them, and what else of the settings tells runs apart."""

    task: str
    split: str
    backbone: str
    prompt: str
    text: str
    proposals: str
    approximation: str
    limit: int | None


def expected_runs(commands: Iterable[Sequence[str]]) -> list[Expected]:
    """The runs of some command lines of `python -m benchmarks`, each once, in the order of running.

    Raises:
        UserError: If a command line cannot be composed.
    """
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    found: dict[Expected, None] = {}
    with initialize_config_dir(str(CONFIGS.resolve()), version_base="1.3"):
        for arguments in commands:
            check_overrides(arguments)
            try:
                found.update(dict.fromkeys(_runs(list(arguments))))
            except (HydraException, OmegaConfBaseException) as error:
                raise UserError(f"{' '.join(arguments)}: {explained(error, arguments)}") from error
    return list(found)


def _runs(arguments: list[str]) -> Iterator[Expected]:
    from hydra import compose
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    given = parser.parse_overrides(arguments)
    fixed = [text for text, override in zip(arguments, given, strict=True) if not override.is_sweep_override()]
    swept = compose("run", fixed, return_hydra_config=True).hydra.sweeper.params or {}
    lines = [f"{name}={value}" for name, value in swept.items()] + arguments
    memory: dict[tuple[str, ...], Any] = {}
    for job in BasicSweeper.split_arguments(parser.parse_overrides(lines), None)[0]:
        # Names of prompts are known without composing, which takes its time for hundreds of runs.
        rest = tuple(override for override in job if override.partition("=")[0].partition(".")[0] != "prompt")
        if rest not in memory:
            memory[rest] = compose("run", list(rest), return_hydra_config=True)
        yield _expected(memory[rest], job)


def _expected(config: Any, overrides: Sequence[str]) -> Expected:
    choices: Mapping[str, str] = dict(config.hydra.runtime.choices)
    chosen = dict(override.split("=", 1) for override in overrides)
    names = {group: label(group, {**choices, group: chosen.get(group, choices[group])}, overrides) for group in _NAMED}
    task = config.task
    return Expected(
        task=task.name,
        split=task.split,
        **names,
        proposals=task.get("proposals") or "",
        approximation=config.approximation,
        limit=task.get("limit"),
    )
