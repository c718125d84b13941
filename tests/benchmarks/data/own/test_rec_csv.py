"""One's own referring expressions, from two tables."""

import pytest
from PIL import Image

from benchmarks.data.own.rec_csv import ReferringTable
from falip.errors import UserError

BOXES = "image,id,x0,y0,x1,y1\na.png,left,0,0,20,30\na.png,right,20,0,40,30\nsub/b.png,only,5,5,15.5,25\n"
WORDS = "image,id,expression,target,slice\na.png,1,the dog,right,side\nsub/b.png,1,a cat,only,\na.png,2,the cup,left,\n"


def _table(folder, boxes=BOXES, words=WORDS, **options):
    (folder / "sub").mkdir(exist_ok=True)
    for name in ("a.png", "sub/b.png"):
        Image.new("RGB", (40, 30), "red").save(folder / name)
    (folder / "boxes.csv").write_text(boxes, encoding="utf-8")
    (folder / "words.csv").write_text(words, encoding="utf-8")
    return ReferringTable(str(folder / "boxes.csv"), str(folder / "words.csv"), **options)


def test_a_picture_is_a_sample_with_all_its_candidates_and_expressions(tmp_path):
    data = _table(tmp_path)
    assert [(info.id, info.queries, info.regions) for info in data.index] == [("a.png", 2, 2), ("sub/b.png", 1, 1)]
    sample = data.load(0)
    assert sample.boxes == ((0, 0, 20, 30), (20, 0, 40, 30))
    assert [(query.id, query.text, query.targets, query.slice) for query in sample.queries] == [
        ("a.png/1", "the dog", ((20, 0, 40, 30),), "side"),
        ("a.png/2", "the cup", ((0, 0, 20, 30),), ""),
    ]
    assert data.load(1).pictures[0].regions[0].box == (5, 5, 15.5, 25)
    assert sorted(data.expressions()) == ["a cat", "the cup", "the dog"]


def test_a_spreadsheets_separators_marks_and_quotes_are_read(tmp_path):
    boxes = "\ufeffImage; id ;x0;y0;x1;y1\na.png;1;0;0;20;30\n\n"
    words = 'image\tid\texpression\ttarget\na.png\t1\t"the dog, on the left"\t1\n'
    (query,) = _table(tmp_path, boxes, words).load(0).queries
    assert query.text == "the dog, on the left"


def test_the_identity_moves_with_the_tables_and_the_pictures(tmp_path):
    first = _table(tmp_path).identity
    assert _table(tmp_path).identity == first
    assert _table(tmp_path, words=WORDS.replace("the dog", "the wolf")).identity != first
    data = _table(tmp_path)
    Image.new("RGB", (60, 30), "blue").save(tmp_path / "a.png")
    assert data.identity != first


@pytest.mark.parametrize(
    ("boxes", "words", "said"),
    [
        ("image,id,x0,y0,x1\n", WORDS, "lacks the column y1"),
        (BOXES + "c.png,1,0,0,5,5\n", WORDS, r"line 5: there is no picture .*c\.png"),
        (BOXES + "a.png,left,0,0,5,5\n", WORDS, "line 5: the candidate left of a.png is there already"),
        (BOXES + "a.png,3,9,0,5,5\n", WORDS, "line 5: the box 9, 0, 5, 5 has no area"),
        (BOXES + "a.png,3,wide,0,5,5\n", WORDS, "line 5: the column x0 is 'wide'"),
        (BOXES + "a.png,3,0,0,5\n", WORDS, "line 5: 5 cells, and the header has 6"),
        ("image,id,x0,y0,x1,y1\na.png,1,0,0,0.5,1\nsub/b.png,1,0.1,0,0.5,1\n", WORDS, "boxes lie in 0..1"),
        (BOXES, WORDS + "a.png,1,again,left,\n", "line 5: the expression 1 of a.png is there already"),
        (BOXES, WORDS + "a.png,9,what,up,\n", "line 5: a.png has no candidate up; it has left, right"),
        (BOXES, WORDS + "z.png,9,what,up,\n", "line 5: no candidate is of the picture z.png"),
        (BOXES, WORDS + "a.png,9,,left,\n", "line 5: the column expression is empty"),
        (BOXES, "image,id,expression,target\n", "has no line below its header"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path, boxes, words, said):
    with pytest.raises(UserError, match=said):
        _ = _table(tmp_path, boxes, words).index


def test_all_faults_of_a_table_are_named_at_once(tmp_path):
    bad = BOXES + "".join(f"a.png,{i},0,0,0,0\n" for i in range(12))
    with pytest.raises(UserError, match=r"12 faults(.|\n)*line 5(.|\n)*line 12(.|\n)*and 4 more"):
        _ = _table(tmp_path, bad).index


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no table .*nowhere\.csv.*image, id, x0"):
        _ = ReferringTable(str(tmp_path / "nowhere.csv"), str(tmp_path / "words.csv")).identity
