"""From the scores of an expression's texts to scores of its candidates, by the relations that it speaks of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from falip.relations import Relations

NEVER = float(np.log(np.nextafter(0, 1)))  # -744.4; of a candidate that does not fit the relations at all


def asked_texts(relations: Relations, candidates: int) -> tuple[str, ...]:
    """The texts of an expression that are scored; with a single candidate the whole one alone (methods/parse.py:101)."""
    return relations.texts[:1] if candidates == 1 else relations.texts


def related_scores(
    relations: Relations,
    text_scores: ArrayLike,
    boxes: ArrayLike,
    image_size: Sequence[int],
    min_area: float = 0.0,
) -> NDArray[np.float64]:
    """Scores whose order is that of the distribution over candidates: log(p / the largest p), so 0 for the decision.

    Distributions of an ensemble reach below what float32 holds, and near the largest one this keeps every difference, so
    that what is stored in float32 decides as float64 does. A margin is then a difference of logits, as it is without
    relations.

    Args:
        relations: Of the expression.
        text_scores: One row for each of its texts (texts, candidates); for a single candidate the first is enough.
        boxes: Corners (x0, y0, x1, y1) of the candidates in pixels, (candidates, 4).
        image_size: (width, height) in pixels.
        min_area: See `Relations.distribution`.

    Returns:
        (candidates,), none below `NEVER`; all 0 where no candidate fits, so that the first is chosen.

    Raises:
        UserError: If the shapes do not fit, or a number is not finite.
    """
    width, height = image_size
    logits = np.asarray(text_scores, dtype=np.float64).T
    p = relations.distribution(logits, np.asarray(boxes, dtype=np.float64), (width, height), min_area)[: len(logits)]
    largest = p.max()
    if largest == 0:
        return np.zeros(len(p))
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(p / largest), NEVER)
