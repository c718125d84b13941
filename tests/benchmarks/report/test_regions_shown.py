"""What the report shows of pictures with several regions, and of regions with captions of their own."""

import json

from PIL import Image
from small_jobs import small_job
from test_report import content

from benchmarks.report.__main__ import main


def _page(job, tmp_path) -> dict:
    job.execute()
    assert main([str(tmp_path / "results" / "runs"), "--out", str(tmp_path / "page.html")]) == 0
    return content(tmp_path / "page.html")


def test_every_region_of_a_picture_is_shown_with_its_view(tmp_path, clip_folder):
    task = ("task=classification/shapes_regions", "task.dataset.scenes=2", "task.split=test")
    page = _page(small_job(clip_folder("small"), tmp_path / "results", "prompt=crop", *task), tmp_path)
    for number, sample in enumerate(page["samples"]):
        queries = [query for query in page["queries"] if query["sample"] == number]
        assert len(sample["regions"]) == len(queries) > 1
        assert sorted(query["region"] for query in queries) == list(range(len(queries)))
        shown = sample["views"][0]
        assert sorted(shown, key=int) == [str(i) for i in range(len(queries))]
        assert len({views[0]["image"] for views in shown.values()}) == len(queries)


def test_captions_of_their_own_are_called_by_their_words(tmp_path, clip_folder):
    data = tmp_path / "data"
    (data / "fg_ovd").mkdir(parents=True)
    (data / "val2017").mkdir()
    Image.new("RGB", (60, 40), "red").save(data / "val2017" / "1.jpg")
    right, wrong = "A red cup.", ["A blue cup.", "A green cup."]
    line = {"img_path": "val2017/1.jpg", "bbox": [5, 5, 20, 20], "pos_expression": [right], "neg_expression": wrong}
    (data / "fg_ovd" / "h_attributes_llava.jsonl").write_text(json.dumps(line) + "\n")
    task = ("task=classification/fg_ovd", "task.dataset.contract=false", f"data_root={data}")
    page = _page(small_job(clip_folder("small"), tmp_path / "results", "prompt=plain", *task), tmp_path)
    (query,) = page["queries"]
    assert sorted(name for name, *_ in query["answers"][0]["top"]) == sorted([right, *wrong])
    assert [name for name, _, is_right in query["answers"][0]["top"] if is_right] == [right]
