"""Pictures are whole when they are taken and when they are verified, not only well begun."""

import errno
import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import answer, raw_serving
from small_pictures import noise

from benchmarks.acquire import coco, manifest, pictures
from benchmarks.acquire.assets import Options
from benchmarks.acquire.sources import RECIPES
from falip.errors import UserError
from scripts import data

BASELINE, PROGRESSIVE, PNG = noise(1), noise(1, progressive=True), noise(1, form="PNG")
NAME = "COCO_train2014_000000000009.jpg"
THUMBNAILED = (
    BASELINE[:2]
    + b"\xff\xe1"
    + struct.pack(">H", len(noise(2, (8, 8))) + 8)
    + b"Exif\0\0"
    + noise(2, (8, 8))
    + BASELINE[2:]
)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data root whose annotations ask about one image."""
    (tmp_path / "data" / "reclip_data").mkdir(parents=True)
    line = json.dumps({"file_name": NAME.replace(".jpg", "_1.jpg")})
    (tmp_path / "data" / "reclip_data" / "refcoco_val.jsonl").write_text(line + "\n")
    return tmp_path / "data"


@pytest.fixture
def fetch(root, server, monkeypatch):
    monkeypatch.setattr(coco, "COCO_IMAGES_BASE", f"{server.base}/coco/train2014")

    def called(**options: object) -> list[str]:
        said: list[str] = []
        coco.acquire_images(RECIPES["refcoco"], ["val"], replace(Options(root, say=said.append), **options))
        return said

    return called


@pytest.mark.parametrize("whole", [BASELINE, PROGRESSIVE, THUMBNAILED, PNG, BASELINE + b"more"])
def test_whole_pictures_pass(tmp_path, whole):
    (tmp_path / "a.jpg").write_bytes(whole)
    assert not pictures.fault(tmp_path / "a.jpg")


@settings(max_examples=40, deadline=None)
@given(whole=st.sampled_from([BASELINE, PROGRESSIVE, THUMBNAILED, PNG]), share=st.floats(0, 0.99))
def test_a_picture_that_is_cut_anywhere_does_not(tmp_path_factory, whole, share):
    path = tmp_path_factory.mktemp("cut") / "a.jpg"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert pictures.fault(path)


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", BASELINE[:-1], b"<html>", b"%!PS-Adobe-3.0 EPSF-3.0"]
)
def test_what_has_only_the_beginning_of_a_picture_does_not(tmp_path, body):
    (tmp_path / "a.jpg").write_bytes(body)
    assert pictures.fault(tmp_path / "a.jpg") and pictures.jpeg_fault(tmp_path / "a.jpg")


def test_a_header_that_claims_a_vast_picture_is_not_believed(tmp_path):
    header = struct.pack(">IIBBBBB", 12_000, 12_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    (tmp_path / "a.png").write_bytes(
        PNG[:8] + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + PNG[33:]
    )
    assert "12000 x 12000 pixels" in pictures.fault(tmp_path / "a.png")


@pytest.mark.parametrize("half", [b"\xff\xd8", BASELINE[: len(BASELINE) // 2], b"", PNG, b"GIF89a"])
@pytest.mark.parametrize("length", [True, False])
def test_a_mirrors_half_picture_is_not_taken_and_the_next_address_asked(fetch, root, server, half, length):
    server.add(f"mirror/train2014/{NAME}", half, announce=-1 if length else None)
    server.add(f"coco/train2014/{NAME}", BASELINE)
    said = fetch(mirror=f"{server.base}/mirror")
    assert (root / "train2014" / NAME).read_bytes() == BASELINE
    assert any(line.startswith(f"passed over {server.base}/mirror/train2014/") for line in said)


def test_half_pictures_everywhere_are_one_error_that_names_them(fetch, root, server):
    server.add(f"coco/train2014/{NAME}", BASELINE[:900])
    with pytest.raises(UserError, match=rf"1 images could not[\s\S]*{NAME}: .*not a whole image[\s\S]*--mirror"):
        fetch()
    assert not (root / "train2014" / NAME).exists()


def test_verify_finds_the_half_picture_that_was_recorded_as_it_came_and_replaces_it(fetch, root, server):
    server.add(f"coco/train2014/{NAME}", BASELINE)
    fetch()
    folder = root / "train2014"
    (folder / NAME).write_bytes(BASELINE[:900])
    recorded = manifest.read(folder)
    manifest.write(folder, replace(recorded, files=manifest.record_files(folder, [NAME])))
    assert "nothing to do" in fetch()[-1]
    fetch(verify=True)
    assert (folder / NAME).read_bytes() == BASELINE
    assert "every hash and picture verified" in fetch(verify=True)[-1]


def test_the_users_own_half_picture_is_fetched_and_their_whole_one_kept(fetch, root, server):
    (root / "train2014").mkdir()
    (root / "train2014" / NAME).write_bytes(BASELINE[:900])
    server.add(f"coco/train2014/{NAME}", BASELINE)
    fetch()
    assert (root / "train2014" / NAME).read_bytes() == BASELINE


def test_a_receipt_of_an_address_of_an_earlier_call_is_no_obstacle(fetch, root, server):
    server.add(f"elsewhere/train2014/{NAME}", BASELINE)
    staging = root / ".partial" / "train2014"
    coco.download.fetch([f"{server.base}/elsewhere/train2014/{NAME}"], staging / NAME)
    fetch()
    assert (root / "train2014" / NAME).read_bytes() == BASELINE


def test_images_on_another_disk_are_written_whole(fetch, root, server, tmp_path, monkeypatch):
    real = Path.replace

    def across(path, target):
        if ".partial" in path.parts and target.parent.name == "train2014" and ".partial" not in target.parts:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", across)
    server.add(f"coco/train2014/{NAME}", BASELINE)
    fetch()
    assert sorted(path.name for path in (root / "train2014").iterdir()) == [NAME, "manifest.json"]


def test_pictures_that_an_asset_recorded_half_are_found_by_verify_alone(small, tmp_path, capsys):
    cub = small("cub", archives=(), expected=())
    folder = tmp_path / cub.folder
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1.jpg").write_bytes(b"\xff\xd8")
    manifest.write(folder, manifest.Manifest("cub", "", "", "found in place", manifest.record_files(folder)))
    command = ["cub", "--root", str(tmp_path)]
    assert data.main(command) == 0
    assert data.main([*command, "--verify"]) == 2
    assert "1 of 1 files are missing or damaged (a/1.jpg)" in capsys.readouterr().err


def test_a_picture_without_end_is_bounded(fetch, root, server, monkeypatch):
    monkeypatch.setattr(coco, "LARGEST", 100_000)

    def endless(client):
        client.sendall(answer(b"\xff\xd8"))
        while True:
            client.sendall(bytes(10_000))

    server.add(f"coco/train2014/{NAME}", BASELINE)
    with raw_serving() as raw:
        raw.add(f"train2014/{NAME}", endless)
        fetch(mirror=raw.base)
    assert (root / "train2014" / NAME).read_bytes() == BASELINE
