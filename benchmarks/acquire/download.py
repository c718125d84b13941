"""Downloads that survive: several mirrors, resumed by HTTP ranges, verified, never half there under the final name."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import logging
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from benchmarks.acquire.sources import human
from falip.errors import UserError

logger = logging.getLogger(__name__)

CHUNK = 1 << 20
TIMEOUT_S = 60.0
TRIES = 4
"""How often a connection that broke is taken up again before the next mirror's turn."""
PAUSE_S = 1.0
"""The wait before the first new try; doubled for each further one."""
_PASSING = (429, 500, 502, 503, 504)
"""HTTP states that may pass: too many requests, and troubles of the server."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Receipt:
    """What was downloaded: from where, how many bytes, and their sha256."""

    url: str
    size: int
    sha256: str


class NoDiskSpaceError(UserError):
    """The disk is full, or will be."""


class _MirrorFailedError(Exception):
    """This address cannot serve the file; the next one may."""


class _BrokenError(Exception):
    """The connection ended before the file did; what came is kept."""


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    digest: str = "",
    bar: bool = True,
    say: Callable[[str], None] = logger.info,
) -> Receipt:
    """Download a file from the first address that serves it whole.

    A part that an earlier call left is continued. The file appears under `target` when it is complete and verified;
    a receipt lies beside it, by which the next call knows that nothing is left to do.

    Args:
        urls: Addresses in the order of trying.
        target: Where the file goes.
        digest: "<algorithm>:<hex>" that the file must have; "" where none is known.
        bar: Whether to show a progress bar (on a terminal only).
        say: Told of each address that fails and of the one that serves.

    Raises:
        UserError: No address serves the file, or the disk is full.
    """
    done = read_receipt(target)
    if done is not None:
        return done
    target.parent.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    for url in urls:
        try:
            receipt = _from_mirror(url, target, digest, bar, say)
        except _MirrorFailedError as failure:
            failures.append(f"  {url}: {failure}")
            say(f"passed over {url}: {failure}")
            continue
        write_json(_receipt_path(target), asdict(receipt))
        return receipt
    listed = "\n".join(failures)
    raise UserError(
        f"{target.name} could not be downloaded; each address was tried in turn:\n{listed}\n"
        "Run the command again to continue, or name another copy with --mirror BASE_URL "
        f"(it must serve {target.name} below that address)."
    )


def read_receipt(target: Path) -> Receipt | None:
    """The receipt of a finished download, or None where it is not finished (or was cut since)."""
    path = _receipt_path(target)
    if not (path.is_file() and target.is_file()):
        return None
    receipt = Receipt(**json.loads(path.read_text(encoding="utf-8")))
    return receipt if target.stat().st_size == receipt.size else None


def discard(target: Path) -> None:
    """Remove a download, its receipt and its part."""
    for path in (target, _receipt_path(target), _part(target), _part_source(target)):
        path.unlink(missing_ok=True)


def hash_file(path: Path, *algorithms: str) -> tuple[str, ...]:
    """Hex digests of a file, read once."""
    hashes = [hashlib.new(name) for name in algorithms]
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            for each in hashes:
                each.update(chunk)
    return tuple(each.hexdigest() for each in hashes)


def write_json(path: Path, value: object) -> None:
    """Write JSON so that the file is there whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(path)


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise `UserError` where the disk under `folder` has fewer than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NoDiskSpaceError(
            f"{what} needs {human(needed)}, but only {human(free)} are free under {folder}. "
            "Free some space or choose another disk with --root, then run the command again."
        )


def disk_full(path: Path, error: OSError) -> UserError | OSError:
    """The error to raise for a failed write: a `UserError` where the disk is full, else the error itself."""
    if error.errno not in _FULL:
        return error
    return NoDiskSpaceError(
        f"the disk is full: writing {path} failed ({error.strerror}). "
        "Free some space or choose another disk with --root, then run the command again; it continues from there."
    )


def _receipt_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.receipt.json")


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _part_source(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")


def _from_mirror(url: str, target: Path, digest: str, bar: bool, say: Callable[[str], None]) -> Receipt:
    """Download from one address, taking up broken connections, and verify."""
    part = _part(target)
    for attempt in range(TRIES):
        have = _usable(url, target, digest)
        if have and attempt == 0:
            say(f"continuing {target.name} at {human(have)}")
        try:
            _stream(url, target, have, bar)
            break
        except _BrokenError as error:
            if attempt == TRIES - 1:
                raise _MirrorFailedError(str(error)) from None
            logger.info("%s: %s; trying again", url, error)
            time.sleep(PAUSE_S * 2**attempt)
    algorithm, _, wanted = digest.partition(":")
    found = hash_file(part, "sha256", *([algorithm] if digest else []))
    if digest and found[1] != wanted.lower():
        discard(target)
        raise _MirrorFailedError(f"the file has {algorithm} {found[1]}, expected {wanted}; it was thrown away")
    receipt = Receipt(url, part.stat().st_size, found[0])
    part.replace(target)
    _part_source(target).unlink(missing_ok=True)
    return receipt


def _usable(url: str, target: Path, digest: str) -> int:
    """Bytes of the part that this address may continue: its own, or any address's where the digest will tell.

    The part of another address is not thrown away here: this one may be dead, and that one's turn come later.
    """
    part = _part(target)
    if not part.exists() or not (digest or _source_of_part(target).get("url") == url):
        return 0
    return part.stat().st_size


def _source_of_part(target: Path) -> dict[str, str]:
    path = _part_source(target)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _stream(url: str, target: Path, have: int, bar: bool) -> None:
    """Append what is lacking of the file to the `have` bytes of its part; returns when the file is whole."""
    part = _part(target)
    headers = {"User-Agent": "falip-data", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        source = _source_of_part(target)
        if source.get("url") == url and source.get("tag"):
            headers["If-Range"] = source["tag"]
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.unlink()
            raise _BrokenError("the part does not fit the file there, starting over") from None
        failed = _BrokenError if error.code in _PASSING else _MirrorFailedError
        raise failed(f"HTTP {error.code} {error.reason}") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise _MirrorFailedError(str(getattr(error, "reason", error)) or type(error).__name__) from None
    with response:
        if response.headers.get_content_type() == "text/html":
            raise _MirrorFailedError("the answer is a web page, not the file")
        start, total = _place(response, have)
        if total is not None:
            require_space(target.parent, total - start, f"the rest of {target.name}")
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if not start:
            part.write_bytes(b"")  # before the part gets its new source: a kill between must not mix two addresses
        write_json(_part_source(target), {"url": url, "tag": "" if tag.startswith("W/") else tag})
        _append(response, target, start, total, bar)


def _place(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the answer's first byte belongs, and how long the whole file is (None where it does not say)."""
    length = response.headers.get("Content-Length")
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != have:
            raise _MirrorFailedError(f"asked for bytes from {have}, got {response.headers.get('Content-Range')!r}")
        return have, int(match[2]) if match[2] != "*" else None
    return 0, int(length) if length else None


def _append(response: http.client.HTTPResponse, target: Path, start: int, total: int | None, bar: bool) -> None:
    """Write the answer's body into the part from byte `start` on."""
    part = _part(target)
    have = start
    shown = None if bar else True  # tqdm's "disable": None is silent where there is no terminal
    progress = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=target.name, disable=shown, leave=False)
    with part.open("ab") as stream, progress:
        while True:
            try:
                chunk = response.read1(CHUNK)  # read() would hold back up to a whole chunk
            except (http.client.HTTPException, OSError) as error:
                raise _BrokenError(f"the connection broke after {human(have)} ({error})") from None
            if not chunk:
                break
            _write(stream, chunk, part)
            have += len(chunk)
            progress.update(len(chunk))
    if total is not None and have < total:
        raise _BrokenError(f"the connection ended after {have} of {total} bytes")
    if total is not None and have > total:
        part.unlink()
        raise _MirrorFailedError(f"{have} bytes came where {total} were announced")


def _write(stream: BinaryIO, chunk: bytes, path: Path) -> None:
    """Write and flush, so that a kill loses nothing and a full disk is noticed here."""
    try:
        stream.write(chunk)
        stream.flush()
    except OSError as error:
        raise disk_full(path, error) from None
