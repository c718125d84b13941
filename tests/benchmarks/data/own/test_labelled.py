"""One's own labelled regions: tables, COCO instances, rows of the datasets library."""

import json

import datasets
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as run_length

from benchmarks.data.own.classification_csv import LabelledTable
from benchmarks.data.own.coco import LabelledInstances, ReferringInstances
from benchmarks.data.own.hub import HubRegions
from benchmarks.tasks.classification import RegionClassification
from falip.errors import UserError

ROWS = "image,x0,y0,x1,y1,label,mask,slice\na.png,0,0,20,20,cat,,\na.png,20,5,40,30,dog,,big\nb.png,,,,,cat,m.png,\n"
HALF = np.zeros((30, 40), np.uint8)
HALF[:, 20:] = 255


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / name)
    Image.fromarray(HALF).save(tmp_path / "m.png")
    return tmp_path


def _table(folder, rows=ROWS, **options):
    (folder / "rows.csv").write_text(rows, encoding="utf-8")
    return LabelledTable(str(folder / "rows.csv"), **options)


def _asked(sample):
    return [(query.id, query.text, query.label, query.region, query.slice) for query in sample.queries]


def test_a_table_gives_pictures_with_many_regions(folder):
    data = _table(folder)
    assert data.class_names == ("cat", "dog")
    assert [(info.id, info.queries) for info in data.index] == [("a.png", 2), ("b.png", 1)]
    assert _asked(data.load(0)) == [("a.png/0", "cat", 0, 0, ""), ("a.png/1", "dog", 1, 1, "big")]
    task = RegionClassification(data, "classification/csv", "all", "{}")
    assert [region.box for region in task.pictures(data.load(0))[0].regions] == [(0, 0, 20, 20), (20, 5, 40, 30)]
    (region,) = data.load(1).pictures[0].regions
    assert region.mask is not None and np.array_equal(region.mask, HALF > 0) and region.box == (20, 0, 40, 30)


def test_classes_that_no_line_has_come_from_a_file(folder):
    (folder / "classes.txt").write_text("dog\ncow\ncat\n")
    data = _table(folder, classes=str(folder / "classes.txt"))
    assert data.class_names == ("dog", "cow", "cat") and data.load(0).queries[0].label == 2
    (folder / "classes.txt").write_text("dog\n")
    with pytest.raises(UserError, match=r"line 2: the label 'cat' is none of the classes"):
        _ = _table(folder, classes=str(folder / "classes.txt")).index


def test_the_identity_moves_with_what_is_read(folder):
    first = _table(folder).identity
    assert _table(folder).identity == first
    assert _table(folder, ROWS.replace("big", "small")).identity != first
    Image.fromarray(HALF.T.copy().reshape(30, 40)).save(folder / "m.png")
    assert _table(folder).identity != first


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ROWS + "z.png,0,0,5,5,cat,,\n", r"1 fault:\n.*line 5: there is no picture z\.png. Relative names start at /"),
        ("", r"is empty. Its first line must name the columns image,x0,y0,x1,y1,label,"),
        (" , ,\n\n", "is empty"),
        (ROWS + "a.png,0,0,5,5,,,\n", "line 5: the column label is empty"),
        (ROWS + "a.png,,,,,cat,,\n", "line 5: the column x0 is empty"),
        (ROWS + "a.png,0,0,5,5,cat,nope.png,\n", r"line 5: there is no picture .*nope\.png"),
        ("image,label\na.png,cat\n", "lacks the columns x0, y0, x1, y1"),
    ],
)
def test_faults_of_a_table_are_named(folder, rows, said):
    with pytest.raises(UserError, match=said):
        _ = _table(folder, rows).index


def test_a_mask_of_another_size_is_named_when_it_is_read(folder):
    Image.new("L", (5, 5), 255).save(folder / "m.png")
    with pytest.raises(UserError, match=r"m\.png is \(5, 5\)"):
        _table(folder).load(1)


def _instances(folder, **changes):
    runs = run_length.encode(np.asfortranarray(HALF // 255))
    plain = {"size": [30, 40], "counts": [600, 600]}
    compressed = {"size": [30, 40], "counts": runs["counts"].decode()}
    polygon = [[0, 0, 20, 0, 20, 10, 0, 10]]
    outlines = (polygon, plain, compressed)
    content = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}],
        "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 10 + k, "image_id": 7, "category_id": (3, 1, 1)[k], "bbox": [k, k, 20, 10], "segmentation": outline}
            for k, outline in enumerate(outlines)
        ]
        + [{"id": 20, "image_id": 8, "category_id": 1, "bbox": [0, 0, 9, 9], "segmentation": [], "iscrowd": 1}],
    } | changes
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json"


def test_coco_instances_are_read_as_boxes_or_masks_of_all_three_forms(folder):
    file = str(_instances(folder))
    boxes = LabelledInstances(file)
    assert boxes.class_names == ("dog", "cat")
    assert [info.id for info in boxes.index] == ["a.png"]  # the other picture has a crowd alone
    assert [(query.id, query.label) for query in boxes.load(0).queries] == [
        ("a.png/10", 0),
        ("a.png/11", 1),
        ("a.png/12", 1),
    ]
    assert boxes.load(0).pictures[0].regions[1].box == (1, 1, 21, 11)
    polygon, plain, compressed = LabelledInstances(file, region="mask").load(0).pictures[0].regions
    assert polygon.mask is not None and polygon.mask[:10, :20].all() and polygon.mask.sum() == 200
    for region in (plain, compressed):
        assert region.mask is not None and np.array_equal(region.mask, HALF > 0)
    both = LabelledInstances(file, region="both").load(0).pictures[0].regions[1]
    assert both.box == (1, 1, 21, 11) and both.mask is not None
    assert LabelledInstances(file, crowd=True).index[1].queries == 1
    assert LabelledInstances(file).identity != LabelledInstances(file, region="mask").identity


def test_expressions_about_coco_instances(folder):
    (folder / "words.csv").write_text("image,id,expression,target\n7,1,the dog,10\na.png,2,the left cat,11\n")
    data = ReferringInstances(str(_instances(folder)), str(folder / "words.csv"))
    sample = data.load(0)
    assert len(sample.boxes) == 3 and len(data.index) == 1
    assert [(query.text, query.targets) for query in sample.queries] == [
        ("the dog", ((0, 0, 20, 10),)),
        ("the left cat", ((1, 1, 21, 11),)),
    ]
    assert sample.pictures[0].regions[1].mask is not None
    (folder / "words.csv").write_text("image,id,expression,target\n7,1,the dog,99\n9,1,x,10\n")
    with pytest.raises(UserError, match=r"2 faults(.|\n)*no candidate 99(.|\n)*has no annotated picture 9"):
        _ = data.__class__(str(folder / "instances.json"), str(folder / "words.csv")).index


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"annotations": [{"id": 1, "image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "there is no image 9"),
        ({"annotations": [{"id": 1, "image_id": 7, "category_id": 9, "bbox": [0, 0, 5, 5]}]}, "there is no category 9"),
        ({"annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 0, 5]}]}, "has no area"),
        ({"annotations": {}}, "'annotations' must be a list"),
        ({"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "cat"}]}, "two categories"),
        ({"images": [{"id": 7, "file_name": "a.png"}, {"id": 7, "file_name": "b.png"}]}, "two images"),
        ({"annotations": []}, "no region to classify"),
    ],
)
def test_faults_of_instances_are_named(folder, changes, said):
    with pytest.raises(UserError, match=said):
        _ = LabelledInstances(str(_instances(folder, **changes))).index


@pytest.fixture
def saved(tmp_path):
    boxes = datasets.List(datasets.List(datasets.Value("float32")))
    names = datasets.List(datasets.ClassLabel(names=["dog", "cat"]))
    features = datasets.Features(
        {"image": datasets.Image(), "objects": {"bbox": boxes, "category": names}, "word": datasets.Value("string")}
    )
    rows = [
        {
            "image": Image.new("RGB", (40, 30), (i, 0, 0)),
            "objects": {"bbox": [[0, 0, 10, 10], [5, 5, 20, 20]], "category": [0, 1]},
            "word": ("fox", "ant")[i % 2],
        }
        for i in range(3)
    ]
    dataset = datasets.Dataset.from_list(rows, features=features)
    datasets.DatasetDict({"test": dataset}).save_to_disk(str(tmp_path / "saved"))
    return str(tmp_path / "saved")


def test_rows_with_lists_of_boxes_and_class_labels(saved):
    data = HubRegions(saved, label="objects.category", box="objects.bbox")
    assert data.class_names == ("dog", "cat") and len(data.index) == 3
    sample = data.load(1)
    assert [(query.text, query.label, query.region) for query in sample.queries] == [("dog", 0, 0), ("cat", 1, 1)]
    assert sample.pictures[0].regions[1].box == (5, 5, 25, 25)
    assert sample.pictures[0].image.getpixel((3, 3)) == (1, 0, 0)
    assert data.identity == HubRegions(saved, label="objects.category", box="objects.bbox").identity


def test_rows_with_a_text_for_the_whole_picture(saved):
    data = HubRegions(saved, label="word")
    assert data.class_names == ("ant", "fox")
    assert data.load(0).queries[0].label == 1 and data.load(0).pictures[0].regions[0].box == (0, 0, 40, 30)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label": "nothing"}, "task.dataset.label=nothing.*image, objects, word"),
        ({"label": "word", "split": "val"}, "split val"),
        ({"label": "word", "form": "cxcywh"}, "task.dataset.form=cxcywh"),
    ],
)
def test_what_rows_do_not_have_is_named(saved, options, said):
    with pytest.raises(UserError, match=said):
        _ = HubRegions(saved, **options).index
