"""A bias for each head and an intervention of one's own: one file and one YAML each."""

import json
import sys
from pathlib import Path

import pytest
from small_jobs import assert_same_decisions, small_job

from benchmarks.records.record import read_parts

BIAS = '''
from dataclasses import dataclass, replace
from typing import ClassVar

from falip import Component, Foveal, Views


@dataclass(frozen=True)
class OneHead:
    """A foveal mask on a single head."""

    head: int = 0
    alpha: float = 0.2
    layers: int = 4
    name: str = "one_head"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __call__(self, image, regions, geometry):
        foveal = Foveal(self.alpha, layers=self.layers).bias(regions, image.size, geometry)
        rows = foveal.rows.new_zeros(len(regions), geometry.heads, geometry.tokens)
        rows[:, self.head] = foveal.rows
        return Views((image,), (Component(self.name, (0,) * len(regions), (replace(foveal, rows=rows),)),))
'''
INTERVENTION = '''
from dataclasses import dataclass
from typing import ClassVar

from falip import Component, Intervention, Views


@dataclass(frozen=True)
class SilentHead:
    """Takes what a head says away."""

    head: int

    def attend(self, attention):
        output = attention.attend(attention.own)
        output[:, self.head] = 0
        return output


@dataclass(frozen=True)
class Silence:
    """The plain picture, one head silent."""

    head: int = 0
    layers: int = 1
    name: str = "silence"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __call__(self, image, regions, geometry):
        intervention = Intervention(SilentHead(self.head), geometry.last_layers(self.layers))
        return Views((image,), (Component(self.name, (0,) * len(regions), intervention=intervention),))
'''
YAML = {
    "one_head": "_target_: own_bias.OneHead\nalpha: 5.0\n",
    "silence": "_target_: own_intervention.Silence\nlayers: 2\n",
}


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of configurations beside the two files."""
    code, prompts = tmp_path / "code", tmp_path / "added" / "prompt"
    code.mkdir()
    prompts.mkdir(parents=True)
    for name, text in (("own_bias", BIAS), ("own_intervention", INTERVENTION)):
        (code / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name, text in YAML.items():
        (prompts / f"{name}.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(code))
    return tmp_path / "added"


def test_both_run_in_one_sweep_beside_the_others(added, cli, clip_folder, tmp_path):
    where = [f"backbone.name={clip_folder('small')}", f"results_root={tmp_path / 'results'}", "task.dataset.scenes=6"]
    status, printed = cli("-m", f"hydra.searchpath=[file://{added}]", "prompt=foveal,one_head,silence", *where)
    assert status == 0, printed
    runs = {}
    for file in (tmp_path / "results").rglob("run.json"):
        info = json.loads(file.read_text())
        runs[info["labels"]["prompt"]] = info, read_parts((file.parent / "records").glob("*.parquet"))
    assert {info["timing"]["runs_together"] for info, _ in runs.values()} == {3}
    assert runs["one_head"][0]["identity"]["prompt"]["type"] == "own_bias.OneHead"
    silent = runs["silence"][1]
    assert (silent["ties"] == silent["candidates"]).all(), "it does not look at regions"
    one = runs["one_head"][1]
    assert not one["ties"].eq(one["candidates"]).all()
    foveal = small_job(clip_folder("small"), tmp_path / "alone")
    foveal.execute()
    assert_same_decisions(runs["foveal"][1], foveal.folder.frame())


def test_the_bias_of_one_head_is_shared_exactly(added, random_clip, photo):
    from own_bias import OneHead  # pyright: ignore[reportMissingImports]

    from falip import Foveal, Plain, Region

    backbone, regions = random_clip(), [Region.from_box(5, 5, 40, 40), Region.from_box(30, 20, 88, 65)]
    none, exact = (backbone.encode_regions(photo, regions, OneHead(2, 5.0), way) for way in ("none", "exact"))
    assert (none - exact).abs().max() < 1e-5
    assert (none - backbone.encode_regions(photo, regions, Plain())).abs().max() > 1e-4
    before, after = (backbone.attention(photo, regions, p)[:, 2] for p in (Plain(), OneHead(2, 5.0)))
    changed = (before - after).abs().amax((0, 2))
    assert changed[2] > 1e-3 and changed[[0, 1, 3]].max() < 1e-6
    every = backbone.encode_regions(photo, regions, Foveal(5.0))
    assert (none - every).abs().max() > 1e-4


def test_a_tower_that_cannot_do_it_says_so(added, random_clip, photo, monkeypatch):
    from dataclasses import replace

    from own_bias import OneHead  # pyright: ignore[reportMissingImports]
    from own_intervention import Silence  # pyright: ignore[reportMissingImports]

    from falip import Foveal, Region, UserError

    backbone, regions = random_clip(), [Region.from_box(5, 5, 40, 40)]
    monkeypatch.setattr(backbone.tower, "geometry", replace(backbone.geometry, abilities=frozenset({"cls_row"})))
    assert backbone.encode_regions(photo, regions, Foveal()).shape[0] == 1
    for prompt, words in (
        (OneHead(), "one_head needs a bias for each head"),
        (Silence(), "silence needs interventions inside the attention"),
        (Foveal(mask_form="diagonal"), "foveal needs a bias on the diagonal"),
    ):
        with pytest.raises(UserError, match=f"{words}.*It takes: a bias on the pooled token's row"):
            backbone.encode_regions(photo, regions, prompt)
