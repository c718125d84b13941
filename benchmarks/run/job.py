"""One run: its identity and folder, what it lacks, and what it writes; torch is loaded where something is to do."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.data.files import sha256
from benchmarks.records.folder import METRICS_FILE, RunFolder, write_json
from benchmarks.records.record import Counts, Record
from benchmarks.records.run import method
from benchmarks.run import provenance
from benchmarks.run.runtime import Runtime
from benchmarks.run.text import RunTexts, TextProtocol
from benchmarks.settings.building import build, checked_arguments
from benchmarks.settings.identity import classify, describe, kind_of, leaves, run_id
from benchmarks.settings.measures import Measures
from benchmarks.settings.sources import changed_sources, source_hashes
from benchmarks.settings.subset import subset
from benchmarks.settings.sweep import Asked
from benchmarks.tasks import Task
from benchmarks.tasks.related import related
from falip.errors import UserError
from falip.weights import BackboneSettings, find_weights

if TYPE_CHECKING:
    from falip.backbone import Backbone

log = logging.getLogger(__name__)

LIMIT_SEED = 0


class Job:
    """One run.

    Args:
        asked: Its configuration and labels.
        tasks: Tasks that jobs beside this one have built, by their settings; a new one is added.

    Raises:
        UserError: If a setting has no meaning.
    """

    def __init__(self, asked: Asked, tasks: dict[str, Task] | None = None) -> None:
        self.overrides, self.experiment = list(asked.overrides), asked.labels.experiment
        self.resolved, self.packages = asked.settings, dict(asked.packages)
        for leaf, _ in leaves(self.resolved):
            classify(leaf)
        self.runtime = Runtime(**checked_arguments(Runtime, self.resolved["runtime"], "runtime"))
        if self.resolved["approximation"] not in ("none", "frozen"):
            raise UserError(f"approximation={self.resolved['approximation']}: choose from none, frozen.")
        self.measures = Measures.of(self.resolved)
        self.task = _task(self.resolved["task"], {} if tasks is None else tasks)
        self.prompt = build(self.resolved["prompt"], "prompt")
        self.protocol = TextProtocol(**checked_arguments(TextProtocol, self.resolved["text"], "text"))
        self.related = related(self.task) if self.protocol.relations else None
        members = self.resolved["backbone"].get("members", [self.resolved["backbone"]])
        self.settings = [BackboneSettings(**checked_arguments(BackboneSettings, one, "backbone")) for one in members]
        self.labels = {
            "task": self.task.name,
            "split": self.task.split,
            "backbone": asked.labels.backbone,
            "prompt": asked.labels.prompt,
            "text": asked.labels.text,
        }
        proposals = getattr(self.task, "proposals", None)
        if proposals:
            self.labels["proposals"] = proposals

    @property
    def backbones(self) -> list[Backbone]:
        """The backbones of the run; each is loaded once for each process."""
        return [_backbone(self.runtime.compile, settings) for settings in self.settings]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that can move a number of this run."""
        rules = {k: v for k, v in describe_rules(self.task).items() if k != "limit"}
        return {
            "task": rules | {"dataset": self.task.dataset.identity},
            "backbone": [self._backbone_identity(settings) for settings in self.settings],
            "prompt": describe(self.prompt),
            "text": self.protocol.identity,
            "approximation": self.resolved["approximation"],
            "limit": self.task.limit,
            "limit_seed": LIMIT_SEED if self.task.limit else None,
            **self.measures.identity,
            **({"packages": self.packages} if self.packages else {}),
        }

    def _backbone_identity(self, settings: BackboneSettings) -> dict[str, Any]:
        """Known without a model, unless the hub must first say which revision is meant."""
        weights = find_weights(settings.name, settings.revision, sha256)
        return settings.identity(weights) if weights.known else _backbone(self.runtime.compile, settings).identity

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

    @property
    def title(self) -> str:
        """What the log calls the run."""
        return f"{self.labels['task']}/{self.labels['split']} {self.labels['backbone']} {method(self.labels)}"

    def wants_running(self) -> bool:
        """Whether something is missing and `runtime.overwrite` allows to make it; logs why not."""
        info, title = self.folder.info or {}, self.title
        counts = self.folder.counts() if info else Counts(0, 0)
        recorded = counts.scored + counts.unscored
        # What could not be scored is missing: its data may have been mended since.
        complete = info.get("status") == "complete" and counts.scored == self.expected
        if self.runtime.dry_run:
            state = "complete" if complete else f"{recorded} of {self.expected} recorded"
            state += f", {counts.unscored} of them unscored" if counts.unscored else ""
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
                self.claim()
                self._compare_sources(info)
            log.info("%s: %s already, nothing to do (%s)", title, "complete" if complete else "begun", self.folder.path)
            return False
        return True

    def _compare_sources(self, info: Mapping[str, Any]) -> None:
        changed = changed_sources(info.get("sources") or {}, self._sources)
        if changed:
            log.warning(
                "%s: the code of %s has changed since these records were made. If that moves numbers, raise its version, "
                "or make the records again with runtime.overwrite=always.",
                self.title, ", ".join(changed),
            )  # fmt: skip

    @cached_property
    def _sources(self) -> dict[str, str]:
        return source_hashes(self.prompt, self.task, *([self.related] if self.related else []))

    def claim(self) -> None:
        """Notes that this experiment too asks for a run that is there."""
        info = self.folder.info or {}
        if info and self.experiment and self.experiment not in info.get("experiments", []):
            self.folder.write_info(info | {"experiments": self._experiments(info)})

    def _experiments(self, info: dict[str, Any]) -> list[str]:
        return sorted({*info.get("experiments", []), *([self.experiment] if self.experiment else [])})

    def start(self) -> tuple[RunTexts, frozenset[str], list[int]]:
        """Writes that the run has begun; returns its texts, the samples recorded, and indices of those that are not."""
        done = self.folder.done()
        index, (shard, shards) = self.task.dataset.index, self.runtime.part
        todo = [i for i in self.samples[shard::shards] if index[i].id not in done]
        queries = sum(index[i].queries for i in todo)
        log.info(
            "%s: %d queries in %d pictures to do, %d recorded already%s (%s)",
            self.title, queries, len(todo), self.expected - queries if shards == 1 else self.folder.counts().scored,
            f"; a subset of {self.task.limit}, not comparable" if self.task.limit else "", self.folder.path,
        )  # fmt: skip
        self._name_doubles()
        texts = RunTexts(self.protocol, self.prompt, self._pool())
        self._started = self._info(len(texts.subtracted))
        self.folder.write_info(self._started)
        return texts, done, todo

    def save(self, records: list[Record], components: list[str]) -> None:
        """Adds records, and at the first that were scored the names of the rows of their component scores."""
        if components and not self._started["components"]:
            self._started["components"] = components
            self.folder.write_info(self._started)
        self.folder.write_records(records, self.runtime.part)

    def fail(self, error: BaseException) -> None:
        """Writes that and why the run has failed."""
        with suppress(UserError):  # a full disk must not hide what went wrong
            self.folder.write_info(self._started | {"status": "failed", "finished": now(), "error": described(error)})

    def finish(self, texts: RunTexts, seconds: Mapping[str, float]) -> None:
        """Writes metrics, counts and timing, and last of all that the run is complete."""
        from benchmarks.measure.formats import accuracy  # statistics take a second to load, and a complete run needs none
        from benchmarks.measure.metrics import metrics_for

        self.folder.compact(self.runtime.part)
        with self.folder.finishing():  # shards that end at the same moment: the last one sees all records
            info, frame = self._started, self.folder.frame()
            shares = self.identity["task"]["dataset"].get("group_shares")
            metrics = metrics_for(self.labels["task"].split("/")[0], frame, shares)
            write_json(self.folder.path / METRICS_FILE, metrics)
            counts = metrics["counts"]
            info["counts"] |= {
                "scored": counts["n"],
                "truncated_texts": texts.truncated(self.backbones),
                **{key: value for key, value in counts.items() if key != "n"},
            }
            info["timing"] = {stage: round(value, 3) for stage, value in sorted(seconds.items())}
            if len(frame) == self.expected:
                info |= {"status": "complete", "finished": now()}
            elif self.runtime.part == (0, 1):
                raise UserError(
                    f"{self.folder.path} holds {len(frame)} records, and the index of the data set promised "
                    f"{self.expected}: it counts other queries than it loads, or two queries have one id. Mend the data "
                    "set's class."
                )
            self.folder.write_info(info)
        log.info("%s: accuracy %s", method(self.labels), accuracy(metrics))

    def _name_doubles(self) -> None:
        """Classes of one name get one text and always tie, so that all but the first are never chosen."""
        names = Counter(name.replace("_", " ").strip().lower() for name in self.task.dataset.class_names)
        doubled = [f"{name} ({count})" for name, count in names.items() if count > 1]
        if doubled:
            log.warning("%s: classes with one name, of which the first always wins: %s", self.title, ", ".join(doubled))

    def _pool(self) -> list[str]:
        """Texts that may be subtracted: all expressions of the split, or all class names."""
        if not self.protocol.subtract:
            return []
        dataset: Any = self.task.dataset
        return [name.replace("_", " ") for name in dataset.class_names] or dataset.expressions()

    def _info(self, subtracted: int) -> dict[str, Any]:
        previous, backbone = self.folder.info or {}, self.identity["backbone"][0]
        return {
            "schema": self.folder.schema,
            "run_id": self.folder.path.name,
            "status": "started",
            "started": previous.get("started") or now(),
            "finished": None,
            "labels": self.labels,
            "identity": self.identity,
            "sources": self._sources,
            "components": previous.get("components") or [],
            "counts": {"expected": self.expected, "subtracted_texts": subtracted},
            "subset": self.task.limit is not None,
            "config": self.resolved,
            "overrides": self.overrides,
            "experiments": self._experiments(previous),
            "git": provenance.git_state(),
            "versions": provenance.versions() | self.packages,
            "device": provenance.machine(self.runtime.device),
            "numerics": {
                "dtype": backbone["dtype"],
                "tf32": False,
                "attention": "scaled_dot_product_attention",
                "image_processor": backbone["image_processor"],
                "seeds": {"limit": LIMIT_SEED, "subtract": self.protocol.seed},
            },
            "timing": {},
            "error": None,
        }


def describe_rules(task: Any) -> dict[str, Any]:
    """The parameters of a task that are set, but for its data set, which describes itself, its masks and its rows."""
    left_out = ("dataset", "template", "masks", "rows")
    rules = {key: value for key, value in vars(task).items() if key not in left_out and value is not None}
    return describe(rules) | {"type": kind_of(task), "version": type(task).version}


def described(error: BaseException) -> dict[str, str]:
    """What run.json says of an error."""
    return {"type": type(error).__name__, "message": str(error)}


def now() -> str:
    """The time as run.json has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _task(settings: Mapping[str, Any], known: dict[str, Task]) -> Task:
    """The task of some settings, built once for jobs that have them in common: an index may take seconds to read."""
    key = repr(settings)
    if key not in known:
        known[key] = build(settings, "task")
    return known[key]


@cache
def _backbone(compiled: bool, settings: BackboneSettings) -> Backbone:
    from falip.backbone import load_backbone

    backbone = load_backbone(**asdict(settings))
    if compiled:
        backbone.compile()
    return backbone
