"""Reading annotation files so that every error names the file, the place in it and the mend."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.data.hashes import remembered_sha256
from benchmarks.data.samples import SplitContract
from falip.errors import UserError
from falip.regions import Box

CONTRACT_SWITCH = "task.dataset.contract=false"
LONGEST_NAME = 255
LONGEST_PATH = 2048  # half of what Linux takes, so that a folder has room before it
"""Bytes of a file's name on the file systems in use, and characters of an id."""
_TOO_LONG = 10**LONGEST_NAME
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0+)?")
_NO_UNICODE = re.compile("[\ud800-\udfff\0]")
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200


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
    if not _exists(path):
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
    return next((path for path in paths if _exists(path)), None) or existing(paths[0], what, mend)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise UserError(f"{path} cannot be looked at ({error.strerror}). Check the name and its folder.") from None


def inside(folder: Path, name: Any, place: str) -> Path:
    """The path of a file that an annotation names, which stays in its folder.

    Args:
        folder: Where the data set has such files; it may be a link to elsewhere.
        name: The name or path as the annotation has it.
        place: "FILE, line N", for messages.

    Raises:
        UserError: If the name is no text, empty, absolute, climbs by "..", or cannot be a file's name.
    """
    if not isinstance(name, str):
        raise UserError(f"{place}: a file's name is a text, and found {shown(name)}.")
    parts = name.split("/")
    if not any(parts) or name.startswith("/") or ".." in parts:
        raise UserError(f"{place}: the file's name {shown(name)} must be a path below {folder}, without '..'.")
    if not _is_unicode(name) or any(len(part.encode()) > LONGEST_NAME for part in parts) or len(name) > LONGEST_PATH:
        raise UserError(
            f"{place}: {shown(name)} cannot be a file's name: more than {LONGEST_NAME} bytes, or no valid Unicode."
        )
    return folder / name


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hex, computed once for each state of the file.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        return remembered_sha256(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). Is it a file, and may you read it?") from None


def fingerprint(files: Iterable[tuple[str, Path]]) -> str:
    """The SHA-256 in hex of the names and sizes of many files: what a folder of pictures is known by.

    Args:
        files: Names, the same wherever the data lie, and paths of files, which are not opened; one that is not there
            counts as missing.
    """
    listing = sorted(f"{name} {_size(path)}" for name, path in files)
    return hashlib.sha256("\n".join(listing).encode(errors="backslashreplace")).hexdigest()


def _size(path: Path) -> int | str:
    try:
        return os.stat(path).st_size  # noqa: PTH116  (a third faster than Path.stat, for tens of thousands of files)
    except (OSError, ValueError):
        return "missing"


@contextmanager
def readable(path: Path, mend: str) -> Iterator[None]:
    """Turns what goes wrong while a text file is read into an error that names it.

    Raises:
        UserError: If the file cannot be opened, or is not UTF-8.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error}); was the download cut off? Fetch it again: {mend}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}). Fetch it again: {mend}") from None


def read_json(path: Path, mend: str) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: If it is not valid JSON, naming the line.
    """
    try:
        with readable(path, mend):
            return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # ValueError: of the JSON, or a number of more digits than int reads
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
    with readable(path, mend), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:  # as in read_json
                raise UserError(
                    f"{place}: not valid JSON ({error}); was the download cut off? Fetch the file again: {mend}"
                ) from None
            if not isinstance(value, dict):
                raise UserError(f"{place}: expected a JSON object, and found a {type(value).__name__}.")
            yield place, value


def read_lines(path: Path, columns: int, mend: str) -> Iterator[tuple[str, list[str]]]:
    """The lines of a text file of columns parted by blanks; the last column may hold blanks.

    Yields:
        (place, columns), where place is "FILE, line N" for messages; blank lines are passed over.

    Raises:
        UserError: If the file cannot be read, or a line has too few columns.
    """
    with readable(path, mend), path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            values = line.strip().split(maxsplit=columns - 1)
            if len(values) != columns:
                raise UserError(f"{path}, line {number}: expected {columns} columns, and found {shown(line.strip())}.")
            yield f"{path}, line {number}", values


def required(record: Any, key: str, place: str) -> Any:
    """The value of a key.

    Raises:
        UserError: If the record is no object or lacks the key; the message lists the keys there are.
    """
    if not isinstance(record, dict):
        raise UserError(f"{place}: expected an object with the key {key!r}, and found {shown(record)}.")
    if key not in record:
        raise UserError(f"{place}: the key {key!r} is missing; found {', '.join(sorted(record)) or 'no key at all'}.")
    return record[key]


def required_list(record: Any, key: str, place: str) -> list[Any]:
    """The value of a key, which is a list.

    Raises:
        UserError: As `required`, or if the value is something else.
    """
    value = required(record, key, place)
    if not isinstance(value, list):
        raise UserError(f"{place}: {key!r} is a list, and found {shown(value)}.")
    return value


def integer(text: str, place: str) -> int:
    """A whole number read from a text file.

    Raises:
        UserError: If the text is none.
    """
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{place}: expected a whole number, and found {shown(text)}.") from None


def identifier(value: Any, place: str) -> str:
    """The one spelling of an id: 25, 25.0, "25" and "000025" are the same.

    Raises:
        UserError: If the value is no number or text, or cannot name anything.
    """
    if type(value) is int and abs(value) < _TOO_LONG:
        return str(value)
    if isinstance(value, float) and value.is_integer():
        value = f"{value:.0f}"
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > LONGEST_NAME or not _is_unicode(text):
        raise UserError(
            f"{place}: an id is a whole number or a text of at most {LONGEST_NAME} signs, and found {shown(value)}."
        )
    return str(int(text.partition(".")[0])) if _WHOLE.fullmatch(text) else text


def check_text(text: Any, what: str, place: str, mend: str) -> None:
    """Refuses an empty text, something else than a text, and one that is not valid Unicode.

    Raises:
        UserError: Naming the value.
    """
    broken = ""
    if not isinstance(text, str) or not text.strip():
        broken = "is empty"
    elif not _is_unicode(text):
        broken = "is not valid Unicode"
    if broken:
        raise UserError(f"{place}: {what} {broken} ({shown(text)}). Mend or remove it, or fetch the file again: {mend}")


def _is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8 and be part of a path: no lone surrogate, no zero."""
    return not _NO_UNICODE.search(text)


def shown(value: Any) -> str:
    """A value as messages show it: short, however long or deep it is, and printable."""
    return _SHORT.repr(value).encode(errors="backslashreplace").decode()


def box_from_xywh(values: Any, place: str) -> Box:
    """The corners (x0, y0, x1, y1) of a box that a file gives as x, y, width and height, all in pixels.

    Nothing is clipped and a box without area is kept: the task decides.

    Raises:
        UserError: If the value is not four finite numbers.
    """
    try:
        x, y, width, height = (float(value) for value in values if isinstance(values, list | tuple))
    except (TypeError, ValueError, OverflowError):  # a whole number of 400 digits is no float
        raise UserError(f"{place}: a box is four numbers x, y, width, height, and found {shown(values)}.") from None
    box = x, y, x + width, y + height
    if not all(map(math.isfinite, box)):
        raise UserError(f"{place}: a box is four finite numbers x, y, width, height, and found {shown(values)}.")
    return box


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
