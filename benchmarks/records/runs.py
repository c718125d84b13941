"""Finished and unfinished runs on disk: finding them, and which a table may use."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.records.folder import RUN_FILE
from benchmarks.records.run import Run, read_run
from falip.errors import UserError

logger = logging.getLogger(__name__)


def run_folders(root: Path) -> list[Path]:
    """Folders under `root` that hold a run.json, in a fixed order."""
    found = []
    for folder, inner, files in os.walk(root):
        if RUN_FILE in files or RUN_FILE in inner:
            found.append(Path(folder))
            inner.clear()  # what lies in a run's folder is its own
    return sorted(found)


@dataclass(frozen=True)
class Damaged:
    """A run that cannot be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Found:
    """What is under a folder: runs, and what should be runs."""

    runs: list[Run]
    damaged: list[Damaged]


def find(root: Path) -> Found:
    """All runs under a folder; of several folders with the same run id and labels the first counts."""
    found: dict[tuple[Any, ...], Run] = {}
    damaged = []
    for folder in run_folders(root):
        try:
            run = read_run(folder)
        except UserError as error:
            damaged.append(_damaged(folder, error))
            continue
        key = (run.run_id, *sorted(run.labels.items()))
        if key in found:
            logger.warning("run %s is at %s and at %s: using the first", run.run_id, found[key].path, folder)
        found.setdefault(key, run)
    return Found(list(found.values()), damaged)


def discover(root: Path) -> list[Run]:
    """The runs under a folder that can be read; a warning names the others."""
    return find(root).runs


def _damaged(folder: Path, error: UserError) -> Damaged:
    logger.warning("left out as damaged: %s", error)
    return Damaged(folder, str(error))


def select(runs: Iterable[Run], **labels: str) -> list[Run]:
    """Runs that have all the labels given; `task` may also be the part before the slash."""
    return [
        run
        for run in runs
        if all(run.labels.get(key) == value or (key == "task" and run.kind == value) for key, value in labels.items())
    ]


def group(runs: Iterable[Run], *keys: str) -> dict[tuple[str, ...], list[Run]]:
    """Runs by the values of some labels, in order of appearance."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(str(run.labels.get(key, "")) for key in keys), []).append(run)
    return groups


@dataclass(frozen=True)
class Choice:
    """The runs that a table may use, and how many it may not.

    Attributes:
        runs: Finished runs.
        unfinished: Runs that are partial, started or failed.
        subsets: Subset runs that were left out because nobody asked for them.
        superseded: Runs that a later one with the same labels replaces: weights, data or code have changed since.
        damaged: What cannot be read, or is not what it says.
    """

    runs: tuple[Run, ...]
    unfinished: tuple[Run, ...]
    subsets: tuple[Run, ...]
    superseded: tuple[Run, ...] = ()
    damaged: tuple[Damaged, ...] = ()


def usable(runs: Iterable[Run], allow_subset: bool = False, damaged: Iterable[Damaged] = ()) -> Choice:
    """Sorts out what a table may use: finished runs, the newest of each label, and subsets only where told to.

    A run that has two names ("foveal" and "foveal,alpha=0.2", which is its default) counts once, by the first. The
    records of what is chosen are read here, so that a damaged run is left out before anything is made of it.

    Args:
        runs: As `find` gives them.
        allow_subset: Whether subsets are wanted.
        damaged: What was found to be damaged before.
    """
    broken = list(damaged)
    sound: dict[str, Run] = {}
    for run in runs:
        if run.run_id not in sound and _works(run, lambda run: run.state, broken):
            sound[run.run_id] = run
    finished = [run for run in sound.values() if run.finished]
    wanted = [run for run in finished if allow_subset or not run.subset]
    newest: dict[tuple[Any, ...], Run] = {}
    unusable_ids = set()
    for run in sorted(wanted, key=lambda run: (run.finished_at, run.run_id), reverse=True):
        if _asked(run) in newest:
            continue
        if _works(run, lambda run: run.metrics, broken):
            newest[_asked(run)] = run
        else:
            unusable_ids.add(run.run_id)
    kept = {run.run_id for run in newest.values()}
    return Choice(
        runs=tuple(run for run in wanted if run.run_id in kept),
        unfinished=tuple(run for run in sound.values() if not run.finished),
        subsets=tuple(run for run in finished if run.subset and not allow_subset),
        superseded=tuple(run for run in wanted if run.run_id not in kept | unusable_ids),
        damaged=tuple(broken),
    )


def _works(run: Run, read: Callable[[Run], object], broken: list[Damaged]) -> bool:
    try:
        read(run)
    except UserError as error:
        broken.append(_damaged(run.path, error))
        return False
    return True


def _asked(run: Run) -> tuple[Any, ...]:
    """What the user asked for: the labels, and what of the settings they do not show."""
    return (*sorted(run.labels.items()), run.approximation, run.identity.get("limit"), run.rules)


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of nested dictionaries, and of lists of them, by dotted path; other lists are leaves."""
    if isinstance(tree, list) and any(isinstance(item, Mapping) for item in tree):
        tree = {str(i): item for i, item in enumerate(tree)}
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return leaves


def differences(trees: Iterable[Any]) -> list[dict[str, Any]]:
    """For each of several trees the leaves that are not the same in all; None where a tree lacks one."""
    flat = [flatten(tree) for tree in trees]
    paths = list(dict.fromkeys(path for leaves in flat for path in leaves))
    varying = [path for path in paths if len({json.dumps(leaves.get(path), sort_keys=True) for leaves in flat}) > 1]
    return [{path: leaves.get(path) for path in varying} for leaves in flat]
