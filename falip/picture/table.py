"""Scores as a table for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Scores = Mapping[str, Sequence[Sequence[float]]]


@dataclass(frozen=True)
class Scored:
    """Scores of texts for regions under several prompts.

    Attributes:
        image: Name of the file.
        backbone: Name of the backbone.
        regions: A name for each region.
        texts: The texts.
        scores: For each prompt (regions, texts), logit scale times cosine; `plain` is among them.
    """

    image: str
    backbone: str
    regions: Sequence[str]
    texts: Sequence[str]
    scores: Scores

    def json(self) -> dict[str, Any]:
        """A tree for `json.dumps`."""
        return {
            "image": self.image,
            "backbone": self.backbone,
            "regions": list(self.regions),
            "texts": list(self.texts),
            "scores": {name: [[round(float(s), 4) for s in row] for row in rows] for name, rows in self.scores.items()},
        }

    def text(self) -> str:
        """A table for each region: a row for each text, a column for each prompt; the best text of each is marked."""
        blocks = [self._region(i) for i in range(len(self.regions))]
        note = (
            "Scores are logit scale × cosine, plus the bias of a SigLIP; * marks the best text of a column."
            if len(self.texts) > 1
            else ""
        )
        return "\n\n".join([*blocks, note]).rstrip()

    def _region(self, i: int) -> str:
        width = max(len(text) for text in [*self.texts, self.regions[i]])
        columns = {name: rows[i] for name, rows in self.scores.items()}
        widths = {name: max(9, len(name) + 1) for name in columns}
        lines = [self.regions[i].ljust(width) + "".join(f"  {name:>{widths[name]}}" for name in columns)]
        lines.append("-" * len(lines[0]))
        for t, text in enumerate(self.texts):
            cells = "".join(f"  {self._cell(column, t):>{widths[name]}}" for name, column in columns.items())
            lines.append(text.ljust(width) + cells)
        return "\n".join(lines)

    def _cell(self, column: Sequence[float], t: int) -> str:
        best = len(column) > 1 and max(range(len(column)), key=column.__getitem__) == t
        return f"{column[t]:.2f}" + ("*" if best else " ")
