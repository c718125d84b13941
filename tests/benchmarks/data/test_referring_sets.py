"""Ref-L4, RefCOCO-M and gRefCOCO on small data in their publishers' formats."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from pycocotools import mask as run_length

from benchmarks.data.grefcoco import GRefCOCO
from benchmarks.data.ref_l4 import RefL4
from benchmarks.data.refcoco_m import RefCOCOM
from falip import UserError


def l4_row(number: str, name: str, box: list[float], caption: str = "The thing") -> dict[str, Any]:
    return {"id": number, "caption": caption, "bbox": box, "file_name": name, "ori_category_id": "o365_1", "split": "val"}


@pytest.fixture
def ref_l4(tmp_path: Path) -> Path:
    folder = tmp_path / "ref_l4"
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (400, 300)).save(folder / "images" / "objects365_v1_00000001.jpg")
    first = "objects365_v1_00000001.jpg"
    val = [
        l4_row("00", first, [0, 0, 128, 128]),
        l4_row("01", "gone.jpg", [0, 0, 10, 10]),
        l4_row("02", first, [0, 0, 300, 290]),
        l4_row("03", first, [0, 0, 128, 128], "Another one"),
    ]
    for split, rows in (("val", val), ("test", [l4_row("04", first, [0, 0, 20, 20])])):
        parquet.write_table(pa.Table.from_pylist(rows), folder / f"ref-l4-{split}.parquet")
    return tmp_path


def test_ref_l4_groups_expressions_by_picture_and_slices_them_by_size(ref_l4: Path) -> None:
    data = RefL4(str(ref_l4), contract=False)
    assert [(info.queries, info.regions) for info in data.index] == [(3, 2), (1, 1)]
    sample = data.load(0)
    assert sample.boxes == ((0, 0, 128, 128), (0, 0, 300, 290)) and len(sample.pictures[0].regions) == 2
    assert [(q.id, q.slice) for q in sample.queries] == [("0", "medium"), ("2", "large"), ("3", "medium")]
    assert sample.queries[2].text == "Another one" and sample.queries[2].targets == ((0, 0, 128, 128),)
    with pytest.raises(UserError, match=r"gone\.jpg is missing.*falip data ref_l4"):
        data.load(1)
    every = RefL4(str(ref_l4), "all", contract=False)
    assert sum(info.queries for info in every.index) == 5 and every.load(0).queries[-1].slice == "small"
    with pytest.raises(UserError, match="5 queries, but 45341 are expected"):
        _ = RefL4(str(ref_l4), "all").index


def test_ref_l4_takes_detections_by_file_name(ref_l4: Path) -> None:
    (ref_l4 / "ref_l4" / "dets_dict.json").write_text(json.dumps({"objects365_v1_00000001.jpg": [[1, 2, 30, 40]]}))
    data = RefL4(str(ref_l4), proposals="detected", contract=False)
    assert data.load(0).boxes == ((1, 2, 31, 42),)
    assert data.identity != RefL4(str(ref_l4), contract=False).identity


def m_row(size: tuple[int, int] = (40, 30), mask_size: tuple[int, int] = (30, 40)) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "PNG")
    mask = np.zeros(mask_size, np.uint8)
    mask[2:12, 1:9] = 1
    counts = run_length.encode(np.asfortranarray(mask))["counts"].decode()
    sample = {"id": 7, "image_id": 25, "category": "dog", "supercategory": "animal", "label": "dog"}
    sample |= {"sentences": ["Brown dog", "left"], "bbox": [1.0, 2.0, 8.0, 10.0]}
    sample |= {"mask": {"counts": counts, "size": list(mask_size)}}
    picture = {"bytes": buffer.getvalue(), "path": "25.png"}
    return {"image": picture, "image_id": 25, "file_name": "COCO_train2014_000000000025.jpg", "samples": [sample]}


def write_m(root: Path, *rows: dict[str, Any]) -> None:
    folder = root / "refcoco_m" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), folder / "validation-00000-of-00001.parquet")


def test_refcoco_m_has_pictures_and_masks_in_its_rows(tmp_path: Path) -> None:
    write_m(tmp_path, m_row())
    sample = RefCOCOM(str(tmp_path), region="mask", contract=False).load(0)
    (region,) = sample.pictures[0].regions
    assert sample.pictures[0].image.getpixel((0, 0)) == (255, 0, 0)
    assert region.box == (1, 2, 9, 12) and region.mask is not None and region.mask.sum() == 80
    assert [(q.id, q.text) for q in sample.queries] == [("7/0", "brown dog"), ("7/1", "left")]
    assert RefCOCOM(str(tmp_path), contract=False).load(0).pictures[0].regions[0].mask is None
    with pytest.raises(UserError, match="2 queries, but 5598"):
        _ = RefCOCOM(str(tmp_path)).index


def test_a_mask_of_another_picture_is_refused(tmp_path: Path) -> None:
    write_m(tmp_path, m_row(mask_size=(31, 40)))
    with pytest.raises(UserError, match=r"image 25, sample 7: the mask is \[31, 40\]"):
        RefCOCOM(str(tmp_path), region="mask", contract=False).load(0)


def g_entry(ids: list[int], *sentences: str, split: str = "val") -> dict[str, Any]:
    number = sum(map(ord, "".join(sentences)))
    found = [{"raw": raw, "sent": raw, "sent_id": number + i} for i, raw in enumerate(sentences)]
    name = "COCO_train2014_000000000025.jpg"
    kept = {"ann_id": ids, "image_id": 25, "file_name": name, "no_target": ids == [-1], "split": split}
    return {**kept, "sentences": found}


def test_grefcoco_has_expressions_of_one_several_and_no_objects(tmp_path: Path) -> None:
    (tmp_path / "train2014").mkdir()
    (tmp_path / "grefcoco").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "train2014" / "COCO_train2014_000000000025.jpg")
    objects = [{"id": 1, "image_id": 25, "bbox": [0, 0, 10, 10]}, {"id": 2, "image_id": 25, "bbox": [20, 0, 10, 10]}]
    (tmp_path / "grefcoco" / "instances.json").write_text(json.dumps({"annotations": objects}))
    entries = [g_entry([2], "Right"), g_entry([1, 2], "both"), g_entry([-1], "a whale"), g_entry([1])]
    entries.append(g_entry([1], "left", split="testA"))
    (tmp_path / "grefcoco" / "grefs(unc).json").write_text(json.dumps(entries))
    sample = GRefCOCO(str(tmp_path)).load(0)
    assert len(sample.boxes) == 2 and [(q.text, len(q.targets), q.slice) for q in sample.queries] == [
        ("right", 1, "one target"), ("both", 2, "several targets"), ("a whale", 0, "no target"),
    ]  # fmt: skip
    assert GRefCOCO(str(tmp_path), "testA").index[0].queries == 1
    (tmp_path / "grefcoco" / "grefs(unc).json").write_text(json.dumps([g_entry([9], "gone")]))
    with pytest.raises(UserError, match="entry 0: its target 9 is no annotated object"):
        _ = GRefCOCO(str(tmp_path)).index


@pytest.mark.parametrize("wrong", [{"ann_id": 3}, {"sentences": None}, {"sentences": 5}])
def test_grefcoco_names_the_entry_whose_list_is_none(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (tmp_path / "grefcoco").mkdir()
    objects = [{"id": 1, "image_id": 25, "bbox": [0, 0, 10, 10]}]
    (tmp_path / "grefcoco" / "instances.json").write_text(json.dumps({"annotations": objects}))
    (tmp_path / "grefcoco" / "grefs(unc).json").write_text(json.dumps([g_entry([1], "left") | wrong]))
    with pytest.raises(UserError, match=rf"entry 0: '{next(iter(wrong))}' is a list, and found"):
        _ = GRefCOCO(str(tmp_path)).index
