"""Means of dense features over regions, and their cosines with what is looked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from falip.dense import Place

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
