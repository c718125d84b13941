"""Fine-tunes the embedded CLIP under the embedded domain shift, with CLIPood and each AlignCLIP term, and writes the table.

python -m scripts.shift

What is trained or evaluated already is not done again, so that it can be stopped and started.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TypeVar

import numpy as np
from scipy.stats import t

from benchmarks import align
from benchmarks.embedded.shift import DOMAINS, TIE
from benchmarks.measure.attention import on_target
from benchmarks.notebook.evaluate import evaluate
from benchmarks.notebook.frames import records
from benchmarks.run.provenance import git_state
from benchmarks.speed.document import as_csv, markdown
from benchmarks.speed.measure import threads
from falip.errors import UserError

TASK = "classification/shapes_shift"
RATE, OTHER_RATES = 3e-4, (1e-4, 1e-3)
_CLIPOOD = {"margin": 0.3, "beta": 0.5}
RECIPES: Mapping[str, Mapping[str, float | str]] = {
    "plain": {},
    "clipood": _CLIPOOD,
    "attention": {**_CLIPOOD, "attention": 10},
    "similarity_paper": {**_CLIPOOD, "similarity": 10},
    "similarity_code": {**_CLIPOOD, "similarity": 10, "similarity-form": "code"},
    "smoothing": {**_CLIPOOD, "smoothing": 1},
    "all": {**_CLIPOOD, "attention": 10, "similarity": 10, "smoothing": 1},
}
COLUMNS = (*DOMAINS, "target", "held-out", "lift")
ABOUT = """# Fine-tuning under the embedded domain shift

Made by `{command}`, at {commit}, on {machine}. Trainings and evaluations add up to {minutes:.0f} minutes by the clock;
where several ran side by side, or beside other work, that is more than it took.

Data: the embedded benchmark, drawn by code; its numbers never stand beside published ones. Pictures of one shape, eight
classes. In training and in the held-out pictures the class decides the hue or the pattern of the background, or the colour
of the shape, in {tie:.0f} % of each domain; in the target nothing goes with the class.
Of each domain there are {pictures} tied pictures, a fifth of them held out, and {tests} in the target.

The tiny CLIP, {steps} steps of {batch} pictures, AdamW, learning rate {rate:g}, {seeds} seeds (order of the pictures).
`plain` is fine-tuning with cross-entropy, `clipood` adds margin 0.3 and the Beta average (beta 0.5), and each further row
adds to `clipood` one term of AlignCLIP with its own weight, or `all` of them (similarity in the paper's form). The learning
rate is judged on held-out pictures alone, see below.

Accuracy of the plain prompt in per cent, `target` the mean of the three domains; lift of the attention on the shape's box
in the target, see `table_lift.md`. Means with 95 % intervals over seeds (Student's t); the untrained tower has no seeds.
"""


@dataclass(frozen=True)
class Plan:
    """How much is trained, and where it lies."""

    seeds: tuple[int, ...]
    steps: int
    batch: int
    pictures: int
    tests: int
    work: Path

    @property
    def clock(self) -> Path:
        """The file with the seconds of each piece of work."""
        return self.work / "seconds.csv"


Measured = Mapping[str, float]
Result = TypeVar("Result")


def trained(plan: Plan, name: str, recipe: Mapping[str, float | str], seed: int, rate: float = RATE) -> Path:
    """The folder of a training, which is done if it is not there."""
    out = plan.work / f"{name}-{seed}"
    terms = [part for term, value in recipe.items() for part in (f"--{term}", str(value))]
    size = ["--steps", str(plan.steps), "--batch", str(plan.batch), "--learning-rate", str(rate), "--seed", str(seed)]
    data = [f"task={TASK}", "task.split=train", f"task.dataset.pictures={plan.pictures}"]
    command = [*data, "backbone=tiny", "--out", str(out), *size, *terms]
    if _timed(plan, out.name, lambda: _quiet(command)):
        raise UserError(f"The training {out} failed, see above.")
    return out


def measured(plan: Plan, backbone: str | Path, split: str = "target") -> Measured:
    """What a tower achieves on a split: accuracy by domain, their mean, and lift, in the split "target"."""
    attention = split == "target"
    pictures = plan.tests if attention else plan.pictures
    settings = [f"task.split={split}", f"task.dataset.pictures={pictures}", f"metrics.attention={str(attention).lower()}"]

    def run() -> Measured:
        found = records(evaluate(backbone, TASK, "plain", settings=settings, results=plan.work))
        domains = {str(domain): 100 * float(np.mean(rows["correct"])) for domain, rows in found.groupby("slice")}
        looked = on_target(found) if attention else None
        values = {**domains, split.replace("_", "-"): mean(domains.values())}
        return {**values, "lift": looked.lift.mean} if looked else values

    return _timed(plan, f"{Path(backbone).name} on {split}", run)


def both(plan: Plan, backbone: str | Path) -> Measured:
    """All columns of the table for a tower."""
    return {"held-out": measured(plan, backbone, "held_out")["held-out"], **measured(plan, backbone)}


def write_table(plan: Plan, out: Path, command: str) -> None:
    """Trains and evaluates what is missing, and writes table_align.md and table_align.csv."""
    found = {name: [both(plan, trained(plan, name, RECIPES[name], seed)) for seed in plan.seeds] for name in RECIPES}
    found = {"untrained": [both(plan, "tiny")], **found}
    rates = {RATE: found["plain"][0]["held-out"]}
    for rate in OTHER_RATES:
        folder = trained(plan, f"plain_{rate:g}", {}, plan.seeds[0], rate)
        rates[rate] = measured(plan, folder, "held_out")["held-out"]
    git = git_state()
    head = ABOUT.format(
        command=command, commit=f"{(git['commit'] or 'unknown')[:10]}{' with changes' if git['dirty'] else ''}",
        machine=threads(), minutes=_minutes(plan), tie=100 * TIE, pictures=plan.pictures,
        tests=plan.tests, steps=plan.steps, batch=plan.batch, rate=RATE,
        seeds=len(plan.seeds),
    )  # fmt: skip
    absolute = [
        [name, *(_shown([one[column] for one in values], column) for column in COLUMNS)] for name, values in found.items()
    ]
    less = [
        [name, *(_shown([a[c] - b[c] for a, b in zip(values, found["plain"], strict=True)], c, "+") for c in COLUMNS)]
        for name, values in found.items()
        if name not in ("untrained", "plain")
    ]
    by_rate = [[f"{rate:g}", f"{value:.1f}"] for rate, value in sorted(rates.items())]
    parts = (
        head, "## Accuracy\n", markdown(("recipe", *COLUMNS), absolute),
        "## Difference from plain fine-tuning, paired by seed\n", markdown(("recipe", *COLUMNS), less),
        f"## Learning rate of plain fine-tuning, seed {plan.seeds[0]}\n", markdown(("learning rate", "held-out"), by_rate),
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / "table_align.md").write_text("\n".join(parts), encoding="utf-8")
    seeds = {name: plan.seeds if name != "untrained" else ("",) for name in found}
    body = [
        [name, str(seed), *(f"{one[column]:.4f}" for column in COLUMNS)]
        for name, values in found.items()
        for seed, one in zip(seeds[name], values, strict=True)
    ]
    (out / "table_align.csv").write_text(as_csv(("recipe", "seed", *COLUMNS), body), encoding="utf-8")


def _shown(values: Sequence[float], column: str, sign: str = "") -> str:
    """The mean, and with several values half of its 95 % interval."""
    digits = 2 if column == "lift" else 1
    text = f"{mean(values):{sign}.{digits}f}"
    if len(values) < 2:
        return text
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f"{text} ± {half:.{digits}f}"


def _quiet(command: Sequence[str]) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return align.main(command)


def _timed(plan: Plan, name: str, work: Callable[[], Result]) -> Result:
    """Does a piece of work, and notes its seconds where it was not noted before."""
    begun = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - begun
    if name not in _noted(plan):
        with plan.clock.open("a", encoding="utf-8") as file:
            file.write(f"{name},{seconds:.1f}\n")
        sys.stdout.write(f"{name}: {seconds:.0f} s\n")
        sys.stdout.flush()
    return found


def _noted(plan: Plan) -> dict[str, float]:
    if not plan.clock.is_file():
        return {}
    with plan.clock.open(encoding="utf-8", newline="") as file:
        return {name: float(seconds) for name, seconds in csv.reader(file)}


def _minutes(plan: Plan) -> float:
    return sum(_noted(plan).values()) / 60


def main(argv: Sequence[str] | None = None) -> int:
    """0 when the table is written; 2 if the user must mend something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="%(default)s")
    parser.add_argument("--steps", type=int, default=50, help="of each training (%(default)s)")
    parser.add_argument("--batch", type=int, default=24, help="pictures of a step (%(default)s)")
    parser.add_argument("--pictures", type=int, default=240, help="tied ones of each domain (%(default)s)")
    parser.add_argument("--tests", type=int, default=120, help="untied ones of each domain (%(default)s)")
    parser.add_argument("--work", type=Path, default=Path("results/align"), help="trainings and runs (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("results/embedded"), help="where the table goes (%(default)s)")
    arguments = parser.parse_args(argv)
    plan = Plan(
        tuple(arguments.seeds), arguments.steps, arguments.batch, arguments.pictures, arguments.tests, arguments.work
    )
    given = shlex.join(sys.argv[1:] if argv is None else argv)
    try:
        plan.work.mkdir(parents=True, exist_ok=True)
        write_table(plan, arguments.out, f"python -m scripts.shift {given}".strip())
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
