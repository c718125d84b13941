"""How torch computes during a run."""

from __future__ import annotations

import torch


def settle() -> None:
    """Full float32 products and no search for the fastest kernel, so that a run gives the same numbers again."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
