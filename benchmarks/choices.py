"""Checks of the command line that Hydra does not make: it lists no options of nested groups."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from falip import UserError

CONFIGS = Path(__file__).parent.parent / "configs"
GROUPS = ("backbone", "prompt", "task", "text", "experiment")


def options(group: str) -> list[str]:
    """Names of the options of a group, nested ones with their folder ("rec/refcoco")."""
    root = CONFIGS / group
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))


def check_overrides(arguments: Sequence[str]) -> None:
    """Checks every `group=option` of a command line, sweeps ("a,b") and experiments ("+experiment=a") included.

    Raises:
        UserError: If there is no such option; the message lists those there are.
    """
    for argument in arguments:
        group, equals, value = argument.lstrip("+").partition("=")
        if not equals or group not in GROUPS or any(sign in value for sign in "()[]{}$"):
            continue
        for name in value.split(","):
            known = options(group)
            if name.strip("'\" ") not in known:
                near = difflib.get_close_matches(name, known, 1, 0.5)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise UserError(f"{argument}: there is no {group} {name!r}.{hint} There are: {', '.join(known)}.")


def backbone_names(option: str) -> list[str]:
    """What a backbone option loads: "tiny", hub ids or folders."""
    config = OmegaConf.load(CONFIGS / "backbone" / f"{option}.yaml")
    return [str(member.name) for member in config.get("members", [config])]
