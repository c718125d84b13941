"""Unpacking archives that nobody here has made: nothing leaves the folder, nothing but files and folders is made.

An archive is looked through before anything of it is written: names, kinds, sizes, and whether it goes on to its end.
"""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from benchmarks.acquire.disk import CHUNK, make_folder, require_space, write_failed
from benchmarks.acquire.sources import GB, MB, human
from falip.errors import UserError

MEMBERS = 500_000
"""Members that an archive has at most; the largest data set here has a tenth of it."""
RATIO = 50
"""How much larger than the archive its content may be, where the publisher states no size; small ones may reach 1 GB."""
_NAME, _PATH = 255, 3_000
"""Bytes in the name of a file and in its path that file systems take."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_BLOCK = 512
# What zipfile, tarfile and the modules below them raise for bytes that make no sense to them.
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(RuntimeError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, MemoryError),
)


class DamagedArchiveError(Exception):
    """The archive is cut short, is no archive, or not what it should be; another copy of it may be whole."""


class UnsafeArchiveError(UserError):
    """The archive asks for something that no data set needs: a path outside, a device, a link that leads out."""


@dataclass(frozen=True)
class _Member:
    """One entry of an archive.

    Attributes:
        name: As the archive has it.
        kind: "file", "folder", "link", or what it is instead.
        size: Bytes of its content.
        link: For a link, what it points to, counted from the top of the archive.
        info: By which the archive gives its content.
    """

    name: str
    kind: str
    size: int = 0
    link: str = ""
    info: zipfile.ZipInfo | tarfile.TarInfo | None = None


def unpack(archive: Path, folder: Path, only: Collection[str] = (), most: int | None = None) -> None:
    """Unpack a tar (plain or compressed) or zip archive into a folder.

    Links that stay inside are replaced by copies of what they point to, so that no link is ever made.

    Args:
        archive: The file.
        folder: Made where it is missing. It may hold a part of the content after an error.
        only: Members to unpack, by their path in the archive; empty for all.
        most: Bytes that the content has at most; None for what archives of this size can hold.

    Raises:
        DamagedArchiveError: The archive is truncated, otherwise unreadable, or lacks a member of `only`.
        UserError: A member is unsafe (`UnsafeArchiveError`), or the disk is full.
    """
    make_folder(folder)
    if most is None:
        most = max(GB, RATIO * archive.stat().st_size)
    with _damage(archive), _opened(archive, most) as opened:
        plan = _Plan(archive, folder, most)
        for member in opened.members():
            plan.add(member, only)
        plan.check(only)
        require_space(folder, plan.size, f"unpacking {archive.name}")
        for path in plan.folders:
            make_folder(path)
        for path, member in plan.files.items():
            with opened.content(member) as source:
                _copy(source, path, member)
        for path, source in plan.links.items():
            with source.open("rb") as stream:
                _copy(stream, path)


class _Plan:
    """What is to be written, by path; each member is checked as it is added."""

    def __init__(self, archive: Path, folder: Path, most: int) -> None:
        self.files: dict[Path, _Member] = {}
        self.folders: dict[Path, None] = {}
        self.links: dict[Path, Path] = {}
        self.size = 0
        self._archive, self._top, self._most = archive, folder, most
        self._sizes: dict[Path, int] = {}
        self._targets: dict[Path, tuple[str, Path]] = {}
        self._found: set[str] = set()
        self._count = 0

    def add(self, member: _Member, only: Collection[str]) -> None:
        """Take up a member, unless it is none of the chosen ones."""
        self._count += 1
        if self._count > MEMBERS:
            raise DamagedArchiveError(f"it has more than {MEMBERS} members")
        path = _inside(self._archive, self._top, member.name)
        place = path.relative_to(self._top).as_posix()
        if only and place not in only:
            return
        self._found.add(place)
        if member.kind == "folder":
            self.folders[path] = None
        elif member.kind == "file":
            self._claim(path, member.name, member.size)
            self.files[path] = member
        elif member.kind == "link":
            target = _inside(self._archive, self._top, member.link)
            self._claim(path, member.name, 0)
            self._targets[path] = (member.name, target)
        else:
            raise _unsafe(self._archive, member.name, f"is {member.kind}")

    def _claim(self, path: Path, name: str, size: int) -> None:
        if path == self._top:
            raise DamagedArchiveError(f"its member {name!r} has no name")
        if path in self._sizes:
            raise DamagedArchiveError(f"it has two members of the name {name!r}")
        self._sizes[path] = size
        self.size += size
        if size < 0 or self.size > self._most:
            raise DamagedArchiveError(f"it claims to hold more than {human(self._most)}, up to its member {name!r}")

    def check(self, only: Collection[str]) -> None:
        """Check what can be told only when all members are known; find what links point to."""
        lacking = sorted(set(only) - self._found)
        if lacking:
            raise DamagedArchiveError(f"it does not hold {', '.join(lacking)}")
        for path, (name, target) in self._targets.items():
            if target not in self.files and target not in self.links:
                raise _unsafe(self._archive, name, "is a link to something that the archive does not hold as a file")
            self._sizes[path] = self._sizes[target]
            self.links[path] = target
            self.size += self._sizes[path]
            if self.size > self._most:
                raise DamagedArchiveError(f"it claims to hold more than {human(self._most)}, up to its link {name!r}")
        above = {parent for path in (*self._sizes, *self.folders) for parent in path.parents}
        for path in self._sizes:
            if path in above or path in self.folders:
                raise DamagedArchiveError(f"{path.relative_to(self._top).as_posix()!r} is a file and a folder in it")


class _Zip:
    """A zip archive; each member has a checksum, and none gives more than its stated size."""

    def __init__(self, archive: Path, most: int) -> None:
        self._file = zipfile.ZipFile(archive)

    def close(self) -> None:
        self._file.close()

    def members(self) -> Iterator[_Member]:
        for info in self._file.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.flag_bits & 0x1:
                raise DamagedArchiveError(f"its member {info.filename!r} is encrypted")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                yield _Member(info.filename, "neither a file nor a folder")
            elif info.is_dir():
                yield _Member(info.filename, "folder")
            else:
                yield _Member(info.filename, "file", info.file_size, info=info)

    def content(self, member: _Member) -> IO[bytes]:
        assert isinstance(member.info, zipfile.ZipInfo)
        return self._file.open(member.info)


class _Tar:
    """A tar archive; where it is compressed, reading it to its end compares the checksum of the whole."""

    def __init__(self, archive: Path, most: int) -> None:
        self._file = tarfile.open(archive)  # noqa: SIM115 - closed by `close`
        self._most = most

    def close(self) -> None:
        self._file.close()

    def members(self) -> Iterator[_Member]:
        for info in self._file:
            if info.isdir():
                yield _Member(info.name, "folder")
            elif info.issym() or info.islnk():
                base = PurePosixPath(info.name).parent if info.issym() else PurePosixPath()
                yield _Member(info.name, "link", link=str(base / info.linkname))
            elif info.isreg():
                yield _Member(info.name, "file", info.size, info=info)
            else:
                yield _Member(info.name, "neither a file nor a folder")
        self._to_the_end()

    def _to_the_end(self) -> None:
        """A header that makes no sense ends the listing as the closing block of zeros does: tell them apart."""
        stream = self._file.fileobj
        assert stream is not None
        stream.seek(self._file.offset)
        if stream.read(_BLOCK) != bytes(_BLOCK):
            raise DamagedArchiveError("it ends, or makes no sense, before its closing block")
        left = self._most + MB  # padding
        while chunk := stream.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise DamagedArchiveError("it does not end after its closing block")

    def content(self, member: _Member) -> IO[bytes]:
        assert isinstance(member.info, tarfile.TarInfo)
        source = self._file.extractfile(member.info)
        assert source is not None, "a regular file has content"
        return source


@contextmanager
def _opened(archive: Path, most: int) -> Iterator[_Zip | _Tar]:
    with archive.open("rb") as stream:
        kind = _Zip if stream.read(4) in _ZIP else _Tar
    opened = kind(archive, most)
    try:
        yield opened
    finally:
        opened.close()


def _inside(archive: Path, folder: Path, name: str) -> Path:
    """The path of a member below `folder`; raises where the name leads out of it or is none that a file can have."""
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
    path = folder.joinpath(*parts)
    try:
        lengths = [len(part.encode("utf-8")) for part in parts]
    except UnicodeEncodeError:
        raise DamagedArchiveError(f"the name {name[:80]!r} in it is no text") from None
    if max(lengths, default=0) > _NAME or len(os.fsencode(path)) > _PATH:
        raise DamagedArchiveError(f"the name {name[:80]!r}... in it is longer than a file's can be")
    return path


def _unsafe(archive: Path, member: str, why: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(
        f"{archive.name} is not safe to unpack: its member {member[:200]!r} {why}. Nothing of it was kept. "
        "Name another copy with --mirror BASE_URL, and tell whoever publishes this one."
    )


def _copy(source: IO[bytes], path: Path, member: _Member | None = None) -> None:
    """Write a member's content, which must have its stated size."""
    make_folder(path.parent)
    size = 0
    with _created(path) as target:
        while chunk := source.read(CHUNK):
            _write(target, chunk, path)
            size += len(chunk)
    if member is not None and size != member.size:
        raise DamagedArchiveError(f"its member {member.name!r} is cut short")


def _created(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise write_failed(path, error) from None


def _write(stream: BinaryIO, chunk: bytes, path: Path) -> None:
    try:
        stream.write(chunk)
    except OSError as error:
        raise write_failed(path, error) from None


@contextmanager
def _damage(archive: Path) -> Iterator[None]:
    """Turn the many ways in which the standard library reports a broken archive into one."""
    try:
        yield
    except DamagedArchiveError as error:
        raise DamagedArchiveError(f"{archive.name} is damaged or not what it should be: {error}") from None
    except _DAMAGE as error:
        what = " ".join(str(error).split())[:300] or type(error).__name__
        raise DamagedArchiveError(f"{archive.name} is damaged or cut short ({what})") from None
