"""How much memory a run holds at its peak, for more and more regions of one picture, and for more and more pictures."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.data.samples import Dataset
from benchmarks.data.shapes import ReferringShapes
from benchmarks.run.evaluation import Evaluation, Variant
from benchmarks.run.runtime import Runtime
from benchmarks.run.text import RunTexts, TextProtocol
from benchmarks.speed import document
from benchmarks.speed.load import backbone_of
from benchmarks.speed.measure import growth, threads
from benchmarks.speed.prompts import named
from benchmarks.speed.split import Amount, RandomSplit
from benchmarks.tasks.rec import ReferringExpressions
from falip import Backbone, Prompt, UserError

ABOUT = """# Memory

`{command}`, at {commit}, on {machine}. Megabytes by which the resident memory of a process of its own grows at most while
it evaluates with `{backbone}` and two workers, above the loaded model: one picture of 640 x 480 with so many regions, and
so many scenes of rec/shapes with 3 to 6 regions each. Records are dropped as they come.
"""
PROMPTS = ("foveal", "red_circle", "unleash_foveal", "maskclip")
HEAD = ("prompt", "of", "number", "peak MB")
REGIONS, SCENES = (1, 10, 100, 1000, 10_000), (200, 2000)
QUICK_REGIONS, QUICK_SCENES = (1, 100), ()


def report(arguments: Namespace, command: str) -> tuple[str, list[list[str]]]:
    """The page of `falip speed --memory`, and its rows."""
    backbone = arguments.backbone[-1]
    regions, scenes = (QUICK_REGIONS, QUICK_SCENES) if arguments.quick else (REGIONS, SCENES)
    amounts = [("regions", number) for number in regions] + [("scenes", number) for number in scenes]
    rows = [
        [prompt, kind, str(number), f"{_fresh_peak(backbone, prompt, kind, number):.0f}"]
        for prompt in PROMPTS
        for kind, number in amounts
    ]
    head = ABOUT.format(command=command, commit=document.commit(), machine=threads(), backbone=backbone)
    return f"{head}\n{document.markdown(HEAD, rows)}", rows


def peak(name: str, prompt: str, kind: str, number: int) -> float:
    """Megabytes by which this process grows at most in an evaluation; NaN where Linux is not there.

    Args:
        name: Of the backbone.
        prompt: Of its configuration.
        kind: "regions" of one picture, or "scenes".
        number: Of those.
    """
    backbone, drawn = backbone_of(name), named([prompt])[prompt]
    with TemporaryDirectory() as folder:
        _evaluate(backbone, drawn, _amount(kind, 1, folder))  # what torch sets up once is no region's
        whole = _amount(kind, number, folder)
        return growth(lambda: _evaluate(backbone, drawn, whole))


@torch.inference_mode()
def _evaluate(backbone: Backbone, prompt: Prompt, dataset: Dataset) -> None:
    task = ReferringExpressions(dataset, "rec/memory", "test")
    variant = Variant(prompt, RunTexts(TextProtocol(task.template), prompt, []), lambda *_: None)
    evaluation = Evaluation(task, [backbone], [variant], Runtime(progress=False))
    evaluation.run(range(len(dataset.index)), "")


def _amount(kind: str, number: int, folder: str) -> Dataset:
    made = RandomSplit(Path(folder), Amount(1, number, 1)) if kind == "regions" else ReferringShapes(number)
    return made  # pyright: ignore[reportReturnType]


def _fresh_peak(*asked: str | int) -> float:
    """`peak` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.memory", *map(str, asked)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"Measuring the memory of {' '.join(map(str, asked))} failed: {done.stderr.strip()[-500:]}")
    return float(done.stdout.split()[-1])


def _main(given: Sequence[str]) -> None:
    name, prompt, kind, number = given
    sys.stdout.write(f"{peak(name, prompt, kind, int(number))}\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
