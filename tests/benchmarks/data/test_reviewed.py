"""RefCOCO with the verdicts of Ref-L4's authors on its expressions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.data.refcoco import RefCOCO
from falip import UserError

# The small file has, in image 25, 21 "wide thing" and 22 "tall, by the edge?"; in image 300, 11, 12 "small" and 13.
VERDICTS = [
    {"image_id": 25, "caption": "Wide  thing", "caption_quality": 0},
    {"file_name": "COCO_train2014_000000000025.jpg", "caption": "tall, by the edge?", "caption_quality": 1},
    {"sent_id": 12, "caption_quality": 2},
    {"image_id": 300, "caption": "nobody said this", "caption_quality": 0},
    {"sent_id": 999, "caption_quality": 1},
]


def verdicts(root: Path, entries: list[dict[str, Any]], key: str = "annotation") -> None:
    folder = root / "ref_l4" / "refcocos_annotation_reviewed"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "refcoco_testA_reviewed.json").write_text(json.dumps({"images": [], key: entries}))


def asked(root: Path, rows: str) -> dict[str, str]:
    data = RefCOCO("refcoco", str(root), "testA", "gt", contract=False, review=rows)
    samples = [data.load(i) for i in range(len(data.index))]
    assert [info.queries for info in data.index] == [len(sample.queries) for sample in samples]
    return {query.id: query.slice for sample in samples for query in sample.queries}


@pytest.mark.parametrize("key", ["annotation", "annotations"])
def test_expressions_found_wrong_are_left_out_and_so_are_those_nobody_reviewed(coco_root: Path, key: str) -> None:
    verdicts(coco_root, VERDICTS, key)
    assert asked(coco_root, "reviewed") == {"22": "", "12": ""}
    assert asked(coco_root, "all").keys() == {"21", "22", "11", "12", "13"}


def test_flagged_rows_are_all_with_their_verdicts(coco_root: Path) -> None:
    verdicts(coco_root, VERDICTS)
    unseen = dict.fromkeys(("11", "13"), "not reviewed")
    right = dict.fromkeys(("22", "12"), "reviewed: right")
    assert asked(coco_root, "flagged") == {"21": "reviewed: wrong", **right, **unseen}


def test_verdicts_and_what_did_not_join_are_identity(coco_root: Path) -> None:
    verdicts(coco_root, VERDICTS)
    plain = RefCOCO("refcoco", str(coco_root), "testA", "gt", contract=False).identity
    data = RefCOCO("refcoco", str(coco_root), "testA", "gt", contract=False, review="reviewed").identity
    assert "review" not in plain and plain["files"].keys() < data["files"].keys()
    assert data["review"] == {"rows": "reviewed", "wrong": 1, "unjoined_rows": 2, "unjoined_flags": 2}


def test_of_two_objects_of_one_expression_the_verdict_is_on_that_of_its_box(
    coco_root: Path, referents: list[dict[str, Any]]
) -> None:
    for line in referents:
        line["sentences"] = [{**one, "raw": "thing"} for one in line["sentences"][:1]]
    path = coco_root / "reclip_data" / "refcoco_testa.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in referents))
    boxes = ([1, 2, 10, 20], 0), ([5, 5, 499, 8], 1)  # of annotations 7 and 4 of image 25
    verdicts(coco_root, [{"image_id": 25, "caption": "thing", "bbox": box, "caption_quality": flag} for box, flag in boxes])
    assert asked(coco_root, "reviewed") == {"21": ""}


def test_a_file_of_another_split_or_none_says_so(coco_root: Path) -> None:
    with pytest.raises(UserError, match=r"refcoco_testA_reviewed\.json is missing.*falip data ref_l4"):
        asked(coco_root, "reviewed")
    verdicts(coco_root, [{"sent_id": 5, "caption_quality": 1}])
    with pytest.raises(UserError, match="none of its 1 verdicts is of an expression of this split"):
        asked(coco_root, "reviewed")
    with pytest.raises(UserError, match=r"task\.rows=some"):
        asked(coco_root, "some")
