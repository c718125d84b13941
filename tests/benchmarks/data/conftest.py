"""Small data sets in exactly the formats that their publishers use, made by the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

# Two images in ReCLIP's format. Image 25 comes second in the file although its id is lower, and its two
# referents stand on two lines; image 300 has a referent of two annotations and no detections.
ANNOTATIONS = {
    25: [{"id": 7, "bbox": [1.0, 2.0, 10.0, 20.5]}, {"id": 4, "bbox": [5.0, 5.0, 500.0, 8.0]}],
    300: [
        {"id": 1, "bbox": [0.0, 0.0, 4.0, 4.0]},
        {"id": 2, "bbox": [8.0, 0.0, 4.0, 4.0]},
        {"id": 3, "bbox": [2, 3, 0, 5]},
    ],
}


def referent(image_id: int, ann_id: Any, *sentences: tuple[int, str]) -> dict[str, Any]:
    """One line of ReCLIP's file."""
    return {
        "file_name": f"COCO_train2014_{image_id:012d}_9.jpg",
        "image_id": image_id,
        "ann_id": ann_id,
        "anns": [{**annotation, "segmentation": []} for annotation in ANNOTATIONS[image_id]],
        "sentences": [{"raw": raw, "sent": raw.lower(), "sent_id": sent_id} for sent_id, raw in sentences],
    }


REFERENTS = [
    referent(300, 2, (11, "The Right one"), (12, "small")),
    referent(25, "4", (21, "wide thing")),
    referent(300, 1, (13, "left")),
    referent(25, 7, (22, "TALL, by the edge?")),
]


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    """One JSON object on each line."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def referents() -> list[dict[str, Any]]:
    """The lines of the small file, to be changed at will."""
    return json.loads(json.dumps(REFERENTS))


@pytest.fixture
def coco_root(tmp_path: Path) -> Path:
    """A data folder with the small RefCOCO in ReCLIP's format, pictures included."""
    for folder in ("reclip_data", "train2014", "annotations"):
        (tmp_path / folder).mkdir()
    write_lines(tmp_path / "reclip_data" / "refcoco_testa.jsonl", REFERENTS)
    detections = {"25": [[3.0, 4.0, 5.0, 6.0], [-2.0, 0.0, 100.0, 9.0]], "999": [[0, 0, 1, 1]]}
    (tmp_path / "reclip_data" / "refcoco_dets_dict.json").write_text(json.dumps(detections))
    for image_id, size in ((25, (40, 30)), (300, (16, 24))):
        Image.new("RGB", size, (200, image_id % 256, 0)).save(
            tmp_path / "train2014" / f"COCO_train2014_{image_id:012d}.jpg"
        )
    instances = {
        "images": [{"id": image_id, "file_name": f"COCO_train2014_{image_id:012d}.jpg"} for image_id in (300, 25)],
        "annotations": [
            {
                **annotation,
                "image_id": image_id,
                "category_id": 1,
                "iscrowd": 0,
                "area": 1.0,
                "segmentation": [],
            }
            for image_id in (300, 25)
            for annotation in ANNOTATIONS[image_id]
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "annotations" / "instances_train2014.json").write_text(json.dumps(instances))
    return tmp_path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


CUB_PICTURES = (
    # id, file, label from 1, 1 = training, box x y w h
    ("1", "001.Black_footed_Albatross/Black_0001_1.jpg", "1", "0", "60.0 27.0 325.0 304.0"),
    ("2", "001.Black_footed_Albatross/Black_0002_2.jpg", "1", "1", "1.0 2.0 3.0 4.0"),
    ("3", "002.Chuck_will_Widow/Chuck_0003_3.jpg", "2", "0", "10.5 0.0 5.0 6.0"),
)


@pytest.fixture
def cub_root(tmp_path: Path) -> Path:
    """A data folder with three pictures of CUB-200-2011."""
    folder = tmp_path / "CUB_200_2011"
    columns = {"images": 1, "image_class_labels": 2, "train_test_split": 3, "bounding_boxes": 4}
    folder.mkdir()
    for name, column in columns.items():
        (folder / f"{name}.txt").write_text("".join(f"{row[0]} {row[column]}\n" for row in CUB_PICTURES))
    (folder / "classes.txt").write_text("1 001.Black_footed_Albatross\n2 002.Chuck_will_Widow\n")
    for row in CUB_PICTURES:
        save_picture(folder / "images" / row[1], (50, 40))
    return tmp_path


def save_picture(path: Path, size: tuple[int, int]) -> None:
    """A picture of one colour, its folder made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (10, 200, 30)).save(path)
