"""Where the time of a run goes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def timed(seconds: Counter[str], stage: str, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Adds the seconds until it ends to those of a stage."""
    started = clock()
    try:
        yield
    finally:
        seconds[stage] += clock() - started  # pyright: ignore[reportArgumentType]
