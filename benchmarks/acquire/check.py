"""What is there, what is partial, and what each table of the paper still lacks. Reads manifests and file sizes only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.acquire import manifest
from benchmarks.acquire.assets import PARTIAL
from benchmarks.acquire.masks import masks_file
from benchmarks.acquire.sources import ASSETS, COCO_IMAGES_FOLDER, RECIPES, Asset, Recipe, human
from benchmarks.acquire.weights import recorded_weights, revision_of, snapshot_of
from falip.errors import UserError

DEFAULT_BACKBONE = "openai/clip-vit-base-patch16"
COMMAND = "falip data"


SENTENCES_FILE = Path("pointclip_v2") / "best_param.py"
SENTENCES_SOURCE = "zeroshot_cls/trainers/best_param.py of github.com/yangyangyang127/PointCLIP_V2"


@dataclass(frozen=True)
class Need:
    """A data set, "weights" or "masks", that a table is computed from.

    Attributes:
        name: A name of `RECIPES`, "weights", "masks", or "sentences" for those that PointCLIP V2 searched.
        splits: The splits of it, where it has several; empty for all.
        backbone: For weights, the repository on the hub.
        of: For masks of detected boxes, the data set that they are of.
    """

    name: str
    splits: tuple[str, ...] = ()
    backbone: str = ""
    of: str = ""


_WEIGHTS = Need("weights", backbone=DEFAULT_BACKBONE)
TABLES: dict[str, tuple[Need, ...]] = {
    "rec": (Need("refcoco"), Need("refcoco_plus"), Need("refcocog"), _WEIGHTS),
    "classification": (Need("cub"), Need("stanford_dogs"), Need("waterbirds"), Need("imagenet_s"), _WEIGHTS),
    "pointcloud": (Need("modelnet40"), Need("scanobjectnn"), _WEIGHTS),
    # The "REC average" of the paper's ablations is over the four splits of its main table.
    "ablations": (
        Need("refcoco", ("testA", "testB")),
        Need("refcoco_plus", ("testA",)),
        Need("refcocog", ("test",)),
        _WEIGHTS,
    ),
}
"""Tables of the FALIP paper and what each is computed from."""


@dataclass(frozen=True)
class Missing:
    """Something that a table lacks: its name, the command that fetches it, and what is wrong with what is there."""

    asset: str
    command: str
    reason: str


@dataclass(frozen=True)
class State:
    """How it stands with an asset.

    Attributes:
        asset: Its name.
        status: "complete", "damaged", "partial", "not recorded" or "absent".
        detail: More about it, for people; may be empty.
        parts: What is complete of an asset that is fetched in parts, such as "refcoco/testA".
    """

    asset: str
    status: str
    detail: str = ""
    parts: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether it can be used."""
        return self.status == "complete"


def default_root() -> Path:
    """The data root where none is given: the environment variable FALIP_DATA, else "data"."""
    return Path(os.environ.get("FALIP_DATA") or "data")


def missing_assets(tables: Iterable[str], root: str | Path) -> list[Missing]:
    """What the given tables of the paper lack in the data root, each thing once.

    Args:
        tables: Names of `TABLES`.
        root: The data root.

    Raises:
        UserError: There is no such table.
    """
    root = Path(root)
    names = list(tables)
    for name in names:
        if name not in TABLES:
            raise UserError(f"there is no table {name!r}. The tables are: {', '.join(TABLES)}.")
    return missing(dict.fromkeys(need for name in names for need in TABLES[name]), root)


def missing(needs: Iterable[Need], root: Path) -> list[Missing]:
    """What is not complete of some data sets and weights, each thing once."""
    memory: dict[str, State] = {}
    return list(dict.fromkeys(one for need in needs if (one := _missing(need, root, memory)) is not None))


def asset_state(asset: Asset, root: Path) -> State:
    """How it stands with one asset of `ASSETS`."""
    return _folder_state(asset.name, root / asset.folder, root, [expected.pattern for expected in asset.expected])


def weights_state(backbone: str, root: Path) -> State:
    """How it stands with a backbone's weights."""
    try:
        recorded = recorded_weights(backbone, root)
    except UserError as error:
        return State(backbone, "damaged", str(error))
    if recorded is None:
        return State(backbone, "absent")
    damaged = manifest.damaged(snapshot_of(recorded), recorded)
    if damaged:
        return State(backbone, "damaged", f"{len(damaged)} files missing or of another size in {snapshot_of(recorded)}")
    return State(backbone, "complete", f"revision {revision_of(recorded)[:12]}")


def screen(root: Path) -> tuple[str, bool]:
    """The report for people, and whether nothing lacks."""
    memory = {name: asset_state(asset, root) for name, asset in ASSETS.items()}
    memory[COCO_IMAGES_FOLDER] = _images_state(root)
    memory |= {backbone: weights_state(backbone, root) for backbone in _backbones(root)}
    width = max(len(name) for name in memory)
    lines = [f"data in {root.absolute()}"]
    lines += [f"  {state.asset:<{width}}  {state.status:<12}  {state.detail}".rstrip() for state in memory.values()]
    lines.append("tables of FALIP's paper (those of the others: falip reproduce --tables NAME --dry-run)")
    complete = True
    for table, needs in TABLES.items():
        lacks = [missing for need in needs if (missing := _missing(need, root, memory)) is not None]
        complete = complete and not lacks
        lines.append(f"  {table}: " + ("nothing lacks" if not lacks else "lacks"))
        longest = max((len(missing.command) for missing in lacks), default=0)
        lines += [f"    {missing.command:<{longest}}  # {missing.reason}" for missing in lacks]
    return "\n".join(lines), complete


def _missing(need: Need, root: Path, memory: dict[str, State]) -> Missing | None:
    """What a need lacks, or None; `memory` keeps the states, so that each folder is looked at once."""
    suffix = "" if root == default_root() else f" --root {root}"
    if need.name == "weights":
        state = memory.setdefault(need.backbone, weights_state(need.backbone, root))
        command = f"{COMMAND} weights --backbone {need.backbone}{suffix}"
        return None if state.complete else Missing(need.backbone, command, _reason(state))
    if need.name == "sentences":
        place = root / SENTENCES_FILE
        command = f"(by hand) put {SENTENCES_SOURCE} at {place}"
        return None if place.is_file() else Missing("sentences of PointCLIP V2", command, "not there")
    if need.name == "masks":
        lacking = [split for split in need.splits if not masks_file(root, need.of, split, "detected").is_file()]
        command = f"{COMMAND} masks {need.of} --split {lacking[0]}{suffix}" if lacking else ""
        label = f"masks of {need.of} ({', '.join(lacking)})"
        return Missing(label, command, "not made for " + ", ".join(lacking)) if lacking else None
    recipe = RECIPES[need.name]
    for name in recipe.assets:
        if name not in memory:
            memory[name] = asset_state(ASSETS[name], root)
    reasons = [_reason(memory[name]) for name in recipe.assets if not memory[name].complete]
    splits = need.splits or recipe.splits
    if recipe.annotations:
        reasons += _lacking_images(recipe, splits, root, memory)
    chosen = f" --splits {' '.join(need.splits)}" if need.splits else ""
    label = f"{need.name} ({', '.join(need.splits)})" if need.splits else need.name
    return Missing(label, f"{COMMAND} {need.name}{chosen}{suffix}", "; ".join(reasons)) if reasons else None


def _lacking_images(recipe: Recipe, splits: Iterable[str], root: Path, memory: dict[str, State]) -> list[str]:
    if COCO_IMAGES_FOLDER not in memory:
        memory[COCO_IMAGES_FOLDER] = _images_state(root)
    state = memory[COCO_IMAGES_FOLDER]
    if not state.complete:
        return [_reason(state)]
    lacking = [split for split in splits if f"{recipe.name}/{split}" not in state.parts]
    return [f"images of {', '.join(lacking)} not fetched"] if lacking else []


def _images_state(root: Path) -> State:
    return _folder_state(COCO_IMAGES_FOLDER, root / COCO_IMAGES_FOLDER, root, ["*.jpg"])


def _folder_state(name: str, folder: Path, root: Path, patterns: Iterable[str]) -> State:
    """How it stands with a folder; `patterns` are globs of the files that it is for."""
    try:
        recorded = manifest.read(folder)
    except UserError as error:
        return State(name, "damaged", str(error))
    if folder.exists() and not folder.is_dir():
        return State(name, "damaged", f"{folder} is not a folder. Move it away")
    if recorded is not None:
        damaged = manifest.damaged(folder, recorded)
        if damaged:
            return State(name, "damaged", f"{len(damaged)} of {len(recorded.files)} files missing or of another size")
        total = sum(record.size for record in recorded.files.values())
        parts = tuple(sorted(recorded.parts))
        listed = f": {', '.join(parts)}" if parts else ""
        return State(name, "complete", f"{len(recorded.files)} files, {human(total)}{listed}", parts)
    if any(next(folder.glob(pattern), None) for pattern in patterns):
        return State(name, "not recorded", "files are there, never verified")
    begun = root / PARTIAL / name
    size = sum(path.stat().st_size for path in begun.rglob("*") if path.is_file()) if begun.is_dir() else 0
    return State(name, "partial", f"{human(size)} downloaded so far") if size else State(name, "absent")


def _reason(state: State) -> str:
    detail = f" ({state.detail})" if state.detail else ""
    return f"{state.asset} is {state.status}{detail}"


def _backbones(root: Path) -> list[str]:
    """The backbones that tables need, and those that are recorded besides."""
    needed = dict.fromkeys(need.backbone for needs in TABLES.values() for need in needs if need.backbone)
    recorded = sorted((root / "weights").glob(f"*/{manifest.NAME}"))
    return list(dict.fromkeys([*needed, *filter(None, map(_recorded_backbone, recorded))]))


def _recorded_backbone(path: Path) -> str | None:
    """The backbone that a manifest names; that of the folder's name where it cannot be read."""
    try:
        recorded = manifest.read(path.parent)
    except UserError:
        return path.parent.name.replace("--", "/", 1)
    return recorded.asset if recorded is not None else None
