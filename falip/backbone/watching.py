"""What the pooled token of each view attends to, or what a read-out finds alike, taken while the view is encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from falip.views import Component

WATCHED_LAYERS = 4  # averaged: as many as FALIP masks


class Watch:
    """Takes attention weights of the views of components, the mean of some layers.

    Attributes:
        layers: Which, counted from 0.
    """

    def __init__(self, layers: Sequence[int]) -> None:
        self.layers = tuple(layers)
        self._rows: dict[int, Tensor] = {}

    def keep(self, component: Component, views: Sequence[int] | Tensor, weights: Mapping[int, Tensor]) -> None:
        """Keeps the weights of some views of a component, (views, heads, tokens) for each of the layers at least."""
        self._keep(component, views, torch.stack([weights[layer].float() for layer in self.layers]).mean(0))

    def keep_map(self, component: Component, views: Sequence[int] | Tensor, shares: Tensor) -> None:
        """Keeps in place of attention where in its picture that is which some views of a read-out took for their regions.

        Args:
            component: With a read-out.
            views: Which views of it.
            shares: (views, rows * cols), a row sums to 1.
        """
        self._keep(component, views, pad(shares, (1, 0))[:, None])

    def _keep(self, component: Component, views: Sequence[int] | Tensor, mean: Tensor) -> None:
        if id(component) not in self._rows:
            self._rows[id(component)] = mean.new_empty(len(component.image_index), *mean.shape[1:])
        self._rows[id(component)][torch.as_tensor(views, device=mean.device)] = mean

    def of(self, component: Component) -> Tensor | None:
        """float32 (views, heads, tokens) on the CPU, a row sums to 1; None where a component has a scorer.

        A read-out has one head, and no weight on CLS.
        """
        found = self._rows.get(id(component))
        return None if found is None else found.cpu()
