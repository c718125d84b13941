"""From scores to a decision: the one place where winners, ties, margins and ranks are worked out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

IOU_THRESHOLD = 0.5  # strictly above: FALIP main.py:177, ReCLIP main.py:151
NEAR_TIE = 1e-4  # a smaller margin may be decided otherwise on another machine: floats move by less with its libraries
_BLOCK = 2_000_000  # scores in memory at once with all that is worked out for each of them


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


@dataclass(frozen=True)
class Decisions:
    """The fields of many decisions, each an array of shape (n,); what they mean stands with `Record`."""

    prediction: NDArray[np.int64]
    correct: NDArray[np.bool_]
    score: NDArray[np.float32]
    margin: NDArray[np.float32]
    rank: NDArray[np.int64]
    oracle: NDArray[np.bool_]
    chance: NDArray[np.float64]
    ties: NDArray[np.int64]
    tie_accuracy: NDArray[np.float64]
    dropped: NDArray[np.int64]


def decide_all(scores: NDArray[np.float32], starts: NDArray[np.int64], right: NDArray[np.bool_]) -> Decisions:
    """What `decide_rec` and `decide_class` say of many queries at once, from what is stored of them.

    Args:
        scores: The scores of all queries, one query after the other, shape (N,); NaN for dropped candidates.
        starts: Where each query begins, shape (n + 1,); the last is N.
        right: Whether each candidate is right, shape (N,).

    Raises:
        ValueError: If a query has no candidate with a score.
    """
    if len(starts) > 1 and not bool((np.diff(starts) > 0).all()):
        raise ValueError("a query has no candidates")
    found = [_decide_block(scores[a:b], at - a, right[a:b]) for a, b, at in _blocks(starts)]
    names = list(Decisions.__dataclass_fields__)
    empty = _decide_block(np.zeros(1, np.float32), np.array([0, 1]), np.ones(1, bool))
    return Decisions(
        **{name: np.concatenate([getattr(empty, name)[:0], *(getattr(one, name) for one in found)]) for name in names}
    )


def _blocks(starts: NDArray[np.int64]) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """First and last score of as many queries as fit into a block, and where each begins."""
    first = 0
    while first < len(starts) - 1:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _BLOCK, side="right")) - 1)
        yield int(starts[first]), int(starts[last]), starts[first : last + 1]
        first = last


def _decide_block(scores: NDArray[np.float32], starts: NDArray[np.int64], right: NDArray[np.bool_]) -> Decisions:
    at, sizes = starts[:-1], np.diff(starts)

    def most(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.maximum.reduceat(values, at)

    def count(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.add.reduceat(flags, at, dtype=np.int64)

    kept = ~np.isnan(scores)
    if not bool((count(kept) > 0).all()):
        raise ValueError("none of the candidates of a query has a score")
    values = np.where(kept, scores, np.float32(-np.inf))
    best = most(values)
    winners = kept & (values == np.repeat(best, sizes))
    place = np.arange(len(values)) - np.repeat(at, sizes)
    prediction = np.minimum.reduceat(np.where(winners, place, len(values)), at)
    rivals = values.copy()
    rivals[at + prediction] = -np.inf
    alone = count(kept) == 1
    margin = np.where(alone, np.float32(np.inf), best - np.where(alone, np.float32(0), most(rivals)))
    reachable = kept & right
    found = count(reachable)
    ahead = count(values > np.repeat(most(np.where(reachable, values, np.float32(-np.inf))), sizes))
    return Decisions(
        prediction=prediction,
        correct=right[at + prediction],
        score=best,
        margin=margin,
        rank=np.where(found > 0, 1 + ahead, 0),
        oracle=found > 0,
        chance=found / count(kept),
        ties=count(winners),
        tie_accuracy=count(winners & right) / count(winners),
        dropped=count(~kept),
    )
