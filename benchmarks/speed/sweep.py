"""One pass over a split under all prompts of a table, in its parts: what each costs, and how it grows."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import log, nan
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import torch

from benchmarks.data.samples import Picture
from benchmarks.measure.metrics import metrics_for
from benchmarks.records.folder import RunFolder
from benchmarks.records.record import Record
from benchmarks.run.evaluation import Evaluation, Variant
from benchmarks.run.runtime import Runtime
from benchmarks.run.stages import timed
from benchmarks.run.text import RunTexts, TextProtocol
from benchmarks.speed import document
from benchmarks.speed.amounts import RANDOM
from benchmarks.speed.load import backbone_of
from benchmarks.speed.measure import threads
from benchmarks.speed.prompts import TABLE, distinct_parts, drawn, table_prompts
from benchmarks.speed.split import Amount, random_task
from benchmarks.speed.ways import encode_text
from benchmarks.speed.windows import SIZE, one_thread
from benchmarks.tasks.rec import ReferringExpressions
from falip import Backbone, Prompt
from falip.views import make_views

ABOUT = """# A sweep over a split

`{command}`, at {commit}, on {machine}. All {prompts} prompts of {table} in one pass over a split of {split.pictures:,}
pictures of {size[0]} x {size[1]}, {split.regions} candidates and {split.expressions} expressions each, from JPEG files to
records and metrics. A part is measured ({parts}) and carried to the split. Seconds of one core: torch has one thread and
there are no workers; the processor's time, which neighbours move little, of the fastest of {repeats}. Drawing makes what
prompts share of a picture, resizing edits the windows too; text is embedding and scoring.

Columns behind the share: the power of the number of pictures, regions, expressions and prompts that a part grew with, from
half of each to the whole (1 is proportional, 0 does not grow).

Distinct work alone: each picture decoded, drawn and encoded once under each distinct prompt, each text once, and nothing
scored. A command for each prompt: without the seconds in which a process starts. The released way: each prompt alone, each
view alone, and all again for each expression; measured on {released} regions of a picture.
"""
PARTS = {
    "decode": "decode_s", "draw": "draw_s", "resize": "prepare_s", "encode": "encode_s", "text": "text_s",
    "decide": "decide_s", "write": "save_s",
}  # fmt: skip
GROWTH = ("pictures", "regions", "expressions", "prompts")
HEAD = ("model", "part", "seconds", "of the pass", *GROWTH)
SPLIT = Amount(1500, 10, 7.2)
"""As many pictures and expressions as RefCOCO's val (10,834 about 1,500), with more candidates than its six."""
RELEASED_REGIONS = 2  # are measured under each prompt
PART, SMALL_PART, QUICK_PART = {RANDOM: 2}, 16, Amount(2, 2, 2)


@dataclass(frozen=True)
class Passes:
    """Seconds of the measured part.

    Attributes:
        parts: Of one pass, by the names of `PARTS`, "rest" and "total".
        exponents: For each of `GROWTH` what `parts` are proportional to the power of.
        alone: Of one command for each prompt.
        distinct: Of the distinct drawings and encodings by themselves, with decoding and texts.
        released: Each prompt alone, each view alone, and again for each expression.
    """

    parts: dict[str, float]
    exponents: dict[str, dict[str, float]]
    alone: float
    distinct: float
    released: float


def measure_sweep(make: Callable[[], Backbone], amount: Amount, repeats: int) -> Passes:
    """Measures one pass and the other ways, in one thread and in its processor's seconds, which neighbours do not move.

    Args:
        make: Makes the backbone, which remembers no text yet.
        amount: The part of a split that is measured.
        repeats: Of the pass and its distinct work, in alternation; the fastest counts.
    """
    prompts = list(table_prompts().values())
    with TemporaryDirectory() as folder, torch.inference_mode(), one_thread():
        root = Path(folder)
        task = random_task(root / "pictures", amount)
        fewer = {
            name: (ratio, random_task(root / name, small), some)
            for name, (ratio, small, some) in _fewer(amount, prompts).items()
        }
        one_pass(make(), random_task(root / "first", replace(amount, pictures=1)), prompts)  # warms up
        whole, distinct = [], []
        less: dict[str, list[dict[str, float]]] = {name: [] for name in fewer}
        for _ in range(repeats):
            whole.append(one_pass(make(), task, prompts))
            distinct.append(_distinct_seconds(make(), task, prompts))
            for name, (_, small, some) in fewer.items():
                less[name].append(one_pass(make(), small, some))
        parts = _fastest(whole)
        return Passes(
            parts,
            {name: _exponents(parts, _fastest(less[name]), ratio) for name, (ratio, _, _) in fewer.items()},
            sum(one_pass(make(), task, [prompt])["total"] for prompt in prompts),
            min(distinct),
            _released_seconds(make(), task, prompts, amount),
        )


def report(arguments: Namespace, command: str) -> tuple[str, list[list[str]]]:
    """The page of `falip speed --sweep`, and its rows."""
    body: list[list[str]] = []
    notes, parts, repeats = [], [], 1 if arguments.quick else arguments.repeats
    for name in arguments.backbone:
        amount = replace(SPLIT, pictures=arguments.part or PART.get(name, SMALL_PART))
        amount = QUICK_PART if arguments.quick else amount
        found = measure_sweep(partial(backbone_of, name), amount, repeats)
        body += rows(name, found, amount)
        notes.append(profile_line(name, found))
        parts.append(f"{amount.pictures} pictures with {amount.regions} regions for {name}")
    head = ABOUT.format(
        command=command, commit=document.commit(), machine=threads(), prompts=len(table_prompts()), table=TABLE,
        split=SPLIT, size=SIZE, parts=", ".join(parts), repeats=repeats, released=RELEASED_REGIONS,
    )  # fmt: skip
    return "\n".join([head, document.markdown(HEAD, body), *notes]) + "\n", body


def rows(model: str, found: Passes, amount: Amount, split: Amount = SPLIT) -> list[list[str]]:
    """Rows of text in the columns of `HEAD`, carried to the whole split."""
    scale, total = split.pictures / amount.pictures, found.parts["total"]
    table = [
        [
            model, part, f"{scale * seconds:.1f}", f"{100 * seconds / total:.1f} %",
            *(f"{found.exponents[name][part]:.2f}" if name in found.exponents else "" for name in GROWTH),
        ]
        for part, seconds in found.parts.items()
    ]  # fmt: skip
    ways = {
        "distinct work alone": found.distinct, "a command for each prompt": found.alone, "the released way": found.released,
    }  # fmt: skip
    return table + [
        [model, way, f"{scale * seconds:.1f}", f"{seconds / total:.2f} times", "", "", "", ""]
        for way, seconds in ways.items()
    ]


def profile_line(model: str, found: Passes) -> str:
    """What all prompts in one pass cost against their distinct encodings and drawings."""
    ratio = found.parts["total"] / found.distinct
    worked = sum(found.parts[name] for name in ("draw", "resize", "encode"))
    return (
        f"{model}: all prompts in one pass take {ratio:.2f} times their distinct encodings and drawings; "
        f"drawing, resizing and encoding are {100 * worked / found.parts['total']:.0f} % of the pass."
    )


def one_pass(backbone: Backbone, task: ReferringExpressions, prompts: Sequence[Prompt]) -> dict[str, float]:
    """Seconds of an evaluation without workers, from files to records and metrics, by the names of `PARTS`."""
    protocol = TextProtocol(task.template)
    with TemporaryDirectory() as place:
        folders = [RunFolder(Path(place) / str(number)) for number in range(len(prompts))]
        variants = [
            Variant(prompt, RunTexts(protocol, prompt, []), _writer(folder))
            for prompt, folder in zip(prompts, folders, strict=True)
        ]
        evaluation = Evaluation(task, [backbone], variants, Runtime(workers=0, progress=False), clock=process_time)
        evaluation.run(range(len(task.dataset.index)), "")
        finishing: Counter[str] = Counter()
        with timed(finishing, "save_s", process_time):
            for folder in folders:
                folder.compact((0, 1))
                metrics_for("rec", folder.frame())
    seconds = evaluation.seconds + finishing
    found = {name: float(seconds[stage]) for name, stage in PARTS.items()}
    total = float(seconds["total_s"] + finishing["save_s"])
    return found | {"rest": total - sum(found.values()), "total": total}


def _writer(folder: RunFolder) -> Callable[[list[Record], list[str]], None]:
    return lambda records, _: folder.write_records(records, (0, 1))


def _distinct_seconds(backbone: Backbone, task: ReferringExpressions, prompts: Sequence[Prompt]) -> float:
    """Each picture decoded, drawn and encoded once under each distinct prompt, and each text once; nothing more."""
    distinct = distinct_parts(prompts)
    started = process_time()
    for i in range(len(task.dataset.index)):
        sample = task.dataset.load(i)
        (picture,) = task.pictures(sample)
        backbone.features(drawn(backbone, distinct, picture), batch=backbone.views_within())
        backbone.text_features([task.template.format(text) for text in task.texts(sample)])
    return process_time() - started


def _released_seconds(backbone: Backbone, task: ReferringExpressions, prompts: Sequence[Prompt], amount: Amount) -> float:
    """From a few views of the first picture: decoded and drawn again for each prompt and expression, one view at a time."""
    started = process_time()
    sample = task.dataset.load(0)
    decode = process_time() - started
    (picture,) = task.pictures(sample)
    few = Picture(picture.image, picture.regions[:RELEASED_REGIONS])
    started = process_time()
    for prompt in prompts:
        for region in few.regions:
            views = make_views(prompt, few.image, [region], backbone.geometry)
            whole = replace(views, images=tuple(image.copy() for image in views.images))
            backbone.features(backbone.prepare(whole), "none", batch=1)
    views_s = (process_time() - started) / len(few.regions)
    started = process_time()
    context = backbone.model.config.text_config.max_position_embeddings
    encode_text(backbone, [task.template.format(task.texts(sample)[0])], context, batch=1)
    text = process_time() - started
    each = amount.regions * views_s + len(prompts) * (decode + text)
    return amount.pictures * amount.expressions * each


def _fewer(amount: Amount, prompts: Sequence[Prompt]) -> dict[str, tuple[float, Amount, Sequence[Prompt]]]:
    """For each of `GROWTH` how many times more the whole has, and about half of it; none where it cannot be halved."""
    halves = {
        "pictures": (replace(amount, pictures=max(amount.pictures // 2, 1)), prompts),
        "regions": (replace(amount, regions=max(amount.regions // 2, 1)), prompts),
        "expressions": (replace(amount, expressions=amount.expressions / 2), prompts),
        "prompts": (amount, prompts[::2]),
    }
    ratios = {
        name: (len(prompts) / len(some) if name == "prompts" else getattr(amount, name) / getattr(half, name), half, some)
        for name, (half, some) in halves.items()
    }
    return {name: found for name, found in ratios.items() if found[0] > 1}


def _fastest(passes: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: min(one[name] for one in passes) for name in passes[0]}


def _exponents(more: dict[str, float], less: dict[str, float], ratio: float) -> dict[str, float]:
    """What each part is proportional to the power of, from two amounts; not a number where it took no time."""
    return {
        part: log(seconds / less[part]) / log(ratio) if min(seconds, less[part]) > 0 else nan
        for part, seconds in more.items()
    }
