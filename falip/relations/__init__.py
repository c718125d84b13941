"""Relations of expressions, as ReCLIP decides with them: "the cup left of the plate", "the biggest dog".

An expression is parsed without any picture. It says which texts a model has to score, and turns their logits and the
candidates' boxes into a distribution over candidates:

    parsed = falip.relations.parse("the cup left of the plate")
    logits = falip.score(backbone, image, regions, prompt, parsed.texts)      # (boxes, texts)
    best = parsed.distribution(logits, boxes, image.size).argmax()

Needs the extra `falip[relations]`, spaCy and its English model; `versions` says which are installed. Other versions give
other trees. Source: allenai/reclip methods/parse.py, Subramanian et al. 2022 (section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from falip.errors import UserError, check_number
from falip.relations.language import syntax, versions
from falip.relations.semantics import areas, entity_distribution, softmax
from falip.relations.tree import Entity, root_entity

__all__ = ["Entity", "Relations", "parse", "versions"]


@dataclass(frozen=True)
class Relations:
    """What an expression says of places and sizes.

    Attributes:
        texts: What a model has to score, distinct: the whole expression first, then the entities that are asked for.
            For a picture with one candidate the first is enough.
        root: The entity that the expression is about; None where it has no relation or superlative keyword, or no noun.
    """

    texts: tuple[str, ...]
    root: Entity | None = None

    def distribution(
        self,
        logits: np.ndarray | Sequence[Sequence[float]],
        boxes: np.ndarray | Sequence[Sequence[float]],
        image_size: tuple[int, int],
        min_area: float = 0.0,
    ) -> np.ndarray:
        """How likely each candidate is meant, float64 (boxes,). Its largest value is the decision.

        It is the softmax of the whole expression; with a tree this is multiplied by the distribution of its root and not
        normalised again. Where no candidate fits the tree, all values are 0. A candidate is its box: equal boxes have the
        logits of the first of them, so that they tie.

        Args:
            logits: Scaled cosines (boxes, texts), an array or a torch tensor; summed over models and representations where
                there are several. For a single candidate the column of the whole expression is enough.
            boxes: Corners (x0, y0, x1, y1) in pixels, (boxes, 4).
            image_size: (width, height) in pixels.
            min_area: Share of the image that a candidate must exceed to be meant; where none does, all may be. The paper's
                size prior is 0.05. Entities that the root stands to may be smaller.

        Returns:
            The distribution; for a single candidate of an expression with a tree ReCLIP's [1, 1] (methods/parse.py:101).

        Raises:
            UserError: If the shapes do not fit, or a number is not finite.
        """
        scores, corners = self._checked(logits, boxes)
        width, height = image_size
        check_number("The distribution", "min_area", min_area)
        if not (width > 0 and height > 0 and min_area < 1):
            raise UserError(
                f"min_area={min_area!r} and image_size={image_size!r}: give a share of the image from 0 to below 1, "
                "and its width and height in pixels."
            )
        if len(corners) == 1:
            return np.ones(2 if self.root else 1)
        kept = areas(corners) / (width * height) > min_area
        kept = kept if kept.any() else np.ones_like(kept)
        scores = scores[[int((corners == corner).all(1).argmax()) for corner in corners]]
        whole = softmax(scores[:, 0], kept)
        if self.root is None:
            return whole
        return whole * entity_distribution(self.root, dict(zip(self.texts, scores.T, strict=True)), corners, kept)

    def _checked(self, logits: object, boxes: object) -> tuple[np.ndarray, np.ndarray]:
        scores, corners = _array("logits", logits), _array("boxes", boxes)
        if corners.ndim != 2 or corners.shape[1] != 4 or not len(corners) or (corners[:, 2:] < corners[:, :2]).any():
            raise UserError(
                f"Boxes of shape {corners.shape} for {self.texts[0]!r}: give at least one, as corners (x0, y0, x1, y1) in "
                "pixels with x0 <= x1 and y0 <= y1."
            )
        enough = (1, len(self.texts)) if len(corners) == 1 else (len(self.texts),)
        if scores.ndim != 2 or len(scores) != len(corners) or scores.shape[1] not in enough:
            raise UserError(
                f"Logits of shape {scores.shape} for {len(corners)} boxes and the {len(self.texts)} texts of "
                f"{self.texts[0]!r}: give one row for each box and one column for each of `texts`."
            )
        return scores, corners


def parse(expression: str) -> Relations:
    """Reads an expression; it is lower-cased as ReCLIP's are.

    Raises:
        UserError: If it is no text, or spaCy or its English model is not installed.
    """
    if not isinstance(expression, str):
        raise UserError(f"An expression is a text, and got {expression!r}.")
    return _parsed(expression)


@lru_cache(maxsize=65536)  # more than any split of RefCOCO has
def _parsed(expression: str) -> Relations:
    whole, root = expression.lower(), root_entity(syntax(expression))
    return Relations(tuple(dict.fromkeys((whole, *(root.asked if root else ())))), root)


def _array(name: str, values: object) -> np.ndarray:
    """Numbers as float64, from a tensor on any device too."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()  # pyright: ignore[reportAttributeAccessIssue]
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: give an array of numbers. {error}") from error
    if not np.isfinite(array).all():
        raise UserError(f"{name}: not all of its numbers are finite.")
    return array
