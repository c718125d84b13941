"""From scores to a decision: the one place where winners, ties, margins and ranks are worked out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

IOU_THRESHOLD = 0.5  # strictly above: FALIP main.py:177, ReCLIP main.py:151


@dataclass(frozen=True)
class Decision:
    """The fields of a `Record` that follow from scores and truth; `Record(..., **vars(decision))` takes them all."""

    candidates: int
    target: int
    prediction: int
    correct: bool
    score: float
    margin: float
    rank: int
    iou: float
    oracle: bool
    chance: float
    ties: int
    tie_accuracy: float
    scores: tuple[float, ...]
    dropped: int
    candidate_correct: tuple[bool, ...]


def decide_rec(scores: ArrayLike, overlap: ArrayLike, threshold: float = IOU_THRESHOLD, strict: bool = True) -> Decision:
    """Picks one of the candidate boxes.

    Args:
        scores: Score of each candidate, shape (R,); NaN for a dropped one, which can neither win nor count for chance.
        overlap: Shape (R,): the IoU of each candidate with the referent (with the best of them where there are
            several), or booleans that say which candidates are right; then the IoU of the decision is unknown (NaN).
        threshold: A candidate is right when its IoU is above it.
        strict: Whether an IoU equal to the threshold is not enough.

    Returns:
        The decision. The target is the right candidate with the largest IoU (the lowest index among equals), or -1.

    Raises:
        ValueError: If the shapes differ, or no candidate has a score.
    """
    overlap = np.asarray(overlap)
    known = overlap.dtype != np.bool_
    right = overlap if not known else overlap > threshold if strict else overlap >= threshold
    target = int(np.argmax(np.where(right, overlap, -1.0))) if right.any() else -1
    return _decide(scores, right, target, overlap if known else None, tuple(bool(r) for r in right))


def decide_class(scores: ArrayLike, label: int) -> Decision:
    """Picks one of the classes.

    Args:
        scores: Score of each class, shape (C,).
        label: Index of the right class.

    Raises:
        ValueError: If the label is not one of the classes, or no class has a score.
    """
    count = len(np.asarray(scores))
    if not 0 <= label < count:
        raise ValueError(f"label {label} is not one of {count} classes")
    return _decide(scores, np.arange(count) == label, label, None, ())


def _decide(
    scores: ArrayLike,
    right: NDArray[np.bool_],
    target: int,
    ious: NDArray[np.float64] | None,
    candidate_correct: tuple[bool, ...],
) -> Decision:
    values = np.asarray(scores, dtype=np.float32)
    if values.ndim != 1 or values.shape != right.shape:
        raise ValueError(f"scores of shape {values.shape} do not fit candidates of shape {right.shape}")
    kept = ~np.isnan(values)
    if not kept.any():
        raise ValueError(f"none of the {len(values)} candidates has a score")
    prediction = int(np.nanargmax(values))  # the first of equals, as argmax in both reference codes
    best = values[prediction]
    winners = kept & (values == best)
    reachable = kept & right
    return Decision(
        candidates=len(values),
        target=target,
        prediction=prediction,
        correct=bool(right[prediction]),
        score=float(best),
        margin=_margin(values[kept]),
        rank=1 + int(np.sum(values[kept] > values[reachable].max())) if reachable.any() else 0,
        iou=float("nan") if ious is None else float(ious[prediction]),
        oracle=bool(reachable.any()),
        chance=float(reachable.sum() / kept.sum()),
        ties=int(winners.sum()),
        tie_accuracy=float(right[winners].mean()),
        scores=tuple(float(value) for value in values),
        dropped=int((~kept).sum()),
        candidate_correct=candidate_correct,
    )


def _margin(values: NDArray[np.float32]) -> float:
    if len(values) == 1:
        return float("inf")
    second, first = np.partition(values, -2)[-2:]
    return float(first - second)
