"""All prompts of a table in one pass, against their distinct drawings and encodings."""

import csv

import pytest

from benchmarks.speed.__main__ import main
from benchmarks.speed.prompts import distinct_parts, table_prompts
from benchmarks.speed.shared_pass import HEAD, measure_pass
from falip import Backbone, Crop, Ensemble, Foveal, Plain, RedCircle


def test_the_prompts_are_those_of_the_tables_experiment_and_their_parts_stand_once():
    prompts = table_prompts()
    assert len(prompts) == 10 and {"plain", "three_circles", "foveal_red_circle"} <= set(prompts)
    parts = distinct_parts(list(prompts.values()))
    assert len(parts) == 9 and len(distinct_parts([Ensemble([Crop(), RedCircle()]), Crop(), RedCircle()])) == 2


def test_equal_views_of_several_prompts_are_distinct_once(random_clip):
    one = measure_pass(random_clip(), [RedCircle(), Plain()], 2, 1)
    twice = measure_pass(random_clip(), [RedCircle(), Plain(), Ensemble([RedCircle(), Plain()])], 2, 1)
    assert twice.distinct == one.distinct and twice.asked == 2 * one.asked
    regions = one.asked // 2
    assert one.distinct == regions + 2  # plain pictures: one for each of the two scenes


def test_a_pass_encodes_no_more_views_than_are_distinct(random_clip, monkeypatch):
    encoded, features = [], Backbone.features

    def counted(self, views, sharing="exact", batch=64):
        encoded.append(sum(len(set(keys)) for keys in views.keys))
        return features(self, views, sharing, batch)

    monkeypatch.setattr(Backbone, "features", counted)
    prompts = [Foveal(), RedCircle(), Ensemble([Crop(), RedCircle(), Foveal()])]
    profile = measure_pass(random_clip(), prompts, 3, 1)
    assert sum(encoded) == 4 * profile.distinct  # twice in the pass and twice alone: once of each warms up


def test_the_parts_of_a_pass_are_all_of_it(random_clip):
    profile = measure_pass(random_clip(), [Plain(), Foveal()], 2, 2)
    for k, whole in enumerate(profile.whole):
        assert sum(times[k] for times in profile.parts.values()) == pytest.approx(whole)
    assert profile.times > 0 and len(profile.drawing) == len(profile.encoding) == 2


def test_the_command_prints_the_profile(tmp_path, capsys):
    out = tmp_path / "pass"
    assert main(["--pass", "--quick", "--backbone", "tiny", "--out", str(out)]) == 0
    found = list(csv.DictReader(out.with_suffix(".csv").open()))
    assert tuple(found[0]) == HEAD and {"pass", "distinct drawings", "distinct encodings"} <= {row["part"] for row in found}
    assert capsys.readouterr().out == out.with_suffix(".md").read_text()
