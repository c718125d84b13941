"""One run on disk: what it says it is, what state it is in, and its records."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.records.checking import is_scored, ragged, texts
from benchmarks.records.folder import RECORDS_FOLDER, RUN_FILE, UNIDENTIFIED
from benchmarks.records.record import RECORD_SCHEMA, SCHEMA_VERSION, Counts, Owner, count_records, read_table
from benchmarks.records.run_file import check_shape, read_object, unusable
from benchmarks.settings.identity import classify, run_id
from falip.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.settings.expected import Expected

SCHEMAS = range(1, SCHEMA_VERSION + 1)
COMPLETE, UNSCORED, PARTIAL, STARTED, FAILED = "complete", "unscored", "partial", "started", "failed"
# What comparisons and charts need of a record, and is kept in memory for all runs of a table at once.
_KEPT = ["id", "group", "slice", "candidates", "correct", "status", "target_share"]
# What metrics need beside it; where there are classes, their scores too.
_MEASURED = [
    *_KEPT,
    "target",
    "prediction",
    "margin",
    "oracle",
    "chance",
    "ties",
    "tie_accuracy",
    "dropped",
    "outside",
    "fallback",
]
# Overrides of the task that the labels of a run show, so that they cannot pass unseen.
_LABELLED = ("task.split", "task.proposals", "task.limit")
EMBEDDED_TASKS = frozenset(
    {
        "rec/shapes", "classification/shapes", "classification/shapes_regions", "classification/shapes_shift",
        "pointcloud/solids", "keypoint/shapes",
    }
)  # fmt: skip


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
        """rec, classification, pointcloud or keypoint."""
        return self.labels["task"].partition("/")[0]

    @property
    def name(self) -> str:
        """A name for messages."""
        return f"{self.labels['task']} {self.labels['split']} {self.method} ({self.run_id})"

    @property
    def method(self) -> str:
        """The prompt, and the text where it is not the default one."""
        return method(self.labels)

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

    def follows(self, rule: str) -> bool:
        """Whether a setting of the task ("task.min_area=0.05") has that value, overridden or by its configuration."""
        name, _, value = rule.partition("=")
        node: Any = self.info.get("config")
        for part in name.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        return rule in self.rules or (node is not None and value in (str(node), json.dumps(node)))

    @property
    def tuned(self) -> bool:
        """Whether its views have weights of their own, or its classes sentences, that are searched on test labels."""
        task = self.identity.get("task") or {}
        weights = task.get("view_weights") or [1.0]
        return len(set(weights)) > 1 or bool((task.get("sentences") or {}).get("searched"))

    @property
    def approximation(self) -> str:
        """Either "none" or "frozen"."""
        return str(self.identity.get("approximation", "none"))

    @property
    def precision(self) -> str:
        """Says "released" where scores are rounded as the released programs round them, else nothing."""
        members = self.identity.get("backbone")
        found = [one.get("precision") for one in members if isinstance(one, Mapping)] if isinstance(members, list) else []
        return str(found[0] or "") if found else ""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that can move a number."""
        return self.info.get("identity") or {}

    @property
    def expected(self) -> int | None:
        """How many records a whole run has; None where it ended before that was known."""
        return (self.info.get("counts") or {}).get("expected")

    @property
    def parts(self) -> list[Path]:
        """Record files of all shards."""
        return sorted((self.path / RECORDS_FOLDER).glob("*.parquet"))

    @cached_property
    def _owner(self) -> Owner:
        """Whose the parts must be."""
        return Owner(self.run_id, self.info["schema"], run_id(self.identity) == self.run_id)

    @cached_property
    def counts(self) -> Counts:
        """How many distinct queries are recorded, over all shards: scored and unscored."""
        return count_records(self.parts, self._owner)

    @property
    def recorded(self) -> int:
        """Number of distinct queries recorded, over all shards."""
        return self.counts.scored + self.counts.unscored

    @property
    def state(self) -> str:
        """complete, unscored (all recorded, some without a score), partial, started (nothing recorded yet) or failed.

        Shards end one by one, so what counts is whether every expected query is recorded, not who wrote last.
        """
        if self.expected is not None and self.recorded == self.expected:
            return UNSCORED if self.counts.unscored else COMPLETE
        if self.info.get("status") == FAILED:
            return FAILED
        return PARTIAL if self.recorded else STARTED

    @property
    def finished(self) -> bool:
        """Whether every query is recorded; the unscored ones are counted wherever the run is shown."""
        return self.state in (COMPLETE, UNSCORED)

    @property
    def finished_at(self) -> float:
        """When it ended, in seconds: what run.json says, else the time of its newest part."""
        with suppress(ValueError):
            moment = datetime.fromisoformat(self.info.get("finished") or "")
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return max((part.stat().st_mtime for part in self.parts), default=0.0)

    def records(self, columns: Sequence[str] | None = None, groups: Collection[str] | None = None) -> pd.DataFrame:
        """Records with any of their fields, read anew at each call: scores and texts of all runs would fill the memory.

        Args:
            columns: Some fields of `Record`; None for all.
            groups: Only these samples; None for all.
        """
        wanted = RECORD_SCHEMA.names if columns is None else list(columns)
        table = read_table(self.parts, self._owner, list(dict.fromkeys([*wanted, "group"])))
        if groups is not None:
            wanted_groups = frozenset(groups)
            table = table.filter(pa.array([group in wanted_groups for group in texts(table["group"])], pa.bool_()))
        return table.select(wanted).to_pandas()

    @property
    def frame(self) -> pd.DataFrame:
        """All records, sorted by id, with the few fields that comparisons and charts need; `records` has the others."""
        return self._measured[0]

    @property
    def metrics(self) -> dict[str, Any]:
        """Metrics, worked out from the records (one shard of several may have written metrics.json)."""
        return self._measured[1]

    @cached_property
    def _measured(self) -> tuple[pd.DataFrame, dict[str, Any]]:
        from benchmarks.measure.metrics import metrics_for  # brings pandas, which a list of runs does without

        classes = self.kind not in ("rec", "keypoint")
        table = read_table(self.parts, self._owner, [*_MEASURED, *(["scores", "candidate_correct"] if classes else [])])
        frame = table.select([*_MEASURED, *(["candidate_correct"] if classes else [])]).to_pandas()
        if classes and not frame["candidate_correct"].map(len).any():  # else each query has texts of its own
            frame["top5"] = _within_five(table)
        kept = table.select(_KEPT)
        for name in ("group", "slice", "status"):  # each word once
            kept = kept.set_column(kept.schema.get_field_index(name), name, kept[name].dictionary_encode())
        return kept.to_pandas(), metrics_for(self.kind, frame, self.group_shares)

    @property
    def group_shares(self) -> Mapping[str, float] | None:
        """Training shares of the groups (Waterbirds), where the data set gives them in its identity."""
        task = self.identity.get("task") or {}
        return (task.get("dataset") or {}).get("group_shares")

    def in_experiment(self, name: str) -> bool:
        """Whether an experiment has asked for the run."""
        return name in (self.info.get("experiments") or [])


def method(labels: Mapping[str, str]) -> str:
    """What people call a run beside others of its task: "crop", or "crop, relations" where the text is not the default."""
    text = labels.get("text") or "default"
    return labels["prompt"] if text == "default" else f"{labels['prompt']}, {text}"


def _within_five(table: pa.Table) -> NDArray[np.bool_]:
    from benchmarks.measure.metrics import within_top

    scored = is_scored(table)
    rows = table.filter(pa.array(scored))
    scores, starts = ragged(rows["scores"])
    sizes = np.unique(np.diff(starts))
    found = np.zeros(len(table), dtype=bool)
    if len(sizes) > 1:
        raise UserError(
            f"records of one task have from {sizes[0]} to {sizes[-1]} classes; their parts do not belong together"
        )
    if len(sizes):
        found[scored] = within_top(scores.reshape(len(rows), -1), rows["target"].to_numpy().astype(np.int64), 5)
    return found


def asked_for(run: Run) -> Expected:
    """What a run on disk answers to."""
    from benchmarks.settings.expected import Expected  # brings Hydra's files along, which a list of runs does not need

    labels = {name: run.labels.get(name) or "" for name in ("task", "split", "backbone", "prompt", "text", "proposals")}
    return Expected(**labels, approximation=run.approximation, limit=run.identity.get("limit"))


def read_run(folder: Path) -> Run:
    """Reads run.json of one folder.

    Raises:
        UserError: If it is no JSON, lacks what every run has, was written by a newer version, or was edited: the run's
            id is the hash of its identity, and its folder is named by it.
    """
    path = folder / RUN_FILE
    try:
        info = read_object(path)
    except ValueError as error:
        raise unusable(path, str(error)) from error
    if info.get("schema") not in SCHEMAS or isinstance(info.get("schema"), bool):
        raise UserError(
            f"{path} has schema {info.get('schema')!r}, this version reads {', '.join(map(str, SCHEMAS))}: "
            "update the project, or point --runs elsewhere"
        )
    problem = check_shape(info)
    if problem:
        raise unusable(path, problem)
    if not re.fullmatch(r"[\w.-]{1,80}", info["run_id"], flags=re.ASCII):
        raise unusable(path, f"has run_id {info['run_id'][:80]!r}, which is no hash")
    if info["schema"] > 1 and not _is_unidentified(folder, info):
        _check_id(folder, info)
    return Run(folder, info)


def _is_unidentified(folder: Path, info: Mapping[str, Any]) -> bool:
    """Whether it says no more than why a run failed before its identity was known."""
    return not info.get("identity") and info["status"] == FAILED and folder.name.startswith(UNIDENTIFIED)


def _check_id(folder: Path, info: Mapping[str, Any]) -> None:
    """Refuses a run whose id, identity and folder do not belong together."""
    stated, hashed, name = info["run_id"], run_id(info.get("identity") or {}), folder.resolve().name
    if stated != hashed:
        why = f"has the run_id {stated}, and the hash of its identity is {hashed}"
    elif stated != name:
        why = f"has the run_id {stated}, and lies in the folder {name}"
    else:
        return
    raise UserError(
        f"{folder / RUN_FILE} was edited or moved: it {why}. Put back what was there, or delete the folder and run again"
    )
