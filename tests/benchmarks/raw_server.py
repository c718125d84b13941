"""A server that answers with the very bytes it is given, for answers that no library of servers would make."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = bytes | Callable[[socket.socket], None]


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """The bytes of an answer with these headers and no others."""
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, "")).encode("latin-1") + body


class RawServer:
    """What is answered for each path, byte by byte or by a function of the socket, and how often anything was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.base = ""

    def add(self, path: str, given: Answer) -> str:
        self.answers[f"/{path}"] = given
        return f"{self.base}/{path}"

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, IndexError):
            connection.settimeout(20)
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65536)
                if not received:
                    return
                head += received
            path = head.split(b" ", 2)[1].decode("latin-1").partition("?")[0]
            self.asked.append(path)
            given = self.answers.get(path, answer(b"", "Content-Length: 0", status="404 Not Found"))
            if isinstance(given, bytes):
                connection.sendall(given)
            else:
                given(connection)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):  # a close with unread bytes would be a reset, not an end
                pass


@contextmanager
def raw_serving() -> Iterator[RawServer]:
    """A server while the block runs."""
    server = RawServer()
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    server.base = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=server._serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
