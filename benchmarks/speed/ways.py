"""The ways of encoding the regions of many images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize, scaled_dot_product_attention

from falip import Backbone, Bias, Views
from falip.backbone.text import BATCH, TextEncoder
from falip.surgery import Heads
from falip.views import merge_views

WAYS = ("released", "none", "exact", "frozen")


def encode(backbone: Backbone, way: str, images: Sequence[Views]) -> Tensor:
    """Unit-length embeddings (regions of all images, D), in batches over images as the runner makes them."""
    if way == "released":
        return torch.cat([_one_by_one(backbone, views) for views in images])
    batch = backbone.views_within()
    merged = (merge_views(group) for group in _groups(images, batch))
    return torch.cat([backbone.encode_views(views, way, batch)[0] for views in merged])  # pyright: ignore[reportArgumentType]


def first_views(images: Sequence[Views], count: int) -> list[Views]:
    """The first so many views, one image in each of the results."""
    chosen: list[Views] = []
    for views in images:
        component = views.components[0]
        left = count - sum(map(len, chosen))
        if left <= 0:
            break
        some = range(len(views))[:left]
        keys = tuple(tuple(own[v] for v in some) for own in views.keys or ())
        chosen.append(replace(views, components=(component.some(some),), keys=keys))
    return chosen


def encode_text(backbone: Backbone, texts: Sequence[str], length: int | None, batch: int = BATCH) -> Tensor:
    """Unit-length embeddings (texts, D), padded to `length` or to the longest text of a batch; nothing is remembered."""
    if length is None:
        return normalize(TextEncoder(backbone.model, backbone.tokenizer)(texts).float(), dim=-1)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch):
            found = backbone.tokenizer(list(texts[start : start + batch]), verbose=False)["input_ids"]
            end = backbone.tokenizer.eos_token_id
            padded = torch.tensor([ids + [end] * (length - len(ids)) for ids in found])
            parts.append(normalize(backbone.model.get_text_features(input_ids=padded).pooler_output, dim=-1))
    return torch.cat(parts)


@dataclass
class FullMask:
    """The mask as the released code adds it: tokens x tokens, zero but for the row of CLS (executor.py, line 146)."""

    bias: Bias

    def attend(self, layer: int, heads: Heads, scale: float) -> Tensor:
        """Attention output before the output projection."""
        mask = None
        if layer in self.bias.layers:
            tokens = self.bias.rows.shape[1]
            mask = torch.zeros(tokens, tokens)
            mask[0] = self.bias.rows[0]
        return scaled_dot_product_attention(*heads, attn_mask=mask, scale=scale)


@torch.inference_mode()
def _one_by_one(backbone: Backbone, views: Views) -> Tensor:
    (bias,), pixels = views.components[0].biases, views.pixels
    assert pixels is not None
    model: Any = backbone.model
    found = [
        model.get_image_features(pixel_values=pixels, control=FullMask(replace(bias, rows=row[None]))).pooler_output
        for row in bias.rows
    ]
    return normalize(torch.cat(found), dim=-1)


def _groups(images: Sequence[Views], batch: int) -> Iterator[list[Views]]:
    group: list[Views] = []
    for views in images:
        group.append(views)
        if sum(map(len, group)) >= batch:
            yield group
            group = []
    if group:
        yield group
