"""The REC and classification tasks of the embedded world."""

from collections import Counter
from functools import cache

import pytest

from benchmarks.embedded.drawing import COLOURS, HELD_OUT_PAIRS, SHAPES, SIZES, TEXTURES, SceneObject
from benchmarks.embedded.shapes import (
    CLASS_NAMES,
    CLASSIFICATION_SCENES,
    HELD_OUT_CLASSES,
    REC_SCENES,
    SLICES,
    RecScene,
    classification_scene,
    rec_scene,
)

SAMPLE = 240


@cache
def scenes() -> list[RecScene]:
    return [rec_scene(index) for index in range(SAMPLE)]


def satisfies(drawn: SceneObject, text: str) -> bool:
    """Reads the expression's words, without knowing how it was made."""
    attributes = {drawn.colour, drawn.shape, drawn.texture, drawn.size, "the", "object", "thing"}
    return set(text.split()) <= attributes


def test_the_same_index_gives_the_same_scene():
    first, again = rec_scene(5), rec_scene(5)
    assert first.scene.image.tobytes() == again.scene.image.tobytes()
    assert first.queries == again.queries
    assert rec_scene(6).scene.image.tobytes() != first.scene.image.tobytes()


def test_every_object_is_queried_once_by_an_expression_that_only_it_satisfies():
    for drawn in scenes():
        objects = drawn.scene.objects
        assert 3 <= len(objects) <= 6
        assert sorted(query.target for query in drawn.queries) == list(range(len(objects)))
        for query in drawn.queries:
            assert [i for i, item in enumerate(objects) if satisfies(item, query.text)] == [query.target]


def test_a_slice_says_what_its_expressions_name():
    for drawn in scenes():
        for query in drawn.queries:
            words = set(query.text.split())
            named = {
                "colour": bool(words & set(COLOURS)),
                "shape": bool(words & set(SHAPES)),
                "texture": bool(words & set(TEXTURES)),
                "size": bool(words & set(SIZES)),
            }
            expected = {"size": {"size", "colour", "shape"}}.get(query.slice, {query.slice})
            expected = {"colour", "shape"} if query.slice.endswith("pair") else expected
            assert {name for name, present in named.items() if present} == expected
            pair = (drawn.scene.objects[query.target].colour, drawn.scene.objects[query.target].shape)
            if query.slice.endswith("pair"):
                assert (pair in HELD_OUT_PAIRS) == (query.slice == "held-out pair")


def test_slices_and_attributes_are_balanced():
    queries = [query for drawn in scenes() for query in drawn.queries]
    counts = Counter(query.slice for query in queries)
    assert set(counts) == set(SLICES)
    assert min(counts.values()) > 0.1 * len(queries)
    objects = [item for drawn in scenes() for item in drawn.scene.objects]
    for attribute, values in (("colour", COLOURS), ("shape", SHAPES), ("texture", TEXTURES), ("size", SIZES)):
        seen = Counter(getattr(item, attribute) for item in objects)
        assert set(seen) == set(values)
        seen.pop("solid", None)  # plain objects are commoner than any texture
        assert max(seen.values()) < 1.6 * min(seen.values())


@pytest.mark.parametrize("position", [0, 1, 2])
def test_the_first_candidates_are_not_the_answer_more_often_than_others(position: int):
    asked_first = [drawn.queries[0] for drawn in scenes()]
    large = sum(drawn.scene.objects[position].size == "large" for drawn in scenes())
    assert 0.38 * len(asked_first) < large < 0.62 * len(asked_first)


def test_classification_has_one_target_of_its_class():
    for index in range(0, CLASSIFICATION_SCENES, 13):
        scene, target, name = classification_scene(index)
        names = [f"{item.texture} {item.colour} {item.shape}" for item in scene.objects]
        assert names[target] == name
        assert names.count(name) == 1
        assert set(names) <= set(CLASS_NAMES)
        assert 3 <= len(names) <= 5


def test_classes_are_balanced_and_partly_held_out():
    labels = [classification_scene(index)[2] for index in range(len(CLASS_NAMES))]
    assert sorted(labels) == sorted(set(CLASS_NAMES))
    assert CLASSIFICATION_SCENES % len(CLASS_NAMES) == 0
    expected = {name for name in CLASS_NAMES if tuple(name.split()[1:]) in HELD_OUT_PAIRS}
    assert expected == HELD_OUT_CLASSES
    assert 8 <= len(expected) < len(CLASS_NAMES) / 2
    assert REC_SCENES >= 600
    assert CLASSIFICATION_SCENES >= 600
