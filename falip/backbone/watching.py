"""What the pooled token of each view attends to, or what a read-out finds alike, taken while the view is encoded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from falip.views import Component

WATCHED_LAYERS = 4  # averaged: as many as FALIP masks


@dataclass(frozen=True, eq=False)
class Seen:
    """What CLS attends to in some layers, and what their heads say to it, taken on the way of some views or pictures.

    Attributes:
        layers: Which, counted from 0.
        weights: For each of them that was passed the softmax weights, float32 (views, heads, tokens).
        heads: For each of them that was passed what its heads say before the output projection, (views, heads, head
            size); None where nobody asks.
    """

    layers: Collection[int]
    weights: dict[int, Tensor] = field(default_factory=dict)
    heads: dict[int, Tensor] | None = None

    def above(self, below: Seen, owner: Tensor) -> Seen:
        """With what was seen of the pictures of its views in those layers that the views share.

        Args:
            below: Of the pictures.
            owner: int (views,), the picture of each view.
        """
        heads = None if self.heads is None else _joined(self.heads, below.heads or {}, owner)
        return Seen(self.layers, _joined(self.weights, below.weights, owner), heads)


def _joined(own: Mapping[int, Tensor], below: Mapping[int, Tensor], owner: Tensor) -> dict[int, Tensor]:
    return {layer: part[owner.to(part.device)] for layer, part in below.items() if layer not in own} | dict(own)


class Watch:
    """Takes attention weights of the views of components, the mean of some layers.

    Attributes:
        layers: Which, counted from 0.
    """

    def __init__(self, layers: Sequence[int]) -> None:
        self.layers = tuple(layers)
        self._rows: dict[int, Tensor] = {}

    def seen(self) -> Seen:
        """Takes what this asks of a pass."""
        return Seen(self.layers)

    def keep(self, component: Component, views: Sequence[int] | Tensor, seen: Seen) -> None:
        """Keeps what was seen of some views of a component, of each of the layers at least."""
        self._keep(component, views, self._taken(seen))

    def keep_map(self, component: Component, views: Sequence[int] | Tensor, shares: Tensor) -> None:
        """Keeps in place of attention where in its picture that is which some views of a read-out took for their regions.

        Args:
            component: With a read-out.
            views: Which views of it.
            shares: (views, rows * cols), a row sums to 1.
        """
        self._keep(component, views, pad(shares, (1, 0))[:, None])

    def of(self, component: Component) -> Tensor | None:
        """float32 (views, heads, tokens) on the CPU, a row sums to 1; None where a component has a scorer.

        A read-out has one head, and no weight on CLS.
        """
        found = self._rows.get(id(component))
        return None if found is None else found.cpu()

    def _taken(self, seen: Seen) -> Tensor:
        return torch.stack([seen.weights[layer].float() for layer in self.layers]).mean(0)

    def _keep(self, component: Component, views: Sequence[int] | Tensor, taken: Tensor) -> None:
        if id(component) not in self._rows:
            self._rows[id(component)] = taken.new_empty(len(component.image_index), *taken.shape[1:])
        self._rows[id(component)][torch.as_tensor(views, device=taken.device)] = taken


class AttentionByLayer(Watch):
    """Takes the attention weights of each layer by itself: `of` gives (views, layers, heads, tokens)."""

    def _taken(self, seen: Seen) -> Tensor:
        return torch.stack([seen.weights[layer].float() for layer in self.layers], dim=1)


class HeadsByLayer(Watch):
    """Takes what each head says to the pooled token: `of` gives float32 (views, layers, heads, head size)."""

    def seen(self) -> Seen:
        """Takes what this asks of a pass."""
        return Seen(self.layers, heads={})

    def _taken(self, seen: Seen) -> Tensor:
        heads = seen.heads or {}
        return torch.stack([heads[layer].float() for layer in self.layers], dim=1)
