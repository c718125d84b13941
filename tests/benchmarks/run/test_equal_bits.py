"""What is equal gets equal numbers, whatever runs beside it: batches, workers, threads, shards, prompts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from random_clip import picture

from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from benchmarks.records.record import Record
from benchmarks.run.evaluation import Evaluation, Variant
from benchmarks.run.runtime import Runtime
from benchmarks.run.text import RunTexts, TextProtocol
from benchmarks.tasks.classification import RegionClassification
from benchmarks.tasks.rec import ReferringExpressions
from falip import Backbone, Blur, Crop, Ensemble, Foveal, Plain, Prompt, RedCircle, Region

WORDS = ("red", "blue", "left", "right", "dog", "cat", "the", "a")
PROMPTS: dict[str, Prompt] = {
    "plain": Plain(),
    "foveal": Foveal(alpha=3.0),
    "crop": Crop(),
    "crop + blur + foveal": Ensemble([Crop(), Blur(radius=3.0), Foveal(alpha=3.0)]),
    "red circle": RedCircle(width=4),
}


@dataclass(frozen=True)
class Crowd:
    """Pictures with 2 to 13 candidates, some of them the same box or boxes of the same tokens, and 1 to 4 expressions.

    Every fourth picture is white, so that its crops are all alike; some expressions are there twice.
    """

    pictures: int = 8
    class_names: tuple[str, ...] = ()

    @property
    def index(self) -> list[SampleInfo]:
        return [SampleInfo(f"{i:03d}", len(self.load(i).queries), len(self.load(i).boxes)) for i in range(self.pictures)]

    @cache  # noqa: B019  (a frozen data set of a few pictures)
    def load(self, i: int) -> Sample:
        rng = np.random.default_rng(i)
        image = Image.new("RGB", (96, 72), "white") if i % 4 == 3 else picture(96, 72, i)
        corners = rng.uniform(0, 0.6, (rng.integers(1, 7), 2)) * image.size
        boxes = [(*low, *(low + rng.uniform(8, 30, 2))) for low in corners]
        # The same box again, and one that differs by less than a token.
        boxes += [boxes[0], *((x0 + 0.01, y0 + 0.01, x1, y1) for x0, y0, x1, y1 in boxes)]
        boxes = [tuple(float(v) for v in box) for box in boxes]
        texts = [" ".join(rng.choice(WORDS, 4)) for _ in range(rng.integers(1, 4))]
        queries = tuple(Query(f"{i:03d}/{q}", text, (boxes[q % len(boxes)],)) for q, text in enumerate([*texts, texts[0]]))
        return Sample(f"{i:03d}", (Picture(image, ()),), queries, tuple(boxes))  # pyright: ignore[reportArgumentType]


def evaluated(
    backbone: Backbone, prompts: list[Prompt], part: range | None = None, **runtime: object
) -> list[list[Record]]:
    """The records of each prompt, sorted."""
    task = ReferringExpressions(Crowd(), "rec/crowd", "test", "gt")  # pyright: ignore[reportArgumentType]
    found: list[list[Record]] = [[] for _ in prompts]
    variants = [
        Variant(prompt, RunTexts(TextProtocol("{}"), prompt, []), lambda new, _, own=own: own.extend(new))
        for prompt, own in zip(prompts, found, strict=True)
    ]
    settings = Runtime(progress=False, **runtime)  # pyright: ignore[reportArgumentType]
    Evaluation(task, [backbone], variants, settings).run(list(part or range(Crowd().pictures)), "crowd")
    return [sorted(records, key=lambda record: record.id) for records in found]


def equal_groups(record: Record) -> set[frozenset[int]]:
    """Candidates that score the same in every component, to the bit."""
    rows: dict[bytes, set[int]] = {}
    for candidate, column in enumerate(np.array(record.component_scores, np.float32).T):
        rows.setdefault(column.tobytes(), set()).add(candidate)
    return {frozenset(group) for group in rows.values()}


@pytest.fixture(scope="module")
def reference(random_clip) -> dict[str, list[Record]]:
    """Each prompt by itself, with the defaults."""
    return {name: evaluated(random_clip(), [prompt])[0] for name, prompt in PROMPTS.items()}


WAYS = {
    **{f"batches of {n}": {"batch_views": n} for n in (1, 3, 7, 64)},
    "no workers": {"workers": 0},
    "four workers, batches of 7": {"workers": 4, "batch_views": 7},
    "little memory": {"memory_gb": 0.0005},
    "whole views": {"sharing": "none"},
}


def assert_same(found: list[Record], expected: list[Record]) -> None:
    """Ties to the bit, decisions wherever they are not closer than rounding, scores to rounding."""
    assert [record.id for record in found] == [record.id for record in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert equal_groups(mine) == equal_groups(theirs), mine.id
        assert mine.ties == theirs.ties or theirs.margin < 1e-4
        assert mine.prediction == theirs.prediction or 0 < theirs.margin < 1e-4
        np.testing.assert_allclose(mine.component_scores, theirs.component_scores, atol=2e-5, rtol=0)


@pytest.mark.parametrize("way", WAYS)
def test_alone_and_together_in_any_batch(way, reference, random_clip):
    for name, prompt in PROMPTS.items():
        assert_same(evaluated(random_clip(), [prompt], **WAYS[way])[0], reference[name])
    together = evaluated(random_clip(), list(PROMPTS.values()), **WAYS[way])
    for records, name in zip(together, PROMPTS, strict=True):
        assert_same(records, reference[name])


@pytest.mark.parametrize("shards", [2, 5])
def test_in_any_shards(shards, reference, random_clip):
    for name, prompt in PROMPTS.items():
        parts = [evaluated(random_clip(), [prompt], range(s, 8, shards))[0] for s in range(shards)]
        assert_same(sorted((r for part in parts for r in part), key=lambda r: r.id), reference[name])


def test_with_any_number_of_threads(reference, random_clip):
    threads = torch.get_num_threads()
    try:
        for count in {1, 2} - {threads}:
            torch.set_num_threads(count)
            for name, prompt in PROMPTS.items():
                assert_same(evaluated(random_clip(), [prompt])[0], reference[name])
    finally:
        torch.set_num_threads(threads)


def test_the_picture_as_it_is_ties_in_every_expression(reference):
    for record in reference["plain"]:
        assert record.ties == record.candidates and record.prediction == 0


def test_boxes_of_the_same_tokens_and_white_crops_tie(reference, random_clip):
    for record in reference["foveal"]:
        sample = Crowd().load(int(record.group))
        rows = (
            Foveal(alpha=3.0)
            .bias([Region.from_box(*box) for box in sample.boxes], sample.pictures[0].image.size, random_clip().geometry)
            .rows
        )
        same = {frozenset(np.flatnonzero((rows == row).all(1)).tolist()) for row in rows}
        assert equal_groups(record) == same and any(len(group) > 1 for group in same)
    for record in reference["crop"]:
        if int(record.group) % 4 == 3:
            assert record.ties == record.candidates


def test_one_wording_twice_scores_alike(reference):
    for records in reference.values():
        by_text: dict[tuple[str, str], set[tuple[float, ...]]] = {}
        for record in records:
            by_text.setdefault((record.group, record.text), set()).add(record.scores)
        assert all(len(scores) == 1 for scores in by_text.values())


@dataclass(frozen=True)
class Breeds:
    """One picture, many classes, two of which have one name."""

    class_names: tuple[str, ...] = (*(f"{a} {b}" for a in WORDS for b in WORDS), "Red_dog", "red dog")
    index: tuple[SampleInfo, ...] = tuple(SampleInfo(str(i), 1, 1) for i in range(20))

    def load(self, i: int) -> Sample:
        image = picture(64, 48, i)
        return Sample(
            str(i), (Picture(image, (Region.from_box(4, 4, 40, 40),)),), (Query(str(i), "red dog", label=i % 60),)
        )


def test_classes_with_one_name_tie_in_every_picture(random_clip):
    task = RegionClassification(Breeds(), "classification/breeds", "test", "a {}")  # pyright: ignore[reportArgumentType]
    records: list[Record] = []
    texts = RunTexts(TextProtocol("a {}"), Plain(), [])
    variant = Variant(Plain(), texts, lambda new, _: records.extend(new))
    Evaluation(task, [random_clip()], [variant], Runtime(progress=False)).run(range(20), "breeds")
    names = [name.replace("_", " ").lower() for name in Breeds().class_names]
    same = [i for i, name in enumerate(names) if name == "red dog"]
    assert len(same) == 3
    for record in records:
        assert len({record.scores[i] for i in same}) == 1
