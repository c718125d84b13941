"""Downloads that survive: several mirrors, resumed by HTTP ranges, verified, never half there under the final name."""

from __future__ import annotations

import http.client
import logging
import re
import shutil
import time
import urllib.error
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from tqdm import tqdm

from benchmarks.acquire.connection import ask
from benchmarks.acquire.disk import (
    CHUNK,
    NoDiskSpaceError,
    hash_file,
    make_folder,
    read_object,
    require_space,
    write_failed,
    write_json,
)
from benchmarks.acquire.sources import human
from falip.errors import UserError

logger = logging.getLogger(__name__)

TRIES = 4
"""How often a connection that broke is taken up again before the next mirror's turn."""
PAUSE_S = 1.0
"""The wait before the first new try; doubled for each further one."""
_PASSING = (429, 500, 502, 503, 504)
"""HTTP states that may pass: too many requests, and troubles of the server."""
_WITH_FILE = (None, 200, 203, 206)
"""HTTP states that come with the file; None: the address is that of a local file."""
_COUNT = "[0-9]{1,18}"
"""A number of bytes that can be one."""
_TAG = re.compile(r"(?!W/)[!-~ ]{1,200}")
"""Strong tags of a file's version, and dates, that can be sent back as they came."""


@dataclass(frozen=True)
class Receipt:
    """What was downloaded: from where, how many bytes, and their sha256."""

    url: str
    size: int
    sha256: str


class _MirrorFailedError(Exception):
    """This address cannot serve the file; the next one may.

    Attributes:
        shortage: The error to raise where every address states a size that the disk has no room for.
    """

    def __init__(self, why: str, shortage: NoDiskSpaceError | None = None) -> None:
        super().__init__(" ".join(why.split()))
        self.shortage = shortage


class _BrokenError(Exception):
    """The connection ended before the file did; what came is kept."""


@dataclass(frozen=True)
class _Wanted:
    """A file to download; the attributes are the arguments of `fetch`."""

    target: Path
    digest: str
    most: int | None
    check: Callable[[Path], str]
    bar: bool
    say: Callable[[str], None]

    @property
    def part(self) -> Path:
        return _part(self.target)

    @property
    def algorithm(self) -> str:
        return self.digest.partition(":")[0]

    @property
    def hex(self) -> str:
        return self.digest.partition(":")[2].lower()

    def source_of_part(self) -> dict[str, str]:
        """Address and tag of the part that is there; empty where that is not known."""
        found = read_object(_part_source(self.target))
        return found if all(isinstance(found.get(key), str) for key in ("url", "tag")) else {}


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    digest: str = "",
    most: int | None = None,
    check: Callable[[Path], str] = lambda _: "",
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
        most: Bytes that the file has at most; None where nothing is known.
        check: Says what is wrong with the file that came, "" if nothing is.
        bar: Whether to show a progress bar (on a terminal only).
        say: Told of each address that fails and of the one that serves.

    Raises:
        UserError: No address serves the file, or the disk is full.
    """
    wanted = _Wanted(target, digest, most, check, bar, say)
    done = read_receipt(target)
    if done is not None:
        if (wanted.algorithm != "sha256" or done.sha256 == wanted.hex) and not check(target):
            return done
        discard(target)
    make_folder(target.parent)
    failures: list[_MirrorFailedError] = []
    for url in urls:
        try:
            receipt = _from_mirror(url, wanted)
        except _MirrorFailedError as failure:
            failures.append(failure)
            say(f"passed over {url}: {failure}")
            continue
        write_json(_receipt_path(target), asdict(receipt))
        return receipt
    _give_up(target, urls, failures)


def _give_up(target: Path, urls: Sequence[str], failures: Sequence[_MirrorFailedError]) -> NoReturn:
    shortages = [failure.shortage for failure in failures if failure.shortage is not None]
    if shortages and len(shortages) == len(failures):
        raise shortages[0]
    listed = "\n".join(f"  {url}: {failure}" for url, failure in zip(urls, failures, strict=True))
    raise UserError(
        f"{target.name} could not be downloaded; each address was tried in turn:\n{listed}\n"
        "Run the command again to continue, or name another copy with --mirror BASE_URL "
        f"(it must serve {target.name} below that address)."
    )


def read_receipt(target: Path) -> Receipt | None:
    """The receipt of a finished download, or None where it is not finished, was cut since, or has no whole receipt."""
    found = read_object(_receipt_path(target))
    url, size, sha256 = (found.get(key) for key in ("url", "size", "sha256"))
    if not isinstance(url, str) or not isinstance(size, int) or not isinstance(sha256, str):
        return None
    whole = re.fullmatch(r"[0-9a-f]{64}", sha256) and target.is_file() and target.stat().st_size == size
    return Receipt(url, size, sha256) if whole else None


def discard(target: Path) -> None:
    """Remove a download, its receipt and its part."""
    for path in (target, _receipt_path(target), _part(target), _part_source(target)):
        path.unlink(missing_ok=True)


def _receipt_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.receipt.json")


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _part_source(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")


def _from_mirror(url: str, wanted: _Wanted) -> Receipt:
    """Download from one address, taking up broken connections, and verify."""
    target, part = wanted.target, wanted.part
    for attempt in range(TRIES):
        have = _usable(url, wanted)
        if have and attempt == 0:
            wanted.say(f"continuing {target.name} at {human(have)}")
        try:
            _stream(url, wanted, have)
            break
        except _BrokenError as error:
            if attempt == TRIES - 1:
                raise _MirrorFailedError(str(error)) from None
            logger.info("%s: %s; trying again", url, error)
            time.sleep(PAUSE_S * 2**attempt)
    receipt = Receipt(url, part.stat().st_size, _verified(wanted))
    part.replace(target)
    _part_source(target).unlink(missing_ok=True)
    return receipt


def _verified(wanted: _Wanted) -> str:
    """The sha256 of what came; thrown away where it is not what it should be."""
    found = hash_file(wanted.part, "sha256", *([wanted.algorithm] if wanted.digest else []))
    if not wanted.part.stat().st_size:
        fault = "the answer is empty"
    elif wanted.digest and found[1] != wanted.hex:
        fault = f"the file has {wanted.algorithm} {found[1]}, expected {wanted.hex}; it was thrown away"
    else:
        fault = wanted.check(wanted.part)
    if fault:
        discard(wanted.target)
        raise _MirrorFailedError(fault)
    return found[0]


def _usable(url: str, wanted: _Wanted) -> int:
    """Bytes of the part that this address may continue: its own, or any address's where the digest will tell.

    The part of another address is not thrown away here: this one may be dead, and that one's turn come later.
    """
    if not wanted.part.exists() or not (wanted.digest or wanted.source_of_part().get("url") == url):
        return 0
    return wanted.part.stat().st_size


def _stream(url: str, wanted: _Wanted, have: int) -> None:
    """Append what is lacking of the file to the `have` bytes of its part; returns when the file is whole."""
    response = _answer(url, wanted, have)
    if response is None:
        return
    with response:
        if response.status not in _WITH_FILE:
            raise _MirrorFailedError(f"HTTP {response.status} {response.reason}")
        if response.headers.get_content_type() == "text/html":
            raise _MirrorFailedError("the answer is a web page, not the file")
        start, total = _place(response, wanted.part, have)
        limit = _limit(wanted, start, total)
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if not start:
            _empty(wanted.part)  # before the part gets its new source: a kill between must not mix two addresses
        write_json(_part_source(wanted.target), {"url": url, "tag": tag if _TAG.fullmatch(tag) else ""})
        _append(response, wanted, start, total, limit)


def _answer(url: str, wanted: _Wanted, have: int) -> http.client.HTTPResponse | None:
    """The address's answer to the request for what is lacking; None where it says that nothing is."""
    headers = {"User-Agent": "falip-data", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        source = wanted.source_of_part()
        if source.get("url") == url and source.get("tag"):
            headers["If-Range"] = source["tag"]
    try:
        return ask(url, headers)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return None
            wanted.part.unlink()
            raise _BrokenError("the part does not fit the file there, starting over") from None
        failed = _BrokenError if error.code in _PASSING else _MirrorFailedError
        raise failed(f"HTTP {error.code} {error.reason}") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise _MirrorFailedError(str(getattr(error, "reason", error)) or type(error).__name__) from None


def _place(response: http.client.HTTPResponse, part: Path, have: int) -> tuple[int, int | None]:
    """Where the answer's first byte belongs, and how long the whole file is (None where it does not say)."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0, _stated_length(response)
    stated = response.headers.get("Content-Range", "")
    match = re.fullmatch(rf"bytes ({_COUNT})-({_COUNT})/({_COUNT}|\*)", stated)
    if match is not None:
        first, last = int(match[1]), int(match[2])
        total = last + 1 if match[3] == "*" else int(match[3])  # of an unknown whole the rest was asked for
        if first == have and first <= last < total:
            return have, total
    why = f"asked for bytes from {have}, got {stated[:80]!r}"
    if have:
        part.unlink()
        raise _BrokenError(f"{why}, starting over")
    raise _MirrorFailedError(why)


def _stated_length(response: http.client.HTTPResponse) -> int | None:
    """The length that an answer states; None where it states none or none that can be one."""
    if response.headers.get("Transfer-Encoding"):
        return None  # which outranks a length
    stated = {part.strip() for value in response.headers.get_all("Content-Length", []) for part in value.split(",")}
    if len(stated) > 1:
        raise _MirrorFailedError(f"the answer states several lengths: {', '.join(sorted(stated))[:80]}")
    text = "".join(stated)
    return int(text) if re.fullmatch(_COUNT, text) else None


def _limit(wanted: _Wanted, start: int, total: int | None) -> int:
    """How long the file may become; raises where the answer states more than may be or than the disk has room for.

    An answer that states no length may go on for ever: it gets half of the free disk.
    """
    folder = wanted.target.parent
    if total is None:
        room = start + shutil.disk_usage(folder).free // 2
        return room if wanted.most is None else min(room, wanted.most)
    if wanted.most is not None and total > wanted.most:
        raise _MirrorFailedError(f"the answer states {human(total)}, where at most {human(wanted.most)} can be right")
    try:
        require_space(folder, total - start, f"the rest of {wanted.target.name}")
    except NoDiskSpaceError as error:
        raise _MirrorFailedError(str(error), error) from None
    return total


def _append(response: http.client.HTTPResponse, wanted: _Wanted, start: int, total: int | None, limit: int) -> None:
    """Write the answer's body into the part from byte `start` on."""
    have = start
    shown = None if wanted.bar else True  # tqdm's "disable": None is silent where there is no terminal
    name = wanted.target.name
    progress = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name, disable=shown, leave=False)
    with wanted.part.open("ab") as stream, progress:
        while True:
            try:
                chunk = response.read1(CHUNK)  # read() would hold back up to a whole chunk
            except (http.client.HTTPException, OSError, ValueError) as error:
                raise _BrokenError(f"the connection broke after {human(have)} ({error})") from None
            if not chunk:
                break
            have += len(chunk)
            if have > limit:
                break
            _write(stream, chunk, wanted.part)
            progress.update(len(chunk))
    if have > limit:
        discard(wanted.target)
        raise _MirrorFailedError(f"more than {limit} bytes came, {'as were announced' if total else 'and no end'}")
    if total is not None and have < total:
        raise _BrokenError(f"the connection ended after {have} of {total} bytes")


def _empty(path: Path) -> None:
    try:
        path.write_bytes(b"")
    except OSError as error:
        raise write_failed(path, error) from None


def _write(stream: BinaryIO, chunk: bytes, path: Path) -> None:
    """Write and flush, so that a kill loses nothing and a full disk is noticed here."""
    try:
        stream.write(chunk)
        stream.flush()
    except OSError as error:
        raise write_failed(path, error) from None
