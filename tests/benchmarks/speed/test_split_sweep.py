"""The benchmark of a whole sweep: its parts add up, and its split is what it says."""

import csv
import math

import pytest
import torch

from benchmarks.speed.__main__ import main
from benchmarks.speed.load import backbone_of
from benchmarks.speed.prompts import distinct_parts, table_prompts
from benchmarks.speed.split import Amount, RandomSplit, random_task
from benchmarks.speed.sweep import GROWTH, HEAD, PARTS, one_pass
from falip import Backbone, Crop, Ensemble, Foveal, Plain, RedCircle, UserError


def test_the_command_prints_a_split_in_its_parts(tmp_path, capsys):
    out = tmp_path / "sweep"
    assert main(["--sweep", "--backbone", "tiny", "--quick", "--out", str(out)]) == 0
    rows = list(csv.DictReader(out.with_suffix(".csv").open()))
    assert tuple(rows[0]) == HEAD
    seconds = {row["part"]: float(row["seconds"]) for row in rows}
    assert list(seconds)[: len(PARTS) + 2] == [*PARTS, "rest", "total"]
    assert sum(seconds[part] for part in PARTS) == pytest.approx(seconds["total"] - seconds["rest"], abs=1)
    assert seconds["the released way"] > 0 and seconds["a command for each prompt"] > 0
    total = next(row for row in rows if row["part"] == "total")
    assert all(math.isfinite(float(total[name])) for name in GROWTH)
    text = capsys.readouterr().out
    assert text == out.with_suffix(".md").read_text()
    assert "tiny: all prompts in one pass take" in text and "10 prompts of table_rec" in text


def test_every_part_of_a_pass_takes_time(tmp_path):
    with torch.inference_mode():
        found = one_pass(backbone_of("tiny"), random_task(tmp_path, Amount(1, 2, 2)), [Foveal()])
    assert all(found[part] > 0 for part in PARTS)


def test_the_split_is_the_same_each_time_and_as_large_as_asked(tmp_path):
    split = RandomSplit(tmp_path, Amount(5, 3, 7.2))
    assert sum(info.queries for info in split.index) == 36 and {info.regions for info in split.index} == {3}
    first, again = split.load(1), RandomSplit(tmp_path, Amount(5, 3, 7.2)).load(1)
    assert first.queries == again.queries and first.boxes == again.boxes and first.pictures[0].image.size == (640, 480)
    assert len(first.queries) == split.index[1].queries and len({query.id for query in first.queries}) == len(first.queries)
    with pytest.raises(UserError, match="pictures=0"):
        Amount(0, 1, 1)


def test_the_prompts_are_those_of_the_tables_experiment_and_their_parts_stand_once():
    prompts = table_prompts()
    assert len(prompts) == 10 and {"plain", "three_circles", "foveal_red_circle"} <= set(prompts)
    parts = distinct_parts(list(prompts.values()))
    assert len(parts) == 9 and len(distinct_parts([Ensemble([Crop(), RedCircle()]), Crop(), RedCircle()])) == 2


def test_a_pass_encodes_a_view_that_several_prompts_ask_for_once(random_clip, monkeypatch, tmp_path):
    encoded, features = [], Backbone.features

    def counted(self, views, sharing="exact", batch=64):
        encoded.append(sum(len(set(keys)) for keys in views.keys))
        return features(self, views, sharing, batch)

    monkeypatch.setattr(Backbone, "features", counted)
    task = random_task(tmp_path, Amount(2, 3, 2))
    with torch.inference_mode():
        one_pass(random_clip(), task, [RedCircle(), Plain(), Ensemble([RedCircle(), Plain()])])
    assert sum(encoded) == 2 * (3 + 1)  # a ring around each region, and the plain picture
