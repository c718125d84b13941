"""Encoding many regions of one image without repeating what they have in common.

The foveal mask changes the CLS row of the last layers and nothing else. Below the first masked layer all regions of an
image share everything (`trunk`). In it the patch tokens are still shared. From the next layer on they see a CLS token that
differs from region to region: `exact` computes them for each region, `frozen` goes on with those of the unprompted pass.
In the last layer only the CLS row is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from transformers.models.clip.modeling_clip import CLIPEncoderLayer, CLIPVisionModel

from falip.backbone.attention import biased_attention
from falip.views import Bias


class Tower:
    """The parts of a transformers CLIP vision tower, in the order in which they run."""

    def __init__(self, vision_model: CLIPVisionModel, projection: nn.Module) -> None:
        self.embeddings, self.pre_norm = vision_model.embeddings, vision_model.pre_layrnorm
        self.layers: Sequence[CLIPEncoderLayer] = list(vision_model.encoder.layers)  # pyright: ignore[reportAttributeAccessIssue]
        self.post_norm, self.projection = vision_model.post_layernorm, projection

    def trunk(self, pixels: Tensor, wanted: Iterable[int]) -> dict[int, Tensor]:
        """Hidden states of the unprompted pass, (images, tokens, width), on entering each layer that is wanted.

        `len(layers)` asks for the CLS token alone, (images, 1, width), after the last layer.
        """
        wanted, states = set(wanted), {}
        hidden = self.pre_norm(self.embeddings(pixels))
        for i in range(max(wanted) + 1):
            if i in wanted:
                states[i] = hidden
            if i == max(wanted):
                break
            last = i == len(self.layers) - 1
            hidden = cls_of_layer(self.layers[i], hidden) if last else self.layers[i](hidden, None)
        return states

    def embed(self, cls: Tensor) -> Tensor:
        """Unit-length float32 embeddings (views, D) of CLS tokens (views, 1, width) after the last layer."""
        projected = self.projection(self.post_norm(cls[:, 0]))
        return torch.nn.functional.normalize(projected.float(), dim=-1)

    def exact(self, hidden: Tensor, owner: Tensor, bias: Bias) -> Tensor:
        """CLS tokens (views, 1, width) after the last layer.

        Args:
            hidden: Trunk states (images, tokens, width) on entering the first masked layer.
            owner: int (views,), the image of each view.
            bias: CLS-row bias of the views.
        """
        first, last = bias.layers[0], len(self.layers) - 1
        rows = bias.rows.to(hidden)
        cls, patches = shared_patches_step(self.layers[first], hidden, hidden[owner, :1], owner, rows, first == last)
        for i in range(first + 1, last + 1):
            row = rows if i in bias.layers else None
            if i == first + 1:
                state = diverging_step(self.layers[i], patches, cls, owner, row, i == last)
            else:
                state = full_step(self.layers[i], state, row, i == last)
            cls = state[:, :1]
        return cls

    def frozen(self, hidden: Tensor, owner: Tensor, bias: Bias) -> Tensor:
        """As `exact`, with the patch tokens of the unprompted pass throughout: an approximation."""
        first, last = bias.layers[0], len(self.layers) - 1
        rows, cls = bias.rows.to(hidden), hidden[owner, :1]
        for i in range(first, last + 1):
            row = rows if i in bias.layers else None
            cls, hidden = shared_patches_step(self.layers[i], hidden, cls, owner, row, i == last)
        return cls


def shared_patches_step(
    layer: CLIPEncoderLayer, hidden: Tensor, cls: Tensor, owner: Tensor, row: Tensor | None, last: bool
) -> tuple[Tensor, Tensor]:
    """One layer in which the CLS token of each view looks at the patch tokens of its image.

    Returns:
        The CLS tokens (views, 1, width), and the plain tokens (images, tokens, width); after the last layer these are
        not needed and come back as they were.
    """
    plain, views = layer.layer_norm1(hidden), layer.layer_norm1(cls)
    keys, values = _heads(layer, "k", plain), _heads(layer, "v", plain)
    view_keys = torch.cat([_heads(layer, "k", views), keys[:, :, 1:][owner]], dim=2)
    view_values = torch.cat([_heads(layer, "v", views), values[:, :, 1:][owner]], dim=2)
    cls = _attended(layer, cls, _heads(layer, "q", views), view_keys, view_values, row)
    if not last:
        hidden = _attended(layer, hidden, _heads(layer, "q", plain), keys, values, None)
    return cls, hidden


def diverging_step(
    layer: CLIPEncoderLayer, patches: Tensor, cls: Tensor, owner: Tensor, row: Tensor | None, last: bool
) -> Tensor:
    """One layer whose patch tokens come in shared and go out different for each view.

    `patches` are (images, tokens, width), the CLS token among them not being used, and `cls` is (views, 1, width).
    """
    plain, views = layer.layer_norm1(patches[:, 1:]), layer.layer_norm1(cls)
    key, value = (torch.cat([_heads(layer, p, views), _heads(layer, p, plain)[owner]], dim=2) for p in "kv")
    query = _heads(layer, "q", views)
    if last:
        return _attended(layer, cls, query, key, value, row)
    query = torch.cat([query, _heads(layer, "q", plain)[owner]], dim=2)
    return _attended(layer, torch.cat([cls, patches[:, 1:][owner]], dim=1), query, key, value, row)


def full_step(layer: CLIPEncoderLayer, hidden: Tensor, row: Tensor | None, last: bool) -> Tensor:
    """One layer of whole views; the last one computes the CLS row alone."""
    if last:
        return cls_of_layer(layer, hidden, row)
    normed = layer.layer_norm1(hidden)
    query, key, value = (_heads(layer, projection, normed) for projection in "qkv")
    return _attended(layer, hidden, query, key, value, row)


def cls_of_layer(layer: CLIPEncoderLayer, hidden: Tensor, row: Tensor | None = None) -> Tensor:
    """The CLS token (batch, 1, width) after a layer, without the other rows."""
    normed = layer.layer_norm1(hidden)
    key, value = _heads(layer, "k", normed), _heads(layer, "v", normed)
    return _attended(layer, hidden[:, :1], _heads(layer, "q", normed[:, :1]), key, value, row)


def _heads(layer: CLIPEncoderLayer, projection: str, hidden: Tensor) -> Tensor:
    """Queries, keys or values, (batch, heads, tokens, head size)."""
    attention = layer.self_attn
    projected = getattr(attention, f"{projection}_proj")(hidden)
    return projected.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)


def _attended(
    layer: CLIPEncoderLayer, residual: Tensor, query: Tensor, key: Tensor, value: Tensor, row: Tensor | None
) -> Tensor:
    """The rest of a layer from its queries, keys and values on."""
    attention = layer.self_attn
    output = biased_attention(query, key, value, attention.scale, row)
    hidden = residual + attention.out_proj(output.transpose(1, 2).flatten(2))
    return hidden + layer.mlp(layer.layer_norm2(hidden))
