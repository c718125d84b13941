"""The text side of a run: the template, and the texts whose mean score is subtracted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from falip.errors import UserError
from falip.texts import phrase, sample_texts
from falip.views import Prompt

if TYPE_CHECKING:
    from torch import Tensor

    from falip.backbone import Backbone


@dataclass(frozen=True)
class TextProtocol:
    """How texts are phrased and scored.

    Attributes:
        template: With "{}" where the expression or class name stands; a prompt's own template has precedence.
        subtract: Number Q of other expressions whose mean score is subtracted; 0 for none. The RedCircle paper has 500.
            Where the pool is smaller all of it is taken; the run records the number.
        seed: Draws them from all expressions of the split, without replacement.
        leave_out_own: Whether the expressions of the sample's own image are left out of the mean.
    """

    template: str
    subtract: int = 0
    seed: int = 0
    leave_out_own: bool = False
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        """Rejects a template that would give all classes the same text."""
        if "{}" not in self.template:
            raise UserError(f"text.template={self.template!r} has no {{}} to put the expression or class name in.")
        for name in ("subtract", "seed"):
            if getattr(self, name) < 0:
                raise UserError(f"text.{name}={getattr(self, name)}: give a number from 0 on.")


class RunTexts:
    """The texts of one run under one prompt."""

    def __init__(self, protocol: TextProtocol, prompt: Prompt, pool: Sequence[str]) -> None:
        self._protocol, self._prompt = protocol, prompt
        self.subtracted = sample_texts(pool, protocol.subtract, protocol.seed) if protocol.subtract else []
        self._used: set[str] = set()

    def embed(self, backbone: Backbone, texts: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """`Backbone.text_features` of a sample's texts, and of those to subtract, or None."""
        return self._encode(backbone, texts), self._others(backbone, texts)

    def truncated(self, backbones: Sequence[Backbone]) -> int:
        """Number of distinct texts so far that a backbone had to cut at its context length."""
        return sum(len(self._used & backbone.truncated) for backbone in backbones)

    def _others(self, backbone: Backbone, own: Sequence[str]) -> Tensor | None:
        others = self.subtracted
        if self._protocol.leave_out_own:
            left_out = set(own)
            others = [text for text in others if text not in left_out]
        return self._encode(backbone, others) if others else None

    def _encode(self, backbone: Backbone, texts: Sequence[str]) -> Tensor:
        phrases = phrase(texts, self._protocol.template, self._prompt)
        self._used.update(phrases)
        return backbone.text_features(phrases).clone()
