"""How a tower is fine-tuned, as settings that its folder and its runs' identities record."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.train.losses import SIMILARITIES
from falip.errors import UserError


@dataclass(frozen=True)
class Recipe:
    """Steps, rates and the weight of each term; defaults are plain fine-tuning with AlignCLIP's pace.

    AlignCLIP main.py, lines 124 to 151: AdamW, a cosine without warm-up, 10 epochs of 500 steps. CLIPood is margin 0.3 (0.1
    for DomainNet) and beta 0.5; AlignCLIP adds attention 10, similarity 10 and smoothing 1.

    Attributes:
        steps: Updates.
        batch: Pictures of each.
        learning_rate: At the start; a cosine brings it to 0.
        weight_decay: AdamW's.
        margin: CLIPood's, times the cosines of texts; 0 is off.
        beta: Of the Beta moving average of weights; 0 is off, and the last weights are kept.
        attention: Weight of the attention alignment loss; 0 is off.
        similarity: Weight of the similarity alignment loss; 0 is off.
        similarity_form: "paper" or "code", see `benchmarks.train.losses.similarity_loss`.
        smoothing: Share of the cross-entropy that is taken with labels smoothed by meaning; 0 is off.
        seed: Of the order of the pictures.
    """

    steps: int = 5000
    batch: int = 36
    learning_rate: float = 5e-6
    weight_decay: float = 0.1
    margin: float = 0.0
    beta: float = 0.0
    attention: float = 0.0
    similarity: float = 0.0
    similarity_form: str = "paper"
    smoothing: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Rejects what has no meaning."""
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} {getattr(self, name)}: give a whole number from 1 on.")
        if not self.learning_rate > 0:
            raise UserError(f"--learning-rate {self.learning_rate}: give a number above 0.")
        for name in ("weight_decay", "margin", "beta", "attention", "similarity", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: give a number from 0 on.")
        if not 0 <= self.smoothing <= 1:
            raise UserError(f"--smoothing {self.smoothing}: it is a share, from 0 to 1.")
        if self.similarity_form not in SIMILARITIES:
            raise UserError(f"--similarity-form {self.similarity_form}: choose from {', '.join(SIMILARITIES)}.")

    @property
    def branches(self) -> bool:
        """Whether a loss looks at patches and attention."""
        return bool(self.attention or self.similarity)
