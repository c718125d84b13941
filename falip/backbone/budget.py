"""How many views one forward pass takes."""

from __future__ import annotations

from typing import Any

import torch

MOST_VIEWS = 256  # from here on a pass is no faster, and more is lost when a run is killed
CPU_GB = 1.0
# Measured with ViT-B/16 on two cores with 32 MB of last-level cache: 8 to 16 views a pass are the fastest.
CACHE_BYTES = 32 * 2**20


def views_within(vision: Any, device: torch.device, dtype: torch.dtype, memory_gb: float | None) -> int:
    """Number of views, 1 to `MOST_VIEWS`, whose forward pass through a ViT stays within a memory budget.

    Args:
        vision: The vision configuration of a transformers CLIP.
        device: Where the pass runs.
        dtype: Its activations.
        memory_gb: See `within_budget`.
    """
    # Held at once in a layer: input, normed, query, key, value, output and two more; and the inner layer of the MLP
    # with what its activation function makes of it. Pixels come on top.
    per_token = 8 * vision.hidden_size + 3 * vision.intermediate_size
    per_view = (_tokens(vision) * per_token + 3 * vision.image_size**2) * dtype.itemsize
    return within_budget(per_view, device, memory_gb)


def within_budget(per_view: int, device: torch.device, memory_gb: float | None) -> int:
    """Number of views, 1 to `MOST_VIEWS`, of so many bytes each.

    Args:
        per_view: Bytes of activations that a view needs at once.
        device: Where the pass runs.
        memory_gb: The budget, weights aside; None for half of what a GPU has free, or `CPU_GB`.
    """
    if memory_gb is not None:
        budget = memory_gb * 1e9
    else:
        budget = torch.cuda.mem_get_info(device)[0] / 2 if device.type == "cuda" else CPU_GB * 1e9
    return int(min(max(budget // per_view, 1), MOST_VIEWS))


def cached_views(vision: Any) -> int:
    """Number of views whose largest activations, the inner layer of the MLP, fill the last-level cache of a CPU."""
    return max(1, CACHE_BYTES // (_tokens(vision) * vision.intermediate_size * 4))


def _tokens(vision: Any) -> int:
    return 1 + (vision.image_size // vision.patch_size) ** 2
