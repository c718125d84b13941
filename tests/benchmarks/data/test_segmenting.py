"""Masks by SAM: a file that the data set takes, gone on with where it was cut off."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import SamConfig, SamImageProcessor, SamModel, SamProcessor

from benchmarks.data.refcoco import RefCOCO
from benchmarks.data.segmenting import without_specks
from scripts import data


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the hub has it, of a SAM with random weights."""
    folder = tmp_path_factory.mktemp("sam")
    torch.manual_seed(0)
    config = SamConfig(
        vision_config={
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 64, "patch_size": 16,
            "output_channels": 32, "window_size": 2, "global_attn_indexes": [0], "num_pos_feats": 16, "mlp_dim": 16,
            "initializer_range": 0.02,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 32, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16, "iou_head_depth": 2,
        },
    )  # fmt: skip
    SamModel(config).save_pretrained(folder)
    sides = {"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}}
    SamProcessor(SamImageProcessor(**sides)).save_pretrained(folder)  # pyright: ignore[reportArgumentType]
    return folder


def command(root: Path, sam: Path, *more: str) -> list[str]:
    out = str(root / "masks.jsonl")
    return ["masks", "refcoco", "--split", "testA", "--root", str(root), "--out", out, "--model", str(sam), *more]


def test_the_masks_are_those_of_the_candidates(coco_root: Path, sam: Path) -> None:
    assert data.main(command(coco_root, sam, "--min-pixels", "0")) == 0
    path = coco_root / "masks.jsonl"
    loaded = RefCOCO("refcoco", str(coco_root), "testA", "detected", contract=False, masks=str(path))
    assert len(loaded.load(0).pictures[0].regions) == 2
    header, line = map(json.loads, path.read_text().splitlines())
    assert header["choice"] == "single" and len(header["weights"]) == 64 and header["masks_of"]["proposals"] == "detected"
    assert [mask["size"] for mask in line["masks"]] == [[30, 40]] * 2


def test_boxes_one_by_one_give_the_same_masks(coco_root: Path, sam: Path) -> None:
    path = coco_root / "masks.jsonl"
    assert data.main(command(coco_root, sam, "--proposals", "gt", "--min-pixels", "0")) == 0
    together = path.read_bytes()
    path.unlink()
    assert data.main(command(coco_root, sam, "--proposals", "gt", "--min-pixels", "0", "--boxes-at-once", "1")) == 0
    assert path.read_bytes() == together


def test_a_file_cut_off_is_gone_on_with_and_ends_the_same(
    coco_root: Path, sam: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = coco_root / "masks.jsonl"
    assert data.main(command(coco_root, sam, "--proposals", "gt")) == 0
    whole = path.read_bytes()
    path.unlink()
    (coco_root / "masks.jsonl.partial").write_bytes(whole[:-20])
    capsys.readouterr()
    assert data.main(command(coco_root, sam, "--proposals", "gt")) == 0
    assert capsys.readouterr().out == "2/2 images\n"
    assert path.read_bytes() == whole and not (coco_root / "masks.jsonl.partial").exists()


def test_a_file_that_lacks_pictures_is_gone_on_with_and_a_whole_one_is_left(
    coco_root: Path, sam: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = coco_root / "masks.jsonl"
    assert data.main(command(coco_root, sam, "--proposals", "gt")) == 0
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    capsys.readouterr()
    assert data.main(command(coco_root, sam, "--proposals", "gt")) == 0
    assert capsys.readouterr().out == "2/2 images\n" and path.read_bytes() == whole
    assert data.main(command(coco_root, sam, "--proposals", "gt")) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_file_of_other_settings_is_kept(coco_root: Path, sam: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data.main(command(coco_root, sam)) == 0
    before = (coco_root / "masks.jsonl").read_bytes()
    assert data.main(command(coco_root, sam, "--choice", "best")) == 2
    assert "other settings" in capsys.readouterr().err
    assert (coco_root / "masks.jsonl").read_bytes() == before


def test_a_folder_without_weights_says_what_belongs_there(
    coco_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert data.main(command(coco_root, tmp_path / "empty")) == 2
    assert "preprocessor_config.json" in capsys.readouterr().err


def test_small_holes_and_islands_go_and_the_largest_island_stays() -> None:
    mask = np.zeros((12, 12), bool)
    mask[1:8, 1:8] = True
    mask[3, 3] = False
    mask[10, 10] = True
    clean = without_specks(mask, 4)
    assert clean[3, 3] and not clean[10, 10] and clean.sum() == 49
    alone = np.zeros((40, 40), bool)
    alone[1:8, 1:8] = True
    assert without_specks(alone, 100).sum() == 49
    assert not without_specks(np.zeros((4, 4), bool), 4).any()
