"""The check: what is there, what is partial, and the command for what each table lacks."""

import shlex

import pytest

from benchmarks.acquire import check, manifest
from benchmarks.acquire.manifest import Manifest, Source
from benchmarks.acquire.sources import ASSETS, RECIPES
from falip.errors import UserError
from scripts import data


def record(folder, asset, parts=None, sources=()):
    """Put a file and its manifest into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file").write_bytes(b"content")
    files = manifest.record_files(folder, ["file"])
    manifest.write(folder, Manifest(asset, "", "", "downloaded", files, sources, parts=parts or {}))


def record_weights(root, backbone=check.DEFAULT_BACKBONE):
    snapshot = root / "cache" / ("a" * 40)
    record(snapshot, backbone)
    folder = root / "weights" / backbone.replace("/", "--")
    folder.mkdir(parents=True)
    files = manifest.record_files(snapshot, ["file"])
    source = Source(str(snapshot), f"https://huggingface.co/{backbone}/tree/{'a' * 40}", 1, "")
    manifest.write(folder, Manifest(backbone, "", "", "downloaded", files, (source,)))


def test_an_empty_root_lacks_everything_and_each_command_can_be_given(tmp_path):
    missing = check.missing_assets(check.TABLES, tmp_path / "none")
    assert {one.asset for one in missing} >= {"refcoco", "cub", "scanobjectnn", check.DEFAULT_BACKBONE}
    for one in missing:
        words = shlex.split(one.command)
        assert words[:2] == ["falip", "data"] and one.reason
        parsed = data.parser().parse_args(words[2:])
        assert parsed.name in data.NAMES and parsed.root == tmp_path / "none"
    assert len(missing) == len(set(missing)) and not (tmp_path / "none").exists()


def test_the_command_names_no_root_where_it_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("FALIP_DATA", str(tmp_path))
    assert all("--root" not in one.command for one in check.missing_assets(["rec"], tmp_path))


def test_a_table_is_served_when_all_its_assets_are_recorded(tmp_path):
    for name in ("modelnet40", "scanobjectnn"):
        record(tmp_path / ASSETS[name].folder, name)
    assert [one.asset for one in check.missing_assets(["pointcloud"], tmp_path)] == [check.DEFAULT_BACKBONE]
    record_weights(tmp_path)
    assert check.missing_assets(["pointcloud"], tmp_path) == []


def test_a_table_needs_the_images_of_its_splits_only(tmp_path):
    record_weights(tmp_path)
    record(tmp_path / "reclip_data", "reclip_data")
    parts = {"refcoco/testA": 1, "refcoco/testB": 1, "refcoco_plus/testA": 1}
    record(tmp_path / "train2014", "train2014", parts)
    (lacking,) = check.missing_assets(["ablations"], tmp_path)
    assert lacking.command.startswith("falip data refcocog --splits test")
    assert lacking.reason == "images of test not fetched"
    record(tmp_path / "train2014", "train2014", parts | {"refcocog/test": 1})
    assert check.missing_assets(["ablations"], tmp_path) == []
    assert len(check.missing_assets(["rec"], tmp_path)) == 3


def test_waterbirds_needs_the_boxes_of_cub(tmp_path):
    for name in ("waterbirds", "stanford_dogs", "imagenet_s_masks", "imagenet_s_images"):
        record(tmp_path / ASSETS[name].folder, name)
    reasons = {one.asset: one.reason for one in check.missing_assets(["classification"], tmp_path)}
    assert reasons["waterbirds"] == "cub is absent" and "stanford_dogs" not in reasons


def test_damaged_partial_and_unrecorded_are_told_apart(tmp_path):
    record(tmp_path / "CUB_200_2011", "cub")
    (tmp_path / "CUB_200_2011" / "file").write_bytes(b"cut")
    (tmp_path / ".partial/modelnet40").mkdir(parents=True)
    (tmp_path / ".partial/modelnet40/modelnet40_ply_hdf5_2048.zip.part").write_bytes(bytes(2000))
    (tmp_path / "stanford_dogs/lists").mkdir(parents=True)
    (tmp_path / "stanford_dogs/lists/test_list.mat").write_bytes(b"")
    (tmp_path / "imagenet_s/ImageNetS919/validation-segmentation").mkdir(parents=True)
    states = {name: check.asset_state(asset, tmp_path) for name, asset in ASSETS.items()}
    assert states["cub"].status == "damaged" and "1 of 1 files" in states["cub"].detail
    assert states["modelnet40"].status == "partial" and "2 kB" in states["modelnet40"].detail
    assert states["stanford_dogs"].status == "not recorded"
    assert states["waterbirds"].status == states["imagenet_s_images"].status == "absent"


def test_an_unknown_table_lists_the_tables(tmp_path):
    with pytest.raises(UserError, match="rec, classification, pointcloud, ablations"):
        check.missing_assets(["recs"], tmp_path)


def test_the_status_is_0_only_when_everything_is_there(tmp_path, capsys):
    assert data.main(["check", "--root", str(tmp_path)]) == 2
    said = capsys.readouterr().out
    assert "falip data stanford_dogs" in said and len(said.splitlines()) < 50
    for name, asset in ASSETS.items():
        record(tmp_path / asset.folder, name)
    parts = {f"{recipe.name}/{split}": 1 for recipe in RECIPES.values() for split in recipe.splits}
    record(tmp_path / "train2014", "train2014", parts)
    record_weights(tmp_path)
    assert data.main(["check", "--root", str(tmp_path)]) == 0
    assert "rec: nothing lacks" in capsys.readouterr().out
