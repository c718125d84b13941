"""What stands in the way on the user's own disk is one message; what is written is there whole or not at all."""

import errno
import json
import os
import re
from pathlib import Path

import pytest

from benchmarks.acquire import disk, manifest
from falip.errors import UserError
from scripts import data

CHANGES = {
    "empty": "",
    "a list": "[]",
    "a number": "7",
    "deep": "[" * 5000,
    "files are a list": {"files": []},
    "files are a text": {"files": "x"},
    "a record is a list": {"files": {"a": [1, "x"]}},
    "a size is a text": {"files": {"a": {"size": "1", "sha256": "x"}}},
    "a size is a truth": {"files": {"a": {"size": True, "sha256": "x"}}},
    "a size without end": {"files": {"a": {"size": float("inf"), "sha256": "x"}}},
    "a path outside": {"files": {"../../a": {"size": 1, "sha256": "x"}}},
    "an absolute path": {"files": {"/etc/hostname": {"size": 1, "sha256": "x"}}},
    "a name that is no text": {"files": {"\ud800": {"size": 1, "sha256": "x"}}},
    "a name with a zero": {"files": {"a\0": {"size": 1, "sha256": "x"}}},
    "a date that is a list": {"date": []},
    "sources are a number": {"sources": 3},
    "a source is a text": {"sources": ["x"]},
    "parts are a list": {"parts": ["x"]},
    "a schema of 400 digits": {"schema": 10**400},
    "something more": {"more": 1},
}


def written(folder: Path, change: object) -> Path:
    value = {"schema": 1, "asset": "cub", "title": "", "licence": "", "origin": "", "files": {}, "sources": []}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / manifest.NAME
    path.write_text(change if isinstance(change, str) else json.dumps(value | change), encoding="utf-8")
    return path


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_manifest_that_makes_no_sense_is_one_message_and_leaves_the_check_of_all_others(tmp_path, change, capsys):
    path = written(tmp_path / "CUB_200_2011", change)
    assert data.main(["cub", "--root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path} is not a manifest of this program") and said.count("\n") == 1
    written(tmp_path / "weights" / "a--b", change)
    assert data.main(["check", "--root", str(tmp_path)]) == 2
    report = capsys.readouterr()
    assert re.search(r"\n  cub +damaged", report.out) and re.search(r"\n  modelnet40 +absent", report.out)
    assert not report.err
    with pytest.raises(UserError):
        manifest.read(tmp_path / "CUB_200_2011")


def test_a_manifest_of_weights_that_says_nothing_of_where_they_are_is_one_message(tmp_path, capsys):
    written(tmp_path / "weights" / "a--b", {})
    assert data.main(["weights", "--backbone", "a/b", "--root", str(tmp_path)]) == 2
    assert "Delete it and run the command again" in capsys.readouterr().err


PLACES = ("", "CUB_200_2011", ".partial", ".partial/cub")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["file", "link to nowhere"])
def test_something_else_in_the_place_of_a_folder_is_one_message(server, small, cub_archive, tmp_path, capsys, place, kind):
    small("cub")
    server.add("CUB_200_2011.tgz", cub_archive)
    path = tmp_path / "data" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to("nowhere")
    assert data.main(["cub", "--root", str(tmp_path / "data")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and str(path) in said and "is not a folder" in said and not server.asked
    assert path.is_symlink() or path.read_text() == "mine"


@pytest.mark.parametrize("root", ["n" * 300, "a/" * 2000, "surrogate\udcff", "\ud800"])
@pytest.mark.parametrize("command", ["check", "cub", "refcoco", "weights", "imagenet_s"])
def test_a_root_that_no_disk_can_have_is_one_message(tmp_path, capsys, small, root, command):
    small("cub")
    small("reclip_data")
    small("imagenet_s_masks")
    status = data.main([command, "--root", f"{tmp_path}/{root}", "--dry-run"])
    said = capsys.readouterr().err
    assert status in (0, 2) and (not said or said.startswith("error: ")) and "Traceback" not in said


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write_text", "replace", "mkdir", "write_bytes", "rename"])
def test_a_disk_that_refuses_is_one_message_and_leaves_no_half_file(
    server, small, cub_archive, tmp_path, capsys, monkeypatch, number, call
):
    small("cub")
    server.add("CUB_200_2011.tgz", cub_archive)

    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(Path, call, refused)
        assert data.main(["cub", "--root", str(tmp_path / "data")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and os.strerror(number) in said and "--root" in said
    assert not list(tmp_path.rglob("*.tmp"))
    assert data.main(["cub", "--root", str(tmp_path / "data")]) == 0


def test_a_json_file_is_whole_or_not_there(tmp_path, monkeypatch):
    disk.write_json(tmp_path / "a.json", {"old": 1})
    real = Path.write_text

    def cut(path, text, **options):
        real(path, text[:3], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", cut)
    with pytest.raises(disk.NoDiskSpaceError):
        disk.write_json(tmp_path / "a.json", {"new": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert disk.read_object(tmp_path / "a.json") == {"old": 1}


def test_what_a_terminal_cannot_show_is_escaped(small, capsys):
    small("cub")
    assert data.main(["cub", "--dry-run", "--mirror", "http://127.0.0.1/\udcff"]) == 0
    assert "http://127.0.0.1/\\udcff" in capsys.readouterr().out
