"""The folder of one run: run.json, records in parts, metrics. A kill at any moment loses one batch at most."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.records.checking import is_scored, texts
from benchmarks.records.record import (
    SCHEMA_VERSION,
    Counts,
    Owner,
    Record,
    count_records,
    read_parts,
    read_table,
    write_part,
    write_table,
)
from benchmarks.records.run_file import read_object
from falip import UserError

if TYPE_CHECKING:
    import pandas as pd

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
    def exists(self) -> bool:
        """Whether anything has been written of the run."""
        return (self.path / RUN_FILE).exists()

    @property
    def info(self) -> dict[str, Any] | None:
        """What run.json says, or None where there is none."""
        file = self.path / RUN_FILE
        if not file.is_file():
            return None
        try:
            return read_object(file)
        except ValueError as error:
            raise UserError(f"{file} {error}. {_MEND_INFO}") from error

    def write_info(self, info: Mapping[str, Any]) -> None:
        """Replaces run.json."""
        write_json(self.path / RUN_FILE, info)

    @property
    def schema(self) -> int:
        """What run.json has to state: the version that the parts which are there were written under."""
        return 1 if (self.info or {}).get("schema") == 1 and self.parts() else SCHEMA_VERSION

    @property
    def _owner(self) -> Owner:
        return Owner(self.path.name, self.schema)

    def parts(self) -> list[Path]:
        """Part files that are whole."""
        return sorted((self.path / RECORDS_FOLDER).glob("*.parquet"))

    def frame(self) -> pd.DataFrame:
        """All records so far, of every shard, sorted by id; an unscored sample that was scored later is scored.

        Raises:
            UserError: If a part is damaged, edited, or of another run.
        """
        return read_parts(self.parts(), self._owner)

    def counts(self) -> Counts:
        """How many queries are recorded, scored and unscored."""
        return count_records(self.parts(), self._owner)

    def done(self) -> frozenset[str]:
        """Ids of the samples whose queries are scored; one that is recorded as unscored is still to be done."""
        table = read_table(self.parts(), self._owner, ["group", "status"])
        return frozenset(texts(table["group"])[is_scored(table)])

    def write_records(self, records: Sequence[Record], shard: tuple[int, int]) -> None:
        """Adds one part, which carries the run's id."""
        name = re.compile(rf"{_shard_name(shard)}-(\d+)")
        taken = [int(found[1]) for path in self.parts() if (found := name.fullmatch(path.stem))]
        file = f"{_shard_name(shard)}-{max(taken, default=-1) + 1:06d}.parquet"
        write_atomically(self.path / RECORDS_FOLDER / file, lambda path: write_part(records, path, self.path.name))

    def compact(self, shard: tuple[int, int]) -> None:
        """Makes one part of those of a shard, which is read faster; after a kill some records are there twice."""
        mine = [path for path in self.parts() if path.name.startswith(f"{_shard_name(shard)}-")]
        if len(mine) < 2:
            return
        table = read_table(mine, self._owner)
        write_atomically(mine[-1], lambda path: write_table(table, path, self.path.name))
        for path in mine[:-1]:
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Deletes all that is recorded."""
        for path in [*self.parts(), self.path / METRICS_FILE, self.path / RUN_FILE]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"{path} cannot be deleted: {error.strerror or error}. Delete it by hand.") from error

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Lets shards finish one after the other."""
        from filelock import FileLock

        with FileLock(self.path / ".finish.lock"):
            yield

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
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file in one step; half characters of a command line are spelt out."""
    write_atomically(path, _text_writer(text))


def write_texts(files: Mapping[Path, str | None]) -> None:
    """Writes several text files that belong together, all or none; where there is None, the file is deleted."""
    write_together({path: _text_writer(text) for path, text in files.items() if text is not None})
    for path in (path for path, text in files.items() if text is None):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{path} cannot be deleted: {error.strerror or error}. It is of an earlier call.") from error


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` on a temporary file beside `path` and renames it, so that `path` is whole or not there.

    Raises:
        UserError: If the disk is full or the folder cannot be written.
    """
    write_together({path: write})


def write_together(files: Mapping[Path, Callable[[Path], object]]) -> None:
    """Writes several files beside their places, and renames them when all are whole.

    Raises:
        UserError: If the disk is full or a folder cannot be written; then no file has changed.
    """
    begun = {path: path.with_name(f".{path.name[:200]}.{os.getpid()}.tmp") for path in files}
    path = next(iter(files), Path())
    try:
        for path, write in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "a folder has its name")
            write(begun[path])
            with begun[path].open("rb+") as file:
                os.fsync(file.fileno())
        for path, temporary in begun.items():
            temporary.replace(path)
    except OSError as error:
        raise UserError(
            f"{path} could not be written: {error.strerror or error}. What was written before is safe: make room or mend "
            "the folder's rights, and give the same command again."
        ) from error
    finally:
        for temporary in begun.values():
            with suppress(OSError):  # where its folder is a file, there is none
                temporary.unlink()


def _text_writer(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text.encode("utf-8", "backslashreplace"))


def _shard_name(shard: tuple[int, int]) -> str:
    return f"{shard[0]}of{shard[1]}"


def _safe(label: str) -> str:
    """A label as the name of a folder: short enough for any file system, and never "..". The run id tells runs apart."""
    return re.sub(r"[^\w.=+,-]|^\.+", "_", label.replace("/", "--"), flags=re.ASCII)[:100]
