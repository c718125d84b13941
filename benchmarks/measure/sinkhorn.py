"""Sinkhorn's normalisation of a matrix of scores, so that rows and columns are matched one to one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sinkhorn(scores: NDArray[np.floating], iterations: int) -> NDArray[np.float64]:
    """Logarithms of exp(scores) after its rows, and then its columns, were divided by their sums, again and again.

    Args:
        scores: Shape (R, C), divided by the temperature.
        iterations: How often both are divided.

    Returns:
        float64 (R, C); the columns have the sum 1 after `exp`, and where the matrix is square and the iterations are many,
        the rows too.
    """
    logs = np.asarray(scores, dtype=np.float64)
    for _ in range(iterations):
        for axis in (1, 0):
            logs = logs - np.logaddexp.reduce(logs, axis=axis, keepdims=True)
    return logs
