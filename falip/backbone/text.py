"""Text embeddings, each distinct text encoded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from falip.backbone.cleaning import cleaned, has_clip_vocabulary
from falip.errors import UserError

BATCH = 256


@dataclass(frozen=True)
class TextForm:
    """How texts become the token sequences of a text tower.

    Attributes:
        context: Most tokens of a text.
        width: Length of an embedding.
        clean: What is done to a text before the tokenizer gets it.
        padding: The token behind the end of a text.
        whole: Whether each sequence is filled up to `context`, because the tower sees its padding.
    """

    context: int
    width: int
    clean: Callable[[str], str]
    padding: int
    whole: bool = False

    @staticmethod
    def of_clip(model: Any, tokenizer: Any) -> TextForm:
        """That of a transformers CLIPModel: attention is causal and the end token is pooled, so padding changes nothing."""
        clean = cleaned if has_clip_vocabulary(tokenizer) else str
        context = model.config.text_config.max_position_embeddings
        return TextForm(context, model.config.projection_dim, clean, tokenizer.eos_token_id)


class TextEncoder:
    """The text tower of one backbone (that of a transformers model and its tokenizer), with a memory.

    Texts that the model reads alike, token for token, are encoded once and so have the same bits.

    Attributes:
        truncated: The texts that were longer than the context and were cut, the end token kept.
    """

    def __init__(self, model: Any, tokenizer: Any, form: TextForm | None = None) -> None:
        self.truncated: set[str] = set()
        self._model, self._tokenizer = model, tokenizer
        self._form = form or TextForm.of_clip(model, tokenizer)
        self._tokens: dict[str, tuple[int, ...]] = {}
        self._known: dict[tuple[int, ...], torch.Tensor] = {}

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Embeddings as the tower gives them, (texts, D), not normalised, on the CPU."""
        self._tokenize([text for text in dict.fromkeys(texts) if text not in self._tokens])
        new = sorted({self._tokens[text] for text in texts} - self._known.keys(), key=lambda ids: (len(ids), ids))
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            self._known.update(zip(batch, self._encode(batch), strict=True))
        if not texts:
            return torch.zeros(0, self._form.width)
        return torch.stack([self._known[self._tokens[text]] for text in texts])

    def _tokenize(self, texts: Sequence[str]) -> None:
        if not texts:
            return
        for text in texts:
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise UserError(
                    f"The text {text!r} holds half of a character (a lone surrogate), which no tokenizer reads."
                )
        found = self._tokenizer([self._form.clean(text) for text in texts], verbose=False)["input_ids"]
        self.truncated.update(text for text, ids in zip(texts, found, strict=True) if len(ids) > self._form.context)
        self._tokens.update((text, tuple(self._cut(ids))) for text, ids in zip(texts, found, strict=True))

    def _encode(self, tokens: Sequence[tuple[int, ...]]) -> torch.Tensor:
        longest, padding = self._form.context if self._form.whole else max(map(len, tokens)), self._form.padding
        padded = torch.tensor([[*ids, *[padding] * (longest - len(ids))] for ids in tokens], device=self._model.device)
        return self._model.get_text_features(input_ids=padded).pooler_output.cpu()

    def _cut(self, ids: list[int]) -> list[int]:
        return ids if len(ids) <= self._form.context else [*ids[: self._form.context - 1], ids[-1]]
