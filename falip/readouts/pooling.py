"""Means of dense features over regions, and their cosines with what is looked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from falip.dense import Blocks, Place

if TYPE_CHECKING:
    from torch import Tensor


def stacked_weights(places: Sequence[Place], like: Tensor) -> Tensor:
    """The weights of the places, (views, patches), in the dtype and on the device of `like`."""
    import torch

    return torch.from_numpy(np.stack([place.weights for place in places])).to(like)


def weighted_means(tokens: Tensor, places: Sequence[Place], unit_tokens: bool) -> Tensor:
    """The mean of the tokens of one picture over each place, (views, D) from (patches, D)."""
    from torch.nn.functional import normalize

    tokens = normalize(tokens, dim=-1) if unit_tokens else tokens
    weights = stacked_weights(places, tokens)
    return (weights / weights.sum(-1, keepdim=True)) @ tokens


def cosines(dense: Tensor, targets: Tensor) -> Tensor:
    """(targets, rows, cols) of dense features (rows, cols, D) with unit-length targets (targets, D)."""
    from torch.nn.functional import normalize

    return (normalize(dense.float(), dim=-1) @ targets.float().to(dense.device).T).permute(2, 0, 1)


class PatchMeans:
    """What read-outs have in common that average features of the patches of the last layer over a region.

    Attributes:
        unit_tokens: Whether the features of each patch get unit length first.
    """

    unit_tokens: bool

    @property
    def takes_changed_attention(self) -> bool:
        """In the layers below the last one."""
        return True

    def embeddings(self, blocks: Blocks, features: Tensor, places: Sequence[Place]) -> Tensor:
        """Means of the features over the regions, (views, D)."""
        return weighted_means(features[0], places, self.unit_tokens)

    def dense(self, blocks: Blocks, features: Tensor, place: Place) -> Tensor:
        """(rows, cols, D)."""
        return features[0].unflatten(0, blocks.grid)

    def similarity(self, blocks: Blocks, features: Tensor, place: Place, targets: Tensor) -> Tensor:
        """Cosines of each patch with the targets, (targets, rows, cols)."""
        return cosines(self.dense(blocks, features, place), targets)
