"""The folder of one run: run.json, records in parts, metrics. A kill at any moment loses one batch at most."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.records.record import Record, read_parts, write_part
from falip import UserError

RUN_FILE, METRICS_FILE, RECORDS_FOLDER = "run.json", "metrics.json", "records"
UNIDENTIFIED = "unidentified-"
"""Begins the name of a folder whose run failed before its identity was known."""
_MEND_INFO = "Delete this file and give the same command again: what is recorded beside it is kept."


@dataclass(frozen=True)
class RunFolder:
    """Where one run lives: `<results>/runs/<task>/<split>/<backbone>/<prompt>/<run id>/`."""

    path: Path

    @staticmethod
    def of(results_root: Path, labels: Mapping[str, str], run_id: str) -> RunFolder:
        """The folder of a run, by its labels and id."""
        parts = [*labels["task"].split("/"), *(labels[key] for key in ("split", "backbone", "prompt"))]
        return RunFolder(results_root.joinpath("runs", *map(_safe, parts), run_id))

    @property
    def info(self) -> dict[str, Any] | None:
        """What run.json says, or None where there is none."""
        file = self.path / RUN_FILE
        if not file.is_file():
            return None
        try:
            info = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{file} is not valid JSON ({error}). {_MEND_INFO}") from error
        if not isinstance(info, dict):
            raise UserError(f"{file} does not hold a JSON object. {_MEND_INFO}")
        return info

    def write_info(self, info: Mapping[str, Any]) -> None:
        """Replaces run.json."""
        write_json(self.path / RUN_FILE, info)

    def parts(self) -> list[Path]:
        """Part files that are whole."""
        return sorted((self.path / RECORDS_FOLDER).glob("*.parquet"))

    def frame(self) -> pd.DataFrame:
        """All records so far, of every shard, sorted by id."""
        return read_parts(self.parts())

    def write_records(self, records: Sequence[Record], shard: tuple[int, int]) -> None:
        """Adds one part."""
        taken = [int(path.stem.rsplit("-", 1)[1]) for path in self.parts() if path.stem.startswith(_shard_name(shard))]
        name = f"{_shard_name(shard)}-{max(taken, default=-1) + 1:06d}.parquet"
        write_atomically(self.path / RECORDS_FOLDER / name, lambda path: write_part(records, path))

    def clear(self) -> None:
        """Deletes all that is recorded."""
        for path in [*self.parts(), self.path / METRICS_FILE, self.path / RUN_FILE]:
            path.unlink(missing_ok=True)

    @contextmanager
    def locked(self, shard: tuple[int, int]) -> Iterator[None]:
        """Keeps a second process from the same shard of the same run."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / f".{_shard_name(shard)}.lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(f"Another process is running {self.path} at this moment. Wait for it, or end it.") from error
        except (OSError, NotImplementedError) as error:
            raise UserError(f"{self.path} cannot be written: {error}. Set results_root=... to a better place.") from error
        try:
            for left_over in self.path.glob(f"{RECORDS_FOLDER}/.{_shard_name(shard)}-*.tmp"):
                left_over.unlink(missing_ok=True)  # of a process that was killed while it wrote
            yield
        finally:
            lock.release()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file in one step."""
    text = json.dumps(content, indent=1, sort_keys=False, allow_nan=False, default=str)
    write_atomically(path, lambda temporary: temporary.write_text(text + "\n"))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` on a temporary file beside `path` and renames it, so that `path` is whole or not there.

    Raises:
        UserError: If the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(
            f"{path} could not be written: {error.strerror or error}. What was written before is safe: make room or mend "
            "the folder's rights, and give the same command again."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _shard_name(shard: tuple[int, int]) -> str:
    return f"{shard[0]}of{shard[1]}"


def _safe(label: str) -> str:
    """A label as the name of a folder: short enough for any file system, and never "..". The run id tells runs apart."""
    return re.sub(r"[^\w.=+,-]|^\.+", "_", label.replace("/", "--"), flags=re.ASCII)[:100]
