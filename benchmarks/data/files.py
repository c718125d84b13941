"""Reading annotation files so that every error names the file, the place in it and the mend."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.data.samples import SplitContract
from falip.errors import UserError
from falip.regions import Box

CONTRACT_SWITCH = "task.dataset.contract=false"


def data_folder(root: str | Path, mend: str) -> Path:
    """The folder of all data sets, which must exist.

    Args:
        root: The value of `data_root`.
        mend: The command that fetches or prepares the data set.

    Raises:
        UserError: If there is no such folder.
    """
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"The data folder {folder.absolute()} does not exist. It comes from the environment variable "
            f"FALIP_DATA or from data_root=... on the command line (default: data). Set it to the folder "
            f"that holds the data sets, or prepare this one there: {mend}"
        )
    return folder


def existing(path: Path, what: str, mend: str) -> Path:
    """The path itself, which must exist.

    Args:
        path: A file or folder of a data set.
        what: What it is, for the message ("annotation file").
        mend: The command that fetches or prepares it.

    Raises:
        UserError: If there is nothing at the path.
    """
    if not path.exists():
        raise UserError(
            f"The {what} {path.absolute()} is missing. Prepare it with `{mend}`, or point FALIP_DATA (or "
            f"data_root=...) at the folder that has it."
        )
    return path


def first_existing(paths: Sequence[Path], what: str, mend: str) -> Path:
    """The first of several places that exists.

    Raises:
        UserError: If none exists; the message names the first place, where it belongs.
    """
    return next((path for path in paths if path.exists()), None) or existing(paths[0], what, mend)


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hex, computed once for each state of the file."""
    state = path.stat()
    return _sha256(path.absolute(), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(paths: Iterable[Path], base: Path) -> str:
    """The SHA-256 in hex of the names and sizes of many files: what a folder of small annotation files is known by.

    Args:
        paths: The files, which are not opened.
        base: The folder that names are relative to.
    """
    listing = sorted(f"{path.relative_to(base).as_posix()} {path.stat().st_size}" for path in paths)
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()


def read_json(path: Path, mend: str) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: If it is not valid JSON, naming the line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); was the download cut off? Fetch it again: {mend}") from None


def read_json_lines(path: Path, mend: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file with one JSON object on each line, one at a time.

    Args:
        path: The file.
        mend: The command that fetches it again.

    Yields:
        (place, object), where place is "FILE, line N" for messages; blank lines are passed over.

    Raises:
        UserError: If a line is no JSON object, as the last line of a download that was cut off.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                value = json.loads(line)
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                raise UserError(
                    f"{place}: not valid JSON ({error}); was the download cut off? Fetch the file again: {mend}"
                ) from None
            if not isinstance(value, dict):
                raise UserError(f"{place}: expected a JSON object, and found a {type(value).__name__}.")
            yield place, value


def read_lines(path: Path, columns: int) -> Iterator[tuple[str, list[str]]]:
    """The lines of a text file of columns parted by blanks; the last column may hold blanks.

    Yields:
        (place, columns), where place is "FILE, line N" for messages; blank lines are passed over.

    Raises:
        UserError: If a line has too few columns.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            values = line.strip().split(maxsplit=columns - 1)
            if len(values) != columns:
                raise UserError(f"{path}, line {number}: expected {columns} columns, and found {line.strip()!r}.")
            yield f"{path}, line {number}", values


def required(record: Any, key: str, place: str) -> Any:
    """The value of a key.

    Raises:
        UserError: If the record is no object or lacks the key; the message lists the keys there are.
    """
    if not isinstance(record, dict):
        raise UserError(f"{place}: expected an object with the key {key!r}, and found {record!r:.200}.")
    if key not in record:
        raise UserError(f"{place}: the key {key!r} is missing; found {', '.join(sorted(record)) or 'no key at all'}.")
    return record[key]


def integer(text: str, place: str) -> int:
    """A whole number read from a text file.

    Raises:
        UserError: If the text is none.
    """
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{place}: expected a whole number, and found {text!r}.") from None


def box_from_xywh(values: Any, place: str) -> Box:
    """The corners (x0, y0, x1, y1) of a box that a file gives as x, y, width and height, all in pixels.

    Nothing is clipped and a box without area is kept: the task decides.

    Raises:
        UserError: If the value is not four finite numbers.
    """
    try:
        x, y, width, height = (float(value) for value in values)
    except (TypeError, ValueError):
        raise UserError(f"{place}: a box is four numbers x, y, width, height, and found {values!r}.") from None
    if not all(map(math.isfinite, (x, y, width, height))):
        raise UserError(f"{place}: a box is four finite numbers x, y, width, height, and found {values!r}.")
    return x, y, x + width, y + height


def check_choice(value: str, choices: Sequence[str], what: str, key: str) -> None:
    """Refuses a value that is not offered.

    Raises:
        UserError: Naming the value, the override it came from and the choices.
    """
    if value not in choices:
        raise UserError(f"{what} {value!r} ({key}={value}) is unknown. Choose one of: {', '.join(choices)}.")


def check_contract(contract: SplitContract, samples: int, queries: int, where: str, mend: str) -> None:
    """Refuses a split that does not have as many samples and queries as its source says.

    Raises:
        UserError: Naming both numbers, the source and the switch.
    """
    check_count("samples", samples, contract.samples, contract.source, where, mend)
    check_count("queries", queries, contract.queries, contract.source, where, mend)


def check_count(what: str, found: int, expected: int | None, source: str, where: str, mend: str) -> None:
    """Refuses a number that differs from the one that a source states; None where no source does.

    Raises:
        UserError: Naming both numbers, the source and the switch.
    """
    if expected is not None and found != expected:
        raise UserError(
            f"{where} has {found} {what}, but {expected} are expected ({source}). Fetch it again: {mend}. For a sample of "
            f"the data, switch the check off: {CONTRACT_SWITCH}"
        )
