"""From expressions to trees: by hand for known syntax, and with spaCy where it is installed."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np
import pytest

import falip
from falip.errors import UserError
from falip.relations import language, parse, versions
from falip.relations.tree import Chunk, Syntax, root_entity

PARSER = find_spec("spacy") and any(map(find_spec, language.PACKAGES))
needs_spacy = pytest.mark.skipif(not PARSER, reason="needs spaCy and its English model: pip install 'falip[relations]'")


def shown(entity):
    """An entity as (text, relations, superlatives)."""
    return entity and (entity.text, [(kind, shown(other)) for kind, other in entity.relations], [*entity.superlatives])


def written(words, heads, *spans):
    """The syntax of an expression, with (start, end, root) for each noun phrase."""
    words = words.split()
    return Syntax(tuple(words), tuple(heads), tuple(Chunk(a, b, root, " ".join(words[a:b])) for a, b, root in spans))


BY_HAND = {
    "relation": (
        written("the cat above a dog below the car", (1, 1, 1, 4, 2, 4, 7, 5), (0, 2, 1), (3, 5, 4), (6, 8, 7)),
        ("the cat", [("above", ("a dog", [("below", ("the car", [], []))], []))], []),
        ("the car", "a dog", "the cat"),
    ),
    "a keyword in a chunk of its own is no entity": (
        written("the cat to the right of a dog", (1, 1, 1, 4, 2, 4, 7, 5), (0, 2, 1), (3, 5, 4), (6, 8, 7)),
        ("the cat", [("right", ("a dog", [], []))], []),
        ("a dog", "the cat"),
    ),
    "its only child in the same chunk ends the path": (
        written("the goat on the left", (1, 1, 1, 4, 2), (0, 2, 1), (3, 5, 4)),
        ("the goat", [], ["left"]),
        ("the goat",),
    ),
    "superlative within the chunk": (
        written("the biggest cat", (2, 2, 2), (0, 3, 2)),
        ("the biggest cat", [], ["bigger"]),
        ("the biggest cat",),
    ),
    "a noun for a part of the picture": (
        written("cat on the left side", (0, 0, 4, 4, 1), (0, 1, 0), (2, 5, 4)),
        ("cat", [], ["left"]),
        ("cat",),
    ),
    "a phrase with no keyword extends the text": (
        written("shirt with blue stripes left of a cat", (0, 0, 3, 1, 0, 4, 7, 5), (0, 1, 0), (2, 4, 3), (6, 8, 7)),
        ("shirt with blue stripes", [("left", ("a cat", [], []))], []),
        ("shirt with blue stripes", "a cat", "shirt with blue stripes"),
    ),
    "of two that extend it the last counts": (
        written("slice of pizza near the largest cat", (0, 0, 1, 0, 6, 6, 3), (0, 1, 0), (2, 3, 2), (4, 7, 6)),
        ("slice near the largest cat", [], []),
        ("slice of pizza", "slice near the largest cat", "slice near the largest cat"),
    ),
    "the first child where the head is no noun": (
        written("cat is left", (1, 1, 1), (0, 1, 0)),
        ("cat", [], []),
        ("cat",),
    ),
    "the head of the first noun where that has none": (
        written("standing far left on cat mat", (0, 2, 0, 0, 5, 3), (4, 6, 5)),
        ("cat mat", [], []),
        ("cat mat",),
    ),
    "what hangs below the other phrase comes with it": (
        written("shirt with stripes that shine left", (0, 0, 1, 4, 2, 0), (0, 1, 0), (2, 3, 2)),
        ("shirt with stripes that shine", [], ["left"]),
        ("shirt with stripes that shine", "shirt with stripes that shine"),
    ),
    "and what does not stand below the first one stays away": (
        written("cat by dogs mats is left", (4, 0, 1, 4, 4, 4), (0, 1, 0), (2, 4, 2)),
        ("cat by dogs is", [], []),
        ("cat by dogs is", "cat by dogs is"),
    ),
    "a superlative in the chunk joins the path": (
        written("cat biggest by far", (0, 0, 1, 2), (0, 2, 0)),
        ("cat biggest", [], ["bigger"]),
        ("cat biggest",),
    ),
    "only the first sentence has a head": (
        written("go left on mats cat", (0, 0, 4, 2, 4), (3, 4, 3), (4, 5, 4)),
        ("mats", [], []),
        ("mats",),
    ),
    "the first group in the order of the list": (
        written("cat right left of dogs", (0, 0, 1, 2, 3), (0, 1, 0), (4, 5, 4)),
        ("cat", [("left", ("dogs", [], []))], []),
        ("dogs", "cat"),
    ),
    "no keyword": (written("cat near dogs", (0, 0, 1), (0, 1, 0), (2, 3, 2)), None, None),
    "no noun": (written("left", (0,)), None, None),
    "nothing": (written("", ()), None, None),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_known_syntax_gives_the_tree(case):
    syntax, tree, asked = BY_HAND[case]
    entity = root_entity(syntax)
    assert shown(entity) == tree
    assert (entity.asked if entity else None) == asked


PARSED = {
    "left man": ("man", [], []),
    "the woman to the right of the dog": ("the woman", [("right", ("the dog", [], []))], []),
    "second guy from the left": ("second guy", [], ["left"]),
    "the bigger elephant": ("the bigger elephant", [], ["bigger"]),
    "rightmost giraffe": ("rightmost giraffe", [], ["right"]),
    "the train on the right side of the picture": ("the train", [], ["right"]),
    "white car parked behind the truck": ("white car", [("above", ("the truck", [], []))], []),
    "smaller plane inside the hangar": ("smaller plane", [("within", ("the hangar", [], []))], ["smaller"]),
    "two cats on top of the big sofa": ("two cats", [("above", ("the big sofa", [], []))], []),
    "woman behind the counter with a hat": ("woman with a hat", [("above", ("the counter", [], []))], []),
    "the largest boat in the back": ("the largest boat", [], ["bigger"]),
    "lady": None,
    "boy next to the girl in pink": None,
}


@needs_spacy
@pytest.mark.parametrize("expression", PARSED)
def test_an_expression_is_parsed(expression):
    assert shown(parse(expression).root) == PARSED[expression]


@needs_spacy
def test_texts_are_the_whole_expression_and_what_is_asked_each_once():
    assert parse("The man above the dog below the WINDOW").texts == (
        "the man above the dog below the window", "the window", "the dog", "the man",
    )  # fmt: skip
    assert parse("the biggest dog").texts == ("the biggest dog",)
    assert parse("").texts == ("",)


@needs_spacy
def test_without_a_keyword_it_is_the_softmax_of_the_whole_expression():
    weights = np.exp([0.5, -1.0])
    found = parse("lady").distribution([[0.5], [-1.0]], [(0, 0, 9, 9), (5, 5, 90, 90)], (100, 100))
    assert np.allclose(found, weights / weights.sum())


@needs_spacy
def test_a_phrase_moves_the_decision_to_where_it_points():
    """CLIP likes the right cup better; the expression says the left one."""
    parsed = falip.relations.parse("the cup to the left of the plate")
    scores = dict(zip(parsed.texts, ([1.0, 1.5, 0.0], [0.0, 0.0, 5.0], [2.0, 2.0, 0.0]), strict=True))
    assert list(scores) == ["the cup to the left of the plate", "the plate", "the cup"]
    boxes = [(0, 0, 20, 20), (80, 0, 100, 20), (40, 0, 60, 20)]
    assert parsed.distribution(np.array(list(scores.values())).T, boxes, (100, 100)).argmax() == 0


@needs_spacy
def test_versions_are_known_without_loading_anything():
    code = (
        "import sys, falip; found = falip.relations.versions(); print(found['spacy'], '|', found['model']);"
        "sys.exit(bool({'spacy', 'torch', 'thinc'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0
    spacy, model = done.stdout.strip().split(" | ")
    assert spacy == version("spacy")
    assert model.startswith("en_core_web_sm 3.")


@pytest.mark.parametrize("missing", [("spacy",), language.PACKAGES])
def test_what_is_missing_is_said_with_its_mend(missing, monkeypatch):
    def stand_in(package):
        if package in missing:
            raise PackageNotFoundError(package)
        return "3.8.0"

    monkeypatch.setattr(language, "version", stand_in)
    language._pipeline.cache_clear()
    for ask in (versions, lambda: parse(f"the cup left of {missing[0]}")):
        with pytest.raises(UserError, match=r"(?s)not installed.*pip install 'falip\[relations\]'"):
            ask()


@needs_spacy
def test_a_model_that_cannot_be_loaded_is_said_in_one_message(monkeypatch):
    import spacy

    def broken(*_, **__):
        raise OSError("[E053] Could not read config file")

    monkeypatch.setattr(spacy, "load", broken)
    language._pipeline.cache_clear()
    with pytest.raises(UserError, match=r"(?s)cannot be loaded.*E053.*pip install"):
        parse("the cup left of a broken model")


def test_an_expression_is_a_text():
    for value in (None, 3, ["left cup"]):
        with pytest.raises(UserError, match="An expression is a text"):
            parse(value)  # pyright: ignore[reportArgumentType]
