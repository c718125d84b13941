"""The speed benchmark: that its ways give the same, and need the work that they should."""

import csv
import subprocess
import sys

import numpy as np
import pytest
import torch
from random_clip import picture

from benchmarks.speed.__main__ import main
from benchmarks.speed.document import HEAD
from benchmarks.speed.load import Load, make_load
from benchmarks.speed.measure import count_flops, differences, measure_text, time_shares
from benchmarks.speed.towers import TOWERS
from benchmarks.speed.ways import WAYS, encode, encode_text, first_views
from falip import Backbone, Foveal, MaskInversion, Plain, Region, UserError, Views
from falip.views import Component


def views(backbone: Backbone, count: int, alpha: float = 5.0, seed: int = 0) -> Views:
    corners = np.sort(np.random.default_rng(seed).uniform(0, 90, (count, 2, 2)), axis=1)
    regions = [Region.from_box(*low, *(high + 5)) for low, high in corners]
    return backbone.prepare(Foveal(alpha=alpha)(picture(100, 100, seed), regions, backbone.geometry))


def test_all_ways_but_frozen_give_the_same_embeddings(random_clip):
    backbone = random_clip()
    load = [views(backbone, count, seed=count) for count in (3, 1, 5)]
    found = {way: encode(backbone, way, load) for way in WAYS}
    for way in ("released", "exact"):
        torch.testing.assert_close(found[way], found["none"], atol=1e-5, rtol=0)
    assert (found["frozen"] - found["none"]).abs().max() > 1e-3, "with a strong bias frozen is an approximation"


@pytest.mark.parametrize(("regions", "exact", "frozen"), [(8, 3.6, 7.5), (10, 3.9, 9.0)])
def test_sharing_needs_a_fraction_of_the_operations(regions, exact, frozen, random_clip):
    backbone = random_clip("ViT-B/16")
    load = [views(backbone, regions, seed=seed) for seed in (1, 2)]
    work = {way: count_flops(lambda way=way: encode(backbone, way, load)) for way in WAYS}
    assert work["none"] == pytest.approx(work["released"], rel=0.02), "each view whole, in both"
    assert work["none"] / work["exact"] > exact
    assert work["none"] / work["frozen"] > frozen


def test_patches_are_projected_once_for_many_small_batches_of_views(random_clip):
    """A batch smaller than an image's regions must not repeat the trunk."""
    backbone = random_clip("ViT-B/16")
    load = views(backbone, 12)
    work = [count_flops(lambda batch=batch: backbone.encode_views(load, "frozen", batch)) for batch in (12, 3)]
    assert work[1] < 1.02 * work[0]


def test_texts_padded_to_the_longest_of_the_batch_are_those_padded_to_the_context(random_clip):
    texts = ["a dog", "the red dog", "a photo of the cat x y z", "cat"]
    whole = encode_text(random_clip(), texts, 12)
    torch.testing.assert_close(encode_text(random_clip(), texts, None), whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(random_clip().encode_text(texts), whole, atol=1e-6, rtol=0)
    names = [name for name, _, difference in measure_text(random_clip(), [texts], 1) if difference < 1e-6]
    assert len(names) == 3


def test_the_load_has_the_images_regions_and_expressions_asked_for(random_clip):
    load = make_load(random_clip(), 4, 3, 7.5)
    assert [len(one) for one in load.views] == [3] * 4
    assert sum(map(len, load.texts)) == 30
    assert [len(one) for one in first_views(load.views, 7)] == [3, 3, 1]
    with pytest.raises(UserError, match="regions=0"):
        make_load(random_clip(), 4, 0, 7.5)


def test_changed_decisions_and_differences_are_counted():
    a = torch.tensor([[1.0, 0.0, 3.0], [0.0, 1.0, 2.0]])
    b = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 2.0]])
    assert differences([a, a], [a, b]) == (2.0, pytest.approx(1 / 6))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_memory_is_the_most_that_was_held_even_if_it_is_given_back():
    # In a process of its own, as the command does: in a long one, what was given back before is taken first.
    code = (
        "import numpy as np; from benchmarks.speed.measure import growth; "
        "print(growth(lambda: np.ones(2**23)), growth(lambda: None))"
    )
    held, nothing = map(float, subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert held == pytest.approx(64, abs=8) and nothing < 8


def test_a_profile_adds_up(random_clip):
    load = Load([views(random_clip(), 4)], [])
    shares = time_shares(lambda: encode(random_clip(), "exact", load.views))
    assert 0 < shares["matrix products"] + shares["attention"] < 1 and sum(shares.values()) <= 1 + 1e-9


def test_the_command_writes_its_table(clip_folder, tmp_path, capsys):
    out = tmp_path / "folder" / "speed"
    given = ["--backbone", str(clip_folder("small")), "--images", "3", "--regions", "4", "--quick", "--out", str(out)]
    assert main(given) == 0
    rows = list(csv.DictReader(out.with_suffix(".csv").open()))
    assert [row["way"] for row in rows] == list(WAYS) and tuple(rows[0]) == HEAD
    assert rows[1]["vs none"] == "1.00" and rows[0]["vs released"] == "1.0"
    text = out.with_suffix(".md").read_text()
    assert text == capsys.readouterr().out and "3 images" in text and "threads" in text
    assert main(["--backbone", "./no/such/folder"]) == 2
    assert "no/such/folder" in capsys.readouterr().err


@pytest.mark.slow
def test_towers_that_pool_by_one_attention_are_measured_too(tmp_path, capsys):
    out = tmp_path / "towers"
    assert main(["--towers", "--quick", "--part", "1", "--regions", "2", "--out", str(out)]) == 0
    rows = list(csv.DictReader(out.with_suffix(".csv").open()))
    assert [row["tower"] for row in rows] == ["RN50", "SigLIP-B/16"]
    assert all(float(row["difference"]) < 1e-5 and float(row["exact s"]) > 0 for row in rows)
    assert capsys.readouterr().out == out.with_suffix(".md").read_text()


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_that_pools_by_one_attention_encodes_a_picture_once_for_its_regions(name):
    tower = TOWERS[name]()
    pixels = torch.zeros(1, 3, 224, 224)
    bias = Foveal().bias([Region.from_box(i, i, 100, 100) for i in range(3)], (224, 224), tower.geometry)
    component = Component("foveal", (0,) * 3, (bias,))
    work = {s: count_flops(lambda s=s: tower.encode([component], pixels, s, 3)) for s in ("none", "exact")}
    assert work["none"] / work["exact"] > 2.8


def test_what_a_region_costs_under_a_prompt_is_counted(tmp_path, capsys):
    out = tmp_path / "prompts"
    assert (
        main(["--prompts", "plain,crop,maskclip", "--regions", "3", "--backbone", "tiny", "--quick", "--out", str(out)])
        == 0
    )
    rows = {row["prompt"]: row for row in csv.DictReader(out.with_suffix(".csv").open())}
    encodings = {name: float(row["encodings for a scene"]) for name, row in rows.items()}
    assert encodings["plain"] == pytest.approx(1) and encodings["maskclip"] < 1.3 and encodings["crop"] > 2.5
    assert all(float(row["difference"]) < 1e-5 and float(row["vs none"]) > 0 for row in rows.values())
    assert main(["--prompts", "cropp"]) == 2 and "there is no such prompt" in capsys.readouterr().err


def test_operations_are_counted_where_a_read_out_takes_gradients(random_clip, photo):
    backbone, regions = random_clip(), [Region.from_box(5, 5, 40, 40)]

    def work(prompt):
        return count_flops(lambda: backbone.encode_regions(photo, regions, prompt))

    steps = [work(MaskInversion(steps=n)) for n in (1, 2, 3)]
    assert steps[1] - steps[0] == steps[2] - steps[1] > 0
    assert steps[0] > work(Plain())
