"""`make reproduce` on small stand-ins of all sources, from the download to the verdicts."""

from __future__ import annotations

import csv
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alpha_weights import write_alpha_weights
from small_sources import filling

from benchmarks import reproduce
from benchmarks.published.commands import overrides_of
from benchmarks.published.figures import load_expectations
from benchmarks.records.runs import discover
from benchmarks.run.job import Job
from benchmarks.run.one_pass import evaluate
from benchmarks.settings.expansion import expanded
from benchmarks.settings.tables import TABLES

TINY = ("--backbone", "tiny", "task.dataset.contract=false", "runtime.progress=false", "runtime.workers=0")


TWO_PROMPTS = "hydra.sweeper.params={prompt: 'plain,foveal'}"


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data root that `scripts.data` filled from the stand-in server."""
    root = tmp_path_factory.mktemp("data")
    with filling(root, tmp_path_factory.mktemp("imagenet")):
        yield root


@pytest.fixture
def command(data_root: Path, tmp_path: Path, monkeypatch, capfd):
    """Calls the command with the small data, as a user would; exit status, what it printed, and the tables."""
    handlers, level = logging.root.handlers[:], logging.root.level
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FALIP_DATA", str(data_root))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def call(*arguments: str):
        status = reproduce.main([*arguments, *TINY])
        printed = capfd.readouterr()
        tables = {path.name: path.read_text(encoding="utf-8") for path in Path("results/tables").glob("*")}
        return status, printed.out + printed.err, tables

    yield call
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def published(tables: dict[str, str]) -> list[dict[str, str]]:
    """The rows of all CSV files that set ours beside the published numbers."""
    return [
        row for name, text in tables.items() if name.endswith("_published.csv") for row in csv.DictReader(text.splitlines())
    ]


def assert_nothing_is_judged(tables: dict[str, str]) -> None:
    found = published(tables)
    assert {row["verdict"] for row in found if row["run_id"]} == {"not comparable"}
    assert all(not row["difference"] and "counts were not checked" in row["reason"] for row in found if row["run_id"])
    for name, text in tables.items():
        if name.endswith(".md"):
            assert not any(f", {verdict}" in text for verdict in ("match", "close", "differs")), name


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_tables_from_nothing_but_a_server(command):
    status, said, tables = command()
    assert status == 0, said
    names = {"table_rec", "table_classification", "table_pointcloud", "table_mask_form", "table_attention", "table_unleash"}
    names |= {
        "table_alphaclip_imagenet_s",
        "table_reclip",
        "table_redcircle",
        "table_redcircle_backbones",
        "table_redcircle_keypoints",
        "table_fgvp",
        "table_pointclip",
        "sweep_marker_widths",
    }
    for name in (*names, "sweep_alpha_sigma"):
        assert {f"{name}.md", f"{name}.csv", f"{name}.tex"} <= set(tables)
    columns = {"table_rec": 8, "table_classification": 4, "table_pointcloud": 2, "sweep_alpha_sigma": 4}
    prompts = {"table_rec": 10, "table_classification": 9, "table_pointcloud": 3, "sweep_alpha_sigma": 20}
    for name, count in columns.items():
        rows = list(csv.DictReader(tables[f"{name}.csv"].splitlines()))
        assert len({(row["task"], row["split"]) for row in rows}) == count
        assert len(rows) == count * prompts[name] and all(row["accuracy"] for row in rows), name
    assert_nothing_is_judged(tables)
    run = {row["paper_method"] for row in published(tables) if row["run_id"]}
    assert {"FALIP", "RedCircle", "Blur", "CLIP (PointCLIP)", "b: all rows", "PASTA"} <= run
    assert {"ReCLIP", "ReCLIP w/o relations", "CPT-adapted", "GradCAM", "Random", "Red Circle", "PointCLIP"} <= run
    assert {f"{marker} {how} Sinkhorn" for marker in ("Crop", "Red Circle") for how in ("w/", "w/o")} <= run
    assert all(run.state == "complete" for run in discover(Path("results/runs")))


def test_a_table_of_another_paper_has_its_proposals_texts_and_size_prior(command):
    status, said, tables = command("--tables", "reclip", "--tasks", "rec/refcocog", "--splits", "val")
    assert status == 0, said
    rows = list(csv.DictReader(tables["table_reclip.csv"].splitlines()))
    found = {(row["proposals"], row["prompt"], row["text"]) for row in rows}
    methods = [
        (prompt, text) for prompt in ("shade", "gradcam", "crop", "blur", "crop_blur") for text in ("default", "relations")
    ]
    assert found >= {(proposals, *method) for proposals in ("gt", "detected") for method in methods}
    assert ("detected", "crop_blur,combine=max", "default") in found
    assert len(rows) == 3 * 10 + 1 and all(row["accuracy"] and row["accuracy_exact"] for row in rows)
    assert "min_area=0.05" in tables["table_reclip.md"]
    beside = published(tables)
    asked = {row["paper_method"] for row in beside if row["rules"] == "task.min_area=0.05" and row["run_id"]}
    assert {"CPT-adapted", "GradCAM", "ReCLIP w/o relations", "ReCLIP"} == asked
    assert_nothing_is_judged(tables)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_kind_of_command_for_a_published_figure_runs_small(data_root, clip_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FALIP_DATA", str(data_root))
    # Region recognition is in no table of `make reproduce`, and is run on stand-ins of its own.
    tasks = {sweep.task for sweeps in TABLES.values() for sweep in sweeps}
    kinds = {(e.task, e.proposals, e.prompt, e.text, e.rules): e for e in load_expectations() if e.task in tasks}
    weights = tmp_path / "visual.pth"
    write_alpha_weights(clip_folder("small"), weights)
    commands = []
    for expectation in kinds.values():
        words = [word for word in overrides_of(expectation) if not word.startswith("backbone")]
        alpha = [f"backbone.alpha_weights={weights}"] if expectation.prompt.startswith("alpha") else []
        small = [f"backbone.name={clip_folder('small')}", *alpha, f"results_root={tmp_path}", *TINY[2:], "task.limit=1"]
        commands.append([*words, *small])
    jobs = [job for found in expanded(commands) for job in found]
    errors = evaluate(jobs)
    assert len(jobs) == len(kinds) > 60
    assert not [(command, error) for command, error in zip(commands, errors, strict=True) if error]


def test_a_table_and_once_more(command):
    status, said, tables = command("--tables", "pointcloud", TWO_PROMPTS)
    assert status == 0, said
    assert set(tables) == {f"table_pointcloud{end}" for end in (".md", ".csv", ".tex", "_published.csv")}
    assert_nothing_is_judged(tables)
    page = tables["table_pointcloud.md"]
    assert "Made by `falip reproduce --tables pointcloud" in page and str(Path.cwd()) not in page
    assert "falip_pointcloud, ViT-B/16" in page and "ImageNet" not in page and "average" in page
    status, said, again = command("--tables", "pointcloud", TWO_PROMPTS)
    assert (status, again) == (0, tables)
    assert said.count("complete already, nothing to do") == 4 and "to do, 0 recorded" not in said


def test_a_subset_is_stamped(command):
    status, said, tables = command(
        "--tables", "rec", "--splits", "testB", "--tasks", "rec/refcoco", "--limit", "1", TWO_PROMPTS
    )
    assert status == 0, said
    assert "SUBSET of 1 samples" in tables["table_rec.md"]
    assert all("subset" in row["reason"] for row in published(tables) if row["run_id"])
    assert {row["task"] for row in published(tables) if row["run_id"]} == {"rec/refcoco"}


def test_a_corrupt_picture_fails_its_sweep_alone(command, data_root):
    spoilt = data_root / "CUB_200_2011" / "images" / "001.Albatross" / "Albatross_0001_1.jpg"
    good = spoilt.read_bytes()
    spoilt.write_bytes(bytes(len(good)))
    chosen = ("--tables", "classification", "--tasks", "classification/cub,classification/stanford_dogs", "--no-check")
    try:
        status, said, tables = command(*chosen, TWO_PROMPTS)
    finally:
        spoilt.write_bytes(good)
    assert status == 1
    failure = said.partition("\nfailed: ")[2]
    assert failure.startswith("falip run +experiment=table_classification task=classification/cub")
    assert "Albatross_0001_1.jpg" in failure and "Traceback" not in said
    assert {row["task"] for row in csv.DictReader(tables["table_classification.csv"].splitlines())} == {
        "classification/stanford_dogs"
    }
    found = {row["verdict"] for row in published(tables) if row["task"] == "classification/cub"}
    assert found == {"not run"}
    assert command(*chosen, TWO_PROMPTS)[0] == 0


def test_interrupting_leaves_no_traceback_and_the_same_command_goes_on(command, monkeypatch):
    finish = Job.finish

    def interrupted(job: Job, *_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Job, "finish", interrupted)
    status, said, tables = command("--tables", "pointcloud", TWO_PROMPTS)
    assert status == 130 and not tables and "Traceback" not in said
    assert "the same command goes on" in said
    monkeypatch.setattr(Job, "finish", finish)
    status, said, _ = command("--tables", "pointcloud", TWO_PROMPTS)
    assert status == 0 and said.count(" 0 queries in 0 pictures to do") == 2


def test_nothing_downloaded_is_one_screen(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FALIP_DATA", str(tmp_path / "none"))
    assert reproduce.main([]) == 2
    said = capsys.readouterr()
    assert "falip data refcoco" in said.out and len(said.out.splitlines()) < 50
    assert said.err.startswith("error: ") and not (tmp_path / "none").exists()
    others = said.err.partition("for the tables of other papers:\n")[2]
    assert "falip data weights --backbone timm/resnet50x16_clip" in others
    assert "falip data masks refcoco --split val" in others and "pointclip_v2/best_param.py" in others


def test_the_screen_loads_no_torch(tmp_path):
    import subprocess

    code = "import sys; from benchmarks.reproduce import main; main([]); sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    environment = {"FALIP_DATA": str(tmp_path), "PATH": "/usr/bin"}
    subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, check=True, capture_output=True)


def test_what_lacks_is_that_of_the_tables_asked_for(command, data_root):
    manifest = data_root / "train2014" / "manifest.json"
    recorded = manifest.read_text()
    parts = json.loads(recorded)
    parts["parts"].pop("refcocog/test")
    manifest.write_text(json.dumps(parts))
    try:
        status, said, _ = command("--tables", "ablations")
        assert status == 2 and "falip data refcocog --splits test  # images of test not fetched" in said
        assert command("--tables", "pointcloud", "--dry-run")[0] == 0
    finally:
        manifest.write_text(recorded)


def test_a_dry_run_prints_the_commands_and_what_each_costs(command):
    status, said, tables = command("--dry-run", "--limit", "64", "--tables", "rec,pointcloud")
    assert status == 0 and not tables
    lines = said.splitlines()
    commands, costs = lines[0:20:2], lines[1:20:2]
    assert len(commands) == 8 + 2 and all(line.startswith("falip run +experiment=table_") for line in commands)
    assert all("task.limit=64" in line and "backbone=tiny" in line for line in commands)
    assert all(re.search(r"# \d+ runs of \d+ pictures and \d+ queries: \d+ encodings", line) for line in costs)
    assert all(re.search(r"; at most \d+ s on cpu; about [\d.]+ \w?B of records$", line) for line in costs)
    assert lines[20].startswith("# all 10 commands: at most ")


def test_a_dry_run_says_what_lacks_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FALIP_DATA", str(tmp_path / "none"))
    assert reproduce.main(["--dry-run", "--tables", "pointclip", "--tasks", "pointcloud/modelnet40"]) == 0
    said = capsys.readouterr().out
    assert (
        said.count("+experiment=table_pointclip") == said.count("# 1 runs of about 14,808 pictures and 2,468 queries") == 4
    )
    assert "# lacks: falip data modelnet40" in said
    assert "# lacks: falip data weights --backbone timm/resnet101_clip.openai" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tables", "rc"], "there is no table 'rc'. There are: rec, classification"),
        (["--tables", "rec", "--splits", "tset"], "no table asked for has 'tset'. There are: test, testA, testB, val"),
        (["--tasks", "refcoco"], "no table asked for has 'refcoco'. There are: classification/cub"),
        (["--backbone", "vit_b61"], "there is no backbone 'vit_b61'"),
        (["--limit", "0"], "--limit 0"),
        (["cuda"], "'cuda' is neither an option nor a setting"),
    ],
)
def test_what_a_user_can_mend_is_one_message(arguments, said, capsys):
    assert reproduce.main(["--dry-run", "--no-check", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_released_precision_stands_beside_on_request(command):
    chosen = ("--tables", "rec", "--tasks", "rec/refcoco", "--splits", "testA", TWO_PROMPTS)
    status, said, tables = command(*chosen, "--released")
    assert status == 0, said
    rows = list(csv.DictReader(tables["table_rec.csv"].splitlines()))
    assert {(row["prompt"], row["backbone"]) for row in rows} == {
        (prompt, backbone) for prompt in ("plain", "foveal") for backbone in ("tiny", "tiny,precision=released")
    }
    assert "released precision: " in tables["table_rec.md"]
    assert "In the precision of the released programs (half): tiny,precision=released." in tables["table_rec.md"]
