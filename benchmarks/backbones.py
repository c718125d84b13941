"""Every backbone: its grid, its layers, where a mask goes in it, what it needs, where its weights come from, what is here.

    falip backbones                       all configurations
    falip backbones rn50x16 /path/to/one  configurations, hub ids or folders

loads no model and asks no network. The sizes are those of a model's own configuration where it is here, else declared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.acquire.check import default_root
from benchmarks.settings.choices import options
from benchmarks.settings.folders import file_of
from benchmarks.settings.towers import KNOWN, Tower, tower_in
from falip.errors import UserError
from falip.layouts import OPEN_CLIP
from falip.weights import TINY, Weights, cached_folder, find_weights

_FETCH = "falip data weights --backbone"


@dataclass(frozen=True)
class Row:
    """One model of a backbone; all are text for the table."""

    backbone: str
    grid: str
    layers: str
    mask: str
    tokenizer: str
    weights: str
    revision: str
    here: str


def rows(name: str) -> Iterator[Row]:
    """The models of one backbone.

    Args:
        name: A configuration, a hub id or a folder.

    Raises:
        UserError: There is no such backbone, or its files are in no layout that falip loads.
    """
    members = _members(name) if name in options("backbone") else [{"name": name}]
    for place, member in enumerate(members):
        yield _row(name if place == 0 else "  and", member)


def _members(name: str) -> list[dict[str, Any]]:
    """The settings of each model of a configuration."""
    own: Any = OmegaConf.load(file_of("backbone", name))
    whole = OmegaConf.create({"backbone": own, "runtime": {"device": "cpu"}, "data_root": str(default_root())})
    settings: Any = OmegaConf.to_container(whole, resolve=True)
    return settings["backbone"].get("members", [settings["backbone"]])


def _row(label: str, member: dict[str, Any]) -> Row:
    name, revision = member["name"], member.get("revision")
    weights = find_weights(name, revision)
    folder = cached_folder(weights)
    place = weights.folder or folder
    tower = tower_in(place) if place else KNOWN.get(name)
    return Row(label, *_shape(name, tower), name, _revision(weights, revision), _here(weights, folder, member))


def _shape(name: str, tower: Tower | None) -> tuple[str, str, str, str]:
    if tower is None:
        return "?", "?", "?", "?"
    own = name == TINY or tower.layout not in ("clip", OPEN_CLIP)
    return tower.grid, str(tower.layers), tower.mask, "its own" if own else "CLIP's"


def _revision(weights: Weights, revision: str | None) -> str:
    if weights.folder is not None:
        return "-"
    if revision:
        return revision[:12]
    return f"not pinned ({weights.revision[:12]} here)" if weights.revision else "not pinned"


def _here(weights: Weights, folder: Path | None, member: dict[str, Any]) -> str:
    if weights.name == TINY:
        here = "embedded"
    elif weights.folder is not None:
        here = "folder" if folder else "no weights in the folder"
    else:
        here = "in the cache" if folder else "no"
    alpha = member.get("alpha_weights")
    if not alpha:
        return here
    return f"{here}; alpha file {alpha}: {'yes' if Path(alpha).expanduser().is_file() else 'no'}"


def render(found: Sequence[Row]) -> str:
    """A plain table for the terminal."""
    lines = [tuple(Row.__dataclass_fields__), *(tuple(vars(row).values()) for row in found)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]) for line in lines
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; 2 if the user must mend something."""
    parser = argparse.ArgumentParser(
        prog="falip backbones", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="configurations, hub ids or folders (default: all configurations)")
    names = parser.parse_args(argv).names
    try:
        names = names or options("backbone")
        found = [row for name in names for row in rows(name)]
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(render(found) + "\n")
    if any(row.here.startswith("no") for row in found):
        sys.stdout.write(f"\nWhat is not here: {_FETCH} HUB_ID; an alpha file comes from Alpha-CLIP's model zoo.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
