"""Attention with biases or an intervention, run inside the unmodified transformers tower.

transformers lets a model choose its attention function by name and hands keyword arguments of the forward call down to it.
`controlled_attention` is registered under such a name; without a control it is plain scaled-dot-product attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from falip.backbone.watching import Seen
from falip.geometry import MaskForm
from falip.surgery import Heads, LayerAttention
from falip.views import Bias, Intervention

ATTENTION_NAME = "falip"


@dataclass
class AttentionControl:
    """What is done inside the attention of one batch.

    The batch holds the views first and after them the plain pictures that an intervention refers to.

    Attributes:
        views: Number of views; the rest of the batch is plain.
        biases: The biases of the views.
        intervention: The intervention on the views, or None; its `reference` counts plain pictures of this batch from 0.
        seen: Takes what the CLS row of the views attends to and its heads say, in the layers that it names; None if not
            asked.
    """

    views: int
    biases: Sequence[Bias] = ()
    intervention: Intervention | None = None
    seen: Seen | None = None

    def attend(self, layer: int, heads: Heads, scale: float) -> Tensor:
        """Attention output before the output projection, (batch, heads, tokens, head size)."""
        n = self.views
        own, plain = Heads(*(part[:n] for part in heads)), Heads(*(part[n:] for part in heads))
        rows = summed_rows([bias for bias in self.biases if layer in bias.layers], heads.query)

        seen = self.seen if self.seen and layer in self.seen.layers else None

        def attend(asked: Heads) -> Tensor:
            if seen:
                seen.weights[layer] = _cls_weights(asked, scale, rows)
            return biased_attention(asked, scale, rows)

        output = scaled_dot_product_attention(*plain, scale=scale) if len(heads.query) > n else heads.query[:0]
        if self.intervention is None or layer not in self.intervention.layers:
            mine = attend(own)
        else:
            inputs = LayerAttention(layer, own, attend, *self._reference(plain, output), self._tokens(heads.query))
            mine = self.intervention.change.attend(inputs)
        if seen and seen.heads is not None:
            seen.heads[layer] = mine[:, :, 0].clone()  # not to hold all tokens
        return torch.cat([mine, output])

    def _reference(self, plain: Heads, output: Tensor) -> tuple[Heads | None, Tensor | None]:
        assert self.intervention
        if self.intervention.reference is None:
            return None, None
        index = torch.tensor(self.intervention.reference, device=output.device)
        return Heads(*(part[index] for part in plain)), output[index]

    def _tokens(self, like: Tensor) -> Tensor | None:
        assert self.intervention
        return None if self.intervention.tokens is None else self.intervention.tokens.to(like)


def summed_rows(biases: Sequence[Bias], like: Tensor) -> dict[MaskForm, Tensor]:
    """The rows of each form, (views, heads or 1, tokens) on the device of `like`; those of several biases added up."""
    total: dict[MaskForm, Tensor] = {}
    for bias in biases:
        rows = bias.rows.to(like, non_blocking=True)
        rows = rows[:, None] if rows.ndim == 2 else rows
        total[bias.form] = total[bias.form] + rows if bias.form in total else rows
    return total


def biased_attention(heads: Heads, scale: float, rows: dict[MaskForm, Tensor]) -> Tensor:
    """Scaled-dot-product attention of whole views with the rows of their biases, as `summed_rows` gives them."""
    mask = _matrix(rows)
    if "cls_row" not in rows:
        return scaled_dot_product_attention(*heads, attn_mask=mask, scale=scale)
    query, key, value = heads
    row = rows["cls_row"][:, :, None] if mask is None else rows["cls_row"][:, :, None] + mask[:, :, :1]
    rest = None if mask is None else mask[:, :, 1:]
    cls = scaled_dot_product_attention(query[:, :, :1], key, value, attn_mask=row, scale=scale)
    return torch.cat([cls, scaled_dot_product_attention(query[:, :, 1:], key, value, attn_mask=rest, scale=scale)], dim=2)


def _matrix(rows: dict[MaskForm, Tensor]) -> Tensor | None:
    """What is added for every query, (views, heads or 1, tokens or 1, tokens), or None."""
    parts = []
    if "diagonal" in rows:
        parts.append(torch.diag_embed(rows["diagonal"]))
    if "all_rows" in rows:
        alone = rows["all_rows"][:, :, None]
        parts.append(alone.expand(-1, -1, alone.shape[-1], -1) if "cls_row" in rows else alone)
    return sum(parts[1:], parts[0]) if parts else None


def controlled_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    control: AttentionControl | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """The attention function that transformers calls in every layer of the vision tower."""
    if control is None:
        output = scaled_dot_product_attention(query, key, value, attn_mask=attention_mask, scale=scaling)
    else:
        output = control.attend(module.layer_index, Heads(query, key, value), scaling)  # pyright: ignore[reportArgumentType]
    return output.transpose(1, 2), None


def _cls_weights(heads: Heads, scale: float, rows: dict[MaskForm, Tensor]) -> Tensor:
    logits = (heads.query[:, :, :1] @ heads.key.transpose(2, 3))[:, :, 0] * scale
    for form, added in rows.items():
        # On the diagonal the CLS token's own entry alone lies in its row.
        logits = logits + (
            added if form != "diagonal" else torch.nn.functional.pad(added[..., :1], (0, added.shape[-1] - 1))
        )
    return logits.float().softmax(-1)


AttentionInterface.register(ATTENTION_NAME, controlled_attention)
