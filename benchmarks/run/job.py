"""One run from a composed configuration: identity, folder, evaluation, metrics."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from benchmarks.measure.formats import accuracy
from benchmarks.measure.metrics import metrics_for
from benchmarks.records.folder import METRICS_FILE, RunFolder, write_json
from benchmarks.records.record import SCHEMA_VERSION, Record
from benchmarks.run import provenance
from benchmarks.run.evaluation import Evaluation, Runtime, Variant, subset
from benchmarks.run.text import RunTexts, TextProtocol
from benchmarks.settings.building import build, checked_arguments
from benchmarks.settings.identity import classify, describe, kind_of, leaves, run_id
from falip import Backbone, UserError, load_backbone

log = logging.getLogger(__name__)

LIMIT_SEED = 0


@dataclass(frozen=True)
class Labels:
    """What people call a run: the choices in each group, with their overrides, and the experiment that asks for it."""

    backbone: str
    prompt: str
    text: str
    experiment: str | None = None


class Job:
    """One run.

    Args:
        config: The composed configuration.
        labels: Names of the choices.
        overrides: What was given on the command line, for the record.
    """

    def __init__(self, config: DictConfig, labels: Labels, overrides: Sequence[str] = ()) -> None:
        self.config, self.overrides, self.experiment = config, list(overrides), labels.experiment
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        self.resolved: dict[str, Any] = plain  # pyright: ignore[reportAttributeAccessIssue]
        for leaf, _ in leaves(self.resolved):
            classify(leaf)
        self.runtime = Runtime(**checked_arguments(Runtime, self.resolved["runtime"], "runtime"))
        if config.approximation not in ("none", "frozen"):
            raise UserError(f"approximation={config.approximation}: choose from none, frozen.")
        self.task = build(self.resolved["task"], "task")
        self.prompt = build(self.resolved["prompt"], "prompt")
        self.protocol = TextProtocol(**checked_arguments(TextProtocol, self.resolved["text"], "text"))
        self.labels = {
            "task": self.task.name,
            "split": self.task.split,
            "backbone": labels.backbone,
            "prompt": labels.prompt,
            "text": labels.text,
        }
        proposals = getattr(self.task, "proposals", None)
        if proposals:
            self.labels["proposals"] = proposals

    @cached_property
    def backbones(self) -> list[Backbone]:
        """The backbones of the run; each is loaded once for each process."""
        settings = self.resolved["backbone"]
        members = settings.get("members", [settings])
        checked = [checked_arguments(load_backbone, member, "backbone") for member in members]
        return [_backbone(self.runtime.compile, **arguments) for arguments in checked]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that can move a number of this run."""
        rules = {k: v for k, v in describe_rules(self.task).items() if k != "limit"}
        return {
            "task": rules | {"dataset": self.task.dataset.identity},
            "backbone": [backbone.identity for backbone in self.backbones],
            "prompt": describe(self.prompt),
            "text": describe(self.protocol),
            "approximation": self.resolved["approximation"],
            "limit": self.task.limit,
            "limit_seed": LIMIT_SEED if self.task.limit else None,
        }

    @cached_property
    def folder(self) -> RunFolder:
        """Where the run lives."""
        return RunFolder.of(Path(self.resolved["results_root"]), self.labels, run_id(self.identity))

    @cached_property
    def samples(self) -> list[int]:
        """Indices of the samples of the run, of all shards."""
        return subset(self.task.dataset.index, self.task.limit, LIMIT_SEED)

    @cached_property
    def expected(self) -> int:
        """Number of records of the complete run."""
        index = self.task.dataset.index
        return sum(index[i].queries for i in self.samples)

    def execute(self) -> None:
        """Runs what is missing."""
        execute([self])

    @property
    def title(self) -> str:
        """What the log calls the run."""
        return f"{self.labels['task']}/{self.labels['split']} {self.labels['backbone']} {self.labels['prompt']}"

    def wants_running(self) -> bool:
        """Whether something is missing and `runtime.overwrite` allows to make it; logs why not."""
        info, title = self.folder.info or {}, self.title
        recorded = len(self.folder.frame()) if info else 0
        complete = info.get("status") == "complete" and recorded == self.expected
        if self.runtime.dry_run:
            state = "complete" if complete else f"{recorded} of {self.expected} recorded"
            log.info("%s: run %s, %s (%s)", title, self.folder.path.name, state, self.folder.path)
            return False
        policy = self.runtime.overwrite
        if policy == "only-cache" and not complete:
            raise UserError(
                f"{title}: {recorded} of {self.expected} are recorded, and runtime.overwrite=only-cache runs nothing."
            )
        if policy == "always" and self.runtime.part != (0, 1):
            raise UserError(
                f"runtime.overwrite=always with runtime.shard={self.runtime.shard} would delete what the other shards have "
                f"recorded. Delete {self.folder.path} once, and start all shards without runtime.overwrite."
            )
        if (complete and policy != "always") or (info and policy == "never"):
            if complete:  # else another process may be at it, and run.json is its own
                self._claim(info)
            log.info("%s: %s already, nothing to do (%s)", title, "complete" if complete else "begun", self.folder.path)
            return False
        return True

    def _claim(self, info: dict[str, Any]) -> None:
        """Notes that this experiment too asks for a run that is there."""
        if self.experiment and self.experiment not in info.get("experiments", []):
            self.folder.write_info(info | {"experiments": self._experiments(info)})

    def _experiments(self, info: dict[str, Any]) -> list[str]:
        return sorted({*info.get("experiments", []), *([self.experiment] if self.experiment else [])})

    def start(self) -> tuple[Variant, list[int]]:
        """Writes that the run has begun; returns what is to be evaluated, and the samples that lack a record."""
        done = frozenset(self.folder.frame()["group"])
        index, (shard, shards) = self.task.dataset.index, self.runtime.part
        todo = [i for i in self.samples[shard::shards] if index[i].id not in done]
        queries = sum(index[i].queries for i in todo)
        log.info(
            "%s: %d queries in %d pictures to do, %d recorded already%s (%s)",
            self.title, queries, len(todo), self.expected - queries if shards == 1 else len(self.folder.frame()),
            f"; a subset of {self.task.limit}, not comparable" if self.task.limit else "", self.folder.path,
        )  # fmt: skip
        texts = RunTexts(self.protocol, self.prompt, self._pool())
        self._started = self._info(len(texts.subtracted))
        self.folder.write_info(self._started)
        return Variant(self.prompt, texts, self._save, done), todo

    def fail(self, error: BaseException) -> None:
        """Writes that and why the run has failed."""
        failure = {"type": type(error).__name__, "message": str(error)}
        with suppress(UserError):  # a full disk must not hide what went wrong
            self.folder.write_info(self._started | {"status": "failed", "finished": _now(), "error": failure})

    def _save(self, records: list[Record]) -> None:
        self.folder.write_records(records, self.runtime.part)

    def finish(self, variant: Variant, seconds: Mapping[str, float]) -> None:
        """Writes metrics, counts and timing, and last of all that the run is complete."""
        info, frame = self._started, self.folder.frame()
        shares = self.identity["task"]["dataset"].get("group_shares")
        metrics = metrics_for(self.labels["task"].split("/")[0], frame, shares)
        write_json(self.folder.path / METRICS_FILE, metrics)
        # A run that is continued keeps the names: only the part that encodes something learns them.
        info["components"] = self._component_rows(variant.component_names) or info["components"]
        info["counts"] |= {
            "scored": int((frame["status"] == "scored").sum()),
            "unscored": int((frame["status"] == "unscored").sum()),
            "fallback": int(frame["fallback"].sum()),
            "ties": int((frame["ties"] > 1).sum()),
            "dropped": int(frame.drop_duplicates("group")["dropped"].sum()),
            "outside": int(frame.drop_duplicates("group")["outside"].sum()),
            "samples": int(frame["group"].nunique()),
            "truncated_texts": variant.texts.truncated(self.backbones),
        }
        info["timing"] = {stage: round(value, 3) for stage, value in sorted(seconds.items())}
        if len(frame) == self.expected:
            info |= {"status": "complete", "finished": _now()}
        elif self.runtime.part == (0, 1):
            raise UserError(
                f"{self.folder.path} holds {len(frame)} records, and the index of the data set promised {self.expected}: "
                "it counts other queries than it loads, or two queries have one id. Mend the data set's class."
            )
        self.folder.write_info(info)
        log.info("%s: accuracy %s", self.labels["prompt"], accuracy(metrics))

    def _component_rows(self, names: list[str]) -> list[str]:
        """Names of the rows of `component_scores`: for several pictures one for each component and picture."""
        first = self.task.dataset.load(self.samples[0]) if names else None
        views = len(first.pictures) if first else 1
        if views == 1:
            return names
        return [f"{name}/view{view}" for name in names for view in range(views)]

    def _pool(self) -> list[str]:
        """Texts that may be subtracted: all expressions of the split, or all class names."""
        if not self.protocol.subtract:
            return []
        dataset = self.task.dataset
        return [name.replace("_", " ") for name in dataset.class_names] or dataset.expressions()

    def _info(self, subtracted: int) -> dict[str, Any]:
        previous = self.folder.info or {}
        return {
            "schema": SCHEMA_VERSION,
            "run_id": self.folder.path.name,
            "status": "started",
            "started": previous.get("started") or _now(),
            "finished": None,
            "labels": self.labels,
            "identity": self.identity,
            "components": previous.get("components") or [],
            "counts": {"expected": self.expected, "subtracted_texts": subtracted},
            "subset": self.task.limit is not None,
            "config": self.resolved,
            "overrides": self.overrides,
            "experiments": self._experiments(previous),
            "git": provenance.git_state(),
            "versions": provenance.versions(),
            "device": provenance.machine(self.runtime.device),
            "numerics": {
                "dtype": self.backbones[0].identity["dtype"],
                "tf32": False,
                "attention": "scaled_dot_product_attention",
                "image_processor": self.backbones[0].identity["image_processor"],
                "seeds": {"limit": LIMIT_SEED, "subtract": self.protocol.seed},
            },
            "timing": {},
            "error": None,
        }


def execute(jobs: Sequence[Job]) -> None:
    """Runs what is missing of some jobs that differ in nothing but prompt and text, in one pass over their samples.

    Each run's folder holds what it would hold if it had been made alone, but for the time, which is that of all.
    """
    pending = [job for job in jobs if job.wants_running()]
    if not pending:
        return
    first = pending[0]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    with ExitStack() as locks:
        for job in pending:
            locks.enter_context(job.folder.locked(job.runtime.part))
            if job.runtime.overwrite == "always":
                job.folder.clear()
        variants, todo = zip(*(job.start() for job in pending), strict=True)
        unfinished = list(pending)
        try:
            evaluation = Evaluation(first.task, first.backbones, variants, first.runtime, first.resolved["approximation"])
            evaluation.run(sorted(set().union(*todo)), first.title if len(pending) == 1 else f"{len(pending)} runs")
            together = {"runs_together": len(pending)} if len(pending) > 1 else {}
            for job, variant in zip(pending, variants, strict=True):
                job.finish(variant, evaluation.seconds | together)
                unfinished.remove(job)
        except BaseException as error:
            for job in unfinished:
                job.fail(error)
            raise


def describe_rules(task: Any) -> dict[str, Any]:
    """The parameters of a task, without its data set, which describes itself."""
    rules = {name: value for name, value in vars(task).items() if name not in ("dataset", "template")}
    return describe(rules) | {"type": kind_of(task), "version": type(task).version}


@cache
def _backbone(compiled: bool, **settings: Any) -> Backbone:
    backbone = load_backbone(settings.pop("name"), **settings)
    if compiled:
        backbone.compile()
    return backbone


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
