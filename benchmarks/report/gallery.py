"""The samples that the page shows: what each method decided, and the view that it saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.data.samples import Query
from benchmarks.measure.recombination import component_weights
from benchmarks.records.run import Run
from benchmarks.report.groups import Group
from benchmarks.report.restore import finite
from benchmarks.report.views import SamplePictures, sample_pictures
from benchmarks.run.prefetch import ahead

TOP = 5  # classes shown for each decision
WORKERS = 2
# What the page shows of a record.
_SHOWN = (
    "id", "group", "text", "slice", "target", "prediction", "correct", "margin", "rank", "ties", "scores",
    "component_scores", "candidate_correct", "status", "error", "texts",
)  # fmt: skip


@dataclass(frozen=True)
class Gallery:
    """What the page's script gets: samples with pictures, and queries with decisions."""

    groups: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    queries: list[dict[str, Any]]


def build_gallery(groups: Sequence[Group], budget: int, attention: Mapping[tuple[str, str], Any]) -> Gallery:
    """Draws all samples of all groups.

    Args:
        groups: With samples chosen and data restored.
        budget: Bytes for all pictures together.
        attention: For (run id, sample id) the maps that `attention.recompute` found; empty where not asked.
    """
    total = sum(len(group.sample_ids) for group in groups)
    share = min(400_000, budget // max(total, 1))
    samples: list[dict[str, Any]] = []
    queries: list[dict[str, Any]] = []
    for g, group in enumerate(groups):
        frames = [_by_sample(run, group.sample_ids) for run in group.runs.values()]

        def draw(name: str, group: Group = group, frames: list[dict[str, list[Any]]] = frames) -> SamplePictures:
            rows = [frame.get(name, []) for frame in frames]
            return sample_pictures(group, name, rows, share, attention)

        for name, pictures in zip(group.sample_ids, ahead(draw, group.sample_ids, WORKERS), strict=True):
            rows = [frame.pop(name, []) for frame in frames]  # of hundreds of methods, so that none is there twice
            queries += _queries(group, len(samples), rows, pictures.queries)
            samples.append({"group": g, "id": name, **pictures.content})
    return Gallery([_described(group) for group in groups], samples, queries)


def _by_sample(run: Run, shown: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    fields = [name for name in _SHOWN if name != "component_scores" or run.kind == "pointcloud"]
    for row in run.records(fields, shown).itertuples(index=False):
        record: Any = row
        found.setdefault(str(record.group), []).append(record)
    return found


def _described(group: Group) -> dict[str, Any]:
    return {
        "label": group.label,
        "kind": "rec" if group.kind == "keypoint" else group.kind,  # both choose a place in the picture
        "baseline": group.baseline,
        "note": " ".join(group.notes),
        "methods": [{"name": name, "run": run.run_id} for name, run in group.runs.items()],
    }


def _queries(group: Group, sample: int, rows: Sequence[Sequence[Any]], asked: Mapping[str, Query]) -> list[dict[str, Any]]:
    """The queries of a sample with the answer of every method, None where a method has none."""
    found: dict[str, dict[str, Any]] = {}
    weights = [component_weights(run.identity.get("prompt")) for run in group.runs.values()]
    for m, records in enumerate(rows):
        for row in records:
            own = asked.get(row.id)
            query = found.setdefault(row.id, _query(row, sample, len(rows), own))
            query["answers"][m] = _answer(group, row, weights[m], own.texts if own else ())
    return list(found.values())


def _query(row: Any, sample: int, methods: int, asked: Query | None) -> dict[str, Any]:
    right = [i for i, correct in enumerate(row.candidate_correct) if correct]
    return {
        "sample": sample,
        "id": row.id,
        "text": row.text or row.id,
        "slice": row.slice,
        "target": int(row.target),
        "right": right,
        "region": asked.region if asked else None,
        "answers": [None] * methods,
    }


def _answer(group: Group, row: Any, weights: Sequence[float], texts: Sequence[str]) -> dict[str, Any]:
    if row.status != "scored":
        return {"error": row.error or "unscored"}
    answer: dict[str, Any] = {
        "correct": bool(row.correct),
        "choice": int(row.prediction),
        "rank": int(row.rank),
        "ties": int(row.ties),
        "margin": finite([row.margin])[0],
    }
    scores = np.asarray(row.scores, dtype=float)
    if group.kind in ("rec", "keypoint"):
        asked = {"asked": list(row.texts[1:])} if len(row.texts) > 1 else {}
        return answer | asked | {"scores": finite(_shown(scores, row))}
    best = np.argsort(-scores, kind="stable")[:TOP].tolist()
    if row.target not in best:
        best.append(int(row.target))
    answer["top"] = [[_name(texts or group.classes, c), *finite(scores[[c]]), c == row.target] for c in best]
    if group.kind == "pointcloud":
        answer["views"] = _views(group, row, weights)
    return answer


def _shown(scores: np.ndarray, row: Any) -> np.ndarray:
    """The scores; with relations what they are the logarithms of, with the sum 1."""
    if not len(row.texts):
        return scores
    p = np.exp(scores)
    return p / np.nansum(p)


def _views(group: Group, row: Any, weights: Sequence[float]) -> list[dict[str, Any]]:
    """For each depth map the class it would choose by itself, with the scores of that class and of the right one."""
    parts = np.stack([np.asarray(part, dtype=float) for part in row.component_scores])
    pictures = group.data.task.dataset.index[0].regions if group.data else len(parts)
    grouped = parts.reshape(-1, pictures, parts.shape[1])
    if len(weights) == len(grouped):
        grouped = grouped * np.asarray(weights)[:, None, None]
    by_view = grouped.sum(0)
    return [
        {
            "choice": _name(group.classes, int(scores.argmax())),
            "best": finite(scores.max(keepdims=True))[0],
            "target": finite(scores[[row.target]])[0],
            "correct": int(scores.argmax()) == row.target,
        }
        for scores in by_view
    ]


def _name(classes: Sequence[str], index: int) -> str:
    return str(classes[index]).replace("_", " ") if index < len(classes) else f"class {index}"
