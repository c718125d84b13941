"""Published numbers and the verdicts on ours."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from fake_runs import rec_records, write_run

from benchmarks.measure.decisions import decide_rec
from benchmarks.published.figures import (
    AVERAGES,
    CELLS,
    COUNTS,
    FILL_IN,
    FOLDER,
    REASONS,
    load_averages,
    load_expectations,
    load_figures,
    load_reasons,
)
from benchmarks.published.verdicts import contradicted, judge, lookup, verdicts
from benchmarks.records.run import EMBEDDED_TASKS
from benchmarks.records.runs import discover
from falip import UserError

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
B16 = "vit_b16"
HEADER = "method,backbone,dataset,split,setting,metric,value,source,protocol_unknowns\n"
CELL_HEADER = (
    "task,split,proposals,backbone,prompt,text,metric,rules,"
    "file,paper_method,paper_backbone,paper_dataset,paper_split,paper_setting,paper_metric\n"
)


@pytest.mark.parametrize(
    ("ours", "printed", "verdict"),
    [
        (44.24, "44.2", "match"),
        (44.25, "44.2", "match"),
        (44.26, "44.2", "close"),
        (44.7, "44.2", "close"),
        (43.69, "44.2", "differs"),
        (44.24, "44.20", "close"),
        (15.6, "16", "match"),
    ],
)
def test_a_match_means_equal_to_the_printed_decimals(ours, printed, verdict):
    difference, got = judge(ours, printed)
    assert got == verdict
    assert difference == pytest.approx(ours - float(printed))


def test_every_cell_names_one_published_number_of_its_kind():
    expectations = load_expectations()  # raises for cells that name none or several
    assert len(expectations) > 50
    for expectation in expectations:
        assert expectation.task not in EMBEDDED_TASKS
        assert expectation.figure.metric.endswith("_pct") and 0 < float(expectation.figure.value) < 100
    dataset = {"refcoco": "RefCOCO", "refcoco_plus": "RefCOCO+", "refcocog": "RefCOCOg"}
    for e in expectations:
        if e.task.startswith("rec/"):
            assert (dataset[e.task.removeprefix("rec/")], e.split) == (e.figure.dataset, e.figure.split)
            if "gold" in e.figure.setting or "detected" in e.figure.setting:
                assert ("gold" in e.figure.setting) == (e.proposals == "gt")


def test_every_cell_can_be_run():
    for e in load_expectations():
        choices = {"backbone": e.backbone, "prompt": e.prompt, "text": e.text, "task": e.task}
        for group, choice in choices.items():
            option = choice.partition(",")[0]
            assert option == "*" or (CONFIGS / group / f"{option}.yaml").is_file(), f"{group}={choice}"


def test_every_published_average_is_of_one_of_our_prompts():
    averages = load_averages()
    assert {a.figure for a in averages} == {f for f in load_figures() if f.split == "avg" and f.file.startswith("falip")}
    for a in averages:
        assert (CONFIGS / "prompt" / f"{a.prompt}.yaml").is_file() and a.kind in ("rec", "pointcloud")


def test_an_average_is_of_results_that_have_a_command_of_their_own():
    for average in load_averages():
        assert len(average.members) == len(average.over) > 1
        assert {member.task.partition("/")[0] for member in average.members} == {average.kind}
        assert all(member.figure is average.figure for member in average.members)


def test_every_figure_has_a_command_or_a_reason_and_none_has_both():
    answered = {e.figure for e in load_expectations()} | {a.figure for a in load_averages()}
    reasons = load_reasons()
    figures = {figure for figure in load_figures() if figure.file != COUNTS}
    assert not answered & set(reasons)
    assert not figures - answered - set(reasons)
    assert all(len(reason) > 30 for reason in reasons.values())


REASON_HEADER = "file,paper_method,paper_backbone,paper_setting,reason\n"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("paper.csv,X,,,why\n", "line 2, names no published number"),
        ("paper.csv,M,,,why\n,M,,,why\n", "line 3, names a figure"),
    ],
)
def test_a_reason_that_is_about_nothing_or_given_twice_is_refused(lines, said, tmp_path):
    expect(tmp_path)
    (tmp_path / REASONS).write_text(REASON_HEADER + lines)
    with pytest.raises(UserError, match=said):
        load_reasons(tmp_path)


def test_falips_main_table_is_there():
    found = lookup(load_expectations(), "rec/refcoco", "testA", B16, "foveal")
    assert {(e.figure.value, e.proposals) for e in found} == {("44.2", "gt")}
    assert {e.figure.file for e in found} == {"falip_rec.csv", "falip_ablations.csv"}
    assert lookup(load_expectations(), "rec/refcoco", "testA", "another", "foveal") == []


def test_sources_are_named_and_secondary_ones_say_so():
    figures = load_figures()
    assert all(figure.source for figure in figures)
    known = ("secondary", "arXiv 2407.05578")
    assert all(any(word in f.source for word in known) for f in figures if f.file.startswith("falip_"))
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert {figure.file for figure in figures} | {CELLS, AVERAGES, REASONS, FILL_IN} == set(
        re.findall(r"`(\w+\.csv)`", listed)
    )


def expect(
    folder: Path, value: str = "100.0", prompt: str = "foveal", text: str = "default", metric: str = "accuracy", rules=""
):
    """One published number for RefCOCO testA."""
    folder.mkdir(exist_ok=True)
    (folder / "paper.csv").write_text(HEADER + f"M,B,D,S,setting,accuracy_pct,{value},a paper,\n")
    row = f"rec/refcoco,testA,gt,{B16},{prompt},{text},{metric},{rules},paper.csv,M,B,D,S,setting,accuracy_pct\n"
    (folder / CELLS).write_text(CELL_HEADER + row)
    return load_expectations(folder)


def run(root: Path, **changes):
    labels = {"task": "rec/refcoco", "split": "testA", "backbone": B16, "prompt": "foveal"} | changes.pop("labels", {})
    write_run(root / "runs", "aaa", rec_records(skill=9), labels=labels, **changes)
    return discover(root / "runs")


def test_a_result_is_judged(tmp_path):
    (verdict,) = verdicts(run(tmp_path), expect(tmp_path / "p", "99.6"))
    assert (verdict.ours, verdict.verdict) == (100.0, "close")
    assert verdict.difference == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": {"proposals": "detected"}}, "proposals detected, published gt"),
        ({"labels": {"backbone": "vit_l14"}}, "backbone vit_l14, published vit_b16"),
        ({"labels": {"text": "this_is"}}, "text this_is, published default"),
        ({"identity": {"limit": 6}}, "subset"),
        ({"identity": {"task": {"dataset": {"classes": "new"}}}}, "new classes alone"),
        ({"identity": {"approximation": "frozen"}}, "approximation frozen"),
        ({"config": {"task": {"dataset": {"contract": False}}}}, "the split's counts were not checked"),
        ({"overrides": ["++task.iou_strict=false"]}, "overrides task.iou_strict=false"),
    ],
)
def test_what_was_made_otherwise_is_not_comparable(changes, reason, tmp_path):
    (verdict,) = verdicts(run(tmp_path, **changes), expect(tmp_path / "p"))
    assert verdict.verdict == "not comparable" and verdict.reason.startswith(reason)
    assert verdict.difference is None


def test_what_a_protocol_overrides_is_asked_for(tmp_path):
    expected = expect(tmp_path / "p", "99.6", rules="task.min_area=0.05")
    (verdict,) = verdicts(run(tmp_path), expected)
    assert (verdict.verdict, verdict.reason) == ("not comparable", "published with task.min_area=0.05")
    with_it = run(tmp_path / "other", overrides=["task.min_area=0.05", "task.split=testA"])
    assert [v.verdict for v in verdicts(with_it, expected)] == ["close"]


def test_the_run_of_the_protocol_alone_stands_beside_its_figure(tmp_path):
    expected = expect(tmp_path / "p", "99.6", rules="task.ask=here task.sinkhorn=false")
    here = run(tmp_path, overrides=["task.ask=here"], config={"task": {"ask": "here", "sinkhorn": False}})
    assert [v.verdict for v in verdicts(here, expected)] == ["close"]
    matched = run(tmp_path / "other", overrides=["task.sinkhorn=true"], config={"task": {"ask": "here", "sinkhorn": True}})
    assert [v.verdict for v in verdicts([*matched, *here], expected)] == ["close"]
    assert [v.reason for v in verdicts(matched, expected)] == [
        "overrides task.sinkhorn=true; published with task.sinkhorn=false"
    ]
    unchecked = run(tmp_path / "third", overrides=["task.ask=here"], config={
        "task": {"ask": "here", "sinkhorn": False, "dataset": {"contract": False}}
    })  # fmt: skip
    (verdict,) = verdicts([*matched, *unchecked], expected)
    assert verdict.reason == "the split's counts were not checked"


def test_overrides_that_labels_show_do_not_matter(tmp_path):
    runs = run(tmp_path, overrides=["task.split=testA", "runtime.device=cpu", "prompt=foveal", "task.dataset.root=/data"])
    assert verdicts(runs, expect(tmp_path / "p"))[0].verdict == "match"


def test_another_strength_is_another_prompt(tmp_path):
    runs = run(tmp_path, labels={"prompt": "foveal,alpha=0.5"})
    assert [v.verdict for v in verdicts(runs, expect(tmp_path / "p"))] == ["not run"]


def test_local_weights_are_judged_with_a_remark_and_other_changes_are_not(tmp_path):
    (verdict,) = verdicts(run(tmp_path, labels={"backbone": f"{B16},name=/weights/b16"}), expect(tmp_path / "p"))
    assert (verdict.verdict, verdict.reason) == ("match", "weights from /weights/b16")
    changed = run(tmp_path / "other", labels={"backbone": f"{B16},dtype=float16,name=/weights/b16"})
    assert verdicts(changed, expect(tmp_path / "p"))[0].verdict == "not comparable"


def wrong(record):
    """The same query, answered by the reverse of its scores."""
    return replace(record, **vars(decide_rec([-score for score in record.scores], record.candidate_correct)))


def test_a_figure_that_one_of_two_readings_reproduces_is_not_contradicted(tmp_path):
    first = expect(tmp_path / "p", "50.0")
    second = [type(e)(**{**vars(e), "prompt": "foveal_too"}) for e in first]
    run(tmp_path)
    half = [r if int(r.group[-1]) % 2 else wrong(r) for r in rec_records(skill=9)]
    labels = {"task": "rec/refcoco", "split": "testA", "backbone": B16, "prompt": "foveal_too"}
    write_run(tmp_path / "runs", "bbb", half, labels=labels)
    runs = discover(tmp_path / "runs")
    assert [v.verdict for v in verdicts(runs, [*first, *second])] == ["differs", "match"]
    assert contradicted(verdicts(runs, [*first, *second])) == []
    assert [v.verdict for v in contradicted(verdicts(runs, first))] == ["differs"]


def test_embedded_runs_never_answer(tmp_path):
    runs = run(tmp_path, labels={"task": "rec/shapes"})
    assert [v.verdict for v in verdicts(runs, expect(tmp_path / "p"))] == ["not run"]


def test_chance_is_compared_once_for_all_prompts(tmp_path):
    write_run(tmp_path / "runs", "bbb", rec_records(), labels={"task": "rec/refcoco", "split": "testA", "backbone": "x"})
    expectations = expect(tmp_path / "p", "25.00", "*", "*", "chance")
    expectations = [type(e)(**{**vars(e), "backbone": "*"}) for e in expectations]
    (verdict,) = verdicts(run(tmp_path), expectations)
    assert (verdict.verdict, verdict.ours) == ("match", 25.0)


def test_chance_of_a_split_with_unchecked_counts_is_not_comparable(tmp_path):
    expectations = expect(tmp_path / "p", "25.00", "*", "*", "chance")
    (verdict,) = verdicts(run(tmp_path, config={"task": {"dataset": {"contract": False}}}), expectations)
    assert (verdict.verdict, verdict.difference) == ("not comparable", None)


def test_a_cell_without_its_number_is_refused(tmp_path):
    expect(tmp_path)
    (tmp_path / "paper.csv").write_text(HEADER)
    with pytest.raises(UserError, match=r"cells.csv, line 2: 0 published numbers have file=paper.csv"):
        load_expectations(tmp_path)


def test_a_value_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"paper.csv, line 2: '4x'"):
        expect(tmp_path, "4x")
