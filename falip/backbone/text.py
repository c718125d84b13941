"""Text embeddings, each distinct text encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

BATCH = 256


class TextEncoder:
    """The text tower of one backbone (a transformers CLIPModel and its tokenizer), with a memory.

    Attributes:
        truncated: The texts that were longer than the context and were cut, the end token kept.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.truncated: set[str] = set()
        self._model, self._tokenizer = model, tokenizer
        self._context = model.config.text_config.max_position_embeddings
        self._known: dict[str, torch.Tensor] = {}

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """float32 (texts, D), unit length, on the CPU."""
        new = sorted({text for text in texts if text not in self._known}, key=len)
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            self._known.update(zip(batch, self._encode(batch), strict=True))
        if not texts:
            return torch.zeros(0, self._model.config.projection_dim)
        return torch.stack([self._known[text] for text in texts])

    def _encode(self, texts: list[str]) -> torch.Tensor:
        found = self._tokenizer(texts, verbose=False)["input_ids"]
        self.truncated.update(text for text, ids in zip(texts, found, strict=True) if len(ids) > self._context)
        tokens = [self._cut(ids) for ids in found]
        longest = max(map(len, tokens))
        # Attention is causal and the end token is pooled, so what is padded behind it, and how much, changes nothing.
        padding = self._tokenizer.eos_token_id
        padded = torch.tensor([ids + [padding] * (longest - len(ids)) for ids in tokens], device=self._model.device)
        embeddings = self._model.get_text_features(input_ids=padded).pooler_output
        return torch.nn.functional.normalize(embeddings.float(), dim=-1).cpu()

    def _cut(self, ids: list[int]) -> list[int]:
        if len(ids) <= self._context:
            return ids
        return [*ids[: self._context - 1], ids[-1]]
