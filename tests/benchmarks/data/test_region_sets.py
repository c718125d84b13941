"""COCO panoptic, COCO and LVIS boxes, and FG-OVD, on small data in their publishers' formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.data.coco_boxes import COCOBoxes
from benchmarks.data.coco_panoptic import COCOPanoptic
from benchmarks.data.fg_ovd import FGOVD
from benchmarks.data.lvis import LVISBoxes
from benchmarks.data.samples import Dataset, Sample
from benchmarks.measure.metrics import classification_metrics
from benchmarks.records.record import Record
from benchmarks.tasks.classification import RegionClassification
from falip import UserError

WIDTH, HEIGHT = 60, 40


def picture(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "grey").save(path)


def written(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def image(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "file_name": f"{number:012d}.jpg", "width": WIDTH, "height": HEIGHT, **more}


def segment(number: int, category: int, bbox: list[int], crowd: int = 0) -> dict[str, Any]:
    return {"id": number, "category_id": category, "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": crowd}


# Of three categories the file's order is not that of the ids, by which labels are ranked: cat 0, dog 1, wall 2.
CATEGORIES = [
    {"id": 199, "name": "wall-other-merged", "isthing": 0},
    {"id": 18, "name": "dog", "isthing": 1},
    {"id": 17, "name": "cat", "isthing": 1},
]
SEGMENTS = [
    segment(70_001, 17, [2, 3, 10, 10]),
    segment(5, 18, [20, 5, 7, 9]),  # 63 square pixels, of which 64 are needed
    segment(300, 18, [30, 4, 12, 16], crowd=1),
    segment(9, 199, [0, 24, 60, 16]),
    segment(11, 404, [44, 0, 10, 20]),  # of no category of the file
]


def panoptic(root: Path, segments: list[dict[str, Any]] = SEGMENTS) -> Path:
    """Pictures 7 and 8; the second is not there, and neither is that of annotation 999."""
    ids = np.zeros((HEIGHT, WIDTH), dtype=np.int64)
    for one in segments:
        x, y, w, h = one["bbox"]
        ids[y : y + h, x : x + w] = one["id"]
    colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    folder = root / "annotations" / "panoptic_val2017"
    folder.mkdir(parents=True)
    Image.fromarray(colours).save(folder / "000000000007.png")
    picture(root / "val2017" / "000000000007.jpg")
    annotations = [
        {"image_id": 7, "file_name": "000000000007.png", "segments_info": segments},
        {"image_id": 8, "file_name": "000000000008.png", "segments_info": [segment(1, 17, [0, 0, 20, 20])]},
        {"image_id": 999, "file_name": "000000000999.png", "segments_info": [segment(1, 17, [0, 0, 20, 20])]},
    ]
    images = [image(7), image(8)]
    written(
        root / "annotations" / "panoptic_val2017.json",
        {"images": images, "annotations": annotations, "categories": CATEGORIES},
    )
    return root


def asked(sample: Sample) -> list[tuple[str, str, int, str]]:
    return [(query.id, query.text, query.label, query.slice) for query in sample.queries]


def test_panoptic_segments_are_asked_about_as_the_source_does(tmp_path: Path) -> None:
    data: Dataset = COCOPanoptic(str(panoptic(tmp_path)), contract=False)
    assert data.class_names == ("cat", "dog", "wall-other-merged")
    assert [(info.id, info.queries) for info in data.index] == [("7", 3), ("8", 1)]
    sample = data.load(0)
    assert asked(sample) == [
        ("7/70001", "cat", 0, "thing"),
        ("7/300", "dog", 1, "thing"),  # a crowd
        ("7/9", "wall-other-merged", 2, "stuff"),
    ]
    boxes = [region.box for region in sample.pictures[0].regions]
    assert boxes == [(2, 3, 12, 13), (30, 4, 42, 20), (0, 24, 59, 39)]  # stuff without its last row and column
    assert data.identity["unjoined"] == 2
    with pytest.raises(UserError, match=r"000000000008\.jpg is missing.*falip data coco_panoptic"):
        data.load(1)


def test_panoptic_masks_are_the_segments_pixels(tmp_path: Path) -> None:
    data = COCOPanoptic(str(panoptic(tmp_path)), region="mask", stuff_boxes="pixels", contract=False)
    cat, _, wall = data.load(0).pictures[0].regions
    assert cat.mask is not None and wall.mask is not None
    assert cat.mask.sum() == 100 and cat.mask[3:13, 2:12].all()
    assert wall.mask[24:].all() and not wall.mask[:24].any() and wall.box == (0, 24, 60, 40)


@pytest.mark.parametrize(
    "settings, left",
    [
        ({"crowd": "skip"}, ["7/70001", "7/9"]),
        ({"smallest": 63.0}, ["7/70001", "7/5", "7/300", "7/9"]),
        ({"largest": 150.0}, ["7/70001"]),
        ({"most": 2}, ["7/70001"]),  # what is too small counts towards the first ones
        ({"stuff_boxes": "pixels", "largest": 900.0}, ["7/70001", "7/300"]),
    ],
)
def test_what_panoptic_leaves_out_is_a_setting_and_identity(tmp_path: Path, settings: dict, left: list[str]) -> None:
    root = str(panoptic(tmp_path))
    data = COCOPanoptic(root, contract=False, **settings)
    assert [query.id for query in data.load(0).queries] == left
    assert data.identity != COCOPanoptic(root, contract=False).identity


def test_a_missing_picture_is_skipped_where_asked(tmp_path: Path) -> None:
    data = COCOPanoptic(str(panoptic(tmp_path)), missing="skip", contract=False)
    assert [info.id for info in data.index] == ["7"]


def test_panoptic_without_a_segments_pixels_says_so(tmp_path: Path) -> None:
    root = panoptic(tmp_path)
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / "annotations" / "panoptic_val2017" / "000000000007.png")
    with pytest.raises(UserError, match=r"000000000007\.png has no pixel of the segment 70001 \(cat\)"):
        COCOPanoptic(str(root), region="mask", contract=False).load(0)


def test_panoptic_counts_are_held_against_the_source(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"3 classes, but 133 are expected|2 pictures, but 5000"):
        _ = COCOPanoptic(str(panoptic(tmp_path))).index


def test_panoptic_gives_macc_of_things_and_stuff_and_micro_figures(tmp_path: Path) -> None:
    segments = [
        segment(1, 17, [0, 0, 10, 10]), segment(2, 17, [10, 0, 10, 10]), segment(3, 18, [20, 0, 10, 10]),
        segment(4, 199, [0, 20, 20, 20]),
    ]  # fmt: skip
    data = COCOPanoptic(str(panoptic(tmp_path, segments)), contract=False)
    task = RegionClassification(data, "classification/coco_panoptic", "val", "vild63")
    best = np.float32([[[3, 2, 1], [1, 3, 2], [1, 3, 2], [3, 2, 1]]])  # cat right, cat wrong, dog right, wall wrong
    records: list[Record] = task.decide(data.load(0), best, "sum", 0)
    figures = classification_metrics(pd.DataFrame([vars(record) for record in records]))
    assert (figures["top1"], figures["top5"]) == (0.5, 1.0)
    things, stuff = figures["class_means"]["thing"], figures["class_means"]["stuff"]
    assert (things["macc1"], things["macc5"], things["top1"]) == (0.75, 1.0, pytest.approx(2 / 3))
    assert (stuff["macc1"], stuff["macc5"], stuff["classes"]) == (0.0, 1.0, 1)
    assert figures["counts"]["samples"] == 1


def annotation(number: int, image_id: int, category: int, bbox: list[float], **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image_id, "category_id": category, "bbox": bbox, **more}


def test_coco_boxes_are_all_annotations_crowds_too(tmp_path: Path) -> None:
    picture(tmp_path / "val2017" / "000000000007.jpg")
    content = {
        "images": [image(8), image(7), image(9)],
        "annotations": [
            annotation(4, 7, 18, [2.5, 3, 10, 10], iscrowd=0),
            annotation(3, 7, 1, [0, 0, 60, 40], iscrowd=1),
            annotation(2, 7, 1, [59.5, 10, 0, 4], iscrowd=0),  # without area
            annotation(1, 999, 1, [0, 0, 5, 5], iscrowd=0),
            annotation(6, 8, 18, [0, 0, 5, 5], iscrowd=0),
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }
    written(tmp_path / "annotations" / "instances_val2017.json", content)
    data = COCOBoxes(str(tmp_path), contract=False)
    assert [(info.id, info.queries) for info in data.index] == [("8", 1), ("7", 3)]
    sample = data.load(1)
    assert asked(sample) == [("7/4", "dog", 1, ""), ("7/3", "person", 0, ""), ("7/2", "person", 0, "")]
    assert [region.box for region in sample.pictures[0].regions] == [
        (2.5, 3, 12.5, 13), (0, 0, 60, 40), (59, 10, 60, 14),
    ]  # fmt: skip
    assert data.identity["unjoined"] == 1
    without = COCOBoxes(str(tmp_path), crowd="skip", missing="skip", contract=False)
    assert [query.id for query in without.load(0).queries] == ["7/4", "7/2"]
    with pytest.raises(UserError, match=r"3 pictures, but 5000|2 classes, but 80"):
        _ = COCOBoxes(str(tmp_path)).index


def test_lvis_boxes_take_pictures_that_are_there_and_names_in_lower_case(tmp_path: Path) -> None:
    picture(tmp_path / "val2017" / "000000000007.jpg")
    picture(tmp_path / "train2017" / "000000000008.jpg")
    address = "http://images.cocodataset.org"
    content = {
        "images": [
            {"id": 7, "coco_url": f"{address}/val2017/000000000007.jpg"},
            {"id": 8, "coco_url": f"{address}/train2017/000000000008.jpg"},
        ],
        "annotations": [annotation(1, 7, 10, [0, 0, 9, 9]), annotation(2, 8, 2, [0, 0, 9, 9])],
        "categories": [{"id": 10, "name": "CD_player"}, {"id": 2, "name": "aerosol_can"}],
    }
    written(tmp_path / "lvis" / "lvis_v1_val.json", content)
    data = LVISBoxes(str(tmp_path), contract=False)
    assert [info.id for info in data.index] == ["7"] and data.class_names == ("aerosol_can", "cd_player")
    assert asked(data.load(0)) == [("7/1", "cd_player", 1, "")]
    task = RegionClassification(data, "classification/lvis_boxes", "val", "imagenet80")
    assert task.texts(data.load(0)) == ["aerosol can", "cd player"]
    whole = LVISBoxes(str(tmp_path), names="written", pictures=["val2017", "train2017"], contract=False)
    assert [info.id for info in whole.index] == ["7", "8"] and whole.class_names[1] == "CD_player"
    assert whole.identity != data.identity


def lines(root: Path, *found: dict[str, Any], name: str = "h_attributes_llava") -> None:
    (root / "fg_ovd").mkdir(exist_ok=True)
    (root / "fg_ovd" / f"{name}.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in found))


def line(path: str, right: str, *wrong: str) -> dict[str, Any]:
    kept = {"img_path": path, "bbox": [4, 4, 20, 20], "test_type": "hard"}
    return {**kept, "pos_expression": [right], "neg_expression": list(wrong)}


def decided(data: FGOVD, scores: dict[str, float]) -> list[tuple[str, bool]]:
    task = RegionClassification(data, "classification/fg_ovd", "hard", "{}")
    found = []
    for i in range(len(data.index)):
        sample = data.load(i)
        row = np.float32([[[scores[text] for text in task.texts(sample)]] * len(sample.queries)])
        found += [(record.id, record.correct) for record in task.decide(sample, row, "sum", 0)]
    return found


def test_fg_clips_lines_are_boxes_with_captions_of_their_own(tmp_path: Path) -> None:
    picture(tmp_path / "val2017" / "a.jpg")
    picture(tmp_path / "train2017" / "b.jpg")
    lines(
        tmp_path,
        line("val2017/a.jpg", "a red cup", "a blue cup", "a green cup"),
        line("coco/train2017/b.jpg", "a dog", "a cat"),
        line("a.jpg", "a blue cup", "a red cup"),
    )
    data = FGOVD(str(tmp_path), contract=False)
    assert [(info.id, info.queries) for info in data.index] == [("val2017/a", 2), ("train2017/b", 1)]
    scores = {"a red cup": 2.0, "a blue cup": 2.0, "a green cup": 1.0, "a dog": 1.0, "a cat": 3.0}
    right = [("val2017/a/0", True), ("val2017/a/2", True), ("train2017/b/1", False)]
    assert decided(data, scores) == right  # ties are right
    strict = FGOVD(str(tmp_path), ties="wrong", contract=False)
    assert decided(strict, scores) == [(name, False) for name, _ in right]
    assert strict.identity != data.identity
    two = FGOVD(str(tmp_path), negatives=2, contract=False)
    assert [query.id for query in two.load(0).queries] == ["val2017/a/0"] and len(two.index) == 1
    with pytest.raises(UserError, match="3 boxes, but 3545 are expected"):
        _ = FGOVD(str(tmp_path)).index


def test_fg_ovds_own_files_name_captions_by_category(tmp_path: Path) -> None:
    picture(tmp_path / "val2017" / "a.jpg")
    content = {
        "images": [{"id": 3, "coco_url": "http://images.cocodataset.org/val2017/a.jpg"}],
        "annotations": [
            annotation(1, 3, 10, [1, 1, 9, 9], neg_category_ids=[12, 11]),
            annotation(2, 3, 10, [1, 1, 9, 9], neg_category_ids=[99]),  # of no caption of the file
            annotation(5, 4, 10, [1, 1, 9, 9], neg_category_ids=[11]),  # of no picture of the file
        ],
        "categories": [{"id": i, "name": name} for i, name in ((10, "a red cup"), (11, "a cup"), (12, "a blue cup"))],
    }
    written(tmp_path / "fg_ovd" / "pattern.json", content)
    data = FGOVD(str(tmp_path), "pattern", source="official")
    (query,) = data.load(0).queries
    assert (query.texts, query.label, query.text) == (("a red cup", "a blue cup", "a cup"), 0, "a red cup")
    assert data.identity["unjoined"] == 2
    with pytest.raises(UserError, match=r"'pattern' \(task\.split=pattern\)"):
        FGOVD(str(tmp_path), "pattern")


def test_a_line_without_a_right_caption_names_its_place(tmp_path: Path) -> None:
    lines(tmp_path, {**line("val2017/a.jpg", "x", "y"), "pos_expression": []})
    with pytest.raises(UserError, match=r"h_attributes_llava\.jsonl, line 1: expected a list of one right caption"):
        _ = FGOVD(str(tmp_path), contract=False).index
