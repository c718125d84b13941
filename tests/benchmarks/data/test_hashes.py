"""Hashes of files: remembered where that is safe, and never in the way."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.data.files import fingerprint, sha256
from falip.errors import UserError

OLD = time.time() - 3600


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "falip" / "hashes.json"


def settled(path: Path, content: bytes, changed: float = OLD) -> Path:
    path.write_bytes(content)
    os.utime(path, (changed, changed))
    return path


def expected(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the name of each file that is read to be hashed."""
    names: list[str] = []
    digest = hashlib.file_digest

    def counted(file, algorithm):
        names.append(Path(file.name).name)
        return digest(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return names


def test_a_file_is_read_once_in_all_runs(tmp_path: Path, cache: Path, read: list[str]) -> None:
    path = settled(tmp_path / "large.json", b"large")
    assert [sha256(path), sha256(path)] == [expected(b"large")] * 2
    assert read == ["large.json"]
    assert list(json.loads(cache.read_text())) == [str(path)]
    assert not [other for other in cache.parent.iterdir() if other != cache]


@pytest.mark.parametrize(("content", "later"), [(b"other", 1), (b"longer", 0)])
def test_a_changed_file_is_read_again(tmp_path: Path, content: bytes, later: int) -> None:
    path = settled(tmp_path / "large.json", b"large")
    assert sha256(path) == expected(b"large")
    assert sha256(settled(path, content, OLD + later)) == expected(content)


def test_a_file_that_changed_just_now_is_not_remembered(tmp_path: Path, cache: Path) -> None:
    for changed in (time.time(), time.time() + 3600):
        sha256(settled(tmp_path / "new.json", b"new", changed))
        assert not cache.exists()


@pytest.mark.parametrize("damage", ["", "{", "[1]", "null", '{"%s": 7}', '{"%s": [1, 2, 3, "x"]}', "[" * 2000])
def test_a_damaged_memory_is_as_none(tmp_path: Path, cache: Path, damage: str) -> None:
    path = settled(tmp_path / "large.json", b"large")
    cache.parent.mkdir(parents=True)
    cache.write_text(damage.replace("%s", str(path)))
    assert sha256(path) == expected(b"large")
    assert list(json.loads(cache.read_text())) == [str(path)]


def test_where_nothing_can_be_written_nothing_is_said(tmp_path: Path, cache: Path) -> None:
    cache.parent.parent.write_text("a file where a folder belongs")
    assert sha256(settled(tmp_path / "large.json", b"large")) == expected(b"large")


@pytest.mark.parametrize("name", ["", "missing", "x" * 300])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        sha256(tmp_path / name)


def test_ten_thousand_pictures_are_known_in_well_under_a_second(tmp_path: Path) -> None:
    paths = [(f"{i}.jpg", tmp_path / f"{i}.jpg") for i in range(10_000)]
    for _, path in paths[::2]:
        path.touch()
    started = time.perf_counter()
    found = fingerprint(paths)
    assert time.perf_counter() - started < 0.5
    paths[1][1].touch()
    assert fingerprint(paths) != found
    assert fingerprint(reversed(paths)) == fingerprint(paths)


def test_loaders_and_their_identity_do_not_need_torch(coco_root: Path) -> None:
    code = f"""
import importlib, pathlib, sys
import benchmarks.data
for path in pathlib.Path(benchmarks.data.__file__).parent.glob("*.py"):
    importlib.import_module(f"benchmarks.data.{{path.stem}}")
from benchmarks.data.refcoco import RefCOCO
from benchmarks.data.solids import Solids
for dataset in (RefCOCO("refcoco", {str(coco_root)!r}, "testA", "detected", contract=False), Solids(3)):
    dataset.identity, dataset.index
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
