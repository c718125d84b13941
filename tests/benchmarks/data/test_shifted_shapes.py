"""The embedded domain shift: ties in training, none in the target, and splits that share nothing."""

import numpy as np
import pytest
from small_jobs import small_job

from benchmarks.data.shifted_shapes import ShiftedShapes
from benchmarks.embedded.drawing import COLOURS, HELD_OUT_PAIRS
from benchmarks.embedded.shift import CLASS_NAMES, DOMAINS, TIE, cue, shift_scene
from falip.errors import UserError


def _ids(**settings):
    return [info.id for info in ShiftedShapes(**settings).index]


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_class_decides_in_training_and_chance_in_the_target(domain):
    labels = np.arange(2000) % len(CLASS_NAMES)
    usual = np.array([cue(domain, label, 0, True) for label in range(len(CLASS_NAMES))])
    for tied, share in ((True, TIE + (1 - TIE) / 8), (False, 1 / 8)):
        drawn = np.array([cue(domain, int(label), number, tied) for number, label in enumerate(labels)])
        commonest = [np.bincount(drawn[labels == label]).max() / (labels == label).sum() for label in range(8)]
        assert np.mean(commonest) == pytest.approx(share, abs=0.07)
    assert set(usual) <= set(range(8))


def test_no_two_classes_are_tied_to_the_same_and_no_colour_is_one_that_the_tower_never_saw():
    drawn = [[cue("colour", label, number, True) for number in range(50)] for label in range(8)]
    usual = [int(np.bincount(found).argmax()) for found in drawn]
    assert sorted(usual) == list(range(8))
    assert not {(list(COLOURS)[c], CLASS_NAMES[label]) for label, c in enumerate(usual)} & HELD_OUT_PAIRS


def test_the_drawn_background_is_the_tied_hue():
    """Pictures of one class have backgrounds alike when tied, and unlike when not."""

    def spread(tied):
        shades = []
        for number in range(3, 131, 8):
            scene = shift_scene("hue", 3, number, tied)
            mean = np.asarray(scene.image, dtype=float)[~scene.masks[0]].mean(0)
            shades.append(mean / np.linalg.norm(mean))
        return np.linalg.norm(np.std(shades, axis=0))

    assert spread(True) < 0.7 * spread(False)


def test_the_splits_part_the_pictures():
    train, held, target = (_ids(pictures=20, split=split) for split in ("train", "held_out", "target"))
    assert len(train) == 48 and len(held) == 12 and len(target) == 60
    assert sorted([*train, *held, *target]) == sorted(_ids(pictures=20, split="all"))
    assert all("/untied/" in name for name in target) and all("/tied/" in name for name in (*train, *held))
    assert held != _ids(pictures=20, split="held_out", seed=1)


def test_base_and_new_classes_part_pictures_and_names():
    whole, base, new = (ShiftedShapes(20, classes=part, open_ratio=0.25) for part in ("all", "base", "new"))
    assert base.class_names == tuple(CLASS_NAMES[:6]) and new.class_names == tuple(CLASS_NAMES[6:])
    parted = [info.id for data in (base, new) for info in data.index]
    assert sorted(parted) == sorted(info.id for info in whole.index)
    for data in (base, new):
        for i in range(len(data.index)):
            (query,) = data.load(i).queries
            assert data.class_names[query.label] == query.text and f"/{query.text}-" in query.id
    assert "classes" not in whole.identity and (new.identity["classes"], new.identity["open_ratio"]) == ("new", 0.25)
    with pytest.raises(UserError, match="no picture of the classes"):
        assert ShiftedShapes(2, classes="new").index


def test_a_picture_is_always_the_same_and_has_its_shape_as_region():
    first, second = (ShiftedShapes(10, "train").load(7) for _ in range(2))
    assert first.pictures[0].image.tobytes() == second.pictures[0].image.tobytes()
    data = ShiftedShapes(10, "target")
    for i in range(0, 30, 9):
        sample = data.load(i)
        (query,), (region,) = sample.queries, sample.pictures[0].regions
        assert query.id == data.index[i].id and query.text == CLASS_NAMES[query.label] and query.slice == DOMAINS[i // 10]
        scene = shift_scene(query.slice, query.label, i % 10, tied=False)
        assert region.box == scene.objects[0].box


def test_a_run_counts_each_domain_alike_and_measures_attention(clip_folder, tmp_path):
    small = ("task=classification/shapes_shift", "task.dataset.pictures=4", "metrics.attention=true")
    job = small_job(clip_folder("small"), tmp_path / "runs", *small)
    job.execute()
    assert job.identity["task"]["dataset"]["group_shares"] == pytest.approx(dict.fromkeys(DOMAINS, 1 / 3))
    frame = job.folder.frame()
    assert sorted(set(frame["slice"])) == sorted(DOMAINS) and len(frame) == 12
    assert all(0 <= share <= 1 for share in frame["attention_on_target"]) and min(frame["region_share"]) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"split": "test"}, "task.split"), ({"pictures": 1}, "pictures"), ({"held_out": 1.0}, "held_out")],
)
def test_what_has_no_meaning_is_said(settings, message):
    with pytest.raises(UserError, match=message):
        ShiftedShapes(**settings)
