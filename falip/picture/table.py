"""Scores as a table for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TIE = 1e-4
"""Scores that are no further apart are a tie: rounding moves them by as much."""

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
        """A table for each region, a row for each text, a column for each prompt; the best of each or a tie is marked."""
        blocks = [self._region(i) for i in range(len(self.regions))]
        return "\n\n".join([*blocks, self._note()]).rstrip()

    def _note(self) -> str:
        if len(self.texts) < 2:
            return ""
        marks = {mark for rows in self.scores.values() for row in rows for mark in _marks(row)}
        best = "; * marks the best text of a column" if "*" in marks else ""
        tie = f"; = marks the best where they tie (within {TIE:g}), so that none is chosen" if "=" in marks else ""
        return f"Scores are logit scale × cosine, plus the bias of a SigLIP{best}{tie}."

    def _region(self, i: int) -> str:
        width = max(len(text) for text in [*self.texts, self.regions[i]])
        columns = {name: rows[i] for name, rows in self.scores.items()}
        widths = {name: max(9, len(name) + 1) for name in columns}
        lines = [self.regions[i].ljust(width) + "".join(f"  {name:>{widths[name]}}" for name in columns)]
        lines.append("-" * len(lines[0]))
        marks = {name: _marks(column) for name, column in columns.items()}
        for t, text in enumerate(self.texts):
            cells = "".join(f"  {f'{columns[n][t]:.2f}{marks[n][t]}':>{widths[n]}}" for n in columns)
            lines.append(text.ljust(width) + cells)
        return "\n".join(lines)


def _marks(column: Sequence[float]) -> list[str]:
    """For each score "*" for the best, "=" for the best that tie, else " "; a text alone is not compared."""
    tied = [max(column) - score <= TIE for score in column]
    if len(column) < 2:
        return [" "] * len(column)
    return [("=" if sum(tied) > 1 else "*") if best else " " for best in tied]
