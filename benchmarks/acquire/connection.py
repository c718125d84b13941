"""HTTP connections that end: a server that stalls, drips or redirects without end costs a bounded time."""

from __future__ import annotations

import http.client
import io
import math
import time
import urllib.request
from typing import IO, Any

TIMEOUT_S = 60.0
"""How long a server may send nothing; and the time over which its pace is measured."""
SLOWEST = 1_000
"""Bytes per second: a server that is slower over TIMEOUT_S of waiting is taken for one that stalls."""
_HEAD = 8 << 20
"""Bytes of status lines and headers, far above what http.client takes for one answer (100 lines of 64 kB)."""


class _Paced(io.RawIOBase):
    """The bytes of a connection; raises where they come too slowly, or where a head never ends.

    Only the time spent waiting counts, so that a slow disk or a suspended process is not held against the server.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._waited, self._came = 0.0, 0
        self.left = float(_HEAD)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        begun = time.monotonic()
        count = self._raw.readinto(buffer) or 0
        self._waited += time.monotonic() - begun
        self._came += count
        self.left -= count
        if self.left < 0:
            raise http.client.HTTPException("the head of the answer does not end")
        if self._waited > TIMEOUT_S:
            if self._came < SLOWEST * self._waited:
                raise TimeoutError(f"{self._came} bytes in {self._waited:.0f} s")
            self._waited, self._came = 0.0, 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that is read at a pace from its status line on."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._paced = _Paced(self.fp.detach())
        self.fp = io.BufferedReader(self._paced)

    def begin(self) -> None:
        super().begin()
        self._paced.left = math.inf
        if self.length is not None and not (self.headers.get("Content-Length") or "0").strip().isdecimal():
            self.length = None  # int() takes "+5" and "1_0", too


class _Plain(http.client.HTTPConnection):
    response_class = _Answer


class _Secure(http.client.HTTPSConnection):
    response_class = _Answer


class _PlainHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Plain, req)


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Secure, req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows at most ten redirects, as urllib does, without reading their bodies, one of which may never end."""

    def http_error_302(self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any) -> Any:
        fp.close()
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def ask(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Open an address; proxies are those of the environment.

    Raises:
        urllib.error.URLError, http.client.HTTPException, OSError, ValueError: There is no answer, or none of success.
    """
    opener = urllib.request.build_opener(_PlainHandler, _SecureHandler, _Redirects)
    return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
