"""Assets: official layouts end up where the loaders read them, whatever interrupts; nothing is done twice."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_pictures import noise

from benchmarks.acquire import assets, manifest, sources, unpack
from benchmarks.acquire.assets import Options, acquire
from falip.errors import UserError

AUKLET = noise(2, (160, 120))  # as in the archive of `cub_archive`
DOGS = {
    "lists.tar": {f"{name}_list.mat": name.encode() for name in ("file", "train", "test")},
    "annotation.tar": {f"Annotation/n02085620-Chihuahua/n02085620_{i}": b"<annotation/>" for i in range(2)},
    "images.tar": {f"Images/n02085620-Chihuahua/n02085620_{i}.jpg": noise(i) for i in range(2)},
}


@pytest.fixture
def options(tmp_path):
    said: list[str] = []
    made = Options(tmp_path / "data", say=said.append)
    object.__setattr__(made, "said", said)
    return made


def everything(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_data_set_is_unpacked_recorded_and_never_fetched_again(server, small, cub_archive, options):
    cub = small("cub")
    url = server.add("CUB_200_2011.tgz", cub_archive)
    acquire(cub, options)
    folder = options.root / "CUB_200_2011"
    assert (folder / "images/002.Auklet/b.jpg").read_bytes() == AUKLET
    recorded = json.loads((folder / "manifest.json").read_text())
    assert recorded["asset"] == "cub" and recorded["licence"] == "not stated" and recorded["date"]
    assert recorded["files"]["images/002.Auklet/b.jpg"]["size"] == len(AUKLET)
    (source,) = recorded["sources"]
    assert source["url"] == url and source["sha256"] == hashlib.sha256(cub_archive).hexdigest()
    # The archive, and what lay beside the folder in it, is gone.
    assert not (options.root / ".partial" / "cub").exists() and not list(options.root.rglob("attributes.txt"))
    before = {p: p.stat().st_mtime_ns for p in options.root.rglob("*")}
    acquire(cub, options)
    assert "nothing to do" in options.said[-1] and len(server.asked) == 1
    assert {p: p.stat().st_mtime_ns for p in options.root.rglob("*")} == before


def test_several_archives_become_one_folder(server, small, tar_of, options):
    for name, members in DOGS.items():
        server.add(name, tar_of(members, "w"))
    acquire(small("stanford_dogs"), options)
    found = everything(options.root / "stanford_dogs")
    assert "lists/train_list.mat" in found and "Images/n02085620-Chihuahua/n02085620_1.jpg" in found
    assert "Annotation/n02085620-Chihuahua/n02085620_0" in found


@pytest.mark.parametrize("wrapper", ["", "reclip_data/", "somewhere/reclip_data/"])
def test_the_content_is_found_whatever_folder_a_mirror_wraps_around_it(server, small, tar_of, options, wrapper):
    reclip = small("reclip_data")
    files = {f"{wrapper}{e.pattern}": b"{}" for e in reclip.expected}
    server.add("reclip_data.tar.gz", tar_of(files))
    acquire(reclip, options)
    assert (options.root / "reclip_data" / "refcoco+_testa.jsonl").is_file()


def test_only_the_validation_masks_of_imagenet_s_are_kept(server, small, zip_of, options):
    top = "ImageNetS919"
    members = {f"{top}/train-semi-segmentation/n01440764/{i}.png": b"t" for i in range(3)}
    members |= {f"{top}/validation-segmentation/n01440764/ILSVRC2012_val_{i}.png": noise(i, form="PNG") for i in range(2)}
    masks = small("imagenet_s_masks")
    server.add(masks.archives[0].file, zip_of(members))
    acquire(masks, options)
    folder = options.root / "imagenet_s/ImageNetS919"
    assert {p.read_bytes() for p in folder.rglob("*.png")} == {noise(i, form="PNG") for i in range(2)}


def test_only_the_chosen_member_of_a_large_archive_is_kept(server, small, zip_of, options):
    names = ("instances_train2014.json", "captions_val2014.json")
    server.add("annotations_trainval2014.zip", zip_of({f"annotations/{name}": b"{}" for name in names}))
    acquire(small("coco_instances"), options)
    assert everything(options.root / "annotations") == ["instances_train2014.json", "manifest.json"]


def test_files_that_are_no_archives_are_kept_as_they_are(server, small, options):
    reviewed = small("ref_l4_reviewed")
    for archive in reviewed.archives:
        server.add(archive.file, b'{"annotation": []}')
    acquire(reviewed, options)
    names = [name for name in everything(options.root / "ref_l4_reviewed") if name != "manifest.json"]
    assert len(names) == 8 and "refcoco+_testB_reviewed.json" in names
    assert (options.root / "ref_l4_reviewed" / "refcocog_val_reviewed.json").read_bytes() == b'{"annotation": []}'


def test_a_dry_run_says_all_and_writes_nothing(server, small, options):
    acquire(small("cub"), replace(options, dry_run=True, mirror="http://127.0.0.1:1/copies/"))
    said = "\n".join(options.said)
    assert said.index("1. http://127.0.0.1:1/copies/CUB_200_2011.tgz") < said.index(f"2. {server.base}/CUB")
    assert "licence: not stated" in said and "size not stated" in said
    assert not options.root.exists() and not server.asked


def test_the_users_mirror_is_tried_first_and_may_be_dead(server, dead_base, small, cub_archive, options):
    server.add("CUB_200_2011.tgz", cub_archive)
    acquire(small("cub"), replace(options, mirror=dead_base))
    assert any(line.startswith(f"passed over {dead_base}/CUB_200_2011.tgz") for line in options.said)
    assert (options.root / "CUB_200_2011" / "manifest.json").is_file()


def test_a_damaged_archive_sends_to_the_next_address(server, small, cub_archive, options):
    bad = server.add("short/CUB_200_2011.tgz", cub_archive[:2000], announce=None)
    server.add("CUB_200_2011.tgz", cub_archive)
    acquire(small("cub"), replace(options, mirror=bad.rpartition("/")[0]))
    assert any(line.startswith(f"passed over {bad}: ") and "damaged" in line for line in options.said)
    assert manifest.read(options.root / "CUB_200_2011").sources[0].url.endswith("/CUB_200_2011.tgz")


def test_a_damaged_archive_everywhere_is_an_error_and_is_fetched_anew_by_the_next_call(server, small, cub_archive, options):
    cub = small("cub")
    server.add("CUB_200_2011.tgz", cub_archive[:2000], announce=None)
    with pytest.raises(UserError, match="damaged or cut short"):
        acquire(cub, options)
    assert not (options.root / "CUB_200_2011").exists()
    server.add("CUB_200_2011.tgz", cub_archive)
    acquire(cub, options)
    assert (options.root / "CUB_200_2011" / "manifest.json").is_file()


def test_an_unsafe_archive_is_refused_and_leaves_no_file(server, small, tar_of, options, tmp_path):
    server.add("CUB_200_2011.tgz", tar_of({"../../../escaped.txt": b"evil"}))
    with pytest.raises(unpack.UnsafeArchiveError):
        acquire(small("cub"), options)
    assert not list(tmp_path.rglob("escaped.txt")) and not list(tmp_path.rglob("*.tgz"))


def test_an_archive_that_lacks_files_is_an_error_that_names_them(server, small, tar_of, options):
    server.add("CUB_200_2011.tgz", tar_of({"CUB_200_2011/images.txt": b"1 x"}))
    with pytest.raises(UserError, match=r"classes.txt: 0 of 1 files[\s\S]*images/\*/\*.jpg: 0 of 2 files"):
        acquire(small("cub"), options)
    assert not (options.root / "CUB_200_2011").exists()


def test_too_little_disk_for_the_unpacked_data_is_told_before_the_download(server, small, options, monkeypatch):
    cub = small("cub", archives=sources.ASSETS["cub"].archives)
    usage = shutil.disk_usage(options.root.parent)._replace(free=2 * 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"needs 2.35 GB, but only 2 GB are free"):
        acquire(cub, options)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_killed_download_is_continued_by_the_same_command(server, small, cub_archive, options, ranges):
    cub = small("cub")
    server.add("CUB_200_2011.tgz", cub_archive, hold_after=1500, ranges=ranges)
    code = (
        "import sys; from dataclasses import replace; from benchmarks.acquire import sources; from scripts import data\n"
        "cub = sources.ASSETS['cub']\n"
        "archive = replace(cub.archives[0], urls=(sys.argv[1] + '/CUB_200_2011.tgz',), digest='')\n"
        "sources.ASSETS['cub'] = replace(cub, archives=(archive,))\n"
        "data.main(['cub', '--root', sys.argv[2]])"
    )
    part = options.root / ".partial/cub/CUB_200_2011.tgz.part"
    process = subprocess.Popen(
        [sys.executable, "-c", code, server.base, str(options.root)],
        env=os.environ | {"no_proxy": "*"},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size >= 1500) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    server.content["/CUB_200_2011.tgz"].hold_after = None
    acquire(cub, options)
    assert server.asked[-1] == ("/CUB_200_2011.tgz", "bytes=1500-")
    assert manifest.read(options.root / "CUB_200_2011") is not None


@pytest.mark.parametrize("where", ["while unpacking", "before the manifest"])
def test_a_kill_after_the_download_costs_no_second_download(server, small, cub_archive, options, monkeypatch, where):
    cub = small("cub")
    server.add("CUB_200_2011.tgz", cub_archive)
    killed = {"while unpacking": (unpack, "_copy"), "before the manifest": (manifest, "write")}[where]
    real, calls = getattr(*killed), []

    def kill(*arguments):
        calls.append(arguments)
        if len(calls) == (3 if where == "while unpacking" else 1):
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(*killed, kill)
    with pytest.raises(KeyboardInterrupt):
        acquire(cub, options)
    assert not (options.root / "CUB_200_2011" / "manifest.json").exists()
    acquire(cub, options)
    recorded = manifest.read(options.root / "CUB_200_2011")
    assert len(server.asked) == 1 and recorded.origin == "downloaded" and len(recorded.files) == 7


def test_a_lost_and_a_changed_file_are_brought_back_and_the_archive_must_be_the_first_one(
    server, small, cub_archive, tar_of, options
):
    cub = small("cub")
    server.add("CUB_200_2011.tgz", cub_archive)
    acquire(cub, options)
    picture = options.root / "CUB_200_2011/images/002.Auklet/b.jpg"
    first = manifest.read(options.root / "CUB_200_2011").files
    picture.unlink()
    (options.root / "CUB_200_2011/mine.txt").write_text("kept")
    server.add("CUB_200_2011.tgz", tar_of({"CUB_200_2011/other.txt": b"another release"}))
    with pytest.raises(UserError, match=r"expected [0-9a-f]{64}[\s\S]*that of the first download"):
        acquire(cub, options)
    server.add("CUB_200_2011.tgz", cub_archive)
    acquire(cub, options)
    assert picture.read_bytes() == AUKLET and (options.root / "CUB_200_2011/mine.txt").exists()
    # A flipped byte leaves the size alone: only --verify sees it.
    picture.write_bytes(bytes(len(AUKLET)))
    acquire(cub, options)
    assert "nothing to do" in options.said[-1]
    acquire(cub, replace(options, verify=True))
    assert picture.read_bytes() == AUKLET
    assert first.items() <= manifest.read(options.root / "CUB_200_2011").files.items()


def test_a_folder_that_the_user_has_put_there_is_verified_and_recorded_without_a_download(small, options):
    waterbirds = small("waterbirds")
    folder = options.root / "waterbird_complete95_forest2water2"
    (folder / "001.Albatross").mkdir(parents=True)
    (folder / "001.Albatross" / "a.jpg").write_bytes(noise(1))
    with pytest.raises(UserError, match=r"not whole[\s\S]*metadata.csv: 0 of 1 files[\s\S]*move it away"):
        acquire(waterbirds, options)
    (folder / "001.Albatross" / "b.jpg").write_bytes(noise(2))
    (folder / "metadata.csv").write_text("img_id\n")
    acquire(waterbirds, options)
    assert manifest.read(folder).origin == "found in place"
    (folder / "metadata.csv").unlink()
    with pytest.raises(UserError, match=r"1 of 3 files are missing[\s\S]*which you put there"):
        acquire(waterbirds, options)


def cloud_file(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as opened:
        opened["data"] = np.zeros((objects, 4, 3), np.float32)
        opened["label"] = np.zeros(objects, np.int64)


def test_what_a_person_must_fetch_is_explained_then_verified(small, options):
    scans = small("scanobjectnn")
    folder = options.root / "scanobjectnn"
    with pytest.raises(UserError, match=r"1\. Ask the authors[\s\S]*Still lacking"):
        acquire(scans, options)
    assert not options.root.exists()
    cloud_file(folder / "main_split/test_objectdataset.h5", 2)
    cloud_file(folder / "main_split_nobg/test_objectdataset.h5", 3)
    (folder / "main_split/test_objectdataset_augmentedrot_scale75.h5").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"scale75.h5: is not a whole HDF5[\s\S]*nobg.*: 3 objects, expected 2"):
        acquire(scans, options)
    cloud_file(folder / "main_split_nobg/test_objectdataset.h5", 2)
    cloud_file(folder / "main_split/test_objectdataset_augmentedrot_scale75.h5", 2)
    acquire(scans, options)
    assert manifest.read(folder).origin == "found in place"


def test_two_calls_at_once_do_not_write_the_same_files(server, small, cub_archive, options):
    cub = small("cub")
    server.add("CUB_200_2011.tgz", cub_archive)
    with assets.locked(options.root, "cub"), pytest.raises(UserError, match="another process is fetching cub"):
        acquire(cub, options)
    acquire(cub, options)


def test_a_manifest_that_cannot_be_read_is_an_error_with_a_mend(small, options):
    folder = options.root / "CUB_200_2011"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"schema": 99}')
    with pytest.raises(UserError, match="Delete it and run the same command again"):
        acquire(small("cub"), options)


def test_the_folder_appears_whole_or_not_at_all(server, small, cub_archive, options, monkeypatch):
    cub = small("cub")
    server.add("CUB_200_2011.tgz", cub_archive)
    folder = options.root / "CUB_200_2011"
    real = Path.rename

    def kill(path, target):
        if target == folder:
            raise KeyboardInterrupt
        return real(path, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "rename", kill)
        acquire(cub, options)
    assert not folder.exists()
    acquire(cub, options)
    assert len(server.asked) == 1 and len(manifest.read(folder).files) == 7
