"""Waterbirds in its official form, with the boxes of CUB."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from benchmarks.data.samples import Dataset
from benchmarks.data.waterbirds import Waterbirds
from falip.errors import UserError

COMMAND = "falip data waterbirds"
ALBATROSS, CHUCK = "001.Black_footed_Albatross/Black_000", "002.Chuck_will_Widow/Chuck_0003_3.jpg"
ROWS = [
    # img_id, img_filename, y, split, place
    (3, CHUCK, 0, 2, 1),
    (1, f"{ALBATROSS}1_1.jpg", 1, 2, 0),
    (2, f"{ALBATROSS}2_2.jpg", 1, 0, 1),
    (2, f"{ALBATROSS}2_2.jpg", 1, 0, 1),
    (2, f"{ALBATROSS}2_2.jpg", 0, 0, 0),
    (2, f"{ALBATROSS}2_2.jpg", 1, 0, 0),
]


def write(root: Path, rows: list[tuple[object, ...]]) -> Path:
    path = root / "waterbird_complete95_forest2water2" / "metadata.csv"
    lines = ["img_id,img_filename,y,split,place,place_filename"]
    lines += [",".join(map(str, (*row, "/o/ocean/00000001.jpg"))) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def root(cub_root: Path) -> Path:
    for name in {row[1] for row in ROWS}:
        path = cub_root / "waterbird_complete95_forest2water2" / str(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (33, 22)).save(path)
    write(cub_root, list(ROWS))
    return cub_root


def small(root: Path, split: str = "test") -> Waterbirds:
    return Waterbirds(str(root), split, contract=False)


def test_birds_groups_and_boxes(root: Path) -> None:
    data: Dataset = small(root)
    assert data.class_names == ("landbird", "waterbird")
    first, second = data.load(0), data.load(1)
    assert [(q.label, q.text, q.slice) for q in first.queries + second.queries] == [
        (0, "landbird", "landbird on water"),
        (1, "waterbird", "waterbird on land"),
    ]
    assert first.pictures[0].image.size == (33, 22)
    assert first.pictures[0].regions[0].boxes == ((10.5, 0.0, 15.5, 6.0),)
    assert second.pictures[0].regions[0].boxes == ((60.0, 27.0, 385.0, 331.0),)
    assert [info.id for info in data.index] == [CHUCK[:-4], f"{ALBATROSS}1_1"]


def test_group_shares_are_those_of_the_training_split(root: Path) -> None:
    assert small(root).group_shares == {
        "landbird on land": 0.25,
        "landbird on water": 0.0,
        "waterbird on land": 0.25,
        "waterbird on water": 0.5,
    }


def test_group_shares_are_part_of_the_identity(root: Path) -> None:
    assert small(root).identity["group_shares"] == small(root).group_shares


def test_group_shares_need_training_pictures(root: Path) -> None:
    write(root, list(ROWS[:2]))
    with pytest.raises(UserError, match=r"metadata\.csv has no training picture"):
        _ = small(root).group_shares


def test_the_published_numbers_are_required(root: Path) -> None:
    with pytest.raises(UserError, match=rf"has 2 samples, but 5794 are expected .*{COMMAND}"):
        _ = Waterbirds(str(root), "test").index


def test_a_split_without_pictures_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match=rf"split val of waterbirds .* has no picture at all.*{COMMAND}"):
        _ = small(root, "val").index


def test_an_image_that_cub_has_under_another_id_is_refused(root: Path) -> None:
    write(root, [(1, CHUCK, 0, 2, 1)])
    with pytest.raises(UserError, match=r"metadata\.csv, line 2: image 1 is 002\.Chuck.*in CUB it is 001\.Black"):
        _ = small(root).index


@pytest.mark.parametrize("row", [(3, CHUCK, 2, 2, 1), (3, CHUCK, 0, 3, 1), (3, CHUCK, 0, 2, "")])
def test_values_out_of_range_are_named(root: Path, row: tuple[object, ...]) -> None:
    write(root, [ROWS[0], row])
    with pytest.raises(UserError, match=rf"metadata\.csv, line 3: y and place must be 0 or 1.*{COMMAND}"):
        _ = small(root).index


def test_missing_columns_and_missing_boxes_are_named(root: Path) -> None:
    (root / "CUB_200_2011" / "bounding_boxes.txt").unlink()
    with pytest.raises(UserError, match=rf"file of CUB, which has the boxes.*bounding_boxes\.txt is missing.*{COMMAND}"):
        _ = small(root).index
    path = root / "waterbird_complete95_forest2water2" / "metadata.csv"
    path.write_text(path.read_text().replace(",y,", ",bird,"))
    with pytest.raises(UserError, match=r"metadata\.csv: the columns y are missing; found img_id, img_filename, bird"):
        _ = small(root).index


def test_the_identity_follows_the_metadata_and_the_boxes(root: Path) -> None:
    before = small(root).identity
    assert small(root).identity == before
    boxes = root / "CUB_200_2011" / "bounding_boxes.txt"
    boxes.write_text(boxes.read_text().replace("60.0", "61.0"))
    changed = small(root).identity
    assert changed != before
    write(root, list(ROWS[:3]))
    assert small(root).identity != changed
