"""Attention with a bias or an intervention, run inside the unmodified transformers tower.

transformers lets a model choose its attention function by name and hands keyword arguments of the forward call down to it.
`controlled_attention` is registered under such a name; without a control it is plain scaled-dot-product attention.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from falip.views import Bias, Intervention

ATTENTION_NAME = "falip"


@dataclass
class AttentionControl:
    """What is done inside the attention of one batch.

    The batch holds the views first and after them the plain pictures that an intervention refers to.

    Attributes:
        bias: The bias of the views, or None.
        intervention: The intervention on the views, or None; its `reference` counts plain pictures of this batch from 0.
        views: Number of views; the rest of the batch is plain.
        captured: For each layer the attention weights of the CLS row, float32 (views, heads, tokens); None if not asked.
    """

    views: int
    bias: Bias | None = None
    intervention: Intervention | None = None
    captured: list[Tensor] | None = field(default=None)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attention output before the output projection, (batch, heads, tokens, head size)."""
        n, kind = self.views, self._kind(layer)
        if kind in ("replace_v", "replace_qk", "feature_mask"):
            query, key, value = self._replaced(kind, query, key, value)
        rows = self.bias.rows.to(query) if self.bias and layer in self.bias.layers else None
        form = self.bias.form if self.bias else "cls_row"
        if self.captured is not None:
            row = None if rows is None or form == "diagonal" else rows
            self.captured.append(_cls_weights(query[:n], key[:n], scale, row))
        views = biased_attention(query[:n], key[:n], value[:n], scale, rows, form)
        plain = scaled_dot_product_attention(query[n:], key[n:], value[n:], scale=scale) if len(query) > n else views[:0]
        if kind == "unleash":
            views[:, :, 0] = 2 * views[:, :, 0] - plain[self._reference(), :, 0]
        return torch.cat([views, plain])

    def _kind(self, layer: int) -> str | None:
        return self.intervention.kind if self.intervention and layer in self.intervention.layers else None

    def _reference(self) -> Tensor:
        assert self.intervention and self.intervention.reference is not None
        return torch.tensor(self.intervention.reference)

    def _replaced(self, kind: str, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n = self.views
        if kind == "feature_mask":
            assert self.intervention and self.intervention.keep is not None
            keep = self.intervention.keep.to(value)[:, None, :, None]
            return query, key, torch.cat([value[:n] * keep, value[n:]])
        source = n + self._reference()
        if kind == "replace_v":
            return query, key, torch.cat([value[source], value[n:]])
        return torch.cat([query[source], query[n:]]), torch.cat([key[source], key[n:]]), value


def biased_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float, rows: Tensor | None, form: str = "cls_row"
) -> Tensor:
    """Scaled-dot-product attention with a bias of one row for each element of the batch.

    Args:
        query: (batch, heads, queries, head size); query 0 is CLS.
        key: (batch, heads, tokens, head size).
        value: Like `key`.
        scale: Factor on the products of queries and keys.
        rows: (batch, tokens) or None.
        form: Which rows of the attention matrix get the bias.
    """
    if rows is None:
        return scaled_dot_product_attention(query, key, value, scale=scale)
    if form == "all_rows":
        return scaled_dot_product_attention(query, key, value, attn_mask=rows[:, None, None], scale=scale)
    if form == "diagonal":
        return scaled_dot_product_attention(query, key, value, attn_mask=torch.diag_embed(rows)[:, None], scale=scale)
    cls = scaled_dot_product_attention(query[:, :, :1], key, value, attn_mask=rows[:, None, None], scale=scale)
    if query.shape[2] == 1:
        return cls
    return torch.cat([cls, scaled_dot_product_attention(query[:, :, 1:], key, value, scale=scale)], dim=2)


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
        output = control.attend(module.layer_index, query, key, value, scaling)  # pyright: ignore[reportArgumentType]
    return output.transpose(1, 2), None


def _cls_weights(query: Tensor, key: Tensor, scale: float, rows: Tensor | None) -> Tensor:
    logits = (query[:, :, :1] @ key.transpose(2, 3))[:, :, 0] * scale
    if rows is not None:
        logits = logits + rows[:, None]
    return logits.float().softmax(-1)


AttentionInterface.register(ATTENTION_NAME, controlled_attention)
