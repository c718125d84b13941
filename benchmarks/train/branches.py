"""CLIP's vision tower with what the losses look at: attention, patch features, and the diagonal branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

MAPS = 5  # AlignCLIP engine.py, lines 247 to 267: the first five maps that its tower returns


@dataclass(frozen=True)
class Seen:
    """What a batch of pictures looks like to the tower; features are float32 and of unit length.

    Attributes:
        features: (batch, width) image features.
        patches: (batch, patches, width) features of the patches, or None where no loss looks at them.
        diagonal: The same of the diagonal branch.
        attention: (maps, batch, patches) CLS attention, a map for each layer and head.
    """

    features: Tensor
    patches: Tensor | None = None
    diagonal: Tensor | None = None
    attention: Tensor | None = None


def see(model: Any, pixels: Tensor, branches: bool) -> Seen:
    """Encodes pictures, with gradients.

    The diagonal branch shares all weights, and its softmax(QK^T) is the identity: a token keeps its own value. The file of
    the released code that has it is missing; here it runs through the last half of the layers, beside the attending one,
    and the maps are those of its layers, five at most.

    Args:
        model: A transformers CLIPModel.
        pixels: (batch, 3, side, side).
        branches: Whether patches, diagonal branch and attention are wanted.
    """
    vision = model.vision_model
    states = vision.pre_layrnorm(vision.embeddings(pixels))
    layers = list(vision.encoder.layers)
    first = len(layers) // 2
    diagonal, maps = None, []
    for i, layer in enumerate(layers):
        doubled = branches and i >= first
        if doubled:
            diagonal = _diagonal_layer(layer, states if diagonal is None else diagonal)
        kept = doubled and i < first + MAPS
        states, weights = _layer(layer, states, kept)
        if kept:
            maps += weights[:, :, 0, 1:].float().unbind(1)
    if diagonal is None:
        return Seen(_projected(model, states[:, 0]))
    return Seen(
        _projected(model, states[:, 0]),
        _projected(model, states[:, 1:]),
        _projected(model, diagonal[:, 1:]),
        torch.stack(maps),
    )


def _projected(model: Any, states: Tensor) -> Tensor:
    return F.normalize(model.visual_projection(model.vision_model.post_layernorm(states)).float(), dim=-1)


def _layer(layer: Any, states: Tensor, wants_weights: bool) -> tuple[Tensor, Any]:
    """The layer's output, and its attention (batch, heads, tokens, tokens) where it is wanted."""
    attention, normed = layer.self_attn, layer.layer_norm1(states)
    query, key, value = (
        _heads(project(normed), attention.num_heads) for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    weights = None
    if wants_weights:
        weights = (attention.scale * query @ key.transpose(-1, -2)).softmax(-1, dtype=torch.float32).to(value.dtype)
        said = weights @ value
    else:
        said = F.scaled_dot_product_attention(query, key, value, scale=attention.scale)
    states = states + attention.out_proj(said.transpose(1, 2).flatten(2))
    return states + layer.mlp(layer.layer_norm2(states)), weights


def _diagonal_layer(layer: Any, states: Tensor) -> Tensor:
    attention = layer.self_attn
    states = states + attention.out_proj(attention.v_proj(layer.layer_norm1(states)))
    return states + layer.mlp(layer.layer_norm2(states))


def _heads(states: Tensor, heads: int) -> Tensor:
    """(batch, tokens, width) to (batch, heads, tokens, width of a head)."""
    return states.unflatten(2, (heads, -1)).transpose(1, 2)
