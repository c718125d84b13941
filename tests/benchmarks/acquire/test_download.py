"""Downloads: resumed, verified, taken from the next address when one fails."""

import errno
import hashlib
import shutil
from pathlib import Path

import pytest

from benchmarks.acquire import download
from falip.errors import UserError

BODY = bytes(range(256)) * 1500


def sha(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def interrupted(path: Path, url: str, kept: int, tag: str = '"v1"') -> None:
    """Leave on disk what a killed download leaves."""
    path.with_name(f"{path.name}.part").write_bytes(BODY[:kept])
    download.write_json(path.with_name(f"{path.name}.part.json"), {"url": url, "tag": tag})


def test_a_file_arrives_whole_with_its_receipt(server, tmp_path):
    url = server.add("file.bin", BODY)
    receipt = download.fetch([url], tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert receipt == download.Receipt(url, len(BODY), hashlib.sha256(BODY).hexdigest())
    assert not list(tmp_path.glob("*.part*"))


def test_a_second_call_asks_nothing(server, tmp_path):
    url = server.add("file.bin", BODY)
    first = download.fetch([url], tmp_path / "file.bin")
    assert download.fetch([url], tmp_path / "file.bin") == first
    assert len(server.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_part_is_continued_or_replaced_where_the_server_knows_no_ranges(server, tmp_path, ranges):
    url = server.add("file.bin", BODY, ranges=ranges)
    interrupted(tmp_path / "file.bin", url, 100_000)
    download.fetch([url], tmp_path / "file.bin")
    assert server.asked == [("/file.bin", "bytes=100000-")]
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, tmp_path):
    url = server.add("file.bin", BODY, cuts=[1000, 2000])
    download.fetch([url], tmp_path / "file.bin")
    assert [asked for _, asked in server.asked] == [None, "bytes=1000-", "bytes=3000-"]
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_a_file_that_changed_on_the_server_is_not_glued_to_the_old_part(server, tmp_path):
    url = server.add("file.bin", BODY[::-1], tag='"v2"')
    interrupted(tmp_path / "file.bin", url, 100_000, tag='"v1"')
    download.fetch([url], tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY[::-1]


def test_a_part_that_is_whole_already_is_accepted(server, tmp_path):
    url = server.add("file.bin", BODY)
    interrupted(tmp_path / "file.bin", url, len(BODY))
    download.fetch([url], tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_started_over(server, tmp_path):
    url = server.add("file.bin", BODY[:50_000])
    interrupted(tmp_path / "file.bin", url, 100_000)
    download.fetch([url], tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY[:50_000]


def test_a_part_from_another_address_is_kept_only_where_a_digest_will_tell(server, tmp_path):
    url = server.add("copy.bin", BODY)
    interrupted(tmp_path / "a.bin", "http://elsewhere/", 100_000)
    interrupted(tmp_path / "b.bin", "http://elsewhere/", 100_000)
    download.fetch([url], tmp_path / "a.bin")
    download.fetch([url], tmp_path / "b.bin", digest=sha(BODY))
    assert [asked for _, asked in server.asked] == [None, "bytes=100000-"]


def test_a_part_of_the_second_address_outlives_a_dead_first_one(server, dead_base, tmp_path):
    gone = f"{server.base}/gone.bin"
    url = server.add("file.bin", BODY)
    interrupted(tmp_path / "file.bin", url, 100_000)
    download.fetch([f"{dead_base}/file.bin", gone, url], tmp_path / "file.bin")
    assert server.asked == [("/gone.bin", None), ("/file.bin", "bytes=100000-")]
    assert (tmp_path / "file.bin").read_bytes() == BODY


def test_a_server_in_passing_trouble_is_asked_again(server, tmp_path):
    url = server.add("busy.bin", BODY, status=503)
    with pytest.raises(UserError, match="HTTP 503"):
        download.fetch([url], tmp_path / "file.bin")
    assert len(server.asked) == download.TRIES


def test_a_file_that_stays_short_is_never_accepted_and_its_part_is_kept(server, tmp_path):
    url = server.add("file.bin", BODY, cuts=[1000] * 10)
    with pytest.raises(UserError, match=r"ended after 4000 of 384000 bytes[\s\S]*Run the command again"):
        download.fetch([url], tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()
    assert (tmp_path / "file.bin.part").stat().st_size == 4000


def test_dead_and_failing_addresses_are_reported_and_passed_over(server, dead_base, tmp_path):
    server.add("gone.bin", b"", status=403)
    page = server.add("login.bin", b"<html>log in</html>", kind="text/html; charset=utf-8")
    good = server.add("file.bin", BODY)
    said: list[str] = []
    urls = [f"{dead_base}/file.bin", f"{server.base}/gone.bin", page, good]
    assert download.fetch(urls, tmp_path / "file.bin", say=said.append).url == good
    assert [line.split(": ")[0] for line in said] == [f"passed over {url}" for url in urls[:3]]
    assert "refused" in said[0] and "HTTP 403" in said[1] and "web page" in said[2]


def test_where_all_addresses_fail_the_error_names_each_and_the_mend(server, dead_base, tmp_path):
    with pytest.raises(UserError) as caught:
        download.fetch([f"{dead_base}/f", f"{server.base}/f"], tmp_path / "file.bin")
    assert f"{dead_base}/f" in str(caught.value) and "HTTP 404" in str(caught.value)
    assert "--mirror" in str(caught.value)


def test_a_wrong_checksum_sends_to_the_next_address(server, tmp_path):
    bad = server.add("bad.bin", BODY[:-1] + b"!")
    good = server.add("good.bin", BODY)
    said: list[str] = []
    receipt = download.fetch([bad, good], tmp_path / "file.bin", digest=sha(BODY), say=said.append)
    assert receipt.url == good and "expected" in said[0]


def test_a_wrong_checksum_everywhere_is_an_error_and_leaves_nothing(server, tmp_path):
    url = server.add("bad.bin", BODY)
    with pytest.raises(UserError, match=r"md5 .*, expected 0123"):
        download.fetch([url], tmp_path / "file.bin", digest="md5:0123")
    assert not list(tmp_path.iterdir())


def test_too_little_disk_is_told_before_a_byte_is_written(server, tmp_path, monkeypatch):
    url = server.add("file.bin", BODY)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"needs 384 kB, but only 1 kB are free .*--root"):
        download.fetch([url], tmp_path / "file.bin")
    assert not (tmp_path / "file.bin.part").exists()


def test_a_disk_that_fills_up_is_told_and_the_part_continues(server, tmp_path, monkeypatch):
    url = server.add("file.bin", BODY)
    real = download._write

    class FullDisk:
        """A file on a disk that takes 1,000 bytes more."""

        def __init__(self, stream):
            self.stream = stream

        def write(self, chunk):
            self.stream.write(chunk[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self):
            self.stream.flush()

    def full(stream, chunk, path):
        real(FullDisk(stream), chunk, path)

    monkeypatch.setattr(download, "_write", full)
    with pytest.raises(UserError, match="the disk is full"):
        download.fetch([url], tmp_path / "file.bin")
    monkeypatch.setattr(download, "_write", real)
    download.fetch([url], tmp_path / "file.bin")
    assert server.asked[-1] == ("/file.bin", "bytes=1000-")
    assert (tmp_path / "file.bin").read_bytes() == BODY
