"""What relations and superlatives mean for boxes, and the distribution over candidates that follows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from falip.relations.keywords import Kind
from falip.relations.tree import Entity

# Pixels. x1 - x0 does not give back the width of an annotation file to the last bit, and boxes of one size would be
# bigger and smaller than each other. Annotations have two decimals, and float32 holds three of a picture's pixels.
SIZE_DECIMALS = 3


def areas(boxes: np.ndarray) -> np.ndarray:
    """Areas (boxes,) in square pixels of boxes (boxes, 4), corners (x0, y0, x1, y1)."""
    sides = np.round(boxes[:, 2:] - boxes[:, :2], SIZE_DECIMALS)
    return sides[:, 0] * sides[:, 1]


def relation(kind: Kind, boxes: np.ndarray) -> np.ndarray:
    """How far each box stands in a relation to each other: (boxes, boxes), [i, j] for box i to box j.

    Centres and areas are compared strictly, so that no box stands in a relation to itself or its equal; `within` is the
    share of box i that lies in box j, 0 for a box without area. Source: allenai/reclip interpreter.py:176-204.
    """
    x0, y0, x1, y1 = boxes.T
    if kind == "within":
        width = np.minimum(x1[:, None], x1) - np.maximum(x0[:, None], x0)
        height = np.minimum(y1[:, None], y1) - np.maximum(y0[:, None], y0)
        own = (x1 - x0) * (y1 - y0)
        shared = width.clip(min=0) * height.clip(min=0)
        return np.divide(shared, own[:, None], out=np.zeros_like(shared), where=own[:, None] > 0)
    values: dict[Kind, np.ndarray] = {
        "left": x0 + x1,
        "right": -x0 - x1,
        "above": y0 + y1,
        "below": -y0 - y1,
        "smaller": areas(boxes),
        "bigger": -areas(boxes),
    }
    value = values[kind]
    return (value[:, None] < value).astype(float)


def softmax(logits: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Softmax (boxes,) over the candidates that are kept, 0 for the others (interpreter.py:106-139)."""
    shifted = np.where(kept, logits, -np.inf)
    weights = np.exp(shifted - shifted.max())
    return weights / weights.sum()


def entity_distribution(
    entity: Entity, logits: Mapping[str, np.ndarray], boxes: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """The distribution (boxes,) over candidates for an entity (methods/parse.py:90-187).

    Args:
        entity: With its relations and superlatives.
        logits: For each text that is asked for, those of all candidates (boxes,).
        boxes: Corners (x0, y0, x1, y1) in pixels, (boxes, 4).
        kept: Which candidates may be the entity (boxes,). Those it stands to may be any.
    """
    p = softmax(logits[entity.text], kept)
    for kind, other in entity.relations:
        theirs = entity_distribution(other, logits, boxes, np.ones(len(boxes), dtype=bool))
        p = _normalised(p * (relation(kind, boxes) @ theirs))
    # The release compares with infinity times the second largest, which is not a number where that is 0 (parse.py:166).
    if np.sort(p)[-2] == 0:
        return p
    for kind in entity.superlatives:
        p = _normalised(p * (relation(kind, boxes) @ p))
    return p


def _normalised(p: np.ndarray) -> np.ndarray:
    """With the sum 1; all 0 where no candidate fits. The release divides 0 by 0 there; both decide for the first."""
    return p / p.sum() if p.sum() > 0 else p
