"""Scenes: pure functions of their seed, objects where their boxes say."""

import numpy as np
import pytest

from benchmarks.embedded.drawing import COLOURS, HELD_OUT_PAIRS, SHAPES, SIZES, TEXTURES, ObjectSpec, draw_scene

SPECS = [
    ObjectSpec("red", "star", "solid", "large"),
    ObjectSpec("blue", "ring", "striped", "small"),
    ObjectSpec("green", "cross", "dotted", "large"),
    ObjectSpec("white", "crescent", "checkered", "small"),
]


def test_the_same_seed_gives_the_same_scene_and_another_seed_another():
    first, again, other = draw_scene(SPECS, 3), draw_scene(SPECS, 3), draw_scene(SPECS, 4)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.objects == again.objects
    assert first.image.tobytes() != other.image.tobytes()


@pytest.mark.parametrize("seed", range(8))
def test_masks_fill_their_boxes_inside_the_picture(seed: int):
    scene = draw_scene(SPECS, seed)
    width, height = scene.image.size
    assert 180 <= min(width, height) < max(width, height) <= 320
    assert max(width, height) >= 224
    for drawn, mask in zip(scene.objects, scene.masks, strict=True):
        x0, y0, x1, y1 = (int(value) for value in drawn.box)
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert mask.shape == (height, width)
        assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
        inside = mask[y0:y1, x0:x1]
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


@pytest.mark.parametrize("seed", range(8))
def test_objects_hardly_overlap_and_sizes_differ(seed: int):
    six = [*SPECS, SPECS[0], SPECS[2]]
    scene = draw_scene(six, seed)
    shared = np.sum(scene.masks, axis=0) > 1
    assert shared.sum() <= 0.05 * min(mask.sum() for mask in scene.masks)
    sides = {size: [o.box[2] - o.box[0] for o in scene.objects if o.size == size] for size in SIZES}
    assert max(sides["small"]) < max(sides["large"])


def test_an_object_has_its_colour():
    scene = draw_scene([ObjectSpec("blue", "square", "solid", "large")], 0)
    red, green, blue = np.asarray(scene.image)[scene.masks[0]].mean(0)
    assert blue > 2 * red
    assert blue > 1.5 * green


def test_textures_change_the_picture_but_not_the_place():
    pictures = [draw_scene([ObjectSpec("yellow", "circle", texture, "large")], 5) for texture in TEXTURES]
    deviations = [np.asarray(p.image, dtype=float)[p.masks[0]].std(0).mean() for p in pictures]
    assert len({p.objects[0].box for p in pictures}) == 1
    assert all(textured > 2 * deviations[0] for textured in deviations[1:])


def test_held_out_pairs_are_a_permutation():
    assert {colour for colour, _ in HELD_OUT_PAIRS} == set(COLOURS)
    assert {shape for _, shape in HELD_OUT_PAIRS} == set(SHAPES)
    assert len(HELD_OUT_PAIRS) == len(COLOURS) == len(SHAPES)
