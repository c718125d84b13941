"""Stanford Dogs in its official form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from benchmarks.data import matlab
from benchmarks.data.samples import Dataset
from benchmarks.data.stanford_dogs import StanfordDogs, read_split_list
from falip.errors import UserError

COMMAND = "falip data stanford_dogs"
DOGS = [
    ("n02086240-Shih-Tzu/n02086240_11", 2, [(5, 6, 20, 30), (1, 2, 90, 9)]),
    ("n02085620-Chihuahua/n02085620_7", 1, [(25, 10, 276, 498)]),
    ("n02085936-Maltese_dog/n02085936_3", 3, [(0, 0, 8, 8)]),
]


def cells(values: list[str]) -> np.ndarray:
    """A MATLAB cell array of texts, as scipy writes and reads it: (N, 1) objects."""
    array = np.empty((len(values), 1), dtype=object)
    array[:, 0] = values
    return array


def write_list(root: Path, dogs: list[tuple[str, int, list[tuple[int, ...]]]], **changes: object) -> Path:
    path = root / "stanford_dogs" / "lists" / "test_list.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, object] = {
        "file_list": cells([f"{dog[0]}.jpg" for dog in dogs]),
        "annotation_list": cells([dog[0] for dog in dogs]),
        "labels": np.array([[dog[1]] for dog in dogs], dtype=np.uint8),
    }
    scipy.io.savemat(path, {key: value for key, value in (content | changes).items() if value is not None})
    return path


def annotation(boxes: list[tuple[int, ...]]) -> str:
    objects = "".join(
        f"<object><name>dog</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for x0, y0, x1, y1 in boxes
    )
    return f"<annotation><size><width>40</width><height>35</height></size>{objects}</annotation>"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_list(tmp_path, DOGS)
    for name, _, boxes in DOGS:
        image, xml = (tmp_path / "stanford_dogs" / folder / name for folder in ("Images", "Annotation"))
        for path in (image, xml):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 35)).save(image.with_suffix(".jpg"))
        xml.write_text(annotation(boxes))
    return tmp_path


def small(root: Path, split: str = "test") -> StanfordDogs:
    return StanfordDogs(str(root), split, contract=False)


def test_labels_are_counted_from_one_in_the_list_and_from_zero_here(root: Path) -> None:
    data: Dataset = small(root)
    assert data.class_names == ("Chihuahua", "Shih-Tzu", "Maltese dog")
    queries = [data.load(i).queries[0] for i in range(len(data.index))]
    assert [(query.label, query.text) for query in queries] == [(1, "Shih-Tzu"), (0, "Chihuahua"), (2, "Maltese dog")]
    assert queries[0].id == "n02086240-Shih-Tzu/n02086240_11"


def test_base_and_new_part_the_breeds(root: Path) -> None:
    base, new = (StanfordDogs(str(root), "test", contract=False, classes=part) for part in ("base", "new"))
    assert (base.class_names, new.class_names) == (("Chihuahua", "Shih-Tzu"), ("Maltese dog",))
    assert [base.load(i).queries[0].label for i in range(len(base.index))] == [1, 0]
    assert [new.load(i).queries[0].label for i in range(len(new.index))] == [0]
    (mine,), (theirs,) = (data.load(0).pictures[0].regions for data in (base, small(root)))
    assert mine.boxes == theirs.boxes


def test_several_dogs_are_one_region_of_several_boxes(root: Path) -> None:
    sample = small(root).load(0)
    (region,) = sample.pictures[0].regions
    # The second box leaves the picture: the loader keeps it as it is.
    assert region.boxes == ((5.0, 6.0, 20.0, 30.0), (1.0, 2.0, 90.0, 9.0))
    assert sample.pictures[0].image.size == (40, 35)


def test_the_lists_may_lie_beside_the_other_folders(root: Path) -> None:
    lists = root / "stanford_dogs" / "lists"
    (lists / "test_list.mat").rename(root / "stanford_dogs" / "test_list.mat")
    assert len(small(root).index) == 3


def test_a_list_of_one_picture_is_read(root: Path) -> None:
    write_list(root, [(DOGS[2][0], 1, DOGS[2][2])])
    assert [info.id for info in small(root).index] == [DOGS[2][0]]


def test_boxes_of_other_pictures_are_counted_and_refused_where_most_are(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert small(root).index
    assert "2 of 4 boxes end outside" in caplog.text
    write_list(root, [DOGS[1]])
    with pytest.raises(UserError, match=r"Annotation: 1 of 1 boxes end outside .*task\.dataset\.accept_outside=true"):
        _ = small(root).index
    assert StanfordDogs(str(root), "test", contract=False, accept_outside=True).index


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "x" * 300, ""])
@pytest.mark.parametrize("key", ["file_list", "annotation_list"])
def test_names_that_are_no_files_of_the_folder_are_named(root: Path, key: str, name: str) -> None:
    write_list(root, DOGS, **{key: cells([name, *(dog[0] for dog in DOGS[1:])])})
    with pytest.raises(UserError, match=r"test_list\.mat"):
        _ = small(root).index
        _ = small(root).identity


@pytest.mark.parametrize("labels", [np.array([[np.nan], [1], [2]]), np.array([[1.5], [1], [2]]), cells(["1", "2", "3"])])
def test_labels_that_are_not_whole_numbers_are_named(root: Path, labels: np.ndarray) -> None:
    write_list(root, DOGS, labels=labels)
    with pytest.raises(UserError, match=r"test_list\.mat: a label is a whole number"):
        _ = small(root).index


def test_a_corner_of_hundreds_of_digits_names_its_file(root: Path) -> None:
    path = root / "stanford_dogs" / "Annotation" / DOGS[2][0]
    path.write_text(path.read_text().replace("<xmax>8", f"<xmax>{'9' * 400}"))
    with pytest.raises(UserError, match=rf"{path.name}: A box is four finite numbers"):
        small(root).load(2)


def test_the_published_numbers_are_required(root: Path) -> None:
    with pytest.raises(UserError, match=rf"has 3 samples, but 8580 are expected .*{COMMAND}"):
        _ = StanfordDogs(str(root), "test").index


def test_other_keys_are_reported(root: Path) -> None:
    path = write_list(root, DOGS, labels=None, class_id=np.ones((3, 1)))
    with pytest.raises(UserError, match=rf"{path.name} must have the keys .*labels.*'class_id': \(3, 1\).*{COMMAND}"):
        _ = small(root).index


def test_keys_of_different_length_are_reported(root: Path) -> None:
    write_list(root, DOGS, labels=np.ones((2, 1)))
    with pytest.raises(UserError, match=r"test_list\.mat: the keys must be of one length.*\(2, 1\)"):
        _ = small(root).index


@pytest.mark.parametrize("kept", [20, 200, 400])
def test_a_list_that_was_cut_off_is_named(root: Path, kept: int) -> None:
    path = root / "stanford_dogs" / "lists" / "test_list.mat"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=rf"test_list\.mat is not a MATLAB file.*{COMMAND}"):
        _ = small(root).index


def test_labels_counted_from_zero_are_refused(root: Path) -> None:
    write_list(root, [(name, label - 1, boxes) for name, label, boxes in DOGS])
    with pytest.raises(UserError, match=r"test_list\.mat: the class 0 does not exist; classes are counted from 1"):
        _ = small(root).index


def test_a_label_of_two_breeds_and_a_label_of_none_are_refused(root: Path) -> None:
    write_list(root, [DOGS[0], (DOGS[1][0], 2, [])])
    with pytest.raises(UserError, match=r"label 2 is n02086240-Shih-Tzu and also n02085620-Chihuahua"):
        _ = small(root).index
    write_list(root, [DOGS[0]])
    with pytest.raises(UserError, match=r"the labels 1 have no picture"):
        _ = small(root).index


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", "is no annotation with objects"),
        ("<annotation></annotation>", "names no object"),
        ("<annotation><object><name>dog</name></object></annotation>", "is no annotation with objects"),
    ],
)
def test_a_broken_annotation_is_named(root: Path, text: str, message: str) -> None:
    (root / "stanford_dogs" / "Annotation" / DOGS[0][0]).write_text(text)
    with pytest.raises(UserError, match=rf"n02086240_11 {message}.*{COMMAND}"):
        small(root).load(0)


def test_missing_files_are_named_with_the_mend(root: Path) -> None:
    with pytest.raises(UserError, match=rf"lists/train_list\.mat is missing.*{COMMAND}"):
        _ = small(root, "train").index
    (root / "stanford_dogs" / "Images" / f"{DOGS[1][0]}.jpg").unlink()
    with pytest.raises(UserError, match=rf"n02085620_7\.jpg is missing.*{COMMAND}"):
        small(root).load(1)
    (root / "stanford_dogs" / "Annotation" / DOGS[2][0]).unlink()
    with pytest.raises(UserError, match=rf"n02085936_3 is missing.*{COMMAND}"):
        small(root).load(2)


def test_the_identity_follows_the_list_and_the_annotations(root: Path) -> None:
    before = small(root).identity
    assert small(root).identity == before
    path = root / "stanford_dogs" / "Annotation" / DOGS[0][0]
    path.write_text(annotation([(5, 6, 20, 30)]))
    assert small(root).identity != before


def test_a_list_that_ends_its_reader_is_an_error_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "_READ", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    (tmp_path / "test_list.mat").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"test_list\.mat is not a MATLAB file that can be read \(its reader was ended"):
        read_split_list(tmp_path / "test_list.mat", "mend it")
