"""A stand-in server on the loopback interface, and archives in memory, for the tests of acquisition and reproduction."""

import io
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.acquire import coco, download, sources


@dataclass
class Content:
    """What the server answers for a path."""

    body: bytes
    ranges: bool = True
    announce: int | None = -1  # Content-Length; -1: the true one, None: none
    cuts: list[int] = field(default_factory=list)  # for each of the first requests: stop after so many bytes
    hold_after: int | None = None  # stop there until `server.go_on` is set
    kind: str = "application/octet-stream"
    status: int = 200
    tag: str = '"v1"'


class StandIn:
    """The server's content and what was asked of it."""

    def __init__(self) -> None:
        self.content: dict[str, Content] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.go_on = threading.Event()
        self.base = ""

    def add(self, path: str, body: bytes, **options: object) -> str:
        self.content[f"/{path}"] = Content(body, **options)
        return f"{self.base}/{path}"


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked = self.headers.get("Range")
            stand_in.asked.append((path, asked))
            content = stand_in.content.get(path)
            if content is None or content.status != 200:
                self.send_error(content.status if content else 404)
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and content.ranges else 0
            if self.headers.get("If-Range", content.tag) != content.tag:
                start = 0
            if start >= len(content.body) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content.body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._answer(content, start)

        def _answer(self, content: Content, start: int) -> None:
            body = content.body[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", content.kind)
            self.send_header("ETag", content.tag)
            if start:
                total = len(content.body)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if content.announce is not None:
                self.send_header("Content-Length", str(len(body) if content.announce == -1 else content.announce))
            self.end_headers()
            if content.cuts:
                body = body[: content.cuts.pop(0)]
            if content.hold_after is not None:
                self.wfile.write(body[: content.hold_after])
                self.wfile.flush()
                stand_in.go_on.wait(20)
                body = body[content.hold_after :]
            with suppress(OSError):  # the client was killed
                self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[StandIn]:
    """A server while the block runs."""
    stand_in = StandIn()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stand_in))
    httpd.daemon_threads = True
    stand_in.base = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield stand_in
    stand_in.go_on.set()
    httpd.shutdown()
    httpd.server_close()


def isolate(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no waiting between tries, and a failure for any address but the loopback interface."""
    real = socket.getaddrinfo

    def guarded(host: str, *arguments: object, **options: object) -> object:
        assert host in ("127.0.0.1", "localhost"), f"a test tried to reach {host}"
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("FALIP_DATA", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.setattr(download, "PAUSE_S", 0.0)


def shrink(name: str, base: str, monkeypatch: pytest.MonkeyPatch, **changes: object) -> sources.Asset:
    """Make a declared asset small: its files come from the stand-in server, and at most two of each kind are expected."""
    asset = sources.ASSETS[name]
    archives = tuple(replace(a, urls=(f"{base}/{a.file}",), digest="", size=None, unpacked=None) for a in asset.archives)
    expected = tuple(replace(e, count=min(e.count, 2), rows=e.rows and 2) for e in asset.expected)
    made = replace(asset, **({"archives": archives, "expected": expected} | changes))
    monkeypatch.setitem(sources.ASSETS, name, made)
    monkeypatch.setattr(coco, "COCO_IMAGES_BASE", f"{base}/coco/train2014")
    return made


def make_tar(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    """A tar archive of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


def make_zip(members: dict[str, bytes]) -> bytes:
    """A zip archive of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return buffer.getvalue()
