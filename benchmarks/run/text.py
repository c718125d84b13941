"""The text side of a run: the template, the texts whose mean score is subtracted, and whether relations are worked out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.settings.identity import describe
from falip import relations
from falip.errors import UserError
from falip.templates import SETS, check_template, phrasings
from falip.texts import phrase, sample_texts
from falip.views import Prompt

if TYPE_CHECKING:
    from torch import Tensor

    from falip.backbone import Backbone


@dataclass(frozen=True)
class TextProtocol:
    """How texts are phrased and scored.

    Attributes:
        template: With "{}" where the expression or class name stands; a prompt's own template has precedence. Or several,
            as the name of a set of `falip.templates` or a list: a text's embedding is then the mean of its phrases', each
            of unit length.
        subtract: Number Q of other expressions whose mean score is subtracted; 0 for none. The RedCircle paper has 500.
            Where the pool is smaller all of it is taken; the run records the number.
        seed: Draws them from all expressions of the split, without replacement.
        leave_out_own: Whether the expressions of the sample's own image are left out of the mean.
        relations: Whether what expressions say of places and sizes is worked out, as ReCLIP does: their entities are
            scored beside them, under the same template and with the same texts subtracted.
    """

    template: str | Sequence[str]
    subtract: int = 0
    seed: int = 0
    leave_out_own: bool = False
    relations: bool = False
    version: ClassVar[int] = 2
    relations_version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects a template that would give all classes the same text."""
        check_template(self.template, "text.template")
        for name in ("subtract", "seed"):
            if getattr(self, name) < 0:
                raise UserError(f"text.{name}={getattr(self, name)}: give a number from 0 on.")

    @property
    def identity(self) -> dict[str, Any]:
        """What of it can move a number; with relations also the parser, whose trees differ between versions.

        Raises:
            UserError: If there are relations, and spaCy or its English model is not installed.
        """
        tree = describe(self)
        if not tree.pop("relations"):
            return tree  # as it was before there were relations
        return tree | {"relations": {"version": self.relations_version} | relations.versions()}


class RunTexts:
    """The texts of one run under one prompt."""

    def __init__(self, protocol: TextProtocol, prompt: Prompt, pool: Sequence[str]) -> None:
        self._protocol, self._prompt = protocol, prompt
        self.subtracted = sample_texts(pool, protocol.subtract, protocol.seed) if protocol.subtract else []
        self._used: set[str] = set()
        if protocol.relations:
            relations.parse("")  # a model that does not fit spaCy is noticed before anything is encoded
        self._averaged: dict[tuple[int, str], Tensor] = {}

    def embed(
        self, backbone: Backbone, texts: Sequence[str], own: Sequence[str] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """`Backbone.text_features` of a sample's texts, and of those to subtract, or None.

        Args:
            backbone: What embeds them.
            texts: What the sample is scored under.
            own: Its expressions, where those are not all of its texts.
        """
        return self._encode(backbone, texts), self._others(backbone, texts if own is None else own)

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
        template = self._prompt.text_template or self._protocol.template
        if not isinstance(template, str) or template in SETS:
            return self._averages(backbone, texts, template)
        phrases = phrase(texts, template, self._prompt)
        self._used.update(phrases)
        return backbone.text_features(phrases).clone()

    def _averages(self, backbone: Backbone, texts: Sequence[str], template: str | Sequence[str]) -> Tensor:
        """The mean of the unit embeddings of each text's phrases, float32 (texts, D); worked out once for each text."""
        import torch
        from torch.nn.functional import normalize

        known, own = self._averaged, id(backbone)
        new = [text for text in dict.fromkeys(texts) if (own, text) not in known]
        if new:
            phrases = [phrasings(text, template) for text in new]
            flat = [one for group in phrases for one in group]
            self._used.update(flat)
            features = normalize(backbone.text_features(flat).float(), dim=-1)
            means = [group.mean(0) for group in features.split([len(group) for group in phrases])]
            known |= {(own, text): normalize(mean, dim=-1) for text, mean in zip(new, means, strict=True)}
        return torch.stack([known[own, text] for text in texts])
