"""Which runs a command asks for, found by composing its sweep: no data is read and no model loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.settings.choices import CONFIGS, check_overrides, explained
from benchmarks.settings.sweep import Asked, Composer, asked
from falip.errors import UserError


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

    composed = Composer(lambda overrides: compose("run", list(overrides), return_hydra_config=True))
    parser = OverridesParser.create()
    given = parser.parse_overrides(arguments)
    fixed = [text for text, override in zip(arguments, given, strict=True) if not override.is_sweep_override()]
    swept = composed(fixed).hydra.sweeper.params or {}
    lines = [f"{name}={value}" for name, value in swept.items()] + arguments
    for overrides in BasicSweeper.split_arguments(parser.parse_overrides(lines), None)[0]:
        config = composed(overrides)
        yield _expected(asked(config, config.hydra.runtime.choices, overrides))


def _expected(job: Asked) -> Expected:
    task, labels = job.config.task, job.labels
    return Expected(
        task=task.name,
        split=task.split,
        backbone=labels.backbone,
        prompt=labels.prompt,
        text=labels.text,
        proposals=task.get("proposals") or "",
        approximation=job.config.approximation,
        limit=task.get("limit"),
    )
