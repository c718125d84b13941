"""Unpacking archives that nobody here has made: nothing leaves the folder, nothing but files and folders is made."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from benchmarks.acquire.download import disk_full, require_space
from falip.errors import UserError


class DamagedArchiveError(Exception):
    """The archive is cut short or is no archive; another copy of it may be whole."""


class UnsafeArchiveError(UserError):
    """The archive asks for something that no data set needs: a path outside, a device, a link that leads out."""


def unpack(archive: Path, folder: Path, only: Collection[str] = ()) -> None:
    """Unpack a tar (plain or compressed) or zip archive into a folder.

    Links that stay inside are replaced by copies of what they point to, so that no link is ever made.

    Args:
        archive: The file.
        folder: Made where it is missing. It may hold a part of the content after an error.
        only: Members to unpack, by their path in the archive; empty for all.

    Raises:
        DamagedArchiveError: The archive is truncated or otherwise unreadable.
        UserError: A member is unsafe (`UnsafeArchiveError`), the archive lacks a member of `only`, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reader = _unpack_zip if zipfile.is_zipfile(archive) else _unpack_tar
    found = reader(archive, folder, only)
    lacking = sorted(set(only) - found)
    if lacking:
        raise UserError(f"{archive.name} does not hold {', '.join(lacking)}. Name another copy with --mirror BASE_URL.")


def _unpack_zip(archive: Path, folder: Path, only: Collection[str]) -> set[str]:
    found: set[str] = set()
    with _damage(archive, folder), zipfile.ZipFile(archive) as opened:
        members = [m for m in opened.infolist() if not only or m.filename in only]
        require_space(folder, sum(m.file_size for m in members), f"unpacking {archive.name}")
        for member in members:
            path = _inside(archive, folder, member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unsafe(archive, member.filename, "is neither a file nor a folder")
            if member.flag_bits & 0x1:
                raise UserError(f"{archive.name} is encrypted ({member.filename}). Name another copy with --mirror.")
            found.add(member.filename)
            if member.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            with opened.open(member) as source:
                _copy(source, path)
    return found


def _unpack_tar(archive: Path, folder: Path, only: Collection[str]) -> set[str]:
    found: set[str] = set()
    links: list[tuple[str, Path, Path]] = []
    with _damage(archive, folder), tarfile.open(archive) as opened:
        for member in opened:
            name = str(PurePosixPath(member.name))
            path = _inside(archive, folder, member.name)
            if only and name not in only:
                continue
            found.add(name)
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
            elif member.issym() or member.islnk():
                base = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
                links.append((member.name, path, _inside(archive, folder, str(base / member.linkname))))
            elif member.isreg():
                source = opened.extractfile(member)
                if source is None:
                    raise DamagedArchiveError(f"{member.name} has no content")
                _copy(source, path)
                if path.stat().st_size != member.size:
                    raise DamagedArchiveError(f"{member.name} is cut short")
            else:
                raise _unsafe(archive, member.name, "is neither a file nor a folder")
    for name, path, source in links:
        if not source.is_file():
            raise _unsafe(archive, name, "is a link to something that the archive does not hold as a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as stream:
            _copy(stream, path)
    return found


def _inside(archive: Path, folder: Path, name: str) -> Path:
    """The path of a member below `folder`; raises where the name leads out of it."""
    parts: list[str] = []
    for part in PurePosixPath(name).parts:
        if part == "..":
            if not parts:
                raise _unsafe(archive, name, "leads out of the folder")
            parts.pop()
        else:
            parts.append(part)
    if PurePosixPath(name).is_absolute() or "\\" in name or "\0" in name or (parts and ":" in parts[0]):
        raise _unsafe(archive, name, "leads out of the folder")
    return folder.joinpath(*parts)


def _unsafe(archive: Path, member: str, why: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(
        f"{archive.name} is not safe to unpack: its member {member!r} {why}. Nothing of it was kept. "
        "Name another copy with --mirror BASE_URL, and tell whoever publishes this one."
    )


def _copy(source: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


@contextmanager
def _damage(archive: Path, folder: Path) -> Iterator[None]:
    """Turn the many ways in which the standard library reports a broken archive into one."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise DamagedArchiveError(f"{archive.name} is damaged or cut short ({error})") from None
    except OSError as error:
        if error.errno is None:  # gzip, bz2 and lzma report bad data as an OSError without a number
            raise DamagedArchiveError(f"{archive.name} is damaged ({error})") from None
        raise disk_full(folder, error) from None
