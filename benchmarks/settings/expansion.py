"""Which jobs some command lines ask for, found by composing their sweeps: no data is read and no model loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.settings.choices import CONFIGS, check_overrides, explained, own_folder
from benchmarks.settings.sweep import Asked, Composer
from falip.errors import UserError


def expanded(commands: Iterable[Sequence[str]]) -> Iterator[list[Asked]]:
    """The jobs of each of some command lines of `falip run`, sweeps and experiments included.

    Raises:
        UserError: If a command line cannot be composed.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    with initialize_config_dir(str(CONFIGS.resolve()), version_base="1.3"):
        composer = Composer(lambda overrides: compose("run", list(overrides), return_hydra_config=True))
        for command in commands:
            check_overrides(command)
            arguments = _with_folder(command)
            try:
                yield [composer(overrides) for overrides in _jobs(composer, list(arguments))]
            except (HydraException, OmegaConfBaseException) as error:
                raise UserError(f"{' '.join(arguments)}: {explained(error, arguments, composer.config)}") from error


def _with_folder(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--config-dir DIR` as the override that Hydra's composing understands."""
    folder, rest = own_folder(arguments)
    return rest if folder is None else [f"hydra.searchpath=['file://{folder.resolve()}']", *rest]


def _jobs(composer: Composer, arguments: list[str]) -> Sequence[Sequence[str]]:
    """Overrides of each job, in the order in which Hydra's own sweeper runs them."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    given = parser.parse_overrides(arguments)
    fixed = [text for text, override in zip(arguments, given, strict=True) if not override.is_sweep_override()]
    swept = composer.config(fixed).hydra.sweeper.params or {}
    lines = [f"{name}={value}" for name, value in swept.items()] + arguments
    return BasicSweeper.split_arguments(parser.parse_overrides(lines), None)[0]
