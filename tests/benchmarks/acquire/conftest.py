"""A stand-in server on the loopback interface, and small archives in the layouts of the official ones."""

import socket
from collections.abc import Iterator

import pytest
from small_pictures import noise
from stand_in import StandIn, isolate, make_tar, make_zip, serving, shrink

from benchmarks.acquire import sources


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serving() as stand_in:
        yield stand_in


@pytest.fixture
def dead_base() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch)


@pytest.fixture
def small(server: StandIn, monkeypatch: pytest.MonkeyPatch):
    """Make a declared asset small; see `shrink`."""

    def made(name: str, **changes: object) -> sources.Asset:
        return shrink(name, server.base, monkeypatch, **changes)

    return made


@pytest.fixture
def tar_of():
    return make_tar


@pytest.fixture
def zip_of():
    return make_zip


CUB = {
    "attributes.txt": b"1 has_bill_shape::curved\n",
    **{
        f"CUB_200_2011/{name}.txt": b"1 x\n"
        for name in ("images", "image_class_labels", "train_test_split", "bounding_boxes", "classes")
    },
    "CUB_200_2011/images/001.Albatross/a.jpg": noise(1, (160, 120)),
    "CUB_200_2011/images/002.Auklet/b.jpg": noise(2, (160, 120)),
}


@pytest.fixture
def cub_archive() -> bytes:
    """CUB's archive: the folder CUB_200_2011 and a file beside it."""
    return make_tar(CUB)
