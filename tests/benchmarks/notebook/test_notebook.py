"""The harness from Python."""

import pandas as pd
import pytest

import falip
from benchmarks.notebook.evaluate import configuration
from falip.errors import UserError

FEW = {"task.dataset.scenes": 6, "runtime.progress": False, "runtime.workers": 0}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def frame(results):
    prompts = {"plain": "plain", "strong": falip.Foveal(alpha=0.5), "both": falip.Compose([falip.Crop(), falip.Foveal()])}
    return falip.evaluate(prompts=prompts, settings=FEW, results=results)


def test_evaluate_gives_a_row_for_each_prompt_in_the_order_given(frame):
    assert list(frame["prompt"]) == ["plain", "strong", "both"]
    assert (frame["state"] == "complete").all() and frame["accuracy"].between(0, 1).all()
    assert frame.loc[1, "prompt.alpha"] == 0.5 and pd.isna(frame.loc[0, "prompt.alpha"])
    assert frame.loc[2, "prompt.prompts.1.alpha"] == 0.2
    assert (frame["queries"] == frame["queries"][0]).all()


def test_it_is_the_engine_of_the_command_line(frame, results):
    again = falip.evaluate("tiny", "rec/shapes", "foveal,alpha=0.5", settings=FEW, results=results)
    assert list(again["run_id"]) == [frame.loc[1, "run_id"]]
    assert again.loc[0, "accuracy"] == frame.loc[1, "accuracy"]


def test_runs_and_records_are_tidy(frame, results):
    found = falip.runs(results)
    assert set(frame["path"]) <= set(found["path"])
    records = falip.records(frame)
    assert len(records) == frame["queries"].sum()
    by_prompt = records.groupby("prompt")["correct"].mean()
    for row in frame.itertuples():
        assert by_prompt[row.prompt] == pytest.approx(row.accuracy)
    assert set(records.loc[records["prompt"] == "strong", "prompt.alpha"]) == {0.5}
    assert len(falip.records(frame.iloc[0])) == frame["queries"][0]


def test_compare_gives_the_statistics_and_the_queries_that_differ(frame):
    found = falip.compare(frame.iloc[1], frame.loc[0, "path"])
    assert len(found.differing) == found.statistics.only_first + found.statistics.only_second > 0
    assert (found.differing["correct"] != found.differing["correct_second"]).all()
    assert found.statistics.bootstrap.difference == pytest.approx(frame.loc[1, "accuracy"] - frame.loc[0, "accuracy"])
    assert "McNemar" in found._repr_html_() and "McNemar" in str(found)


def test_a_prompt_as_a_configuration_builds_the_same_prompt():
    prompt = falip.Ensemble([falip.Crop(), falip.Compose([falip.RedCircle(width=3), falip.Foveal(layers=(1, 2))])])
    from benchmarks.settings.building import build
    from benchmarks.settings.identity import describe

    assert describe(build(configuration(prompt), "prompt")) == describe(prompt)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: falip.evaluate(prompts="folveal"), "there is no prompt 'folveal'"),
        (lambda: falip.evaluate(prompts=[]), "There is no prompt"),
        (lambda: falip.evaluate(prompts=[falip.Foveal(), falip.Foveal(alpha=1.0)]), "Two prompts are called"),
        (lambda: falip.evaluate(prompts={"x": lambda *views: None}), "is no prompt"),
        (lambda: falip.evaluate(backbone=3), "backbone=int"),
        (lambda: falip.evaluate(dataset="rec/nothing"), "dataset='rec/nothing'"),
        (lambda: falip.evaluate(dataset=("a.csv", "b c.csv"), prompts="plain"), "no table .*a.csv"),
        (lambda: falip.evaluate(settings={"task.scenes": 3}), "task.scenes"),
        (lambda: falip.evaluate(dataset="rec/shape"), "Did you mean rec/shapes?"),
        (lambda: falip.evaluate(prompts=3), "prompts=3: give"),
        (lambda: falip.evaluate(prompts={}), "no prompt to evaluate"),
        (lambda: falip.runs("/nowhere"), "no folder /nowhere"),
        (lambda: falip.runs(3), "3 names no run"),
        (lambda: falip.compare(1, 2), "1 names no run"),
        (lambda: falip.records(pd.DataFrame({"a": [1]})), "no column `path`"),
    ],
)
def test_mistakes_are_named(call, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        call()


def test_compare_wants_one_run_on_each_side(frame):
    with pytest.raises(UserError, match="The first of the two is 3 runs"):
        falip.compare(frame, frame.iloc[0])
