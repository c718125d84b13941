"""Workers that do not outlive the process that they work for."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time

EVERY_S = 1.0


def end_with_parent() -> None:
    """Ends this process soon after its parent has died, where it is a worker of one; a killed parent ends no worker."""
    parent = multiprocessing.parent_process()
    if parent is None or any(thread.name == _watch.__name__ for thread in threading.enumerate()):
        return
    threading.Thread(target=_watch, args=(os.getppid(),), name=_watch.__name__, daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY_S)
    os._exit(1)  # at once: what is recorded is whole, and nobody waits for the rest
