"""SPair-71k in its publishers' form, with the keypoints' names as probe3d gives them."""

from pathlib import Path

import pytest
from small_sources import picture
from small_spair import spair

from benchmarks.data.spair import SPairKeypoints
from falip.errors import UserError

LAYOUT, NAMES = "SPair-71k/Layout/large/test.txt", "spair_names/spair_keypoint_names.csv"
BEAK = "SPair-71k/ImageAnnotation/bird/2009_000000.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, body in spair(picture, ("bird", "horse")).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    return tmp_path


def small(root: Path, category: str = "animals") -> SPairKeypoints:
    return SPairKeypoints(str(root), "test", category, contract=False)


def test_each_visible_keypoint_is_a_query_with_its_name_and_place(root):
    data = small(root)
    assert [(info.id, info.queries) for info in data.index] == [
        ("bird/2008_000000", 1), ("bird/2009_000000", 2), ("horse/2008_000001", 1), ("horse/2009_000001", 1)
    ]  # fmt: skip
    sample = data.load(1)
    assert [query.text for query in sample.queries] == ["crown of the bird", "beak of the bird"]
    assert [query.targets[0] for query in sample.queries] == [(20.0, 12.0, 20.0, 12.0), (40.5, 30.0, 40.5, 30.0)]
    assert [query.id for query in sample.queries] == ["bird/2009_000000/crown", "bird/2009_000000/beak"]
    assert {query.slice for query in sample.queries} == {"bird"}
    assert sample.boxes == ((10.0, 4.0, 50.0, 44.0),) * 2 and sample.pictures[0].image.size == (64, 48)
    assert data.expressions()[:3] == ["crown of the bird", "crown of the bird", "beak of the bird"]


def test_one_category_is_a_data_set_of_its_own(root):
    horses = small(root, "horse")
    assert [info.id for info in horses.index] == ["horse/2008_000001", "horse/2009_000001"]
    assert {query.slice for query in horses.load(0).queries} == {""}
    assert horses.identity["category"] == "horse" and horses.identity != small(root).identity
    with pytest.raises(UserError, match=r"task\.dataset\.category=unicorn"):
        small(root, "unicorn")
    with pytest.raises(UserError, match="has no picture of cat"):
        _ = small(root, "cat").index


@pytest.mark.parametrize(("file", "old", "new"), [(BEAK, "40.5", "41.5"), (NAMES, "beak", "bill"), (LAYOUT, "\n", "\n\n")])
def test_the_identity_follows_every_file_that_is_read(root, file, old, new):
    before = small(root).identity
    (root / file).write_text((root / file).read_text().replace(old, new, 1))
    assert small(root).identity != before


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (BEAK, "40.5", "140.5", r"the beak is at \(140\.5, 30\.0\), outside of its picture of 64 x 48"),
        (BEAK, "[40.5, 30]", '"x"', "keypoint 1: expected 2 numbers, and found 'x'"),
        (BEAK, "[40.5, 30]", "[NaN, 30]", "keypoint 1: expected 2 numbers"),
        (BEAK, '"2": null', '"2": [1, 2]', r"keypoint '2' of bird has no name in .*spair_keypoint_names\.csv"),
        (BEAK, "[10, 4, 50, 44]", "[10, 4]", "bndbox: expected 4 numbers"),
        (BEAK, '"kps"', '"points"', "the key 'kps' is missing"),
        (LAYOUT, "-2009_000000", "", r"test\.txt, line 1: a pair is NUMBER-NAME-NAME:CATEGORY"),
        (LAYOUT, "2009_000000", "../../x", "without '..'"),
        (NAMES, "horse", "house", "of horse has no name"),
        (NAMES, "beak", "b" * 200_000, "is no table of commas"),
        (NAMES, "bird", "bat", "the first line names the categories"),
    ],
)
def test_what_is_not_as_described_is_said(root, file, old, new, words):
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=words):
        small(root).load(1)


def test_the_number_of_pairs_is_the_published_one(root):
    with pytest.raises(UserError, match=r"has 2 pairs, but 12234 are expected"):
        _ = SPairKeypoints(str(root), "test").index


@pytest.mark.parametrize("file", [NAMES, LAYOUT, BEAK])
def test_a_missing_file_names_the_command(root, file):
    (root / file).unlink()
    with pytest.raises(UserError, match=r"is missing.*falip data spair"):
        _ = small(root).index
