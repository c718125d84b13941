"""All prompts of a table in one pass over its samples, against what they cannot share: distinct drawings and encodings."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import torch

from benchmarks.data.shapes import ReferringShapes
from benchmarks.run.evaluation import Evaluation, Variant
from benchmarks.run.runtime import Runtime
from benchmarks.run.text import RunTexts, TextProtocol
from benchmarks.speed import document
from benchmarks.speed.load import PART, SMALL_PART, backbone_of
from benchmarks.speed.measure import threads
from benchmarks.speed.prompts import TABLE, distinct_parts, drawn, table_prompts
from benchmarks.tasks.rec import ReferringExpressions
from falip import Backbone, Prompt
from falip.views import Views, make_views, merge_views

ABOUT = """# All prompts of {table} in one pass

`{command}`, at {commit}, on {machine}. {scenes} scenes of rec/shapes, no workers. The pass: its {prompts} prompts, from
decoding to records. Distinct: the {parts} prompts and parts of ensembles that differ, drawn and encoded with nothing around
them, all of a picture's equal views once. CPU seconds. Of {asked} views that are asked for {distinct} differ.
Median of {repeats} repetitions in alternation.
"""
HEAD = ("backbone", "part", "CPU s", "of distinct")
# Of the loop, which waits while a sample is decoded, drawn and resized.
STAGES = {
    "wait": "decoding, drawing, resizing",
    "encode": "encoding",
    "text": "texts",
    "decide": "deciding",
    "save": "handing records over",
}


@dataclass
class Profile:
    """CPU seconds of each repetition, which other work on the machine moves little.

    Attributes:
        whole: Of the pass.
        parts: Of its parts, by name: their shares by the clock.
        drawing: From decoded pictures to the model's input, of what is distinct.
        encoding: From there to embeddings.
        asked: Views of all prompts.
        distinct: Those that differ.
    """

    whole: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)
    drawing: list[float] = field(default_factory=list)
    encoding: list[float] = field(default_factory=list)
    asked: int = 0
    distinct: int = 0

    @property
    def times(self) -> float:
        """The pass, in what its distinct drawings and encodings take: the median over the repetitions."""
        pairs = zip(self.whole, self.drawing, self.encoding, strict=True)
        return median(whole / (drawing + encoding) for whole, drawing, encoding in pairs)


def report(arguments: Namespace, command: str) -> tuple[str, list[list[str]]]:
    """The page of `falip speed --pass`, and its rows."""
    repeats = 1 if arguments.quick else arguments.repeats
    chosen = list(table_prompts().values())
    parts, texts, found = distinct_parts(chosen), [], []
    for name in arguments.backbone:
        scenes = 2 if arguments.quick else arguments.part or PART.get(name, SMALL_PART)
        profile = measure_pass(backbone_of(name), chosen, scenes, repeats)
        mine = rows(name, profile)
        head = ABOUT.format(
            table=TABLE, command=command, commit=document.commit(), machine=threads(), scenes=scenes,
            prompts=len(chosen), parts=len(parts), asked=profile.asked, distinct=profile.distinct, repeats=repeats,
        )  # fmt: skip
        texts.append(f"{head}\n{document.markdown(HEAD, mine)}\n")
        found += mine
    return "\n".join(texts), found


def measure_pass(backbone: Backbone, prompts: Sequence[Prompt], scenes: int, repeats: int) -> Profile:
    """Times the pass and what is distinct, in alternation after one repetition that warms up.

    Args:
        backbone: What encodes.
        prompts: All that the pass evaluates.
        scenes: Number of scenes.
        repeats: Repetitions.
    """
    profile = Profile()
    for repeat in range(repeats + 1):
        with _clock() as clock:
            seconds = _pass(backbone, prompts, scenes)
        whole = clock[0]
        drawing, encoding, views = _alone(backbone, distinct_parts(prompts), scenes)
        if repeat == 0:
            continue
        total = seconds["total_s"]
        known = {name: seconds[f"{name}_s"] for name in STAGES}
        profile.whole.append(whole)
        for name, part in {**known, "rest": total - sum(known.values())}.items():
            profile.parts.setdefault(name, []).append(whole * part / total)
        profile.drawing.append(drawing)
        profile.encoding.append(encoding)
        profile.distinct = sum(len(set(keys)) for one in views for keys in one.keys or ())
    data = ReferringShapes(scenes)
    for one in (data.load(i).pictures[0] for i in range(scenes)):
        made = (make_views(prompt, one.image, one.regions, backbone.geometry) for prompt in prompts)
        profile.asked += sum(len(views.components) * len(one.regions) for views in made)
    return profile


def rows(name: str, profile: Profile) -> list[list[str]]:
    """The pass and its parts, and what is distinct, in the columns of `HEAD`."""
    named_parts = {name: f"pass: {words}" for name, words in {**STAGES, "rest": "the rest"}.items()}
    alone = median(a + b for a, b in zip(profile.drawing, profile.encoding, strict=True))
    seconds = {
        "distinct drawings": median(profile.drawing),
        "distinct encodings": median(profile.encoding),
        "pass": median(profile.whole),
    } | {named_parts[part]: median(times) for part, times in profile.parts.items()}
    body = [[name, part, f"{taken:.3f}", f"{taken / alone:.2f}"] for part, taken in seconds.items()]
    return [[*row[:3], f"{profile.times:.2f}"] if row[1] == "pass" else row for row in body]


def _pass(backbone: Backbone, prompts: Sequence[Prompt], scenes: int) -> dict[str, float]:
    task = ReferringExpressions(ReferringShapes(scenes), "rec/shapes", "test", "gt")  # pyright: ignore[reportArgumentType]
    texts = TextProtocol("a photo of {}")
    variants = [Variant(prompt, RunTexts(texts, prompt, []), lambda *_: None) for prompt in prompts]
    evaluation = Evaluation(task, [backbone], variants, Runtime(workers=0, progress=False))
    with torch.inference_mode():
        evaluation.run(range(scenes), TABLE)
    return dict(evaluation.seconds)


def _alone(backbone: Backbone, parts: Sequence[Prompt], scenes: int) -> tuple[float, float, list[Views]]:
    """Seconds of drawing and of encoding, and the views."""
    data = ReferringShapes(scenes)
    pictures = [data.load(i).pictures[0] for i in range(scenes)]
    with _clock() as drawing:
        views = [drawn(backbone, parts, picture) for picture in pictures]
    batch = backbone.views_within()
    with _clock() as encoding:
        backbone.features(merge_views(views), "exact", batch)
    return drawing[0], encoding[0], views


@contextmanager
def _clock() -> Iterator[list[float]]:
    found: list[float] = []
    began = time.process_time()
    yield found
    found.append(time.process_time() - began)
