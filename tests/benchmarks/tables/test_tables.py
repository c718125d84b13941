"""Tables from finished runs, through the command that users type."""

import csv
from functools import partial
from pathlib import Path

import pytest
from fake_runs import class_records, rec_records, unscored, write_pair, write_run

from benchmarks.tables.__main__ import main

B16 = "vit_b16"
REFCOCO = {"task": "rec/refcoco", "split": "testA", "backbone": B16}


@pytest.fixture
def make(tmp_path, capsys):
    """Calls the command and returns its exit status, what it printed, and its files."""

    def call(*arguments: str):
        out = tmp_path / "out"
        status = main(["--runs", str(tmp_path / "runs"), "--out", str(out), *arguments])
        printed = capsys.readouterr()
        files = {path.name: path.read_text(encoding="utf-8") for path in sorted(out.glob("*"))} if out.is_dir() else {}
        return status, printed, files

    return call


many = partial(rec_records, images=40)  # enough for intervals


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def section(markdown: str, title: str) -> str:
    return markdown.partition(f"## {title}\n")[2].partition("\n## ")[0]


def line(text: str, start: str) -> list[str]:
    found = next(line for line in text.splitlines() if line.startswith(f"| {start} "))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_a_table_has_methods_chance_oracle_and_the_paired_comparison(make, tmp_path):
    write_pair(tmp_path / "runs", make=many)
    status, printed, files = make()
    page = files["rec_embedded.md"]
    assert status == 0 and page in printed.out
    assert page.startswith("# Referring expression comprehension: embedded benchmark\n\nMade by `falip tables")
    for fact in ("embedded benchmark, drawn by code", "torch 2.13.0", "0123456789ab"):
        assert fact in page
    main_table = section(page, "Accuracy")
    assert "shapes val (gt)" in main_table and "±" in main_table
    assert line(main_table, "chance")[1] == "25.0" and line(main_table, "oracle")[1] == "100.0"
    cells = {row["prompt"]: row for row in rows(files["rec_embedded.csv"])}
    assert line(main_table, "foveal")[1].startswith(f"{100 * float(cells['foveal']['accuracy']):.1f}")
    difference = float(cells["foveal"]["accuracy"]) - float(cells["plain"]["accuracy"])
    assert float(cells["foveal"]["difference"]) == pytest.approx(difference)
    assert line(section(page, "Compared with plain"), "foveal")[2] == f"{100 * difference:+.1f}"
    assert cells["plain"]["difference"] == ""
    assert {row["slice"] for row in rows(files["rec_embedded_slices.csv"])} == {"colour", "shape"}


def test_the_same_runs_give_the_same_bytes(make, tmp_path):
    write_pair(tmp_path / "runs")
    assert make("--formats", "csv,md,latex")[2] == make("--formats", "csv,md,latex")[2]


def test_no_runs_is_an_error_that_says_where_and_how(make, tmp_path):
    status, printed, files = make("--task", "rec")
    assert status == 2 and not files
    assert str(tmp_path / "runs") in printed.err and "falip sweep task=" in printed.err
    assert "Traceback" not in printed.err


def test_a_baseline_that_no_run_is_of_is_named(make, tmp_path):
    write_pair(tmp_path / "runs")
    status, printed, files = make("--baseline", "planck")
    assert status == 2 and not files
    assert "--baseline planck: no run is of this prompt. There are: " in printed.err


def test_unfinished_runs_are_left_out_and_said_to_be(make, tmp_path):
    write_pair(tmp_path / "runs")
    write_run(tmp_path / "runs", "ccc", rec_records()[:4], expected=18, status="started", labels={"prompt": "crop"})
    _, _, files = make()
    assert "crop" not in files["rec_embedded.csv"]
    assert "Left out: 1 unfinished" in files["rec_embedded.md"]


def test_subsets_are_refused_and_stamped_when_allowed(make, tmp_path):
    write_run(tmp_path / "runs", "aaa", rec_records(), identity={"limit": 6})
    status, printed, _ = make()
    assert status == 2 and "--allow-subset" in printed.err
    status, _, files = make("--allow-subset")
    assert status == 0
    assert "SUBSET RUNS: not comparable" in files["rec_embedded.md"]
    assert "shapes val (gt, SUBSET of 6 samples)" in files["rec_embedded.md"]
    assert rows(files["rec_embedded.csv"])[0]["subset"] == "True"


def test_a_subset_and_a_whole_split_never_share_a_column(make, tmp_path):
    write_run(tmp_path / "runs", "aaa", rec_records(images=3), identity={"limit": 3})
    write_run(tmp_path / "runs", "bbb", rec_records(), labels={"prompt": "foveal"})
    _, _, files = make("--allow-subset")
    found = section(files["rec_embedded.md"], "Accuracy")
    assert sorted(cell == "-" for cell in line(found, "plain")[1:]) == [False, True]
    assert sorted(cell == "-" for cell in line(found, "foveal")[1:]) == [False, True]
    assert "average" not in found


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        ({"labels": {"proposals": "detected"}}, "refcoco testA (detected)"),
        ({"identity": {"task": {"dataset": {"annotations": "other"}}}}, "annotations=other"),
    ],
)
def test_other_data_makes_another_column(other, shown, make, tmp_path):
    write_run(tmp_path / "runs", "aaa", rec_records(), labels=REFCOCO)
    changes = {**other, "labels": {**REFCOCO, "prompt": "foveal", **other.get("labels", {})}}
    write_run(tmp_path / "runs", "bbb", rec_records(), **changes)
    _, _, files = make()
    found = section(files["rec.md"], "Accuracy")
    assert shown in found
    assert line(found, "foveal")[1:].count("-") == 1 and line(found, "plain")[1:].count("-") == 1


@pytest.mark.parametrize(("kinds", "hashed"), [(("bird", "cat"), False), (("bird", "bird"), True)])
def test_columns_are_told_apart_by_words_and_by_hashes_only_where_words_do_not(kinds, hashed, make, tmp_path):
    for kind, mark, prompt in zip(kinds, "ab", ("plain", "foveal"), strict=True):
        identity = {"task": {"dataset": {"category": kind, "pictures": mark * 64}}}
        write_run(tmp_path / "runs", mark, rec_records(), labels={**REFCOCO, "prompt": prompt}, identity=identity)
    head = section(make()[2]["rec.md"], "Accuracy").partition("|--")[0]
    assert ("pictures=aaaaaaaaaaaa..." in head) is hashed and ("category=bird" in head) is not hashed


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        ({"labels": {"prompt": "foveal,alpha=0.5"}}, "foveal,alpha=0.5"),
        ({"identity": {"approximation": "frozen"}}, "foveal [approximation: frozen]"),
        ({"labels": {"text": "this_is"}}, "this_is"),
        ({"labels": {"backbone": "vit_b32"}}, "vit_b32"),
    ],
)
def test_another_way_to_answer_makes_another_row(other, shown, make, tmp_path):
    labels = {**REFCOCO, "prompt": "foveal"}
    write_run(tmp_path / "runs", "aaa", rec_records(seed=1), labels=labels)
    changes = {**other, "labels": {**labels, **other.get("labels", {})}}
    write_run(tmp_path / "runs", "bbb", rec_records(seed=2), **changes)
    _, _, files = make()
    found = section(files["rec.md"], "Accuracy")
    assert shown in found
    assert len([text for text in found.splitlines() if text.startswith("| foveal")]) == 2


def test_variants_whose_words_look_alike_stay_apart(make, tmp_path):
    for i, (split, tail) in enumerate((("testA", "aaaa"), ("testB", "bbbb"))):
        prompt = {"name": "foveal", "weights": "0" * 40 + tail}
        labels = {**REFCOCO, "split": split, "prompt": "foveal"}
        write_run(tmp_path / "runs", f"run{i}", rec_records(), labels=labels, identity={"prompt": prompt})
    _, _, files = make()
    found = section(files["rec.md"], "Accuracy")
    assert len([text for text in found.splitlines() if text.startswith("| foveal (weights=")]) == 2
    assert found.count("testA") == found.count("testB") == 1


def test_of_runs_with_the_same_labels_the_newest_is_taken_and_the_others_are_counted(make, tmp_path):
    for i, (weights, finished) in enumerate([("a", "2026-02-01"), ("b", "2026-03-01"), ("c", "2026-01-01")]):
        identity = {"backbone": [{"weights": weights}]}
        write_run(tmp_path / "runs", f"run{i}", rec_records(), labels=REFCOCO, identity=identity, finished=finished)
    labels = {**REFCOCO, "prompt": "plain"}
    rules = {"overrides": ["task.iou_strict=false"], "finished": "2026-01-01"}
    write_run(tmp_path / "runs", "other", rec_records(), labels=labels, identity={"task": {"iou_strict": False}}, **rules)
    _, _, files = make()
    assert {row["run_id"] for row in rows(files["rec.csv"])} == {"run1", "other"}
    assert "Left out: 2 superseded runs" in files["rec.md"]


def test_the_baseline_has_the_same_weights(make, tmp_path):
    made = [("plain", "val", "old"), ("plain", "testA", "new"), ("foveal", "testA", "new"), ("foveal", "val", "newest")]
    for i, (prompt, split, weights) in enumerate(made):
        labels = {**REFCOCO, "split": split, "prompt": prompt}
        identity = {"backbone": [{"weights": weights}]}
        write_run(tmp_path / "runs", f"run{i}", rec_records(seed=i), labels=labels, identity=identity)
    _, _, files = make()
    baselines = {row["run_id"]: row["baseline_run"] for row in rows(files["rec.csv"])}
    assert baselines == {"run0": "", "run1": "", "run2": "run1", "run3": ""}
    assert "foveal (weights=newest)" in section(files["rec.md"], "Accuracy")


def test_a_text_that_depends_on_the_data_gets_a_footnote_and_keeps_its_row(make, tmp_path):
    for i, split in enumerate(("testA", "testB")):
        labels = {**REFCOCO, "split": split, "text": "subtract"}
        write_run(tmp_path / "runs", f"run{i}", rec_records(), labels=labels, identity={"text": {"pool": i}})
    _, _, files = make()
    found = section(files["rec.md"], "Accuracy")
    assert "The text of plain differs between columns (refcoco testA (gt): pool=0; refcoco testB (gt): pool=1)." in found
    assert line(found, "plain")[3] != "-"  # the average


def test_the_average_needs_every_column(make, tmp_path):
    for i, (split, prompt) in enumerate([("testA", "plain"), ("testB", "plain"), ("testA", "foveal")]):
        labels = {**REFCOCO, "split": split, "prompt": prompt}
        write_run(tmp_path / "runs", f"run{i}", rec_records(skill=i), labels=labels)
    _, _, files = make()
    found = section(files["rec.md"], "Accuracy")
    first, second = (float(cell.split(" ")[0]) for cell in line(found, "plain")[1:3])
    assert float(line(found, "plain")[3]) == pytest.approx((first + second) / 2, abs=0.1)
    assert line(found, "foveal")[3] == "-"


def test_embedded_and_published_data_never_share_a_table(make, tmp_path):
    write_pair(tmp_path / "runs")
    write_run(tmp_path / "runs", "ccc", rec_records(), labels={**REFCOCO, "prompt": "foveal"})
    _, _, files = make("--task", "rec")
    assert "refcoco" not in files["rec_embedded.md"] and "Published" not in files["rec_embedded.md"]
    assert "shapes" not in files["rec.md"].replace("0 drawn", "")
    assert "rec_embedded_published.csv" not in files


def test_strict_fails_on_a_number_that_differs(make, tmp_path):
    write_run(tmp_path / "runs", "aaa", many(skill=9), labels={**REFCOCO, "prompt": "foveal"})
    assert make()[0] == 0
    status, printed, files = make("--strict")
    assert status == 1 and "rec/refcoco testA foveal" in printed.err
    found = {(row["task"], row["split"], row["prompt"]): row for row in rows(files["rec_published.csv"])}
    ours = found["rec/refcoco", "testA", "foveal"]
    assert (ours["ours"], ours["published"], ours["verdict"]) == ("100.0", "44.2", "differs")
    assert float(ours["difference"]) == pytest.approx(55.8)
    assert found["rec/refcoco", "testB", "foveal"]["verdict"] == "not run"
    grid = next(
        part for part in files["rec.md"].split("\n## ") if part.startswith("Beside the published numbers: falip_rec")
    )
    assert line(grid, "FALIP")[1:3] == ["foveal", "100.0 [96.9, 100.0] / 44.2: +55.8, differs"]
    assert line(grid, "RedCircle")[2] == "- / 41.6: not run"
    assert "testB" not in grid and "ViT-B/32" not in files["rec.md"]
    assert "published numbers of other splits, backbones, proposals or prompts were not asked for" in files["rec.md"]


def test_published_averages_stand_beside_our_means_and_are_not_judged(make, tmp_path):
    for i, split in enumerate(("testA", "testB")):
        labels = {**REFCOCO, "split": split, "prompt": "replace_v"}
        write_run(tmp_path / "runs", f"run{i}", rec_records(skill=i), labels=labels)
    _, _, files = make()
    mean = line(section(files["rec.md"], "Accuracy"), "replace_v")[3]
    grid = section(files["rec.md"], "Beside the published numbers: averages")
    assert line(grid, "replace v")[4:] == [f"{mean} (average)", "39.0", "not comparable"]


def test_the_command_is_shown_without_folders_and_names_the_files(make, tmp_path):
    write_run(tmp_path / "runs", "aaa", rec_records(), experiments=["one"])
    assert set(make("--experiment", "one")[2]) == {"one.md", "one.csv", "one_slices.csv"}
    _, _, files = make("--name", "mine", "--data=embedded")
    assert "Made by `falip tables --name mine --data=embedded`." in files["mine.md"]
    write_run(tmp_path / "runs", "bbb", rec_records(), labels=REFCOCO, experiments=["one"])
    status, printed, _ = make("--name", "mine")
    assert status == 2 and "--name mine names one table" in printed.err and "--data" in printed.err
    assert {"one_rec.md", "one_rec_embedded.md"} <= set(make("--experiment", "one")[2])
    assert "SUBSET" not in make("--data", "published", "--name", "real")[2]["real.md"]


def test_strict_passes_embedded_runs(make, tmp_path):
    write_pair(tmp_path / "runs")
    assert make("--strict")[0] == 0


def test_unscored_queries_are_shown(make, tmp_path):
    records = rec_records()
    write_run(tmp_path / "runs", "aaa", [unscored(records[0]), *records[1:]])
    _, _, files = make()
    assert "(1 unscored)" in line(section(files["rec_embedded.md"], "Accuracy"), "plain")[1]
    assert rows(files["rec_embedded.csv"])[0]["unscored"] == "1"


def test_a_run_that_scored_nothing_is_shown_and_ends_nothing(make, tmp_path):
    write_run(tmp_path / "runs", "aaa", rec_records())
    write_run(tmp_path / "runs", "bbb", [unscored(r) for r in rec_records()], labels={"prompt": "foveal"})
    status, _, files = make()
    assert status == 0
    assert line(section(files["rec_embedded.md"], "Accuracy"), "foveal")[1] == "none scored of 18"


def test_waterbirds_shows_its_groups(make, tmp_path):
    shares = {"landbird on land": 0.9, "landbird on water": 0.1}
    write_run(
        tmp_path / "runs",
        "aaa",
        class_records(slices=tuple(shares)),
        labels={"task": "classification/waterbirds", "proposals": ""},
        identity={"task": {"dataset": {"group_shares": shares}}},
    )
    _, _, files = make()
    found = line(section(files["classification.md"], "Groups"), "plain")
    cell = rows(files["classification.csv"])[0]
    assert found[3] == f"{100 * float(cell['group_weighted_mean']):.1f}"
    assert found[5] == cell["group_worst_group"]


def test_searched_view_weights_stand_apart_from_the_result(make, tmp_path):
    records = class_records(views=6, samples=60, skill=0.3)
    labels = {"task": "pointcloud/solids", "prompt": "foveal", "proposals": ""}
    write_run(tmp_path / "runs", "aaa", records, labels=labels, components=[f"foveal/view{i}" for i in range(6)])
    _, _, files = make()
    page = files["pointcloud_embedded.md"]
    equal, searched = (float(cell) for cell in line(section(page, "View weights"), "foveal")[2:4])
    assert searched > equal
    assert "Searched on test labels" in section(page, "View weights")
    assert line(section(page, "Accuracy"), "foveal")[1].startswith(f"{equal:.1f}")
    assert f"{searched:.1f}" not in section(page, "Accuracy")


def test_a_run_of_an_experiment_can_be_picked(make, tmp_path):
    write_run(tmp_path / "runs", "aaa", rec_records(), experiments=["one"])
    write_run(tmp_path / "runs", "bbb", rec_records(), labels={"prompt": "foveal"}, experiments=["one", "two"])
    _, _, files = make("--experiment", "two")
    assert [row["prompt"] for row in rows(files["two.csv"])] == ["foveal"]


def test_a_run_that_two_experiments_name_differently_is_in_both_tables_and_once_in_all(make, tmp_path):
    write_run(tmp_path / "runs", "aaa", rec_records(), labels={"prompt": "foveal"}, experiments=["one"])
    write_run(tmp_path / "runs", "aaa", rec_records(), labels={"prompt": "foveal,alpha=0.2"}, experiments=["two"])
    for name, prompt in (("one", "foveal"), ("two", "foveal,alpha=0.2")):
        _, _, files = make("--experiment", name)
        assert [row["prompt"] for row in rows(files[f"{name}.csv"])] == [prompt]
    assert [row["prompt"] for row in rows(make()[2]["rec_embedded.csv"])] == ["foveal"]


def test_latex_is_written_when_asked_and_escapes(make, tmp_path):
    write_pair(tmp_path / "runs", make=many, text="this_is")
    assert "rec_embedded.tex" not in make()[2]
    text = make("--formats", "latex")[2]["rec_embedded.tex"]
    assert r"\begin{tabular}" in text and r"$\pm$" in text and r"this\_is" in text
    assert r"\caption{Referring expression comprehension: embedded benchmark. Accuracy." in text
    body = [row for row in text.splitlines() if row.endswith(r"\\")]
    assert body and text.count(r"\begin{table}") == text.count(r"\end{table}")


def test_unknown_formats_are_refused(make):
    status, printed, _ = make("--formats", "pdf")
    assert status == 2 and "csv, md, latex" in printed.err


def test_files_of_an_earlier_call_do_not_linger(make, tmp_path):
    write_run(tmp_path / "runs", "aaa", rec_records())
    assert "rec_embedded_slices.csv" in make()[2]
    for path in Path(tmp_path / "runs").rglob("*.parquet"):
        path.unlink()
    (folder,) = {path.parent for path in Path(tmp_path / "runs").rglob("run.json")}
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    write_run(tmp_path / "other", "bbb", [type(r)(**{**vars(r), "slice": ""}) for r in rec_records()])
    assert "rec_embedded_slices.csv" not in make("--runs", str(tmp_path / "other"))[2]
