"""CUB-200-2011 in its official form."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.data.cub import CUB
from benchmarks.data.samples import Dataset
from falip.errors import UserError

COMMAND = "falip data cub"


def small(root: Path, split: str = "test") -> CUB:
    return CUB(str(root), split, contract=False)


def change(root: Path, name: str, old: str, new: str) -> None:
    path = root / "CUB_200_2011" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_classes_are_counted_from_one_in_the_file_and_from_zero_here(cub_root: Path) -> None:
    data: Dataset = small(cub_root)
    assert data.class_names == ("Black footed Albatross", "Chuck will Widow")
    queries = [data.load(i).queries[0] for i in range(len(data.index))]
    assert [(query.label, query.text) for query in queries] == [(0, "Black footed Albatross"), (1, "Chuck will Widow")]
    assert [query.id for query in queries] == [
        "001.Black_footed_Albatross/Black_0001_1",
        "002.Chuck_will_Widow/Chuck_0003_3",
    ]


def test_one_means_training_in_the_split_file(cub_root: Path) -> None:
    assert [info.id for info in small(cub_root, "train").index] == ["001.Black_footed_Albatross/Black_0002_2"]


def test_boxes_become_corners_and_are_not_clipped(cub_root: Path) -> None:
    data = small(cub_root)
    assert data.load(0).pictures[0].regions[0].boxes == ((60.0, 27.0, 385.0, 331.0),)
    sample = data.load(1)
    assert sample.pictures[0].regions[0].boxes == ((10.5, 0.0, 15.5, 6.0),)
    assert sample.pictures[0].image.size == (50, 40)
    assert (sample.boxes, sample.queries[0].targets) == ((), ())


def test_the_published_numbers_are_required(cub_root: Path) -> None:
    with pytest.raises(
        UserError, match=rf"has 2 samples, but 5794 are expected .*{COMMAND}.*task\.dataset\.contract=false"
    ):
        _ = CUB(str(cub_root), "test").index
    with pytest.raises(UserError, match=r"has 1 samples, but 5994 are expected"):
        _ = CUB(str(cub_root), "train").index


def test_the_identity_follows_split_and_files(cub_root: Path) -> None:
    before = small(cub_root).identity
    assert small(cub_root).identity == before
    assert small(cub_root, "train").identity != before
    change(cub_root, "bounding_boxes.txt", "60.0", "61.0")
    assert small(cub_root).identity != before


@pytest.mark.parametrize("label", ["0", "3"])
def test_a_label_out_of_range_is_named(cub_root: Path, label: str) -> None:
    change(cub_root, "image_class_labels.txt", "3 2", f"3 {label}")
    with pytest.raises(
        UserError, match=rf"image_class_labels\.txt, image 3: the class {label} does not exist.*from 1 to 2"
    ):
        _ = small(cub_root).index


def test_a_label_that_is_not_the_pictures_folder_is_refused(cub_root: Path) -> None:
    change(cub_root, "image_class_labels.txt", "3 2", "3 1")
    with pytest.raises(UserError, match=r"class 1 is 001\.Black_footed_Albatross, but its picture is 002\.Chuck"):
        _ = small(cub_root).index


def test_files_about_different_images_are_refused(cub_root: Path) -> None:
    change(cub_root, "bounding_boxes.txt", "3 10.5 0.0 5.0 6.0\n", "")
    with pytest.raises(UserError, match=r"bounding_boxes\.txt is about 2 images and images\.txt about 3"):
        _ = small(cub_root).index


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("images.txt", "3 002.Chuck_will_Widow/Chuck_0003_3.jpg", "3", r"images\.txt, line 3: expected 2 columns"),
        ("bounding_boxes.txt", "5.0 6.0", "5.0", r"bounding_boxes\.txt, line 3: expected 5 columns"),
        ("bounding_boxes.txt", "5.0 6.0", "5.0 x", r"bounding_boxes\.txt, line 3: a box is four numbers"),
        ("image_class_labels.txt", "3 2", "3 two", r"image 3: expected a whole number, and found 'two'"),
        ("classes.txt", "2 002", "3 002", r"classes\.txt, line 2: expected class 2, and found 3"),
    ],
)
def test_broken_lines_are_named(cub_root: Path, name: str, old: str, new: str, message: str) -> None:
    change(cub_root, name, old, new)
    with pytest.raises(UserError, match=message):
        _ = small(cub_root).index


def test_missing_and_broken_pictures_are_named_with_the_mend(cub_root: Path) -> None:
    path = cub_root / "CUB_200_2011" / "images" / "002.Chuck_will_Widow" / "Chuck_0003_3.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=rf"Chuck_0003_3\.jpg cannot be decoded .*{COMMAND}"):
        small(cub_root).load(1)
    path.unlink()
    with pytest.raises(UserError, match=rf"Chuck_0003_3\.jpg is missing.*{COMMAND}"):
        small(cub_root).load(1)


def test_ids_are_matched_by_value(cub_root: Path) -> None:
    expected = [small(cub_root).load(i).pictures[0].regions[0].box for i in range(2)]
    change(cub_root, "bounding_boxes.txt", "3 10.5", "0003 10.5")
    change(cub_root, "image_class_labels.txt", "1 1", "01 1")
    assert [small(cub_root).load(i).pictures[0].regions[0].box for i in range(2)] == expected
    change(cub_root, "bounding_boxes.txt", "0003 10.5", "002 10.5")
    with pytest.raises(UserError, match=r"bounding_boxes\.txt, line 3: image 2 has a line already .*line 2"):
        _ = small(cub_root).index


@pytest.mark.parametrize("name", ["../../../secret.jpg", "/etc/passwd", "002.Chuck_will_Widow/" + "x" * 300])
def test_a_picture_outside_of_its_folder_is_named(cub_root: Path, name: str) -> None:
    change(cub_root, "images.txt", "002.Chuck_will_Widow/Chuck_0003_3.jpg", name)
    with pytest.raises(UserError, match=r"images\.txt, image 3: "):
        _ = small(cub_root).index


def test_boxes_in_shares_of_the_picture_are_refused(cub_root: Path) -> None:
    lines = "1 0.1 0.2 0.5 0.6\n2 0 0 1 1\n3 0.25 0.25 0.5 0.75\n"
    (cub_root / "CUB_200_2011" / "bounding_boxes.txt").write_text(lines)
    with pytest.raises(UserError, match=r"bounding_boxes\.txt: 2 of 2 boxes lie in 0\.\.1"):
        _ = small(cub_root).index


def test_bytes_that_are_no_text_are_named(cub_root: Path) -> None:
    (cub_root / "CUB_200_2011" / "images.txt").write_bytes(b"1 \xff\xfe.jpg\n")
    with pytest.raises(UserError, match=r"images\.txt is not UTF-8"):
        _ = small(cub_root).index


def test_other_pictures_are_another_run_and_missing_ones_too(cub_root: Path) -> None:
    picture = cub_root / "CUB_200_2011" / "images" / "002.Chuck_will_Widow" / "Chuck_0003_3.jpg"
    found = [str(small(cub_root).identity)]
    picture.write_bytes(picture.read_bytes() + b"more")
    found.append(str(small(cub_root).identity))
    picture.unlink()
    found.append(str(small(cub_root).identity))
    assert len(set(found)) == 3
    assert str(small(cub_root).identity) == found[-1]


def test_missing_files_and_folders_are_named_with_the_mend(cub_root: Path) -> None:
    (cub_root / "CUB_200_2011" / "classes.txt").unlink()
    with pytest.raises(UserError, match=rf"classes\.txt is missing.*{COMMAND}"):
        _ = small(cub_root).class_names
    with pytest.raises(UserError, match=r"does not exist.*FALIP_DATA"):
        _ = small(cub_root / "nowhere").index
    with pytest.raises(UserError, match=r"task\.split=val\) is unknown. Choose one of: train, test"):
        small(cub_root, "val")
