"""The manifest of an asset: what is in its folder, from where, and since when. Written last, so it means "complete"."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.acquire import pictures
from benchmarks.acquire.disk import hash_file, write_json
from falip.errors import UserError

NAME = "manifest.json"
SCHEMA = 1


@dataclass(frozen=True)
class FileRecord:
    """Size in bytes and sha256 of one file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A downloaded file that the content came from.

    Attributes:
        file: Its name.
        url: The address that served it.
        size: Bytes.
        sha256: Computed when it came; a later download of the same file must have it.
        declared: The digest that the publisher states, or "".
    """

    file: str
    url: str
    size: int
    sha256: str
    declared: str = ""


@dataclass(frozen=True)
class Manifest:
    """What an asset's folder holds.

    Attributes:
        asset: Its name.
        title: What it is.
        licence: As its publisher states it, or "not stated".
        origin: "downloaded", or "found in place" where the user put the files there.
        files: By path below the folder, with forward slashes.
        sources: The downloads; empty for files found in place.
        date: When it was written, UTC.
        parts: Named parts that are complete and their number of files, where the asset is fetched in parts.
    """

    asset: str
    title: str
    licence: str
    origin: str
    files: dict[str, FileRecord]
    sources: tuple[Source, ...] = ()
    date: str = ""
    parts: dict[str, int] = field(default_factory=dict)


def read(folder: Path) -> Manifest | None:
    """The manifest in a folder, or None where there is none.

    Raises:
        UserError: If it cannot be understood.
    """
    path = folder / NAME
    try:
        if not path.is_file():
            return None
        return _understood(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"{path} is not a manifest of this program ({what}). Delete it and run the same command again; "
            "the files are then verified anew."
        ) from None


def _understood(value: Any) -> Manifest:
    """The manifest that a JSON value is; raises one of many errors where it is none."""
    if value.pop("schema") != SCHEMA:
        raise ValueError("unknown schema")
    value["files"] = {name: FileRecord(**record) for name, record in value["files"].items()}
    value["sources"] = tuple(Source(**source) for source in value["sources"])
    made = Manifest(**value)
    for name in made.files:
        os.fsencode(name)
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\0" in name:
            raise ValueError(f"the file {name[:80]!r} is not below the folder")
    texts = [made.asset, made.title, made.licence, made.origin, made.date, *made.parts]
    texts += [text for each in made.sources for text in (each.file, each.url, each.sha256, each.declared)]
    texts += [record.sha256 for record in made.files.values()]
    counts = [each.size for each in (*made.files.values(), *made.sources)] + list(made.parts.values())
    if not all(isinstance(text, str) for text in texts) or not all(type(count) is int for count in counts):
        raise ValueError("an entry is of another type")
    return made


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest with today's date, whole or not at all."""
    value = asdict(manifest) | {"schema": SCHEMA, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    write_json(folder / NAME, value)


def record_files(folder: Path, names: Iterable[str] | None = None) -> dict[str, FileRecord]:
    """Sizes and hashes of the named files of a folder, or of all in it except the manifest."""
    if names is None:
        names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {
        name: FileRecord((folder / name).stat().st_size, hash_file(folder / name, "sha256")[0])
        for name in names
        if name != NAME
    }


def differs(path: Path, record: FileRecord, *, thorough: bool = False) -> bool:
    """Whether a file is missing or differs from its record: in size, or with `thorough` in content too."""
    try:
        if path.stat().st_size != record.size:
            return True
        return thorough and hash_file(path, "sha256")[0] != record.sha256
    except (OSError, ValueError):
        return True


def damaged(folder: Path, manifest: Manifest, *, thorough: bool = False) -> list[str]:
    """Files that differ from the manifest; with `thorough` also pictures that were recorded without being whole."""
    found = [name for name, record in manifest.files.items() if differs(folder / name, record, thorough=thorough)]
    broken = pictures.broken(folder, sorted(set(manifest.files) - set(found))) if thorough else {}
    return found + list(broken)
