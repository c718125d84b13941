"""The two routes to RefCOCO: what becomes a sample, and what every broken file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from benchmarks.data.refcoco import RefCOCO
from benchmarks.data.refcoco_rows import RefCOCORows
from benchmarks.data.referents import picture_file
from benchmarks.data.samples import Dataset
from falip.errors import UserError

COMMAND = "falip data refcoco"


def small(root: Path, proposals: str = "gt", split: str = "testA") -> RefCOCO:
    return RefCOCO("refcoco", str(root), split, proposals, contract=False)


def rewrite(root: Path, lines: list[dict[str, Any]]) -> RefCOCO:
    path = root / "reclip_data" / "refcoco_testa.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return small(root)


def test_all_expressions_of_an_image_travel_together(coco_root: Path) -> None:
    data: Dataset = small(coco_root)
    assert [(info.id, info.queries, info.regions) for info in data.index] == [("25", 2, 2), ("300", 3, 3)]
    sample = data.load(0)
    assert sample.id == "25"
    assert {(query.id, query.text) for query in sample.queries} == {
        ("21", "wide thing"),
        ("22", "tall, by the edge?"),
    }
    assert sample.pictures[0].image.size == (40, 30)
    assert sample.pictures[0].image.mode == "RGB"
    assert data.class_names == ()


def test_candidates_are_all_annotations_in_order_as_corners(coco_root: Path) -> None:
    sample = small(coco_root).load(0)
    # The second box leaves the image: the loader keeps it as it is.
    assert sample.boxes == ((1.0, 2.0, 11.0, 22.5), (5.0, 5.0, 505.0, 13.0))
    assert tuple(region.box for region in sample.pictures[0].regions) == sample.boxes
    targets = {query.id: query.targets for query in sample.queries}
    assert targets == {"21": ((5.0, 5.0, 505.0, 13.0),), "22": ((1.0, 2.0, 11.0, 22.5),)}
    assert not sample.fallback


def test_a_box_without_area_stays_a_candidate_for_the_task_to_drop(coco_root: Path) -> None:
    assert (2.0, 3.0, 2.0, 8.0) in small(coco_root).load(1).boxes


def test_a_referent_of_several_annotations_has_several_gold_boxes(coco_root: Path, referents: list[dict[str, Any]]) -> None:
    referents[0]["ann_id"] = [2, "1"]
    queries = {query.id: query for query in rewrite(coco_root, referents).load(1).queries}
    assert queries["11"].targets == ((8.0, 0.0, 12.0, 4.0), (0.0, 0.0, 4.0, 4.0))


def test_sentence_ids_that_repeat_give_way_to_the_place_in_the_image(
    coco_root: Path, referents: list[dict[str, Any]]
) -> None:
    referents[1]["sentences"][0]["sent_id"] = 11
    data = rewrite(coco_root, referents)
    ids = [query.id for i in range(2) for query in data.load(i).queries]
    assert ids == ["25/7/0", "25/4/0", "300/1/0", "300/2/0", "300/2/1"]


def test_detections_are_candidates_and_the_whole_image_where_there_are_none(coco_root: Path) -> None:
    data = small(coco_root, "detected")
    assert [info.regions for info in data.index] == [2, 1]
    seen, unseen = data.load(0), data.load(1)
    assert seen.boxes == ((3.0, 4.0, 8.0, 10.0), (-2.0, 0.0, 98.0, 9.0))
    assert not seen.fallback
    assert seen.queries[0].targets == ((1.0, 2.0, 11.0, 22.5),)
    assert unseen.boxes == ((0.0, 0.0, 16.0, 24.0),)
    assert unseen.fallback


def test_the_list_form_of_detections_gives_the_same(coco_root: Path) -> None:
    expected = small(coco_root, "detected").load(0).boxes
    path = coco_root / "reclip_data" / "refcoco_dets_dict.json"
    boxes = json.loads(path.read_text())["25"]
    path.write_text(json.dumps([{"image_id": 25, "box": box, "score": 0.5} for box in boxes]))
    assert small(coco_root, "detected").load(0).boxes == expected


def test_detections_of_another_data_set_are_refused(coco_root: Path) -> None:
    (coco_root / "reclip_data" / "refcoco_dets_dict.json").write_text('{"1": [[0, 0, 5, 5]]}')
    with pytest.raises(UserError, match=r"dets_dict\.json has no detection for any of the 2 images"):
        _ = small(coco_root, "detected").index


def test_the_files_may_lie_in_the_data_folder_itself(coco_root: Path) -> None:
    for path in (coco_root / "reclip_data").iterdir():
        path.rename(coco_root / path.name)
    assert len(small(coco_root, "detected").index) == 2


def test_the_exif_orientation_is_not_applied(coco_root: Path) -> None:
    image = Image.new("L", (40, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(coco_root / "train2014" / "COCO_train2014_000000000025.jpg", exif=exif)
    picture = small(coco_root).load(0).pictures[0].image
    assert (picture.size, picture.mode) == ((40, 30), "RGB")


def test_the_published_number_of_expressions_is_required(coco_root: Path) -> None:
    data = RefCOCO("refcoco", str(coco_root), "testA", "gt")
    with pytest.raises(UserError, match=r"has 5 queries, but 5657 are expected .*task\.dataset\.contract=false"):
        _ = data.index


@pytest.mark.parametrize(
    ("name", "split", "count"),
    [("refcoco", "val", 10834), ("refcoco_plus", "testB", 4889), ("refcocog", "test", 9602)],
)
def test_each_split_has_its_file_and_its_number(tmp_path: Path, coco_root: Path, name: str, split: str, count: int) -> None:
    files = {
        "refcoco": "refcoco_val.jsonl",
        "refcoco_plus": "refcoco+_testb.jsonl",
        "refcocog": "refcocog_test.jsonl",
    }
    (coco_root / "reclip_data" / "refcoco_testa.jsonl").rename(tmp_path / "reclip_data" / files[name])
    with pytest.raises(UserError, match=f"{count} are expected"):
        _ = RefCOCO(name, str(tmp_path), split, "gt").index


def test_the_identity_follows_the_files(coco_root: Path, referents: list[dict[str, Any]]) -> None:
    before = small(coco_root).identity
    assert small(coco_root).identity == before
    assert small(coco_root, "detected").identity != before
    referents[0]["sentences"][0]["raw"] = "something else"
    assert rewrite(coco_root, referents).identity != before


def test_the_proposals_file_is_part_of_the_identity_only_where_it_is_read(coco_root: Path) -> None:
    gt, detected = small(coco_root).identity, small(coco_root, "detected").identity
    path = coco_root / "reclip_data" / "refcoco_dets_dict.json"
    path.write_text('{"25": [[0, 0, 5, 5.5]]}')
    assert small(coco_root).identity == gt
    assert small(coco_root, "detected").identity != detected


def test_a_picture_name_without_an_annotation_id_is_kept() -> None:
    assert picture_file("COCO_train2014_000000000025_1719310.jpg") == "COCO_train2014_000000000025.jpg"
    assert picture_file("COCO_train2014_000000000025.jpg") == "COCO_train2014_000000000025.jpg"
    assert picture_file("gta_17_3.jpg") == "gta_17_3.jpg"


def test_a_line_that_was_cut_off_is_named(coco_root: Path) -> None:
    path = coco_root / "reclip_data" / "refcoco_testa.jsonl"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(UserError, match=rf"refcoco_testa\.jsonl, line 4: not valid JSON .*{COMMAND}"):
        _ = small(coco_root).index


@pytest.mark.parametrize("key", ["image_id", "ann_id", "anns", "sentences", "file_name"])
def test_a_missing_key_is_named(coco_root: Path, referents: list[dict[str, Any]], key: str) -> None:
    del referents[2][key]
    with pytest.raises(UserError, match=rf"refcoco_testa\.jsonl, line 3: the key '{key}' is missing; found"):
        _ = rewrite(coco_root, referents).index


@pytest.mark.parametrize("box", [[1, 2, 3], [1, 2, 3, float("nan")], "1234x", None])
def test_a_box_that_is_none_is_refused(coco_root: Path, referents: list[dict[str, Any]], box: Any) -> None:
    referents[0]["anns"][0]["bbox"] = box
    with pytest.raises(UserError, match=r"line 1: a box is four"):
        _ = rewrite(coco_root, referents).index


def test_a_file_without_expressions_is_refused(coco_root: Path) -> None:
    with pytest.raises(UserError, match=r"refcoco_testa\.jsonl .* has no expression at all"):
        _ = rewrite(coco_root, []).index


def test_a_missing_picture_is_named_with_the_mend(coco_root: Path) -> None:
    (coco_root / "train2014" / "COCO_train2014_000000000025.jpg").unlink()
    with pytest.raises(UserError, match=rf"COCO_train2014_000000000025\.jpg is missing.*{COMMAND}"):
        small(coco_root).load(0)


def test_a_picture_that_was_cut_off_is_named(coco_root: Path) -> None:
    path = coco_root / "train2014" / "COCO_train2014_000000000025.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=rf"COCO_train2014_000000000025\.jpg cannot be decoded .*{COMMAND}"):
        small(coco_root).load(0)


def test_a_missing_data_folder_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"nowhere does not exist.*FALIP_DATA.*data_root.*{COMMAND}"):
        _ = small(tmp_path / "nowhere").index


def test_missing_files_are_named_with_the_mend(coco_root: Path) -> None:
    with pytest.raises(UserError, match=rf"reclip_data/refcoco_testb\.jsonl is missing.*{COMMAND}"):
        _ = small(coco_root, split="testB").index
    (coco_root / "reclip_data" / "refcoco_dets_dict.json").unlink()
    with pytest.raises(UserError, match=r"proposals file .*refcoco_dets_dict\.json is missing"):
        _ = small(coco_root, "detected").index


@pytest.mark.parametrize(
    ("name", "split", "proposals", "message"),
    [
        ("refcoco+", "val", "gt", r"'refcoco\+' .* Choose one of: refcoco, refcoco_plus, refcocog"),
        ("refcocog", "testA", "gt", r"task\.split=testA\) is unknown. Choose one of: val, test\."),
        ("refcoco", "val", "gold", r"task\.proposals=gold\) is unknown. Choose one of: gt, detected"),
    ],
)
def test_unknown_choices_list_the_known_ones(name: str, split: str, proposals: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        RefCOCO(name, "data", split, proposals)


@pytest.fixture
def rows_folder(coco_root: Path, referents: list[dict[str, Any]]) -> Path:
    """The small RefCOCO as the hub has it: one row for each referent, boxes unordered, testA called test."""
    rows = [
        {
            "sent_ids": [sentence["sent_id"] for sentence in line["sentences"]],
            "file_name": line["file_name"],
            "ann_id": int(line["ann_id"]),
            "ref_id": number,
            "image_id": line["image_id"],
            "split": "testA",
            "sentences": [{**sentence, "tokens": sentence["sent"].split()} for sentence in line["sentences"]],
            "bbox": [-1.0, -1.0, -1.0, -1.0],
        }
        for number, line in enumerate(reversed(referents))
    ]
    folder = coco_root / "rows" / "data"
    folder.mkdir(parents=True)
    datasets.Dataset.from_list(rows).to_parquet(folder / "test-00000-of-00001-abc.parquet")
    return folder.parent


@pytest.mark.parametrize("proposals", ["gt", "detected"])
def test_both_routes_give_identical_samples(coco_root: Path, rows_folder: Path, proposals: str) -> None:
    lines = small(coco_root, proposals)
    rows = RefCOCORows("refcoco", str(coco_root), "testA", proposals, rows=str(rows_folder), contract=False)
    assert rows.index == lines.index
    for i in range(len(lines.index)):
        one, other = lines.load(i), rows.load(i)
        assert (one.id, one.queries, one.boxes, one.fallback) == (
            other.id,
            other.queries,
            other.boxes,
            other.fallback,
        )
        assert one.pictures[0].image.tobytes() == other.pictures[0].image.tobytes()


def test_rows_follow_their_content_and_the_objects_of_coco(coco_root: Path, rows_folder: Path) -> None:
    def identity() -> dict[str, Any]:
        data = RefCOCORows("refcoco", str(coco_root), "testA", "gt", rows=str(rows_folder), contract=False)
        return data.identity

    before = identity()
    assert identity() == before
    path = coco_root / "annotations" / "instances_train2014.json"
    path.write_text(path.read_text().replace("20.5", "20.25"))
    assert identity() != before


def test_a_row_about_an_unknown_image_is_refused(coco_root: Path, rows_folder: Path) -> None:
    path = coco_root / "annotations" / "instances_train2014.json"
    content = json.loads(path.read_text())
    content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] != 25]
    path.write_text(json.dumps(content))
    data = RefCOCORows("refcoco", str(coco_root), "testA", "gt", rows=str(rows_folder), contract=False)
    assert [info.id for info in data.index] == ["25", "300"]
    with pytest.raises(UserError, match=r"row 0: the referent \(ann_id 7\) is not among the annotated objects .*none"):
        data.load(0)


def test_rows_of_a_missing_split_or_form_are_refused(coco_root: Path, rows_folder: Path) -> None:
    def index(split: str) -> None:
        _ = RefCOCORows("refcoco", str(coco_root), split, "gt", rows=str(rows_folder), contract=False).index

    with pytest.raises(UserError, match=r"no file validation-\*\.parquet; found test-00000-of-00001-abc\.parquet"):
        index("val")
    datasets.Dataset.from_list([{"question": "what?"}]).to_parquet(rows_folder / "testB-0.parquet")
    with pytest.raises(UserError, match=r"the columns image_id, ann_id, file_name, sentences are missing; found question"):
        index("testB")


def test_without_a_network_the_hub_route_says_what_to_do(coco_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise ConnectionError("Couldn't reach the hub: offline mode is enabled.")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    data = RefCOCORows("refcoco", str(coco_root), "testA", "gt", contract=False)
    with pytest.raises(UserError, match=r"jxu124/refcoco \(split test, .*offline mode.*task\.dataset\.rows=FOLDER"):
        _ = data.index
