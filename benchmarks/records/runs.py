"""Finished and unfinished runs on disk: finding them, what state they are in, and which a table may use."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.records.record import read_parts
from benchmarks.settings.expected import Expected
from benchmarks.settings.identity import classify
from falip.errors import UserError

SCHEMAS = (1,)
COMPLETE, PARTIAL, STARTED, FAILED = "complete", "partial", "started", "failed"
# Overrides of the task that the labels of a run show, so that they cannot pass unseen.
_LABELLED = ("task.split", "task.proposals", "task.limit")
EMBEDDED_TASKS = frozenset({"rec/shapes", "classification/shapes", "pointcloud/solids"})

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder.

    Attributes:
        path: The folder that holds run.json.
        info: What run.json says.
    """

    path: Path
    info: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """Hash of the identity."""
        return str(self.info["run_id"])

    @property
    def labels(self) -> Mapping[str, str]:
        """task, split, backbone, prompt, text, proposals: names for people."""
        return self.info["labels"]

    @property
    def kind(self) -> str:
        """rec, classification or pointcloud."""
        return self.labels["task"].partition("/")[0]

    @property
    def name(self) -> str:
        """A name for messages."""
        labels = self.labels
        return f"{labels['task']} {labels['split']} {labels['prompt']} ({self.run_id})"

    @property
    def embedded(self) -> bool:
        """Whether it measures the embedded world and not a published data set."""
        return self.labels["task"] in EMBEDDED_TASKS

    @property
    def subset(self) -> bool:
        """Whether only a part of the split was asked."""
        return bool(self.info.get("subset"))

    @property
    def unchecked(self) -> bool:
        """Whether the data were taken as they are, without holding the split against its published counts."""
        task = (self.info.get("config") or {}).get("task") or {}
        return (task.get("dataset") or {}).get("contract") is False

    @property
    def rules(self) -> tuple[str, ...]:
        """Overrides of the task that move numbers and that the labels do not show."""
        overrides = sorted(str(override).lstrip("+~") for override in self.info.get("overrides") or [])
        names = {override: override.partition("=")[0] for override in overrides}
        changed = [o for o, name in names.items() if name.startswith("task.") and name not in _LABELLED]
        return tuple(override for override in changed if classify(names[override]) == "identity")

    @property
    def approximation(self) -> str:
        """Either "none" or "frozen"."""
        return str(self.identity.get("approximation", "none"))

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that can move a number."""
        return self.info.get("identity") or {}

    @property
    def expected(self) -> int | None:
        """How many records a whole run has; None where it ended before that was known."""
        expected = (self.info.get("counts") or {}).get("expected")
        return None if expected is None else int(expected)

    @property
    def parts(self) -> list[Path]:
        """Record files of all shards."""
        return sorted((self.path / "records").glob("*.parquet"))

    @cached_property
    def recorded(self) -> int:
        """Number of distinct queries recorded, over all shards."""
        columns = [pq.read_table(part, columns=["id"]).column("id") for part in self.parts]
        return len(pa.chunked_array([c for column in columns for c in column.chunks], pa.string()).unique())

    @property
    def state(self) -> str:
        """complete, partial, started (nothing recorded yet) or failed.

        Shards end one by one, so what counts is whether every expected query is recorded, not who wrote last.
        """
        if self.info.get("status") == FAILED:
            return FAILED
        if self.expected is None:
            return PARTIAL if self.recorded else STARTED
        if self.recorded == self.expected:
            return COMPLETE
        return PARTIAL if self.recorded else STARTED

    @cached_property
    def frame(self) -> pd.DataFrame:
        """All records, sorted by id, duplicates dropped."""
        return read_parts(self.parts)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Metrics, worked out from the records (one shard of several may have written metrics.json)."""
        from benchmarks.measure.metrics import metrics_for  # scipy takes a second to load, and a list of runs needs none

        return metrics_for(self.kind, self.frame, self.group_shares)

    @property
    def group_shares(self) -> Mapping[str, float] | None:
        """Training shares of the groups (Waterbirds), where the data set gives them in its identity."""
        task = self.identity.get("task") or {}
        return (task.get("dataset") or {}).get("group_shares")

    def in_experiment(self, name: str) -> bool:
        """Whether an experiment has asked for the run."""
        return name in (self.info.get("experiments") or [])


def asked_for(run: Run) -> Expected:
    """What a run on disk answers to."""
    labels = {name: run.labels.get(name) or "" for name in ("task", "split", "backbone", "prompt", "text", "proposals")}
    return Expected(**labels, approximation=run.approximation, limit=run.identity.get("limit"))


def run_folders(root: Path) -> Iterator[Path]:
    """Folders under `root` that hold a run.json, in a fixed order."""
    return (path.parent for path in sorted(root.rglob("run.json")))


def read_run(folder: Path) -> Run:
    """Reads run.json of one folder.

    Raises:
        UserError: If it is no JSON, lacks what every run has, or was written by a newer version.
    """
    path = folder / "run.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}. Delete the folder {folder} and run again") from error
    if not isinstance(info, dict) or info.get("schema") not in SCHEMAS:
        found = info.get("schema") if isinstance(info, dict) else None
        raise UserError(
            f"{path} has schema {found!r}, this version reads {', '.join(map(str, SCHEMAS))}: "
            "update the project, or point --runs elsewhere"
        )
    missing = {"run_id", "status", "labels"} - set(info)
    missing |= {f"labels.{key}" for key in ("task", "split", "backbone", "prompt")} - {
        f"labels.{key}" for key in info.get("labels") or {}
    }
    if missing - {"labels"}:
        raise UserError(f"{path} lacks {', '.join(sorted(missing))}. Delete the folder {folder} and run again")
    return Run(folder, info)


def discover(root: Path) -> list[Run]:
    """All runs under a folder; of several folders with the same run id and labels the first counts.

    Raises:
        UserError: If a run.json cannot be read.
    """
    found: dict[tuple[Any, ...], Run] = {}
    for folder in run_folders(root):
        run = read_run(folder)
        key = (run.run_id, *sorted(run.labels.items()))
        if key in found:
            logger.warning("run %s is at %s and at %s: using the first", run.run_id, found[key].path, folder)
        found.setdefault(key, run)
    return list(found.values())


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
        runs: Complete runs.
        unfinished: Runs that are partial, started or failed.
        subsets: Subset runs that were left out because nobody asked for them.
        superseded: Runs that a later one with the same labels replaces: weights, data or code have changed since.
    """

    runs: tuple[Run, ...]
    unfinished: tuple[Run, ...]
    subsets: tuple[Run, ...]
    superseded: tuple[Run, ...] = ()


def usable(runs: Iterable[Run], allow_subset: bool = False) -> Choice:
    """Sorts out what a table may use: complete runs, the newest of each label, and subsets only where told to.

    A run that has two names ("foveal" and "foveal,alpha=0.2", which is its default) counts once, by the first.
    """
    runs = list({run.run_id: run for run in reversed(list(runs))}.values())[::-1]
    complete = [run for run in runs if run.state == COMPLETE]
    wanted = [run for run in complete if allow_subset or not run.subset]
    newest: dict[tuple[Any, ...], Run] = {}
    for run in sorted(wanted, key=lambda run: (str(run.info.get("finished") or ""), run.run_id)):
        newest[_asked(run)] = run
    kept = {run.run_id for run in newest.values()}
    return Choice(
        runs=tuple(run for run in wanted if run.run_id in kept),
        unfinished=tuple(run for run in runs if run.state != COMPLETE),
        subsets=tuple(run for run in complete if run.subset and not allow_subset),
        superseded=tuple(run for run in wanted if run.run_id not in kept),
    )


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
