"""Archives of a hostile or broken mirror: dropped, the next mirror tried, nothing outside of the folder."""

import gzip
import io
import random
import shutil
import struct
import tarfile
import zipfile
from contextlib import suppress

import pytest

from benchmarks.acquire import manifest, unpack
from benchmarks.acquire.unpack import DamagedArchiveError, UnsafeArchiveError
from scripts import data


def tar(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for info, body in members:
            archive.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


def member(name: str, body: bytes = b"", **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(body)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, body


def zipped(*names: str, **changes: object) -> bytes:
    """A zip archive whose members' headers, local and central, are changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names or ("a.txt",):
            archive.writestr(name, b"content")
    body = bytearray(buffer.getvalue())
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        at = body.find(signature) + shift
        if "version" in changes:
            struct.pack_into("<H", body, at + 4 + shift, changes["version"])
        if "flags" in changes:
            struct.pack_into("<H", body, at + 6, changes["flags"])
        if "method" in changes:
            struct.pack_into("<H", body, at + 8, changes["method"])
    return bytes(body)


def sparse(size: int) -> bytes:
    """A tar archive in which a header of 512 bytes claims a file full of holes."""
    return tar(
        member("a.txt", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(size)})
    )


WHOLE = tar(member("a.txt", b"content"), member("b.txt", b"content" * 99))
BROKEN_HEADER = WHOLE[:1024] + bytes([WHOLE[1024] ^ 0xFF]) + WHOLE[1025:]
DAMAGED = {
    "a method that nobody knows": zipped(method=77),
    "encrypted": zipped(flags=1),
    "strongly encrypted": zipped(flags=0x41),
    "patched": zipped(flags=0x20),
    "of a version to come": zipped(version=99),
    "a sparse terabyte": sparse(10**12),
    "a terabyte": tar(member("a.txt", b"x"))[:124] + b"\x80\x00\x00\x00" + (10**12).to_bytes(8, "big") + bytes(376 + 1024),
    "less than nothing": bytes(100) + tar(member("a.txt", b"x"))[100:],
    "a file and a folder": tar(member("a", b"x"), member("a/b", b"x")),
    "a folder and a file": tar(member("a/b", b"x"), member("a", b"x")),
    "a folder of its own and a file": tar(member("a", type=tarfile.DIRTYPE), member("a", b"x")),
    "a zip's file and folder": zipped("a", "a/b"),
    "one name twice": tar(member("a", b"x"), member("./a", b"y")),
    "one name twice in a zip": zipped("a", "b/../a"),
    "no name": tar(member(".", b"x")),
    "a long name": tar(member("n" * 256, b"x")),
    "a long name in a zip": zipped("n" * 300),
    "a long name of few letters": tar(member("é" * 128, b"x")),
    "a long path": tar(member("/".join(["n" * 200] * 30), b"x")),
    "a name that is no text": tar(member("n\udcff", b"x")),
    "a magic number of another": b"\x00" + WHOLE[1:],
    "a picture": b"\xff\xd8\xff\xe0" * 300,
    "nothing": b"",
    "one byte": b"P",
    "a zip's magic and no more": b"PK\x03\x04",
    "cut between two members": WHOLE[:1024],
    "cut within a header": WHOLE[:1100],
    "a header that makes no sense": BROKEN_HEADER,
    "a cut gzip": gzip.compress(WHOLE)[:-9],
    "a gzip with garbage behind": gzip.compress(WHOLE) + b"garbage",
    "a gzip with a wrong checksum": gzip.compress(WHOLE)[:-8] + bytes(8),
    "a gzip that goes on": gzip.compress(WHOLE + bytes(2 * 10**6)),
    "of a depth to fall into": tar(*[member("p", type=tarfile.XHDTYPE)] * 2000, member("a", b"x")),
}


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
def test_what_is_no_whole_archive_is_damage_and_nothing_is_written(tmp_path, body, monkeypatch):
    monkeypatch.setattr(unpack, "GB", 10**6)
    (tmp_path / "archive").write_bytes(body)
    with pytest.raises(DamagedArchiveError) as caught:
        unpack.unpack(tmp_path / "archive", tmp_path / "out")
    assert "archive is damaged" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and "cut" not in str(caught.value)]


def test_an_archive_with_too_many_members_is_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MEMBERS", 5)
    (tmp_path / "archive").write_bytes(tar(*[member(f"d{i}", type=tarfile.DIRTYPE) for i in range(6)]))
    with pytest.raises(DamagedArchiveError, match="more than 5 members"):
        unpack.unpack(tmp_path / "archive", tmp_path / "out")


@pytest.mark.parametrize("kind", ["tar", "zip", "links"])
def test_more_than_is_declared_is_damage(tmp_path, zip_of, kind):
    large = member("a", bytes(600))
    links = [member(f"l{i}", type=tarfile.LNKTYPE, linkname="a") for i in range(3)]
    body = {"tar": tar(large, member("b", bytes(600))), "zip": zip_of({"a": bytes(1200)}), "links": tar(large, *links)}[
        kind
    ]
    (tmp_path / "archive").write_bytes(body)
    with pytest.raises(DamagedArchiveError, match="more than 1 kB"):
        unpack.unpack(tmp_path / "archive", tmp_path / "out", most=1000)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tar_that_the_disk_cannot_hold_is_told_before_a_byte_is_written(tmp_path, monkeypatch, mode):
    (tmp_path / "archive").write_bytes(tar(member("a", bytes(10_000)), member("b", bytes(10_000)), mode=mode))
    usage = shutil.disk_usage(tmp_path)._replace(free=15_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(data.UserError, match="needs 20 kB, but only 15 kB are free"):
        unpack.unpack(tmp_path / "archive", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_tar_that_holds_a_zip_is_a_tar(tmp_path, zip_of):
    (tmp_path / "archive").write_bytes(tar(member("inner.zip", zip_of({"x": b"y"}))))
    unpack.unpack(tmp_path / "archive", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["inner.zip"]


def test_any_byte_that_flips_in_a_small_archive_is_damage_or_stays_inside(tmp_path):
    choose = random.Random(1)
    for body in (WHOLE, gzip.compress(WHOLE), zipped("a.txt", "d/b.txt")):
        for _ in range(60):
            changed = bytearray(body)
            changed[choose.randrange(len(body))] ^= 1 << choose.randrange(8)
            (tmp_path / "archive").write_bytes(changed)
            with suppress(DamagedArchiveError, UnsafeArchiveError):
                unpack.unpack(tmp_path / "archive", tmp_path / "out")
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("what", ["damaged", "unsafe", "incomplete", "half a picture"])
def test_the_next_mirror_serves_what_the_first_has_broken(server, small, cub_archive, tar_of, tmp_path, capsys, what):
    small("cub")
    broken = {
        "damaged": zipped(method=77),
        "unsafe": tar_of({"../../escaped": b"evil"}),
        "incomplete": tar_of({"CUB_200_2011/images.txt": b"1 x"}),
        "half a picture": with_half_a_picture(cub_archive),
    }[what]
    server.add("mirror/CUB_200_2011.tgz", broken)
    server.add("CUB_200_2011.tgz", cub_archive)
    root = tmp_path / "data"
    command = ["cub", "--root", str(root), "--mirror", f"{server.base}/mirror"]
    assert data.main(command) == 0
    assert capsys.readouterr().out.count("passed over") == 1
    assert manifest.read(root / "CUB_200_2011").sources[0].url == f"{server.base}/CUB_200_2011.tgz"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize("what", ["encrypted", "a sparse terabyte", "a folder and a file", "a long name"])
def test_where_no_mirror_is_whole_one_message_names_the_file_and_the_mend(server, small, tmp_path, capsys, what):
    small("cub")
    server.add("CUB_200_2011.tgz", DAMAGED[what])
    assert data.main(["cub", "--root", str(tmp_path / "data")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: CUB_200_2011.tgz is damaged") and "--mirror BASE_URL" in said and said.count("\n") == 1
    assert not list(tmp_path.rglob("*.tgz")) and not (tmp_path / "data" / "CUB_200_2011").exists()


def with_half_a_picture(archive: bytes) -> bytes:
    found = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        for info in opened:
            body = opened.extractfile(info).read()
            found.append(member(info.name, body[: len(body) // 2] if info.name.endswith("b.jpg") else body))
    return tar(*found, mode="w:gz")
