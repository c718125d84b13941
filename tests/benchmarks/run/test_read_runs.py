"""Runs of read-outs, and of ensembles with weights."""

import numpy as np
import pytest
from small_jobs import assert_same_decisions

from benchmarks import recombine
from benchmarks.measure.recombination import component_weights
from benchmarks.settings.identity import describe
from falip import Blackout, Blur, Crop, Ensemble, Foveal, Plain, Region, UserError


@pytest.mark.parametrize("prompt", ["sclip", "text_region", "mask_inversion", "foveal_with_roi_align"])
def test_how_a_run_of_a_read_out_was_carried_out_moves_no_decision(job, prompt):
    reference = job(f"prompt={prompt}", "task.dataset.scenes=3", "runtime.workers=0")
    reference.execute()
    # One region in a piece: TextRegion compares all of the picture's nevertheless.
    pieces = job(
        f"prompt={prompt}", "task.dataset.scenes=3", "runtime.batch_views=1", "runtime.sharing=none", results="pieces"
    )
    pieces.execute()
    assert pieces.identity == reference.identity
    assert_same_decisions(pieces.folder.frame(), reference.folder.frame())


def test_the_identity_of_a_read_out_has_all_that_moves_its_numbers(job):
    chosen = job("prompt=naclip", "prompt.unit_tokens=true").identity["prompt"]
    assert chosen == {
        "type": "MaskPool", "version": 1, "kind": "naclip", "unit_tokens": True, "cover": "tokens", "text_template": None,
    }  # fmt: skip
    assert job("prompt=naclip").identity != job("prompt=sclip").identity


def test_a_run_with_weights_is_the_weighted_sum_of_its_parts(job):
    runs = {name: job(f"prompt={name}") for name in ("plain", "blackout", "plain_minus_blackout")}
    for one in runs.values():
        one.execute()
    plain, black, both = (one.folder.frame() for one in runs.values())
    for a, b, row in zip(plain["scores"], black["scores"], both.itertuples(), strict=True):
        assert np.allclose(row.scores, np.asarray(a) - np.asarray(b), atol=1e-4)
        assert np.allclose(row.component_scores[0], a, atol=1e-4) and np.allclose(row.component_scores[1], b, atol=1e-4)
        assert row.prediction == int(np.argmax(row.scores))
    assert runs["plain_minus_blackout"].folder.info["identity"]["prompt"]["weights"] == [1.0, -1.0]


def test_finished_runs_with_weights_decide_as_the_run_does(job, capsys):
    runs = {name: job(f"prompt={name}") for name in ("plain", "blackout", "plain_minus_blackout")}
    for one in runs.values():
        one.execute()
    folders = [str(runs[name].folder.path) for name in ("plain", "blackout")]
    assert recombine.main([*folders, "--weights=1,-1", "--search"]) == 0
    *_, combined, _, searched = capsys.readouterr().out.splitlines()
    share = 100 * runs["plain_minus_blackout"].folder.frame()["correct"].mean()
    assert combined.startswith("sum of 2 runs, weights 1 -1: ") and f"{share:.1f}" in combined
    assert searched.startswith("searched on test labels, an upper bound and no result: ")
    assert searched.endswith("the best of 5")
    assert float(searched.split(": ")[1].split()[0].rstrip("%")) >= round(share, 1)
    assert recombine.main([*folders, "--weights=1"]) == 2
    assert "has 1 weights for 2 runs" in capsys.readouterr().err
    assert recombine.main([*folders, "--weights=one,two"]) == 2


def test_weights_multiply_through_nested_ensembles(photo, random_clip):
    inner = Ensemble([Plain(), Crop()], weights=[0.5, -2.0])
    views = Ensemble([inner, Blur()], weights=[-1.0, 3.0])(photo, [Region.from_box(0, 0, 9, 9)], random_clip().geometry)
    assert views.weights == (-0.5, 2.0, 3.0)
    described = describe(Ensemble([inner, Blur()], weights=[-1.0, 3.0]))
    assert component_weights(described) == [-0.5, 2.0, 3.0]


def test_an_ensemble_without_weights_keeps_its_identity():
    described = describe(Ensemble([Plain(), Foveal()]))
    assert "weights" not in described and set(described) == {"type", "version", "prompts", "combine"}
    weighted = describe(Ensemble([Plain(), Blackout()], weights=[1.0, -1.0]))
    assert weighted["weights"] == [1.0, -1.0]
    assert repr(weighted) == repr(describe(Ensemble([Plain(), Blackout()], weights=[1, -1])))


@pytest.mark.parametrize(
    "weights, words", [([1.0], "1 weights for 2 prompts"), ([0.0, 0.0], "not 0"), ([1.0, float("inf")], "finite")]
)
def test_weights_that_do_not_fit_are_refused(weights, words):
    with pytest.raises(UserError, match=words):
        Ensemble([Plain(), Foveal()], weights=weights)
