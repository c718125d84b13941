"""Which samples of a data set a run with a limit takes."""

from __future__ import annotations

from collections.abc import Sized

import numpy as np

from falip.errors import UserError


def subset(infos: Sized, limit: int | None, seed: int = 0) -> list[int]:
    """Indices of a seeded subset of samples, in order; a smaller limit gives a part of a larger one's.

    Args:
        infos: The data set's index.
        limit: Number of samples, or None for all.
        seed: Of the one permutation from which every limit takes the first so many.
    """
    if limit is None:
        return list(range(len(infos)))
    if limit < 1:
        raise UserError(f"task.limit={limit}: give a number of samples from 1 on, or null for all.")
    return sorted(np.random.default_rng(seed).permutation(len(infos))[:limit].tolist())
