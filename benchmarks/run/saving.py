"""Records on their way to their runs' folders, some batches at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from benchmarks.records.record import Record

EVERY_S = 2.0
"""What a kill may cost. A file for each batch would cost more than its records, and network disks mind many files."""


class Saver:
    """Collects the records of one run and hands them on, not more often than every so many seconds.

    Args:
        save: Takes records, and the names of the rows of their component scores.
    """

    def __init__(self, save: Callable[[list[Record], list[str]], None]) -> None:
        self._save, self._since = save, time.monotonic()
        self._records: list[Record] = []
        self._names: list[str] = []

    def add(self, records: Sequence[Record], names: Sequence[str]) -> None:
        """Takes the records of a batch; the names may be empty where none of them is scored."""
        self._records += records
        self._names = list(names) or self._names
        if time.monotonic() - self._since >= EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Hands on what is there; what cannot be saved stays, and is tried again."""
        self._since = time.monotonic()
        if self._records:
            self._save(self._records, self._names)
            self._records = []
