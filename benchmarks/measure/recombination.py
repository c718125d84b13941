"""Stored scores combined anew: several runs as one ensemble, other weights for the views of depth maps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.measure.decisions import decide_class, decide_rec
from benchmarks.measure.metrics import scored
from benchmarks.measure.relations import asked_texts, related_scores
from benchmarks.measure.statistics import align
from falip.errors import UserError, check_weights
from falip.relations import parse

# PointCLIP search_weights.py:56-82; equal weights first, so they win ties.
SEARCH_GRID = (1.0, 0.75, 0.5, 0.25)
MOST_SEARCHED = 6  # views: each further one takes four times as long
SEARCHED = "searched on test labels"


def combine(
    frames: Sequence[pd.DataFrame],
    how: str = "sum",
    weights: Sequence[float] | None = None,
    relations: bool | None = None,
    min_area: float = 0.0,
) -> pd.DataFrame:
    """Records of several finished runs combined as an `Ensemble` of their prompts would have scored them.

    The scores of the runs are summed, or their maximum is taken; decisions, ranks, margins and ties are
    worked out anew. A candidate that one run dropped is dropped; a query that one could not score is
    unscored. Where only the rightness of the candidates is known and not their overlap, `iou` is that of a
    run with the same prediction.

    With relations it is the scores of the texts that are combined, and the expressions are parsed again. No model is
    needed to switch them on or off.

    Args:
        frames: Records of runs on the same queries; one is enough.
        how: "sum" or "max".
        weights: A factor on the scores of each run, which may be negative; None for 1 throughout. Component scores stay
            as they are.
        relations: Whether relations decide, or the scores of whole expressions; None: as they did in the runs.
        min_area: With relations, the share of the image that a candidate must exceed to be meant.

    Raises:
        UserError: If there are no runs, they answered different queries or had other candidates, `how` is unknown, there
            are other weights than runs, or relations are asked for and a run has not the scores of the texts.
    """
    if not frames:
        raise UserError("nothing to combine: give the records of at least one run")
    if how not in ("sum", "max"):
        raise UserError(f"cannot combine scores by {how!r}: choose sum or max")
    check_weights("The combination", weights, len(frames), "runs")
    first = frames[0].sort_values("id", ignore_index=True)
    aligned = [first, *(align(first, frame)[1] for frame in frames[1:])]
    factors = (1.0,) * len(frames) if weights is None else tuple(weights)
    area = min_area if _relate(frames, relations) else None
    rows = [_combine_row(parts, how, factors, area) for parts in zip(*(_dicts(frame) for frame in aligned), strict=True)]
    return pd.DataFrame(rows, columns=first.columns).astype(first.dtypes.to_dict())


def _relate(frames: Sequence[pd.DataFrame], wanted: bool | None) -> bool:
    """Whether relations decide."""
    able = [bool(frame["texts"].map(len).any()) for frame in frames]
    if wanted is False or (wanted is None and not any(able)):
        return False
    if not all(able):
        raise UserError(
            f"{able.count(False)} of {len(able)} runs have no scores of the texts that relations ask for: run them with "
            "text=relations, or give --relations off"
        )
    return True


def _dicts(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _combine_row(
    parts: Sequence[dict[str, Any]], how: str, weights: Sequence[float], min_area: float | None
) -> dict[str, Any]:
    """One query; with relations where there is a smallest area."""
    unscored = [part for part in parts if part["status"] != "scored"]
    if unscored:
        return unscored[0]
    row = dict(parts[0])
    row["fallback"] = any(bool(part["fallback"]) for part in parts)
    row["outside"] = max(int(part["outside"]) for part in parts)
    truths = {(len(part["scores"]), int(part["target"]), tuple(part["candidate_correct"])) for part in parts}
    places = {tuple(map(tuple, part["boxes"])) for part in parts} if min_area is not None else set()
    if len(truths) > 1 or len(places) > 1:
        raise UserError(
            f"the runs disagree on the candidates of query {row['id']!r} or on which is right: "
            "only runs with the same proposals or classes can be combined"
        )
    operation = np.add if how == "sum" else np.maximum  # both keep NaN, so dropped stays dropped
    factors = np.asarray(weights, np.float32)
    if min_area is None:
        scores = reduce(operation, [_whole(part) * factor for part, factor in zip(parts, factors, strict=True)])
        row |= {"texts": (), "text_scores": (), "boxes": (), "image_size": ()}
    else:
        row |= _texts_combined(parts, operation, factors)
        decisive = related_scores(parse(row["text"]), row["text_scores"], list(row["boxes"]), row["image_size"], min_area)
        dropped = np.isnan(reduce(np.add, [np.asarray(part["scores"], dtype=np.float32) for part in parts]))
        scores = np.where(dropped, np.nan, decisive).astype(np.float32)
    row["component_scores"] = [scores_row for part in parts for scores_row in part["component_scores"]]
    row |= _decided(scores, parts[0])
    same = [part["iou"] for part in parts if part["prediction"] == row["prediction"]]
    row["iou"] = same[0] if same else float("nan")
    return row


def _whole(part: dict[str, Any]) -> NDArray[np.float32]:
    """The scores of the whole expression, NaN for dropped candidates."""
    scores = np.asarray(part["scores"], dtype=np.float32)
    if not len(part["texts"]):
        return scores
    return np.where(np.isnan(scores), scores, np.asarray(part["text_scores"][0], dtype=np.float32))


def _texts_combined(parts: Sequence[dict[str, Any]], operation: np.ufunc, factors: NDArray[np.float32]) -> dict[str, Any]:
    """The texts that relations ask for, and the scores of each in all runs as one."""
    texts = asked_texts(parse(parts[0]["text"]), len(parts[0]["scores"]))
    tables = [dict(zip(part["texts"], part["text_scores"], strict=True)) for part in parts]
    lacking = [text for text in texts if any(text not in table for table in tables)]
    if lacking:
        raise UserError(
            f"query {parts[0]['id']!r}: a run has no scores of {lacking[0]!r}, which the parser that is installed finds in "
            f"{parts[0]['text']!r}. It was made with another spaCy or model: see identity.text in its run.json"
        )
    scores = [
        reduce(operation, [np.asarray(table[text], np.float32) * w for table, w in zip(tables, factors, strict=True)])
        for text in texts
    ]
    return {"texts": list(texts), "text_scores": scores}


def _decided(scores: NDArray[np.float32], part: dict[str, Any]) -> dict[str, Any]:
    right = np.asarray(part["candidate_correct"], dtype=bool)
    decision = decide_rec(scores, right) if len(right) else decide_class(scores, int(part["target"]))
    return {**vars(decision), "target": int(part["target"])}  # by overlap, which booleans do not tell


@dataclass(frozen=True)
class WeightedViews:
    """Predictions of depth-map views summed with weights.

    Attributes:
        weights: One for each view, in the order of the views.
        prediction: Shape (N,), the class of each scored object.
        accuracy: Share that is right.
        label: "equal weights", "given weights", or that the weights were searched on test labels.
    """

    weights: tuple[float, ...]
    prediction: NDArray[np.int64]
    accuracy: float
    label: str


def component_weights(prompt: Any) -> list[float]:
    """The factor on the scores of each component, from the prompt of a run's identity; 1 where it has none.

    Args:
        prompt: As an identity describes it.
    """
    parts = prompt.get("prompts") if isinstance(prompt, Mapping) and prompt.get("type") == "Ensemble" else None
    if not isinstance(parts, Sequence):
        return [1.0]
    own = prompt.get("weights") or [1.0] * len(parts)
    return [factor * inner for factor, part in zip(own, parts, strict=True) for inner in component_weights(part)]


def view_scores(
    frame: pd.DataFrame, components: Sequence[str], how: str = "sum", weights: Sequence[float] | None = None
) -> NDArray[np.float32]:
    """Scores of each view, summed (or maximised) over the prompt's components; shape (N, V, C).

    Args:
        frame: Records; only scored rows count.
        components: Names of the component rows from run.json, such as "foveal/view0": all views of a component,
            then those of the next.
        how: "sum" or "max", as the prompt combines its components.
        weights: As `component_weights` has them; None for 1 throughout.

    Raises:
        UserError: If the rows are not named by views, or components have different views.
    """
    views = list(dict.fromkeys(name.rpartition("/")[2] for name in components))
    cycle = views * (len(components) // max(len(views), 1))
    if not components or not all(n.endswith(f"/{view}") for n, view in zip_longest(components, cycle, fillvalue="?")):
        raise UserError(
            "views can be weighted only where components are named like foveal/view0, view by view; "
            f"this run has {list(components)}"
        )
    rows = scored(frame)["component_scores"]
    stored = np.stack([np.stack([np.asarray(part, dtype=np.float32) for part in row]) for row in rows])
    grouped = stored.reshape(len(stored), -1, len(views), stored.shape[2])
    if weights is not None and len(weights) == grouped.shape[1]:
        grouped = grouped * np.asarray(weights, np.float32)[:, None, None]
    return grouped.max(axis=1) if how == "max" else grouped.sum(axis=1)


def weight_views(
    scores: NDArray[np.float32], labels: NDArray[np.int64], weights: Sequence[float] | None = None
) -> WeightedViews:
    """Sums views with weights, equal ones by default.

    Args:
        scores: Shape (N, V, C).
        labels: Shape (N,).
        weights: V weights.
    """
    chosen = tuple(weights) if weights is not None else (1.0,) * scores.shape[1]
    if len(chosen) != scores.shape[1]:
        raise UserError(f"{len(chosen)} weights for {scores.shape[1]} views")
    prediction = np.tensordot(scores, np.asarray(chosen, np.float32), axes=(1, 0)).argmax(axis=1)
    label = "equal weights" if len(set(chosen)) == 1 else "given weights"
    return WeightedViews(chosen, prediction, float((prediction == labels).mean()), label)


def search_view_weights(
    scores: NDArray[np.float32], labels: NDArray[np.int64], grid: Sequence[float] = SEARCH_GRID
) -> WeightedViews:
    """The weights that do best on the labels given: an upper bound tuned on the test set, never a result.

    PointCLIP tries every combination of `grid` for its six views (search_weights.py). Among equals the first
    wins.

    Args:
        scores: Shape (N, V, C).
        labels: Shape (N,).
        grid: Weights to try for each view.
    """
    tried = np.asarray(list(itertools.product(grid, repeat=scores.shape[1])), dtype=np.float32)
    right = np.zeros(len(tried), dtype=np.int64)
    for sample, label in zip(scores, labels, strict=True):
        right += (tried @ sample).argmax(axis=1) == label
    best = weight_views(scores, labels, tuple(float(w) for w in tried[int(right.argmax())]))
    return WeightedViews(best.weights, best.prediction, best.accuracy, SEARCHED)
