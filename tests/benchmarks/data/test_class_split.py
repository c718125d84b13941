"""The base-to-new split: what is kept of the classes, and what runs, trainings and published figures make of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from small_jobs import Job, small_job

from benchmarks import align
from benchmarks.data.class_split import ClassSplit
from benchmarks.data.cub import CUB
from benchmarks.data.samples import SplitContract
from benchmarks.published.figures import ANY, Expectation, Figure
from benchmarks.published.verdicts import NOT_COMPARABLE, verdicts
from benchmarks.records.runs import discover
from benchmarks.report.known import task_from
from benchmarks.run.extent import extent
from falip.errors import UserError

NAMES = ("blue dog", "cat", "dog", "red cat", "red dog")


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """CUB's files with five classes of two test pictures each, listed with the classes mixed."""
    folder = tmp_path / "birds" / "CUB_200_2011"
    folder.mkdir(parents=True)
    labels = [label for _ in range(2) for label in reversed(range(5))]
    folders = [f"{i:03d}.{name.replace(' ', '_')}" for i, name in enumerate(NAMES, start=1)]
    files = [f"{folders[label]}/{number}.jpg" for number, label in enumerate(labels, start=1)]
    columns = {
        "images": files,
        "image_class_labels": [label + 1 for label in labels],
        "train_test_split": [0] * len(files),
        "bounding_boxes": ["2.0 3.0 20.0 20.0"] * len(files),
        "classes": folders,
    }
    for name, column in columns.items():
        (folder / f"{name}.txt").write_text("".join(f"{i} {value}\n" for i, value in enumerate(column, start=1)))
    noise = np.random.default_rng(0)
    for file in files:
        path = folder / "images" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    return folder.parent


@pytest.fixture
def asked(birds: Path, clip_folder: Callable[[str], Path], tmp_path: Path) -> Callable[..., Job]:
    """A job over these birds."""

    def made(*overrides: str) -> Job:
        birds_task = ["task=classification/cub", f"data_root={birds}", "task.dataset.contract=false"]
        return small_job(clip_folder("small"), tmp_path / "runs", *birds_task, *overrides)

    return made


def answers(data: CUB) -> list[tuple[str, int, str]]:
    queries = [data.load(i).queries[0] for i in range(len(data.index))]
    return [(query.id, query.label, query.text) for query in queries]


@pytest.mark.parametrize(
    ("count", "open_ratio", "base"),
    [(200, 0.5, 100), (919, 0.5, 460), (3, 0.5, 2), (200, 0.45, 110), (10, 0.7, 3), (10, 0.75, 3)],
)
def test_the_first_classes_are_the_base_and_the_rest_is_new(count: int, open_ratio: float, base: int) -> None:
    first, rest, every = (ClassSplit(part, open_ratio).kept(count) for part in ("base", "new", "all"))
    assert list(first) == list(range(base))
    assert [*first, *rest] == list(every) == list(range(count))


def test_base_and_new_part_pictures_and_classes(birds: Path) -> None:
    every, base, new = (CUB(str(birds), "test", contract=False, classes=part) for part in ("all", "base", "new"))
    assert (base.class_names, new.class_names) == (NAMES[:3], NAMES[3:])
    assert {label for _, label, _ in answers(new)} == {0, 1}
    assert [info.id for info in base.index] == [id for id, label, _ in answers(every) if label < 3]
    for data in (base, new):
        assert all(data.class_names[label] == text for _, label, text in answers(data))
    assert sorted((id, text) for data in (base, new) for id, _, text in answers(data)) == sorted(
        (id, text) for id, _, text in answers(every)
    )
    few = CUB(str(birds), "test", contract=False, classes="new", open_ratio=0.2)
    assert few.class_names == NAMES[4:]


def test_the_stated_numbers_are_those_of_all_classes(birds: Path) -> None:
    class Birds(CUB):
        contracts: ClassVar = {"test": SplitContract(10)}
        stated_classes = 5

    assert len(Birds(str(birds), "test", classes="new").index) == 4
    (birds / "CUB_200_2011" / "classes.txt").open("a").write("6 006.Finch\n")
    with pytest.raises(UserError, match="6 classes"):
        _ = Birds(str(birds), "test", classes="new").index
    with pytest.raises(UserError, match="has 10 samples, but 5794 are expected"):
        _ = CUB(str(birds), "test", classes="base").index


def test_only_a_part_of_the_classes_is_in_the_identity(birds: Path) -> None:
    every = CUB(str(birds), "test", contract=False).identity
    assert every.keys() == {"name", "split", "version", "files", "pictures"}
    assert CUB(str(birds), "test", contract=False, classes="all", open_ratio=0.2).identity == every
    new = CUB(str(birds), "test", contract=False, classes="new").identity
    assert new == every | {"classes": "new", "open_ratio": 0.5, "pictures": new["pictures"]}
    assert new["pictures"] != every["pictures"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["task.dataset.classes=old"], r"task\.dataset\.classes=old.*all, base, new"),
        (["task.dataset.open_ratio=1"], r"task\.dataset\.open_ratio=1\.0: give a share between 0 and 1"),
        (["task.dataset.classes=new", "task.dataset.open_ratio=0.1"], r"keeps none of 5 classes.*open_ratio=0\.1"),
    ],
)
def test_settings_without_meaning_are_refused(asked: Callable[..., Job], changes: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _ = asked(*changes).identity


def test_a_part_without_a_picture_is_refused(birds: Path) -> None:
    split = birds / "CUB_200_2011" / "train_test_split.txt"
    split.write_text("".join(f"{i} {int(i % 5 in (1, 2))}\n" for i in range(1, 11)))
    assert len(CUB(str(birds), "test", contract=False, classes="base").index) == 6
    with pytest.raises(UserError, match=r"no picture of task\.dataset\.classes=new"):
        _ = CUB(str(birds), "test", contract=False, classes="new").index


def test_a_run_over_a_part_chooses_from_its_classes_alone(asked: Callable[..., Job]) -> None:
    every, new = asked(), asked("task.dataset.classes=new")
    for one in (every, new):
        one.execute()
    assert every.folder.path != new.folder.path
    whole, part = every.folder.frame().set_index("id"), new.folder.frame().set_index("id")
    assert set(part["candidates"]) == {2} and len(part) == 4 and set(part["target"]) == {0, 1}
    for id, row in part.iterrows():
        np.testing.assert_allclose(row["scores"], whole.loc[id, "scores"][3:], atol=1e-4)
        assert len({*row["scores"]}) == 2, "classes of other texts have other scores"
    settings = new.resolved["task"]["dataset"]
    described = json.loads(json.dumps(new.identity["task"]))
    assert task_from(described, settings).dataset.class_names == NAMES[3:]


def test_a_run_over_a_part_stands_beside_no_published_figure(asked: Callable[..., Job], tmp_path: Path) -> None:
    asked("task.dataset.classes=base").execute()
    figure = Figure("M", "B", "CUB", "test", "", "accuracy_pct", "50.0", "a paper", "", "paper.csv")
    expectation = Expectation("classification/cub", "test", "", ANY, ANY, ANY, "accuracy", figure)
    (verdict,) = verdicts(discover(tmp_path / "runs"), [expectation])
    assert verdict.verdict == NOT_COMPARABLE and verdict.difference is None
    assert "base classes alone" in verdict.reason and "overrides task.dataset.classes=base" in verdict.reason


def test_a_forecast_without_the_data_counts_the_part(clip_folder: Callable[[str], Path], tmp_path: Path) -> None:
    words = ("task=classification/cub", f"data_root={tmp_path / 'nowhere'}")
    every, base = (
        small_job(clip_folder("small"), tmp_path, *words, f"task.dataset.classes={part}") for part in ("all", "base")
    )
    found = [extent(one.task, one.resolved["task"]) for one in (every, base)]
    assert [(one.queries, one.classes) for one in found] == [(5794, 200), (2897, 100)]


def test_fine_tuning_sees_the_base_classes_alone(birds: Path, clip_folder: Callable[[str], Path], tmp_path: Path) -> None:
    words = ["task=classification/cub", "task.dataset.classes=base", f"data_root={birds}", "task.dataset.contract=false"]
    command = [*words, f"backbone.name={clip_folder('small')}", "--out", str(tmp_path / "out"), "--steps", "1"]
    assert align.main([*command, "--batch", "2", "--smoothing", "1"]) == 0
    data = json.loads((tmp_path / "out" / "training.json").read_text())["data"]
    assert (data["pictures"], data["classes"]) == (6, 3)
    assert (data["dataset"]["classes"], data["dataset"]["open_ratio"]) == ("base", 0.5)
