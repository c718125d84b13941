"""Work done by threads ahead of the model and behind it, handed over in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`work(item)` for each item in order, at most two for each worker ahead of what is taken.

    Pillow and NumPy release the interpreter lock in the filters, resizes and decoders that take the time, so threads
    are enough. An exception of `work` is raised where its result is due.

    Args:
        work: Called in a worker thread, or in this one where `workers` is 0.
        items: What to work on.
        workers: Number of threads.
    """
    if workers <= 0:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="prepare")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def behind(work: Callable[[Item], Result], items: Iterable[Item], threaded: bool) -> Iterator[Result]:
    """`work(item)` for each item in order, done while the next item is made.

    What was handed over is finished whatever ends this, an error while an item is made too. An exception of `work` is
    raised where its result is due.

    Args:
        work: Called in a thread of its own, or in this one.
        items: Made in this thread; at most one of them waits.
        threaded: Whether there is such a thread.
    """
    if not threaded:
        yield from map(work, items)
        return
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="finish") as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
