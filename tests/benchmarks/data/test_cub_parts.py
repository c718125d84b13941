"""Parts of CUB's birds in the official form."""

from pathlib import Path

import pytest

from benchmarks.data.cub_parts import CUBParts
from falip.errors import UserError

PARTS = "1 back\n2 beak\n7 left eye\n"
# Image ids are those of the small CUB; a part that cannot be seen has zeros.
LOCATIONS = """\
{0} 1 20.0 12.5 1
{0} 2 0.0 0.0 0
{0} 7 31.5 8.0 1
{1} 1 0.0 0.0 0
{1} 2 0.0 0.0 0
{1} 7 0.0 0.0 0
"""


@pytest.fixture
def parts_root(cub_root: Path) -> Path:
    folder = cub_root / "CUB_200_2011"
    splits = dict(line.split() for line in (folder / "train_test_split.txt").read_text().splitlines())
    tested = [key for key in splits if splits[key] == "0"]
    (folder / "parts").mkdir()
    (folder / "parts" / "parts.txt").write_text(PARTS)
    (folder / "parts" / "part_locs.txt").write_text(LOCATIONS.format(*tested))
    return cub_root


def small(root: Path) -> CUBParts:
    return CUBParts(str(root), "test", contract=False)


def test_each_visible_part_is_a_query_with_its_name_and_place(parts_root):
    data = small(parts_root)
    (info,) = data.index
    assert (info.queries, info.regions) == (2, 2), "the picture without a visible part is left out"
    sample = data.load(0)
    assert [query.text for query in sample.queries] == ["back", "left eye"] == data.expressions()
    assert [query.targets for query in sample.queries] == [((20.0, 12.5, 20.0, 12.5),), ((31.5, 8.0, 31.5, 8.0),)]
    assert [query.id for query in sample.queries] == [f"{info.id}/back", f"{info.id}/left_eye"]
    assert sample.boxes == ((60.0, 27.0, 385.0, 331.0),) * 2 and sample.pictures[0].image.size == (50, 40)


def test_the_identity_follows_the_files_of_parts(parts_root):
    before = small(parts_root).identity
    path = parts_root / "CUB_200_2011" / "parts" / "part_locs.txt"
    path.write_text(path.read_text().replace("31.5", "30.5"))
    assert small(parts_root).identity != before and before["name"] == "cub"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("31.5", "131.5", r"left eye of .* outside of its picture of 50 x 40"),
        ("31.5", "x", r"part_locs\.txt, line 3: a box is four numbers"),
        (" 7 31.5", " 9 31.5", r"line 3: there is no image \d+ or no part 9"),
    ],
)
def test_a_part_that_does_not_fit_is_said(parts_root, old, new, words):
    path = parts_root / "CUB_200_2011" / "parts" / "part_locs.txt"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=words):
        small(parts_root).load(0)


def test_missing_parts_name_the_command(cub_root):
    with pytest.raises(UserError, match=r"parts\.txt is missing.*falip data cub"):
        _ = small(cub_root).identity
