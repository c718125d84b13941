"""What the training shows and says: never a held-out pair, and every form that the benchmark asks with."""

import re
from functools import cache

import numpy as np
import pytest

from benchmarks.embedded.captions import caption
from benchmarks.embedded.drawing import COLOURS, HELD_OUT_PAIRS, SHAPES
from benchmarks.embedded.model import make_tokenizer
from benchmarks.embedded.pictures import KINDS, make_pool, render, training_specs
from benchmarks.embedded.shapes import rec_scene

FORMS = (
    r"a photo of the \w+",
    r"a photo of the \w+ (object|thing)",
    r"a photo of the (small|large) \w+ \w+",
    r"a photo of a (striped|dotted|checkered|solid) \w+ \w+ \.",
    r"point cloud depth map of a \w+ \.",
)


@cache
def drawn_captions() -> list[str]:
    rng = np.random.default_rng(0)
    pictures = [render(index, seed=0, size=32)[1:] for index in range(60)]
    return [caption(rng, *pictures[i % len(pictures)]) for i in range(1500)]


def test_training_never_shows_or_names_a_held_out_pair():
    rng = np.random.default_rng(1)
    specs = [spec for _ in range(1500) for spec in training_specs(rng)]
    assert {(spec.colour, spec.shape) for spec in specs} == {
        (colour, shape) for colour in COLOURS for shape in SHAPES if (colour, shape) not in HELD_OUT_PAIRS
    }
    for text in drawn_captions():
        assert not any(f" {colour} {shape}" in f" {text}" for colour, shape in HELD_OUT_PAIRS)


def test_captions_have_the_forms_that_the_benchmark_asks_with():
    captions = drawn_captions()
    for form in FORMS:
        assert any(re.fullmatch(form, text) for text in captions), form
    tokenizer = make_tokenizer()
    assert not any(tokenizer.unk_token_id in tokenizer(text)["input_ids"] for text in captions)
    for query in rec_scene(0).queries + rec_scene(1).queries:
        assert tokenizer.unk_token_id not in tokenizer(f"a photo of {query.text}")["input_ids"]


def test_half_of_the_captions_of_single_objects_leave_the_colour_out():
    rng = np.random.default_rng(2)
    objects = np.full((6, 4), -1, dtype=np.int8)
    objects[0] = (2, 1, 1, 0)
    texts = [caption(rng, KINDS.index("close-up"), objects, 0) for _ in range(400)]
    assert 0.35 < np.mean(["blue" in text for text in texts]) < 0.65


@pytest.mark.parametrize("kind", KINDS)
def test_a_focused_picture_is_captioned_by_its_focus_alone(kind: str):
    rng = np.random.default_rng(3)
    objects = np.full((6, 4), -1, dtype=np.int8)
    objects[:2] = [(0, 1, 0, 0), (3, 2, 1, 1)]
    if kind in ("solid", "depth"):
        objects[:] = -1
        objects[0] = (4, 6, -1, -1)
        assert all("chair" in caption(rng, KINDS.index(kind), objects, 0) for _ in range(20))
    else:
        assert not any(" and " in caption(rng, KINDS.index(kind), objects, 1) for _ in range(50))
        assert any(" and " in caption(rng, KINDS.index(kind), objects, -1) for _ in range(50))


def test_a_training_picture_is_a_pure_function_of_its_index(tmp_path):
    pool = make_pool(tmp_path, count=12, seed=4, size=32, processes=1)
    for index in (0, 5, 11):
        pixels, kind, objects, focus = render(index, seed=4, size=32)
        assert np.array_equal(pool.pixels[index], pixels)
        assert (pool.kinds[index], pool.focus[index]) == (kind, focus)
        assert np.array_equal(pool.objects[index], objects)
    again = make_pool(tmp_path, count=12, seed=4, size=32, processes=1)
    assert np.array_equal(again.pixels, pool.pixels)
