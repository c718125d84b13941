"""What is wrong with a line, a box, an id or a picture of RefCOCO: named, counted, and never scored in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from small_jobs import small_job

from benchmarks.data.refcoco import RefCOCO
from falip.errors import UserError

COMMAND = "falip data refcoco"


def small(root: Path, proposals: str = "gt") -> RefCOCO:
    return RefCOCO("refcoco", str(root), "testA", proposals, contract=False)


def rewrite(root: Path, lines: list[dict[str, Any]]) -> RefCOCO:
    path = root / "reclip_data" / "refcoco_testa.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return small(root)


@pytest.mark.parametrize("raw", ["", "  ", None])
def test_an_empty_expression_is_named(coco_root: Path, referents: list[dict[str, Any]], raw: str | None) -> None:
    referents[1]["sentences"][0]["raw"] = raw
    check_only_image_25_is_bad(rewrite(coco_root, referents), rf"line 2: an expression is empty .*{COMMAND}")


def test_a_referent_that_is_not_annotated_is_refused(coco_root: Path, referents: list[dict[str, Any]]) -> None:
    referents[3]["ann_id"] = 70
    message = r"line 4: the referent \(ann_id 70\) is not among .*: 7, 4"
    check_only_image_25_is_bad(rewrite(coco_root, referents), message)


def test_lines_that_disagree_about_the_candidates_are_refused(coco_root: Path, referents: list[dict[str, Any]]) -> None:
    referents[3]["anns"][1]["bbox"][0] = 6.0
    message = r"line 4: the annotated objects .* image 25 differ from those at .*line 2"
    check_only_image_25_is_bad(rewrite(coco_root, referents), message)


def test_lines_that_disagree_about_the_picture_are_refused(coco_root: Path, referents: list[dict[str, Any]]) -> None:
    referents[3]["file_name"] = "COCO_train2014_000000000300_9.jpg"
    message = r"line 4: the picture of image 25 is COCO_train2014_000000000300\.jpg, and at .*line 2 it is .*025\.jpg"
    check_only_image_25_is_bad(rewrite(coco_root, referents), message)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../../secret_1.jpg", r"without '\.\.'"),
        ("/etc/passwd", "must be a path below"),
        ("x" * 300 + ".jpg", "more than 255 bytes"),
        ("COCO_\ud800.jpg", "no valid Unicode"),
        ("a\0b.jpg", "no valid Unicode"),
        ("", "must be a path below"),
        (17, "a file's name is a text, and found 17"),
        (None, "a file's name is a text"),
        (["a.jpg"], "a file's name is a text"),
    ],
)
def test_a_name_that_is_no_file_of_the_folder_is_named(
    coco_root: Path, referents: list[dict[str, Any]], name: Any, words: str
) -> None:
    referents[1]["file_name"] = name
    data = rewrite(coco_root, referents)
    check_only_image_25_is_bad(data, rf"refcoco_testa\.jsonl, line 2: .*{words}")
    assert data.identity == rewrite(coco_root, referents).identity


def check_only_image_25_is_bad(data: RefCOCO, message: str) -> None:
    assert [(info.id, info.queries) for info in data.index] == [("25", 2), ("300", 3)]
    assert data.load(1).queries
    with pytest.raises(UserError, match=message) as error:
        data.load(0)
    str(error.value).encode()


def test_all_expressions_but_those_of_bad_lines_may_be_subtracted(coco_root: Path, referents: list[dict[str, Any]]) -> None:
    assert small(coco_root).expressions() == ["tall, by the edge?", "wide thing", "left", "the right one", "small"]
    referents[1]["sentences"][0]["raw"] = ""
    assert rewrite(coco_root, referents).expressions() == ["left", "the right one", "small"]


def test_a_bad_line_ends_the_run_or_is_counted_and_named(
    coco_root: Path, tmp_path: Path, clip_folder: Callable[[str], Path], referents: list[dict[str, Any]]
) -> None:
    referents[3]["sentences"][0]["raw"] = " "
    rewrite(coco_root, referents)
    settings = ["task=rec/refcoco", "task.split=testA", f"data_root={coco_root}", "task.dataset.contract=false"]
    with pytest.raises(UserError, match=r"refcoco_testa\.jsonl, line 4: an expression is empty"):
        small_job(clip_folder("small"), tmp_path / "fail", *settings).execute()
    job = small_job(clip_folder("small"), tmp_path / "record", *settings, "runtime.on_error=record")
    # The first image is the bad one; what a run is called after is of one that could be loaded.
    with suppress(UserError):
        job.execute()
    frame = job.folder.frame()
    unscored = frame[frame["status"] == "unscored"]
    assert (len(frame), list(unscored["group"])) == (5, ["25", "25"])
    assert unscored["error"].str.contains("line 4: an expression is empty").all()


def test_a_lone_surrogate_in_an_expression_is_named(coco_root: Path, referents: list[dict[str, Any]]) -> None:
    referents[1]["sentences"][0]["raw"] = "the \ud83d dog"
    check_only_image_25_is_bad(rewrite(coco_root, referents), r"line 2: an expression is not valid Unicode .*\\ud83d")


def test_an_id_spelt_in_several_ways_is_one_id(coco_root: Path, referents: list[dict[str, Any]]) -> None:
    expected = [small(coco_root, proposals) for proposals in ("gt", "detected")]
    wanted = [[data.load(i).boxes for i in range(2)] for data in expected]
    referents[1] |= {"image_id": "000000000025", "ann_id": "004"}
    referents[3] |= {"image_id": 25.0}
    for annotation in referents[1]["anns"]:
        annotation["id"] = f"0{annotation['id']}"
    path = coco_root / "reclip_data" / "refcoco_dets_dict.json"
    path.write_text(path.read_text().replace('"25"', '"0025"'))
    rewrite(coco_root, referents)
    found = [small(coco_root, proposals) for proposals in ("gt", "detected")]
    assert [[data.load(i).boxes for i in range(2)] for data in found] == wanted
    assert [info.id for info in found[0].index] == ["25", "300"]
    assert not found[1].load(0).fallback


def test_detections_with_one_id_in_two_spellings_are_refused(coco_root: Path) -> None:
    (coco_root / "reclip_data" / "refcoco_dets_dict.json").write_text('{"25": [[3, 4, 5, 6]], "025": [[3, 4, 5, 6]]}')
    with pytest.raises(UserError, match=r"dets_dict\.json, image id '025': the file has this image a second time"):
        _ = small(coco_root, "detected").index


def test_the_log_counts_the_images_without_detections(coco_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    _ = small(coco_root, "detected").index
    assert "no detection for 1 of the 2 images" in caplog.text


@pytest.mark.parametrize("proposals", ["gt", "detected"])
def test_boxes_in_shares_of_the_image_are_refused(coco_root: Path, referents: list[dict[str, Any]], proposals: str) -> None:
    if proposals == "gt":
        for line in referents:
            for annotation in line["anns"]:
                annotation["bbox"] = [value / 501 for value in annotation["bbox"]]
        file = "refcoco_testa.jsonl"
        rewrite(coco_root, referents)
    else:
        file = "refcoco_dets_dict.json"
        shares = {"25": [[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 1.0, 1.0]], "300": [[0.0, 0.1, 0.2, 1.01]]}
        (coco_root / "reclip_data" / file).write_text(json.dumps(shares))
    with pytest.raises(UserError, match=rf"{file}: .* boxes lie in 0\.\.1.*Multiply x and width"):
        _ = small(coco_root, proposals).index


def test_boxes_outside_of_their_picture_are_counted(coco_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    _ = small(coco_root).index
    assert caplog.text.count("end outside of their picture") == 1
    assert "1 of 5 boxes end outside" in caplog.text and "refcoco_testa.jsonl" in caplog.text


def test_corners_where_width_and_height_are_read_are_refused(coco_root: Path) -> None:
    corners = {"25": [[20, 15, 38, 28], [25, 10, 39, 29]], "300": [[2, 3, 9, 12]]}
    (coco_root / "reclip_data" / "refcoco_dets_dict.json").write_text(json.dumps(corners))
    message = r"dets_dict\.json: 2 of 3 boxes end outside .*task\.dataset\.accept_outside=true"
    with pytest.raises(UserError, match=message):
        _ = small(coco_root, "detected").index
    taken = RefCOCO("refcoco", str(coco_root), "testA", "detected", contract=False, accept_outside=True)
    assert taken.load(0).boxes[0] == (20, 15, 58, 43)
    assert taken.identity == small(coco_root, "detected").identity


@pytest.mark.parametrize("content", ['{"25": null}', '{"25": {}}', '{"25": 7}', '{"25": "1234"}', '{"25": ["1234"]}'])
def test_detections_of_another_form_are_named(coco_root: Path, content: str) -> None:
    (coco_root / "reclip_data" / "refcoco_dets_dict.json").write_text(content)
    with pytest.raises(UserError, match=r"dets_dict\.json, image id '25': "):
        _ = small(coco_root, "detected").index


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "-1e999", "1" + "0" * 310, '"' + "9" * 400 + '"'])
@pytest.mark.parametrize("key", ["bbox", "image_id", "id"])
def test_numbers_of_hundreds_of_digits_are_named(coco_root: Path, key: str, number: str) -> None:
    path = coco_root / "reclip_data" / "refcoco_testa.jsonl"
    old = {"bbox": '"bbox": [1.0', "image_id": '"image_id": 25', "id": '"id": 7'}[key]
    path.write_text(path.read_text().replace(old, old.rstrip("0123456789.") + number, 1))
    with pytest.raises(UserError, match=r"refcoco_testa\.jsonl, line 2: ") as error:
        _ = small(coco_root).index
    assert len(str(error.value)) < 700


@pytest.mark.parametrize("file", ["refcoco_testa.jsonl", "refcoco_dets_dict.json"])
def test_nesting_without_end_is_named(coco_root: Path, file: str) -> None:
    (coco_root / "reclip_data" / file).write_text("[" * 1500 + "]" * 1500)
    with pytest.raises(UserError, match=file.replace(".", r"\.")):
        _ = small(coco_root, "detected").index


def test_other_pictures_are_another_run(coco_root: Path) -> None:
    picture = coco_root / "train2014" / "COCO_train2014_000000000025.jpg"
    before = small(coco_root).identity
    picture.write_bytes(picture.read_bytes() + b"more")
    changed = small(coco_root).identity
    picture.unlink()
    gone = small(coco_root).identity
    assert len({str(identity) for identity in (before, changed, gone)}) == 3


def test_a_picture_above_the_limit_is_refused_by_its_header(coco_root: Path) -> None:
    data = RefCOCO("refcoco", str(coco_root), "testA", "gt", contract=False, megapixels=0.001)
    with pytest.raises(UserError, match=r"025\.jpg has 40 x 30 pixels, 0\.0012 megapixels.*task\.dataset\.megapixels"):
        data.load(0)
    assert data.load(1)
