"""Where configurations lie: the project's own, and those of installed packages that say so by an entry point."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from falip.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"
GROUPS = ("backbone", "prompt", "task", "text", "experiment")
ENTRY_POINTS = {
    "falip.prompts": "prompt",
    "falip.readouts": "prompt",  # a read-out is chosen as a prompt is
    "falip.backbones": "backbone",
    "falip.tasks": "task",
}
"""Groups of entry points, and the folder that a package named in one must have."""


@dataclass(frozen=True)
class Package:
    """An installed package with configurations.

    Attributes:
        module: The package that holds them, for instance "spotlight.configs".
        distribution: What it was installed as.
        version: Of the distribution.
        folder: Where it lies; it is laid out as a folder for --config-dir is.
    """

    module: str
    distribution: str
    version: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.module} (of {self.distribution} {self.version})"


@cache
def installed() -> tuple[Package, ...]:
    """The packages that entry points name, by distribution; none of them is imported.

    Raises:
        UserError: If one has no such configurations, or a name that the project or another package has too.
    """
    found = {_package(entry): None for group in ENTRY_POINTS for entry in entry_points(group=group)}
    packages = tuple(sorted(found, key=str))
    holders: dict[tuple[str, str], Path] = {}
    for folder in (CONFIGS, *(package.folder for package in packages)):
        for group in GROUPS:
            for name in names_in(folder, group):
                other = holders.setdefault((group, name), folder)
                if other != folder:
                    raise UserError(_doubled(group, name, {package.folder: package for package in packages}, other, folder))
    return packages


def config_roots() -> list[Path]:
    """The folders that need no --config-dir, the project's first."""
    return [CONFIGS, *(package.folder for package in installed())]


def check_own(folder: Path) -> None:
    """Checks a folder of the user's own, which Hydra looks in last.

    Raises:
        UserError: If there is no such folder, or a file of it says something else than that of the same name in the project
            or an installed package, which would be taken in its place without a word.
    """
    if not folder.is_dir():
        raise UserError(f"--config-dir {folder}: there is no such folder.")
    for group in GROUPS:
        for name in names_in(folder, group):
            mine, other = folder / group / f"{name}.yaml", file_of(group, name)
            if other.is_file() and other.read_bytes() != mine.read_bytes():
                holder = next((str(p) for p in installed() if other.is_relative_to(p.folder)), "falip itself")
                raise UserError(
                    f"{mine}: {holder} has a {group}={name} too, which is taken in its place. Rename your file."
                )


def names_in(folder: Path, group: str) -> list[str]:
    """The options of a group in a folder, nested ones with their own folder ("rec/refcoco")."""
    root = folder / group
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))


def file_of(group: str, name: str) -> Path:
    """The file of an option that needs no --config-dir; the project's place for it where there is none."""
    files = [root / group / f"{name}.yaml" for root in config_roots()]
    return next((file for file in files if file.is_file()), files[0])


def brought(choices: Mapping[str, str]) -> dict[str, str]:
    """Versions of the distributions that brought what was chosen.

    Args:
        choices: The option chosen in each group, as Hydra names them ("prompt", "prompt@other").
    """
    chosen = {(group.partition("@")[0], name) for group, name in choices.items()}
    return {
        package.distribution: package.version
        for package in installed()
        if any((package.folder / group / f"{name}.yaml").is_file() for group, name in chosen)
    }


def _package(entry: EntryPoint) -> Package:
    kind = ENTRY_POINTS[entry.group]
    distribution, version = (entry.dist.name, entry.dist.version) if entry.dist else ("?", "?")
    folder = next((folder for folder in _places(entry.module) if names_in(folder, kind)), None)
    if folder is None:
        words = f"{distribution} {version} says of itself [{entry.group}] {entry.name} = {entry.value}"
        raise UserError(
            f"{words}, and there is no {kind}/*.yaml in a package {entry.module}. Install a version that is whole, or "
            f"uninstall it: pip uninstall {distribution}."
        )
    return Package(entry.module, distribution, version, folder)


def _places(module: str) -> Iterator[Path]:
    """Where a package may lie, without importing the one it is in."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    for place in (spec and spec.submodule_search_locations) or []:
        yield Path(place, *rest).resolve()


def _doubled(group: str, name: str, packages: Mapping[Path, Package], one: Path, other: Path) -> str:
    holders = [str(packages.get(folder, "falip itself")) for folder in (one, other)]
    return f"There are two of {group}={name}: {' and '.join(holders)} have one each. Uninstall one, or have it renamed."
