"""Masks of candidates: what a file and the annotators' outlines give, and what every mistake says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as run_length

from benchmarks.data.masks import decoded
from benchmarks.data.refcoco import RefCOCO
from benchmarks.run.job import describe_rules
from benchmarks.tasks.rec import ReferringExpressions
from falip.errors import UserError

BOXES = [[3.0, 4.0, 5.0, 6.0], [-2.0, 0.0, 100.0, 9.0]]  # of image 25, 40 x 30 pixels


def drawn(x: int, y: int, width: int, height: int) -> np.ndarray:
    pixels = np.zeros((30, 40), bool)
    pixels[y : y + height, x : x + width] = True
    return pixels


FIRST, SECOND = drawn(4, 5, 3, 2), drawn(0, 0, 20, 8)


def compressed(pixels: np.ndarray) -> dict[str, Any]:
    made: Any = run_length.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": list(made["size"]), "counts": made["counts"].decode()}


def counted(pixels: np.ndarray) -> dict[str, Any]:
    """Run lengths, column by column, from those outside on."""
    counts, inside = [0], False
    for pixel in pixels.T.reshape(-1):
        if pixel != inside:
            counts.append(0)
            inside = not inside
        counts[-1] += 1
    return {"size": list(pixels.shape), "counts": counts}


def line(**changes: Any) -> dict[str, Any]:
    return {"image_id": 25, "boxes": BOXES, "masks": [compressed(FIRST), counted(SECOND)]} | changes


def with_masks(root: Path, *lines: dict[str, Any], proposals: str = "detected") -> RefCOCO:
    path = root / "masks.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return RefCOCO("refcoco", str(root), "testA", proposals, contract=False, masks=str(path))


def test_both_forms_of_run_lengths_go_with_their_boxes_in_order(coco_root: Path) -> None:
    data = with_masks(coco_root, {"masks_of": "detections", "model": "sam"}, line())
    task = ReferringExpressions(data, "rec/refcoco", "testA", "detected")
    first, second = task.pictures(data.load(0))[0].regions
    assert first.box == (3.0, 4.0, 8.0, 10.0) and second.box == (0.0, 0.0, 40.0, 9.0)
    np.testing.assert_array_equal(first.mask, FIRST)
    np.testing.assert_array_equal(second.mask, SECOND)
    whole = data.load(1)
    assert whole.fallback and whole.pictures[0].regions[0].mask is None


def test_a_mask_stays_with_its_box_where_the_task_drops_another(coco_root: Path) -> None:
    data = with_masks(coco_root, line())
    task = ReferringExpressions(data, "rec/refcoco", "testA", "detected", min_area=0.1)
    (kept,) = task.pictures(data.load(0))[0].regions
    np.testing.assert_array_equal(kept.mask, SECOND)


def test_the_box_stands_for_a_mask_without_a_pixel(coco_root: Path) -> None:
    empty = compressed(np.zeros((30, 40), bool))
    first, second = with_masks(coco_root, line(masks=[empty, compressed(SECOND)])).load(0).pictures[0].regions
    assert first.mask is None and first.box == (3.0, 4.0, 8.0, 10.0)
    assert second.mask is not None


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"boxes": BOXES[::-1]}, r"line 1: box 0 .* the same boxes in the same order"),
        ({"boxes": BOXES[:1], "masks": [compressed(FIRST)]}, "1 boxes and 1 masks, where image 25 has 2 candidates"),
        ({"masks": [compressed(FIRST.T), compressed(SECOND)]}, r"mask 0: the mask is \[40, 30\] high and wide"),
        ({"masks": [{"size": [30, 40], "counts": [3, 4]}] * 2}, "whole numbers with the sum 1200"),
        ({"masks": ["x", "y"]}, "neither COCO's run lengths nor polygons"),
        ({"masks": None}, "'masks' must be a list"),
        ({"image_id": 26}, r"masks\.jsonl has no masks for image 25"),
    ],
)
def test_what_does_not_fit_the_candidates_is_refused(coco_root: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        with_masks(coco_root, line(**changes)).load(0)


def test_an_image_has_one_line(coco_root: Path) -> None:
    with pytest.raises(UserError, match="line 2: a second line for image 25"):
        with_masks(coco_root, line(), line()).load(0)


def test_a_missing_file_is_named(coco_root: Path) -> None:
    data = RefCOCO("refcoco", str(coco_root), "testA", "detected", contract=False, masks="/nowhere/masks.jsonl")
    with pytest.raises(UserError, match=r"/nowhere/masks\.jsonl is missing"):
        _ = data.identity


def test_the_content_of_the_file_is_identity_and_its_place_is_not(coco_root: Path) -> None:
    plain = RefCOCO("refcoco", str(coco_root), "testA", "detected", contract=False)
    assert "masks" not in plain.identity
    one = with_masks(coco_root, line())
    before = one.identity
    other = with_masks(coco_root, {"masks_of": "detections", "seed": 1}, line()).identity
    assert before["masks"] != other["masks"]
    task = ReferringExpressions(one, "rec/refcoco", "testA", "detected", masks="masks.jsonl")
    assert "masks.jsonl" not in str(describe_rules(task)) + str(before)


def test_gold_boxes_take_the_outlines_of_the_annotators(coco_root: Path, referents: list[dict[str, Any]]) -> None:
    outline = [[1.0, 2.0, 11.0, 2.0, 11.0, 12.0, 1.0, 12.0]]
    for one in referents:
        if one["image_id"] == 25:
            one["anns"][0]["segmentation"] = outline
    path = coco_root / "reclip_data" / "refcoco_testa.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in referents))
    data = RefCOCO("refcoco", str(coco_root), "testA", "gt", contract=False, masks="annotations")
    square, bare = data.load(0).pictures[0].regions
    assert square.mask is not None and square.mask[3:11, 2:10].all() and square.mask.sum() == 100
    assert bare.mask is None
    assert data.identity["masks"] == "annotations"


def test_detections_have_no_outlines(coco_root: Path) -> None:
    with pytest.raises(UserError, match=r"task\.proposals=detected are others"):
        RefCOCO("refcoco", str(coco_root), "testA", "detected", contract=False, masks="annotations")


@pytest.mark.parametrize("far", [1e9, -1e9, 2**63, float("inf"), float("nan")])
def test_a_polygon_far_outside_of_its_picture_is_refused_before_memory_is_taken_for_it(far):
    with pytest.raises(UserError, match="here: neither COCO's run lengths nor polygons"):
        decoded([[2, 3, 12, 3, far, 13]], (40, 30), "here")
    assert decoded([[-2, 3, 52, 3, 12, 33]], (40, 30), "here") is not None, "a little outside is what annotators do"
