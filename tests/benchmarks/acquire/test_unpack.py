"""Unpacking: nothing leaves the folder, damage is noticed, links become copies."""

import errno
import io
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from benchmarks.acquire.unpack import DamagedArchiveError, UnsafeArchiveError, unpack
from falip.errors import UserError

FILES = {"top/a.txt": b"a" * 3000, "top/deep/b.bin": bytes(range(256)) * 64}


def special_tar(path, kind, name="top/odd", target=""):
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("top/a.txt")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_every_kind_of_archive_is_unpacked(tmp_path, tar_of, zip_of, mode):
    archive = tmp_path / "archive"
    archive.write_bytes(zip_of(FILES) if mode == "zip" else tar_of(FILES, mode))
    unpack(archive, tmp_path / "out")
    assert {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in (tmp_path / "out").rglob("*.*")} == FILES


@pytest.mark.parametrize("name", ["../escaped.txt", "top/../../escaped.txt", "/tmp/escaped.txt", "..\\escaped.txt"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_path_that_leads_out_is_refused(tmp_path, tar_of, zip_of, name, kind):
    archive = tmp_path / "archive"
    archive.write_bytes({"tar": tar_of, "zip": zip_of}[kind]({"a.txt": b"a", name: b"evil"}))
    with pytest.raises(UnsafeArchiveError, match="not safe to unpack"):
        unpack(archive, tmp_path / "in" / "out")
    assert not list(tmp_path.rglob("*escaped*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["../../secret", "/etc/hostname"])
def test_a_link_that_leads_out_is_refused(tmp_path, kind, target):
    (tmp_path / "secret").write_text("secret")
    archive = special_tar(tmp_path / "a.tar", kind, target=target)
    with pytest.raises(UnsafeArchiveError):
        unpack(archive, tmp_path / "out")


def test_nothing_is_written_through_a_link(tmp_path):
    # A link to a folder, then a file below it: the classic way out of a naive check of names.
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("door")
        link.type, link.linkname = tarfile.SYMTYPE, "."
        archive.addfile(link)
        info = tarfile.TarInfo("door/file")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(UnsafeArchiveError):
        unpack(path, tmp_path / "out")
    assert not any(p.is_symlink() for p in tmp_path.rglob("*"))


def test_a_link_inside_becomes_a_copy(tmp_path):
    unpack(special_tar(tmp_path / "a.tar", tarfile.SYMTYPE, target="a.txt"), tmp_path / "out")
    copy = tmp_path / "out" / "top" / "odd"
    assert copy.read_bytes() == b"abc" and not copy.is_symlink()


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_a_device_is_refused(tmp_path, kind):
    with pytest.raises(UnsafeArchiveError, match="neither a file nor a folder"):
        unpack(special_tar(tmp_path / "a.tar", kind), tmp_path / "out")


def test_a_link_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/hostname")
    with pytest.raises(UnsafeArchiveError):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("mode", ["w", "w:gz", "zip"])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_truncated_archive_is_noticed(tmp_path, tar_of, zip_of, mode, share):
    files = {f"{i}.bin": bytes([i]) * 1000 + bytes(range(256)) * 40 for i in range(20)}
    whole = zip_of(files) if mode == "zip" else tar_of(files, mode)
    (tmp_path / "archive").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DamagedArchiveError):
        unpack(tmp_path / "archive", tmp_path / "out")


def test_a_flipped_byte_in_a_compressed_archive_is_noticed(tmp_path, zip_of):
    body = bytearray(zip_of({"a.bin": bytes(range(256)) * 100}))
    body[60] ^= 0xFF
    (tmp_path / "archive").write_bytes(body)
    with pytest.raises(DamagedArchiveError):
        unpack(tmp_path / "archive", tmp_path / "out")


def test_a_web_page_is_no_archive(tmp_path):
    (tmp_path / "archive").write_text("<html>sorry</html>")
    with pytest.raises(DamagedArchiveError):
        unpack(tmp_path / "archive", tmp_path / "out")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_chosen_members_only(tmp_path, tar_of, zip_of, kind):
    archive = tmp_path / "archive"
    archive.write_bytes({"tar": tar_of, "zip": zip_of}[kind](FILES))
    unpack(archive, tmp_path / "out", only=["top/a.txt"])
    assert [p.name for p in (tmp_path / "out").rglob("*.*")] == ["a.txt"]
    with pytest.raises(DamagedArchiveError, match="does not hold top/absent"):
        unpack(archive, tmp_path / "out", only=["top/absent"])


def test_a_full_disk_is_told(tmp_path, tar_of, monkeypatch):
    (tmp_path / "archive").write_bytes(tar_of(FILES))

    real = Path.open

    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda path, mode="r": real(path, mode) if "w" not in mode else full())
    with pytest.raises(UserError, match="the disk is full"):
        unpack(tmp_path / "archive", tmp_path / "out")


def test_a_zip_that_would_not_fit_is_refused_before_it_is_unpacked(tmp_path, zip_of, monkeypatch):
    (tmp_path / "archive").write_bytes(zip_of({"bomb.bin": bytes(10_000_000)}))
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match="needs 10 MB, but only 1 MB are free"):
        unpack(tmp_path / "archive", tmp_path / "out")
    assert not (tmp_path / "out" / "bomb.bin").exists()
