"""Encoding many regions of one image without repeating what they have in common.

The foveal mask changes the CLS row of the last layers and nothing else. Below the first masked layer all regions of an
image share everything, and in it they still share the patch tokens: both come from one unprompted pass (`Passes.trunk`).
From the next layer on patch tokens see a CLS token that differs from region to region: `exact` computes them for each
region, `frozen` goes on with those of the unprompted pass. In the last layer only the CLS row is computed.

In shapes, `views` counts regions, ordered by image; `Seats` says which image each of them belongs to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers.activations import QuickGELUActivation
from transformers.models.clip.modeling_clip import CLIPEncoderLayer, CLIPVisionModel

from falip.backbone.attention import summed_rows
from falip.backbone.watching import Seen
from falip.surgery import Heads
from falip.views import Bias


@dataclass(frozen=True, eq=False)
class Seats:
    """The views of each image side by side, so that one matrix product serves all views of all images.

    Attributes:
        images: Number of images.
        seats: Most views of one image.
        owner: int (views,), the image of each view, ascending.
        place: int (views,), its seat there.
    """

    images: int
    seats: int
    owner: Tensor
    place: Tensor

    @staticmethod
    def of(owner: Tensor, images: int, device: torch.device) -> Seats:
        """Seats of views, given the image of each, ascending, on the CPU."""
        counts = torch.bincount(owner, minlength=images)
        place = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
        return Seats(images, int(counts.max()), owner.to(device), place.to(device))

    @staticmethod
    def single(views: int, device: torch.device) -> Seats:
        """Seats of views that have an image each."""
        return Seats(views, 1, torch.arange(views, device=device), torch.zeros(views, dtype=torch.long, device=device))

    def spread(self, values: Tensor) -> Tensor:
        """(images, seats, ...) from (views, ...); 0 on empty seats."""
        if len(values) == self.images * self.seats:
            return values.unflatten(0, (self.images, self.seats))
        spread = values.new_zeros(self.images, self.seats, *values.shape[1:])
        spread[self.owner, self.place] = values
        return spread

    def back(self, spread: Tensor) -> Tensor:
        """(views, ...) from (images, seats, ...)."""
        if len(self.owner) == self.images * self.seats:
            return spread.flatten(0, 1)
        return spread[self.owner, self.place]


@dataclass(frozen=True, eq=False)
class Rows:
    """What is added to the CLS row of the attention logits, (views, heads or 1, tokens) for each layer that is biased."""

    by_layer: Mapping[int, Tensor]

    @staticmethod
    def of(biases: Sequence[Bias], like: Tensor) -> Rows:
        """The rows of some biases of the CLS-row form, on the device of `like`."""
        layers = sorted({layer for bias in biases for layer in bias.layers})
        return Rows({layer: summed_rows([b for b in biases if layer in b.layers], like)["cls_row"] for layer in layers})

    @property
    def first(self) -> int:
        """The first biased layer."""
        return min(self.by_layer)

    def at(self, layer: int) -> Tensor | None:
        """The rows of a layer, or None."""
        return self.by_layer.get(layer)


class Passes:
    """The parts of a transformers CLIP vision tower, in the order in which they run."""

    def __init__(self, vision_model: CLIPVisionModel, projection: nn.Module) -> None:
        self.embeddings, self.pre_norm = vision_model.embeddings, vision_model.pre_layrnorm
        self.layers: Sequence[CLIPEncoderLayer] = list(vision_model.encoder.layers)  # pyright: ignore[reportAttributeAccessIssue]
        self.post_norm, self.projection = vision_model.post_layernorm, projection
        self._cls_step, self._diverging_step, self._full_step = cls_step, diverging_step, full_step

    def compile(self) -> None:
        """Lets torch.compile fuse each kind of layer; costs a minute at first use, and moves floats by rounding."""
        self._cls_step = torch.compile(cls_step, dynamic=True)
        self._diverging_step = torch.compile(diverging_step, dynamic=True)
        self._full_step = torch.compile(full_step, dynamic=True)

    def in_float(self, layers: Collection[int]) -> Passes:
        """A copy of which these layers, and what makes embeddings, are in float32."""
        whole = copy(self)
        whole.layers = [deepcopy(layer).float() if i in layers else layer for i, layer in enumerate(self.layers)]
        whole.post_norm, whole.projection = deepcopy(self.post_norm).float(), deepcopy(self.projection).float()
        return whole

    def needs(self, biased: Sequence[int], frozen: bool) -> set[int]:
        """The states of the unprompted pass that views with biases in these layers, ascending, are made from."""
        if not biased:
            return {len(self.layers)}
        first, end = biased[0], len(self.layers)
        return set(range(first, end if frozen else min(first + 2, end)))

    def trunk(self, pixels: Tensor, wanted: Iterable[int], seen: Seen | None = None) -> dict[int, Tensor]:
        """Hidden states of the unprompted pass, (images, tokens, width), on entering each layer that is wanted.

        `len(layers)` asks for the CLS token alone, (images, width), after the last layer.
        """
        wanted, states = set(wanted), {}
        hidden = self.pre_norm(self.embeddings(pixels))
        for i, layer in enumerate(self.layers[: max(wanted)]):
            if i in wanted:
                states[i] = hidden
            self._look(seen, i, hidden[:, 0], hidden)
            if i + 1 == len(self.layers):
                hidden = self._cls_step(layer, hidden[:, 0], hidden, Seats.single(len(hidden), hidden.device))
            else:
                hidden = self._full_step(layer, hidden)
        return states | {max(wanted): hidden}

    def embed(self, cls: Tensor) -> Tensor:
        """Embeddings (views, D) of CLS tokens (views, width) after the last layer."""
        return self.projection(self.post_norm(cls))

    def exact(self, states: dict[int, Tensor], seats: Seats, rows: Rows, seen: Seen | None = None) -> Tensor:
        """CLS tokens (views, width) after the last layer.

        Args:
            states: What `needs` asked of the trunk.
            seats: Which of the trunk's images each view belongs to.
            rows: CLS-row biases of the views.
            seen: Takes what they attend to from the first biased layer on.
        """
        first, last = rows.first, len(self.layers) - 1
        cls = states[first][seats.owner, 0]
        self._look(seen, first, cls, states[first], seats, rows.at(first))
        cls = self._cls_step(self.layers[first], cls, states[first], seats, rows.at(first))
        if first == last:
            return cls
        self._look(seen, first + 1, cls, states[first + 1], seats, rows.at(first + 1))
        if first + 1 == last:
            return self._cls_step(self.layers[last], cls, states[last], seats, rows.at(last))
        hidden = self._diverging_step(self.layers[first + 1], cls, states[first + 1], seats, rows.at(first + 1))
        for i in range(first + 2, last):
            self._look(seen, i, hidden[:, 0], hidden, None, rows.at(i))
            hidden = self._full_step(self.layers[i], hidden, rows.at(i))
        single = Seats.single(len(hidden), hidden.device)
        self._look(seen, last, hidden[:, 0], hidden, single, rows.at(last))
        return self._cls_step(self.layers[last], hidden[:, 0], hidden, single, rows.at(last))

    def streams(self, states: dict[int, Tensor], seats: Seats, rows: Rows, wanted: Iterable[int]) -> dict[int, Tensor]:
        """The streams (views, tokens, width) on entering some layers, for read-outs.

        Args:
            states: Of the trunk, on entering the first biased layer, the next, and those wanted that come before.
            seats: See `exact`.
            rows: See `exact`; the first biased layer is not the last one.
            wanted: The layers.
        """
        wanted, first, last = set(wanted), rows.first, len(self.layers) - 1
        found = {layer: states[layer][seats.owner] for layer in wanted if layer <= first}
        cls = self._cls_step(self.layers[first], states[first][seats.owner, 0], states[first], seats, rows.at(first))
        if first + 1 in wanted:
            found[first + 1] = torch.cat([cls[:, None], states[first + 1][seats.owner, 1:]], dim=1)
        if first + 1 == last:
            return found
        hidden = self._diverging_step(self.layers[first + 1], cls, states[first + 1], seats, rows.at(first + 1))
        for i in range(first + 2, last):
            if i in wanted:
                found[i] = hidden
            hidden = self._full_step(self.layers[i], hidden, rows.at(i))
        return found | {last: hidden}

    def frozen(self, states: dict[int, Tensor], seats: Seats, rows: Rows, seen: Seen | None = None) -> Tensor:
        """As `exact`, with the patch tokens of the unprompted pass throughout: an approximation."""
        cls = states[rows.first][seats.owner, 0]
        for i in range(rows.first, len(self.layers)):
            self._look(seen, i, cls, states[i], seats, rows.at(i))
            cls = self._cls_step(self.layers[i], cls, states[i], seats, rows.at(i))
        return cls

    def _look(
        self, seen: Seen | None, i: int, cls: Tensor, tokens: Tensor, seats: Seats | None = None, row: Tensor | None = None
    ) -> None:
        """Takes what CLS is about to attend to in a layer, where that is asked; the arguments are those of `cls_step`."""
        if seen is None or i not in seen.layers:
            return
        layer, seats = self.layers[i], seats or Seats.single(len(cls), cls.device)
        own, patches = layer.layer_norm1(cls), layer.layer_norm1(tokens)[:, 1:]
        seen.weights[i] = cls_weights(layer, own, patches, seats, row)
        if seen.heads is not None:
            seen.heads[i] = cls_heads(layer, own, patches, seats, seen.weights[i])


def cls_step(layer: CLIPEncoderLayer, cls: Tensor, tokens: Tensor, seats: Seats, row: Tensor | None = None) -> Tensor:
    """One layer for the CLS token of each view, which attends to itself and to the patch tokens of its image.

    Args:
        layer: The layer.
        cls: (views, width), the CLS tokens on entering it.
        tokens: (images, 1 + patches, width); the first of each is not looked at.
        seats: Which image each view belongs to.
        row: What is added to the logits, (views, heads or 1, 1 + patches), or None.

    Returns:
        (views, width).
    """
    own, patches = layer.layer_norm1(cls), layer.layer_norm1(tokens)[:, 1:]
    weights = cls_weights(layer, own, patches, seats, row)
    return rest_of(layer, cls, cls_heads(layer, own, patches, seats, weights).flatten(1))


def cls_weights(layer: CLIPEncoderLayer, own: Tensor, patches: Tensor, seats: Seats, row: Tensor | None) -> Tensor:
    """What the CLS token of each view attends to, float32 (views, heads, 1 + patches).

    For so few queries it is less work to multiply the query by W_k than to project all tokens: q . (W_k x) = (q W_k) . x.
    The bias of the keys adds the same to all logits of a head, so softmax drops it.

    Args:
        layer: The layer.
        own: (views, width), the CLS tokens behind its first norm.
        patches: (images, patches, width), the patch tokens behind it.
        seats: See `cls_step`.
        row: See `cls_step`.
    """
    attention = layer.self_attn
    query = attention.scale * _split(attention.q_proj(own), attention.head_dim)
    searched = torch.einsum("vhe,hew->vhw", query, attention.k_proj.weight.unflatten(0, query.shape[1:]))
    on_itself = torch.einsum("vhw,vw->vh", searched, own)[..., None]
    logits = torch.cat([on_itself, _for_each_image(seats, searched, patches.mT)], dim=-1)
    return (logits if row is None else logits + row).softmax(-1, dtype=torch.float32)


def cls_heads(layer: CLIPEncoderLayer, own: Tensor, patches: Tensor, seats: Seats, weights: Tensor) -> Tensor:
    """What each head says to the CLS token of each view, before the output projection: (views, heads, head size).

    For so few queries it is less work to multiply the mixed tokens by W_v than to project all tokens, as with the keys.

    Args:
        layer: The layer.
        own: See `cls_weights`.
        patches: See `cls_weights`.
        seats: See `cls_step`.
        weights: As `cls_weights` gives them.
    """
    attention, weights = layer.self_attn, weights.to(own)
    mixed = _for_each_image(seats, weights[..., 1:], patches) + weights[..., :1] * own[:, None]
    value = torch.einsum("vhw,hew->vhe", mixed, attention.v_proj.weight.unflatten(0, (-1, attention.head_dim)))
    return value + _split(attention.v_proj.bias, attention.head_dim)


def diverging_step(layer: CLIPEncoderLayer, cls: Tensor, tokens: Tensor, seats: Seats, row: Tensor | None = None) -> Tensor:
    """One layer whose patch tokens come in shared and go out different for each view, because they see its CLS token.

    What patches take from patches is computed once for the image, and the CLS token of each view is mixed in: with the
    logit l of a patch on CLS, and Z the sum of its exponentials over patches, CLS has the share e^l / (e^l + Z).

    Args and returns as for `cls_step`, but that all tokens come back: (views, 1 + patches, width).
    """
    attention = layer.self_attn
    own, patches = layer.layer_norm1(cls), layer.layer_norm1(tokens[:, 1:])
    query, key, value = heads_of(layer, patches)
    logits = (attention.scale * query) @ key.mT
    among = (logits.softmax(-1) @ value).transpose(1, 2).contiguous()
    own_key, own_value = (_split(projection(own), attention.head_dim) for projection in _projections(layer)[1:])
    on_cls = (attention.scale * query) @ seats.spread(own_key).permute(0, 2, 3, 1)  # (images, heads, patches, seats)
    share = torch.sigmoid(on_cls - logits.logsumexp(-1, keepdim=True)).permute(0, 3, 2, 1)
    attended = torch.lerp(among[seats.owner], own_value[:, None], seats.back(share)[..., None])
    moved = rest_of(layer, tokens[:, 1:][seats.owner], attended.flatten(2))
    return torch.cat([cls_step(layer, cls, tokens, seats, row)[:, None], moved], dim=1)


def full_step(layer: CLIPEncoderLayer, hidden: Tensor, row: Tensor | None = None) -> Tensor:
    """One layer of whole views, (views, tokens, width); `row` is added to the logits of CLS."""
    attention = layer.self_attn
    query, key, value = heads_of(layer, layer.layer_norm1(hidden))
    attended = scaled_dot_product_attention(query, key, value, scale=attention.scale)
    if row is not None:
        mask = row[:, :, None]
        attended[:, :, :1] = scaled_dot_product_attention(query[:, :, :1], key, value, mask, scale=attention.scale)
    return rest_of(layer, hidden, attended.transpose(1, 2).flatten(2))


def heads_of(layer: CLIPEncoderLayer, normed: Tensor) -> Heads:
    """Queries, keys and values of tokens (pictures, tokens, width) behind a layer's first norm."""
    size = layer.self_attn.head_dim
    return Heads(*(_split(projection(normed), size).transpose(1, 2) for projection in _projections(layer)))


def _projections(layer: CLIPEncoderLayer) -> tuple[nn.Module, nn.Module, nn.Module]:
    return layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj


def _split(projected: Tensor, head_size: int) -> Tensor:
    """(..., heads, head size)."""
    return projected.unflatten(-1, (-1, head_size))


def _for_each_image(seats: Seats, rows: Tensor, matrices: Tensor) -> Tensor:
    """The rows (views, heads, n) of each view times the matrix of its image (images, n, m): (views, heads, m)."""
    products = seats.spread(rows).flatten(1, 2) @ matrices
    return seats.back(products.unflatten(1, (seats.seats, -1)))


def rest_of(layer: CLIPEncoderLayer, residual: Tensor, attended: Tensor) -> Tensor:
    """A layer from the attention's output projection on; in place where that spares a pass over memory."""
    hidden = layer.self_attn.out_proj(attended).add_(residual)
    inner = layer.mlp.fc1(layer.layer_norm2(hidden))
    if isinstance(layer.mlp.activation_fn, QuickGELUActivation):
        inner.mul_((1.702 * inner).sigmoid_())
    else:
        inner = layer.mlp.activation_fn(inner)
    return layer.mlp.fc2(inner).add_(hidden)
