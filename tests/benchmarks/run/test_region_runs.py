"""Recognition of many regions in one picture, from the command line to the records."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.data.shapes import ClassifiedShapes, ShapeRegions
from benchmarks.measure.recombination import combine
from benchmarks.records.run import read_run
from benchmarks.tables.document import document
from benchmarks.tables.layout import build
from benchmarks.tables.render import Grid
from benchmarks.tables.tidy import cells_csv, slices_csv

REGIONS = ("task=classification/shapes_regions", "task.dataset.scenes=4")


def test_all_objects_of_the_scenes_are_asked_about():
    one, many = ClassifiedShapes(scenes=4, region="mask"), ShapeRegions(scenes=4, region="mask")
    assert [info.queries for info in many.index] == [len(many.load(i).queries) for i in range(4)]
    for i in range(4):
        alone, together = one.load(i), many.load(i)
        (query,) = (query for query in together.queries if query.label == alone.queries[0].label)
        found = together.pictures[0].regions[query.region]
        np.testing.assert_array_equal(found.mask, alone.pictures[0].regions[0].mask)
        assert (query.text, query.slice) == (alone.queries[0].text, alone.queries[0].slice)
    assert many.identity != ShapeRegions(scenes=4).identity != one.identity


@pytest.mark.parametrize("prompt", ["foveal", "crop"])
def test_a_region_is_decided_among_others_as_it_is_alone(job, prompt):
    texts = "text.template=['a photo of a {}','the {}']"
    alone, together = (
        job(f"prompt={prompt}", "task=classification/shapes", "task.dataset.scenes=4", texts),
        job(f"prompt={prompt}", *REGIONS, texts),
    )
    alone.execute(), together.execute()
    every = together.folder.frame()
    assert len(every) == together.expected > 8
    for _, row in alone.folder.frame().iterrows():
        (same,) = (r for _, r in every.iterrows() if r["group"] == row["group"] and r["target"] == row["target"])
        np.testing.assert_allclose(same["scores"], row["scores"], atol=2e-4)


def test_the_table_shows_means_over_classes_of_each_slice(job):
    one = job("prompt=plain", *REGIONS)
    one.execute()
    run = read_run(one.folder.path)
    frame = run.records()
    seen = frame[frame["slice"] == "seen pair"]
    by_class = seen.groupby("target")["correct"].mean()
    (table,) = build([run], "plain")
    (grid,) = (part for part in document(table, (), "", ()).grids if part.title == "Means over classes")
    assert isinstance(grid, Grid)
    (row,) = (row for row in grid.body if "seen pair" in row)
    assert f"{100 * by_class.mean():.1f}" in row and str(len(seen)) in row
    assert "macc5_float16" in slices_csv(table)


def test_captions_of_each_box_run_from_file_to_table(job, tmp_path):
    (tmp_path / "fg_ovd").mkdir()
    (tmp_path / "val2017").mkdir()
    lines = []
    for number in range(3):
        Image.new("RGB", (40, 30), (80 * number, 90, 20)).save(tmp_path / "val2017" / f"{number}.jpg")
        line = {"img_path": f"val2017/{number}.jpg", "bbox": [2, 2, 20, 20], "pos_expression": [f"cup {number}"]}
        lines += [{**line, "neg_expression": ["a", "b", "c"][: 1 + number]}, {**line, "neg_expression": ["d"]}]
    (tmp_path / "fg_ovd" / "h_attributes_llava.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    one = job("task=classification/fg_ovd", f"data_root={tmp_path}", "task.dataset.contract=false", "prompt=crop")
    one.execute()
    frame = one.folder.frame().sort_values("id")
    assert frame["candidates"].tolist() == [2, 2, 3, 2, 4, 2] and frame["text"].iloc[0] == "cup 0"
    run = read_run(one.folder.path)
    assert run.metrics["accuracy"] == frame["correct"].mean() and run.metrics["top5"] is None
    (table,) = build([run], "plain")
    assert "class_mean_top1" in cells_csv(table) and document(table, (), "", ()).grids
    assert combine([run.records()])["correct"].tolist() == run.records()["correct"].tolist()
