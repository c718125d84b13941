"""Answers that lie, stall or never end: the address is passed over in a bounded time, the next one asked."""

import time

import pytest
from raw_server import answer, raw_serving

from benchmarks.acquire import connection, download
from benchmarks.acquire.disk import NoDiskSpaceError
from falip.errors import UserError

BODY = bytes(range(256)) * 40
LENGTH = f"Content-Length: {len(BODY)}"


@pytest.fixture
def raw():
    with raw_serving() as server:
        yield server


@pytest.fixture
def quick(monkeypatch):
    """A second of patience is a fifth of one."""
    monkeypatch.setattr(connection, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(download, "TRIES", 2)


def trickle(first: bytes, more: bytes, pause: float = 0.05):
    """Sends a beginning, then a few bytes again and again."""

    def send(client):
        client.sendall(first)
        while True:
            client.sendall(more)
            time.sleep(pause)

    return send


@pytest.mark.parametrize("stated", ["abc", "-5", "+5", "1e3", "", "٣", "9" * 400, "9" * 5000, "0x10", "1_0", "1 000"])
def test_a_length_that_is_none_is_as_good_as_no_length(raw, tmp_path, stated):
    url = raw.add("f", answer(BODY, f"Content-Length: {stated}".encode().decode("latin-1")))
    download.fetch([url], tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer(BODY, LENGTH, "Content-Length: 7"), "several lengths"),
        (answer(BODY, "Content-Length: 7, 8"), "several lengths"),
        (answer(BODY[:9], LENGTH), "ended after"),
        (answer(b"", "Content-Length: 0"), "empty"),
        (b"", "Remote end closed"),
        (b"\x00\xff\x00", "Remote end closed|nothing|\\x00"),
        (b"HTTP/1.1 200 OK\r\nX", "empty"),
        (answer(b"", status="204 No Content"), "HTTP 204"),
        (answer(b"", "Location: /f", status="302 Found"), "HTTP 302"),
        (answer(b"", "Location: ftp://127.0.0.1/f\x7f", status="302 Found"), "."),
        (answer(b"", "Location: file:///etc/hostname", status="302 Found"), "302|not allowed"),
        (answer(b"", "Location: http://[bad", status="302 Found"), "."),
        (answer(b"ff\r\nshort", "Transfer-Encoding: chunked"), "connection broke"),
        (answer(b"zz\r\nshort", "Transfer-Encoding: chunked"), "connection broke"),
        (answer(BODY, "Content-Range: bytes 5-9/10", LENGTH, status="206 Partial Content"), "asked for bytes from 0"),
        (answer(BODY, "Content-Range: bytes 0-9/5", LENGTH, status="206 Partial Content"), "asked for bytes from 0"),
        (answer(BODY, "Content-Range: nonsense", LENGTH, status="206 Partial Content"), "asked for bytes from 0"),
        (
            answer(BODY, "Content-Range: bytes 0-20479/*", "Content-Length: 9", status="206 Partial Content"),
            "asked for bytes from 9",
        ),
        (b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(200)) + b"\r\n", "headers"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", "line"),
    ],
)
def test_a_broken_answer_sends_to_the_next_address(raw, quick, tmp_path, given, said):
    bad, good = raw.add("f", given), raw.add("good", answer(BODY, LENGTH))
    told: list[str] = []
    receipt = download.fetch([bad, good], tmp_path / "f", say=told.append)
    assert receipt.url == good and (tmp_path / "f").read_bytes() == BODY
    assert len(told) == 1 and "\n" not in told[0]
    with pytest.raises(UserError, match=rf"(?s)each address was tried in turn.*({said}).*--mirror"):
        download.fetch([bad], tmp_path / "again")


def test_a_server_that_cannot_continue_is_asked_for_the_whole(raw, tmp_path):
    wrong = answer(b"x", "Content-Range: bytes 0-0/1", "Content-Length: 1", status="206 Partial Content")
    answers = [answer(BODY[:99], LENGTH), wrong, answer(BODY, LENGTH)]
    url = raw.add("f", lambda client: client.sendall(answers.pop(0)))
    download.fetch([url], tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY and not answers


@pytest.mark.parametrize(
    "given",
    [
        trickle(answer(BODY[:50], LENGTH), b"x"),
        trickle(b"HTTP/1.1 200 OK\r\n", b"X"),
        trickle(answer(b"", "Transfer-Encoding: chunked"), b"0"),
        trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000, 0.0),
        trickle(answer(b"", "Location: /f", status="302 Found"), b"x" * 1000, 0.0),
        lambda client: client.recv(1),
    ],
    ids=["body", "head", "chunk size", "continue", "redirect", "silence"],
)
def test_a_server_that_stalls_or_drips_costs_a_bounded_time(raw, quick, tmp_path, given):
    bad, good = raw.add("f", given), raw.add("good", answer(BODY, LENGTH))
    begun = time.monotonic()
    assert download.fetch([bad, good], tmp_path / "f").url == good
    assert time.monotonic() - begun < 5


def test_a_body_without_end_stops_at_what_the_file_can_have(raw, tmp_path):
    bad = raw.add("f", trickle(answer(b""), b"x" * 100_000, 0.0))
    good = raw.add("good", answer(BODY, LENGTH))
    assert download.fetch([bad, good], tmp_path / "f", most=1_000_000).url == good
    assert not list(tmp_path.glob("*.part*"))


def test_a_body_without_end_or_length_leaves_half_of_the_disk(raw, tmp_path, monkeypatch):
    usage = download.shutil.disk_usage(tmp_path)._replace(free=400_000)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
    url = raw.add("f", trickle(answer(b""), b"x" * 100_000, 0.0))
    with pytest.raises(UserError, match="more than 200000 bytes came"):
        download.fetch([url], tmp_path / "f")


def test_a_stated_size_that_no_disk_holds_is_that_addresss_fault_where_another_serves(raw, tmp_path):
    lying = raw.add("f", answer(BODY, "Content-Length: 999999999999999999"))
    good = raw.add("good", answer(BODY, LENGTH))
    assert download.fetch([lying, good], tmp_path / "f").url == good
    with pytest.raises(NoDiskSpaceError, match="Free some space"):
        download.fetch([lying], tmp_path / "again")


RECEIPTS = (
    *("", "{", "[]", "null", "3", "[" * 5000, '{"url": 1}', '{"size": NaN}', '{"url": "\\ud800", "more": {}}'),
    '{"url": "u", "size": 1e999, "sha256": "x"}',
    f'{{"url": "u", "size": {"9" * 5000}, "sha256": "{"0" * 64}"}}',
    f'{{"url": "u", "size": 3.0, "sha256": "{"0" * 64}"}}',
)


@pytest.mark.parametrize("receipt", RECEIPTS, ids=range(len(RECEIPTS)))
def test_a_receipt_that_makes_no_sense_is_none(raw, tmp_path, receipt):
    url = raw.add("f", answer(BODY, LENGTH))
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "f.receipt.json").write_text(receipt)
    (tmp_path / "f.part").write_bytes(b"part")
    (tmp_path / "f.part.json").write_text(receipt)
    assert download.fetch([url], tmp_path / "f").url == url
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_tag_that_cannot_be_sent_back_is_not(raw, quick, tmp_path):
    url = raw.add("f", answer(BODY[:99], LENGTH, 'ETag: "a\xff\x01"'))
    with pytest.raises(UserError, match="ended after"):
        download.fetch([url], tmp_path / "f")
    assert download.read_object(tmp_path / "f.part.json") == {"url": url, "tag": ""}
