"""Files and the disk under them: asked for room first, written whole or not at all, hashed, moved, one message each."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from benchmarks.acquire.sources import human
from falip.errors import UserError

CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoDiskSpaceError(UserError):
    """The disk is full, or will be."""


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise `NoDiskSpaceError` where the disk under `folder` has fewer than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NoDiskSpaceError(
            f"{what} needs {human(needed)}, but only {human(free)} are free under {folder}. "
            "Free some space or choose another disk with --root, then run the command again."
        )


def write_failed(path: Path, error: OSError) -> UserError:
    """The error to raise for a write that failed: the disk is full, or `path` may not or cannot be written."""
    why = error.strerror or str(error)
    if error.errno in _FULL:
        return NoDiskSpaceError(
            f"the disk is full: writing {path} failed ({why}). "
            "Free some space or choose another disk with --root, then run the command again; it continues from there."
        )
    return UserError(
        f"{path} cannot be written ({why}). Mend what is named there or choose another folder with --root, then run "
        "the command again; it continues from there."
    )


def require_folder(path: Path) -> None:
    """Raise `UserError` where a file (or a link that leads nowhere) stands in the place of a folder or of one above it."""
    for place in (*reversed(path.parents), path):
        if os.path.lexists(place) and not place.is_dir():
            raise UserError(f"{place} is not a folder, but has to be one. Move it away and run the command again.")


def make_folder(path: Path) -> None:
    """Make a folder and those above it where they are missing.

    Raises:
        UserError: Something else stands in its place, or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        require_folder(path)
        raise write_failed(path, error) from None


def write_json(path: Path, value: object) -> None:
    """Write JSON so that the file is there whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        _forget(temporary)
        raise write_failed(path, error) from None


def read_object(path: Path) -> dict[str, Any]:
    """The object of a JSON file; empty where the file is missing, no whole JSON, or JSON of another type."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def move(source: Path, target: Path) -> None:
    """Move a file into place so that it is there whole or not at all, also where `target` is on another disk."""
    make_folder(target.parent)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise write_failed(target, error) from None
        copy(source, target)
        source.unlink()


def copy(source: Path, target: Path) -> None:
    """Copy a file so that the copy is there whole or not at all."""
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    except OSError as error:
        _forget(temporary)
        raise write_failed(target, error) from None


def _forget(temporary: Path) -> None:
    if temporary.is_file():
        temporary.unlink()


def hash_file(path: Path, *algorithms: str) -> tuple[str, ...]:
    """Hex digests of a file, read once."""
    hashes = [hashlib.new(name) for name in algorithms]
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            for each in hashes:
                each.update(chunk)
    return tuple(each.hexdigest() for each in hashes)
