"""Small run folders for tests: run.json and records as the runner writes them, without a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure.decisions import decide_class, decide_rec
from benchmarks.records.record import EARLIER_SCHEMAS, SCHEMA_VERSION, Record, write_part
from benchmarks.settings.identity import run_id


def rec_records(
    images: int = 6, expressions: int = 3, candidates: int = 4, skill: float = 1.0, seed: int = 0
) -> list[Record]:
    """Expressions on images; with `skill` 0 the scores know nothing of the target, which it does not move."""
    truth = np.random.default_rng(7)
    noise = np.random.default_rng(seed)
    records = []
    for image in range(images):
        for expression in range(expressions):
            target = int(truth.integers(candidates))
            ious = np.where(np.arange(candidates) == target, 0.9, 0.1)
            scores = noise.normal(size=candidates).astype(np.float32) + skill * (ious > 0.5)
            records.append(
                Record(
                    id=f"{image:03d}-{expression}",
                    group=f"image-{image:03d}",
                    text=f"expression {expression}",
                    slice=("colour", "shape")[expression % 2],
                    component_scores=(tuple(float(s) for s in scores.astype(np.float32)),),
                    **vars(decide_rec(scores, ious)),
                )
            )
    return records


def class_records(
    samples: int = 12,
    classes: int = 6,
    views: int = 1,
    skill: float = 1.0,
    seed: int = 0,
    slices: Sequence[str] = ("",),
) -> list[Record]:
    """One question for each sample; with several views the scores are their sum."""
    truth = np.random.default_rng(7)
    noise = np.random.default_rng(seed)
    records = []
    for i in range(samples):
        label = int(truth.integers(classes))
        parts = noise.normal(size=(views, classes)).astype(np.float32)
        parts[:, label] += skill
        records.append(
            Record(
                id=f"{i:04d}",
                group=f"{i:04d}",
                text=f"class {label}",
                slice=slices[i % len(slices)],
                component_scores=tuple(tuple(float(s) for s in row) for row in parts),
                **vars(decide_class(parts.sum(axis=0), label)),
            )
        )
    return records


def unscored(record: Record) -> Record:
    """The same query, which failed."""
    blank: dict[str, Any] = {
        "prediction": -1,
        "correct": False,
        "score": float("nan"),
        "margin": float("nan"),
        "rank": 0,
    }
    blank |= {"ties": 0, "tie_accuracy": float("nan"), "scores": (), "component_scores": ()}
    return Record(**{**vars(record), **blank, "status": "unscored", "error": "image is broken"})


def run_info(name: str, expected: int, **changes: Any) -> dict[str, Any]:
    """A run.json of schema 1, whose id may be any; `changes` replace entries, and update `labels` and `identity`."""
    labels = {
        "task": "rec/shapes",
        "split": "val",
        "backbone": "tiny",
        "prompt": "plain",
        "text": "default",
        "proposals": "gt",
    } | changes.pop("labels", {})
    identity = {
        "task": {
            "name": labels["task"],
            "version": 1,
            "dataset": {"name": labels["task"], "split": labels["split"]},
        },
        "backbone": {"name": labels["backbone"], "version": 1},
        "prompt": {"name": labels["prompt"], "version": 1},
        "text": {"template": "a photo of {}"},
        "approximation": "none",
        "limit": None,
    } | changes.pop("identity", {})
    info = {
        "schema": 1,
        "run_id": name,
        "status": "complete",
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:01:00+00:00",
        "labels": labels,
        "identity": identity,
        "components": [labels["prompt"]],
        "counts": {"expected": expected},
        "subset": identity["limit"] is not None,
        "config": {},
        "overrides": [],
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "versions": {"torch": "2.13.0"},
        "device": "cpu",
        "error": None,
    }
    return info | changes


def write_run(root: Path, name: str, records: Sequence[Record], parts: int = 1, **changes: Any) -> Path:
    """Writes a run folder of schema 1 and returns it; records are dealt out over the parts as shards would."""
    info = run_info(name, changes.pop("expected", len(records)), **changes)
    return _written(root, info, records, parts)


def write_new_run(root: Path, records: Sequence[Record], parts: int = 1, **changes: Any) -> Path:
    """The same as today's runner writes it: the id is the hash of the identity, and every part carries it."""
    info = run_info("", changes.pop("expected", len(records)), **changes)
    info |= {"schema": SCHEMA_VERSION, "run_id": run_id(info["identity"])}
    return _written(root, info, records, parts)


def _written(root: Path, info: dict[str, Any], records: Sequence[Record], parts: int) -> Path:
    labels = info["labels"]
    backbone = labels["backbone"].replace("/", "--")
    folder = root / labels["task"] / labels["split"] / backbone / labels["prompt"] / info["run_id"]
    (folder / "records").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(info, indent=2), encoding="utf-8")
    for part in range(parts):
        write = write_part if info["schema"] > 1 else write_old_part
        write(records[part::parts], folder / "records" / f"part-{part:05d}.parquet", info["run_id"])
    return folder


def write_old_part(records: Sequence[Record], path: Path, run_id: str | None = None, schema: int = 1) -> None:
    """A part as an earlier schema version had it: under 1 it does not say of which run it is."""
    table = pa.Table.from_pylist([vars(record) for record in records], schema=EARLIER_SCHEMAS[schema])
    pq.write_table(table.replace_schema_metadata({"run_id": run_id} if schema > 1 and run_id else None), path)


def write_pair(
    root: Path, task: str = "rec/shapes", make: Callable[..., list[Record]] = rec_records, **labels: str
) -> None:
    """Two finished runs of a task: a plain one that guesses and a foveal one that knows."""
    shared = {"task": task, **labels}
    write_run(root, "aaaaaaaaaaaa", make(skill=0.0, seed=1), labels={**shared, "prompt": "plain"})
    write_run(root, "bbbbbbbbbbbb", make(skill=3.0, seed=2), labels={**shared, "prompt": "foveal"})
