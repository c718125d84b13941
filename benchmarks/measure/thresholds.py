"""From which score on an answer is better than "none", chosen from the records of a split that is no test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.measure.metrics import scored
from falip.errors import UserError

CHOSEN_ON = ("train", "val")


@dataclass(frozen=True)
class Threshold:
    """The threshold that is best on some records.

    Attributes:
        score: On the scale of the records' scores: "none" is the answer where every candidate scores less.
        accuracy: With it.
    """

    score: float
    accuracy: float


def best_threshold(records: pd.DataFrame) -> Threshold:
    """The threshold with the most right decisions; of equals the lowest.

    Args:
        records: Of `ReferringOrNone`, with `scores` and `candidate_correct`, whose last candidate is "none".

    Raises:
        UserError: If nothing was scored.
    """
    rows = scored(records)
    if not len(rows):
        raise UserError("no threshold can be chosen: nothing was scored")
    best, answer_right, none_right = [], [], []
    for scores, right in zip(rows["scores"], rows["candidate_correct"], strict=True):
        candidates = np.asarray(scores, dtype=np.float64)[:-1]
        place = int(np.nanargmax(candidates))
        best.append(candidates[place])
        answer_right.append(bool(right[place]))
        none_right.append(bool(right[-1]))
    order = np.argsort(best, kind="stable")
    values = np.asarray(best)[order]
    # With a threshold between the k-th and the next value, the k lowest are answered by "none".
    gained = np.concatenate([[0], np.cumsum(np.asarray(none_right, int)[order])])
    kept = np.concatenate([np.cumsum(np.asarray(answer_right, int)[order][::-1])[::-1], [0]])
    possible = np.concatenate([[True], values[1:] > values[:-1], [True]])  # equal scores stand on one side
    right = np.where(possible, gained + kept, -1)
    k = int(np.argmax(right))
    below, above = values[k - 1] if k else values[0] - 2.0, values[k] if k < len(values) else values[-1] + 2.0
    return Threshold(float((below + above) / 2), float(right[k] / len(values)))
