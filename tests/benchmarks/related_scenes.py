"""Expressions with relations on small pictures in ReCLIP's format, and ReCLIP's decision about each by a plain formula."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from random_clip import picture

SIZE = (90, 70)
# Left to right, but neither top to bottom nor by size; the last one is small.
BOXES = [(2.0, 30.0, 20.0, 25.0), (25.0, 2.0, 22.0, 40.0), (50.0, 40.0, 12.0, 16.0), (70.0, 5.0, 6.0, 5.0)]
SPLITS = {
    1: ("dog left of the cat", "biggest box", "red thing", "man on the right"),
    2: ("the small ball inside the box", "the girl to the right of the tallest boy", "left"),
    3: ("the cup under the big lamp", "leftmost cup"),
    4: ("the cat left of the dog",),  # which has a single candidate
}
WORDS = [text for texts in SPLITS.values() for text in texts]

Logits = Callable[[str], np.ndarray]


def write_referents(root: Path) -> Path:
    """A data folder with these expressions as RefCOCO's testA."""
    for folder in ("reclip_data", "train2014"):
        (root / folder).mkdir(parents=True)
    lines = []
    for image, texts in SPLITS.items():
        picture(*SIZE, image).save(root / "train2014" / f"COCO_train2014_{image:012d}.jpg")
        boxes = BOXES[: 1 if image == 4 else None]
        for q, text in enumerate(texts):
            lines.append(
                {
                    "file_name": f"COCO_train2014_{image:012d}_9.jpg",
                    "image_id": image,
                    "ann_id": q,
                    "anns": [{"id": i, "bbox": box, "segmentation": []} for i, box in enumerate(boxes)],
                    "sentences": [{"raw": text, "sent": text.lower(), "sent_id": 10 * image + q}],
                }
            )
    (root / "reclip_data" / "refcoco_testa.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def corners() -> np.ndarray:
    """The boxes as (x0, y0, x1, y1)."""
    boxes = np.array(BOXES)
    return np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


def softmax(values: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray:
    weights = np.exp(values - values.max()) * (1 if kept is None else kept)
    return weights / weights.sum()


def centre(box: np.ndarray, axis: int) -> float:
    return box[axis] + box[axis + 2]


def area(box: np.ndarray) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def inside(one: np.ndarray, other: np.ndarray) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0) / area(one)


STANDS: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "left": lambda a, b: float(centre(a, 0) < centre(b, 0)),
    "right": lambda a, b: float(centre(a, 0) > centre(b, 0)),
    "below": lambda a, b: float(centre(a, 1) > centre(b, 1)),
    "bigger": lambda a, b: float(area(a) > area(b)),
    "inside": inside,
}
# What each says: the entity, the word, and the entity that it stands to; None where it stands to all (a superlative).
SAID: Mapping[str, tuple[str, str, str | None]] = {
    "dog left of the cat": ("dog", "left", "the cat"),
    "the cat left of the dog": ("the cat", "left", "the dog"),
    "biggest box": ("biggest box", "bigger", None),
    "man on the right": ("man", "right", None),
    "leftmost cup": ("leftmost cup", "left", None),
    "the small ball inside the box": ("the small ball", "inside", "the box"),
    "the girl to the right of the tallest boy": ("the girl", "right", "the tallest boy"),
    "the cup under the big lamp": ("the cup", "below", "the big lamp"),
}


def decided(expression: str, logits: Logits, min_area: float = 0.0) -> np.ndarray:
    """ReCLIP's values of the candidates, by loops over them (allenai/reclip methods/parse.py).

    Args:
        expression: One of `WORDS`, on a picture with all of `BOXES`.
        logits: Of a text, (candidates,).
        min_area: Share of the picture that a candidate must exceed.
    """
    boxes = corners()
    kept = np.array([area(box) / (SIZE[0] * SIZE[1]) > min_area for box in boxes])
    whole = softmax(logits(expression), kept)
    if expression not in SAID:
        return whole
    entity, word, other = SAID[expression]
    p = softmax(logits(entity), kept)
    theirs = p if other is None else softmax(logits(other))
    weight = [sum(theirs[j] * STANDS[word](a, b) for j, b in enumerate(boxes)) for a in boxes]
    return whole * p * weight / sum(p * weight)
