"""Checks of the command line that Hydra does not make: it lists no options of nested groups."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmarks.settings.folders import CONFIGS, GROUPS, check_own, config_roots, file_of, names_in
from benchmarks.settings.identity import leaves
from falip import UserError


def options(group: str, folders: Sequence[Path] | None = None) -> list[str]:
    """Names of the options of a group, nested ones with their folder ("rec/refcoco").

    Args:
        group: One of `GROUPS`.
        folders: Where its folder may lie; the project's and those of installed packages if None.
    """
    return sorted({name for folder in folders or config_roots() for name in names_in(folder, group)})


def backbone_names(option: str) -> list[str]:
    """What a backbone option loads: "tiny", hub ids or folders."""
    return [str(member.name) for member in _members(option)]


def weights_of(name: str) -> tuple[str, str | None]:
    """What `falip.load_backbone` takes for a name: that of a backbone option, a hub id or a folder.

    Returns:
        Hub id or folder, and the revision of an option.

    Raises:
        UserError: If it is an option that is more than one plain backbone.
    """
    if name not in options("backbone"):
        return name, None
    members = _members(name)
    if len(members) > 1 or takes_alpha_weights(name):
        loaded = " and ".join(backbone_names(name))
        raise UserError(f"--backbone {name} loads {loaded} in a way of its own. Give a plain backbone, such as vit_b16.")
    return str(members[0].name), members[0].get("revision")


def takes_alpha_weights(option: str) -> bool:
    """Whether a backbone option has a file of Alpha-CLIP's weights."""
    settings: list[Any] = [OmegaConf.to_container(member) for member in _members(option)]  # not resolved: no data root yet
    return any(member.get("alpha_weights") for member in settings)


def _members(option: str) -> list[Any]:
    config: Any = OmegaConf.load(file_of("backbone", option))
    return list(config.get("members", [config]))


def config_folders(arguments: Sequence[str]) -> list[Path]:
    """Where configurations lie without being told, and where a command line says by --config-dir or hydra.searchpath."""
    own, rest = own_folder(arguments)
    added = [str(own)] if own else []
    for entries in re.findall(r"hydra\.searchpath=\[(.*?)\]", " ".join(rest)):
        added += [entry.strip("'\" ") for entry in entries.split(",")]
    return [*config_roots(), *(folder for entry in added for folder in _folder(entry))]


def own_folder(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The folder that a command line names by `--config-dir`, and its other words.

    Raises:
        UserError: See `benchmarks.settings.folders.check_own`.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config-dir", "-cd", type=Path)
    try:
        options, rest = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        raise UserError(f"{error}: give a folder.") from None
    if options.config_dir is not None:
        check_own(options.config_dir)
    return options.config_dir, rest


def label(group: str, choices: Mapping[str, str], overrides: Sequence[str]) -> str:
    """The choice of a group and what was overridden in it, for instance "foveal,alpha=0.5"."""
    changed = sorted(o.lstrip("+").removeprefix(f"{group}.") for o in overrides if o.lstrip("+").startswith(f"{group}."))
    # A sweep spells truth values in its own way.
    spelt = [re.sub(r"=(True|False)$", lambda found: found[0].lower(), one) for one in changed]
    return ",".join([choices[group], *spelt])


def check_overrides(arguments: Sequence[str]) -> None:
    """Checks every `group=option` of a command line, sweeps ("a,b") and experiments ("+experiment=a") included.

    Raises:
        UserError: If there is no such option; the message lists those there are.
    """
    folders = config_folders(arguments)
    for argument in arguments:
        group, equals, value = argument.lstrip("+").partition("=")
        if not equals or group not in GROUPS or any(sign in value for sign in "()[]{}$"):
            continue
        for name in (part.strip("'\" ") for part in value.split(",")):
            known = options(group, folders)
            if name.removesuffix(".yaml") not in known:
                near = difflib.get_close_matches(name, known, 1, 0.5)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise UserError(f"{argument}: there is no {group} {name!r}.{hint} There are: {', '.join(known)}.")


def explained(error: Exception, arguments: Sequence[str], compose: Callable[[Sequence[str]], Any] | None = None) -> str:
    """Hydra's message; for a setting that does not exist the nearest that does.

    Args:
        error: What Hydra or omegaconf raised.
        arguments: Of the command line.
        compose: Composes overrides where Hydra is at work already; None to start it for that.
    """
    message = str(error)
    lacking = re.search(r"Missing mandatory value.*full_key: (\S+)", message, re.DOTALL)
    if lacking:
        return f"{lacking[1]} must be given: add {lacking[1]}=... to the command line."
    if several := re.search(r"Ambiguous value for argument '([^']+)'", message):
        return f"{several[1]} has several values, which are a sweep: falip sweep {several[1]} ..."
    if bare := re.search(r"Error parsing override '([^']+)'\s+missing EQUAL", message):
        return (
            f"{bare[1]!r} is no setting. Settings are NAME=VALUE, such as prompt=foveal; `falip list` shows what to choose."
        )
    unknown = re.search(r"Could not override '([^']+)'", message)
    if not unknown or unknown[1] in GROUPS:
        return message
    known = _settings(arguments, compose or _composed)
    near = difflib.get_close_matches(unknown[1], [*GROUPS, *known], 1)
    parent = unknown[1].rpartition(".")[0]
    beside = [*([] if parent else GROUPS), *(name for name in known if name.rpartition(".")[0] == parent)]
    if not near and not beside:
        return message
    hint = f" Did you mean {near[0]}?" if near else ""
    listed = f" There are: {', '.join(beside)}." if beside else ""
    return f"there is no setting {unknown[1]!r}.{hint}{listed}"


def _settings(arguments: Sequence[str], compose: Callable[[Sequence[str]], Any]) -> list[str]:
    """Dotted names of the settings, under the groups that a command line chooses."""
    from hydra.errors import HydraException

    chosen = [a.split(",")[0] for a in arguments if a.partition("=")[0] in GROUPS]
    try:
        config: Any = OmegaConf.to_container(compose(chosen))
    except (HydraException, OmegaConfBaseException):
        return []
    return [name for name, _ in leaves(config) if not name.startswith("hydra.")]


def _composed(overrides: Sequence[str]) -> Any:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(CONFIGS.resolve()), version_base="1.3"):
        return compose("run", list(overrides))


def _folder(entry: str) -> Iterator[Path]:
    """The folder of an entry of Hydra's search path: a path, file://path or pkg://package."""
    if entry.startswith("pkg://"):
        spec = importlib.util.find_spec(entry.removeprefix("pkg://").replace("/", "."))
        yield from map(Path, (spec and spec.submodule_search_locations) or [])
    else:
        yield Path(entry.removeprefix("file://"))
