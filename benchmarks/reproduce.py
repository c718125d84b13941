"""`make reproduce`: the paper's tables on real data, beside the published figures.

Checks that data and weights are there, runs what is missing, and writes CSV, Markdown and LaTeX. Safe to kill and to give
again: complete runs are not repeated, begun ones go on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.acquire.check import Need, missing, screen
from benchmarks.choices import backbone_names, check_overrides
from falip.errors import UserError

GOLD_SPLITS = ("rec/refcoco:testA", "rec/refcoco:testB", "rec/refcoco_plus:testA", "rec/refcocog:test")


@dataclass(frozen=True)
class Sweep:
    """One experiment on some splits of a task.

    Attributes:
        experiment: A file of configs/experiment.
        task: A file of configs/task; its last part is the data's name.
        splits: Splits of it.
    """

    experiment: str
    task: str
    splits: tuple[str, ...]


def _on_gold_splits(experiment: str) -> tuple[Sweep, ...]:
    """An ablation on the four splits that the paper's "REC average" is over."""
    return tuple(Sweep(experiment, *_place(place)) for place in GOLD_SPLITS)


def _place(place: str) -> tuple[str, tuple[str, ...]]:
    task, split = place.split(":")
    return task, (split,)


TABLES: dict[str, tuple[Sweep, ...]] = {
    "rec": (
        Sweep("table_rec", "rec/refcoco", ("val", "testA", "testB")),
        Sweep("table_rec", "rec/refcoco_plus", ("val", "testA", "testB")),
        Sweep("table_rec", "rec/refcocog", ("val", "test")),
    ),
    "classification": tuple(
        Sweep("table_classification", f"classification/{name}", (split,))
        for name, split in (("cub", "test"), ("stanford_dogs", "test"), ("waterbirds", "test"), ("imagenet_s", "val"))
    ),
    "pointcloud": (
        Sweep("table_pointcloud", "pointcloud/modelnet40", ("test",)),
        Sweep("table_pointcloud", "pointcloud/scanobjectnn", ("test",)),
    ),
    "ablations": (
        *_on_gold_splits("table_mask_form"),
        *_on_gold_splits("table_attention"),
        *_on_gold_splits("table_unleash"),
        *_on_gold_splits("sweep_alpha_sigma"),
    ),
}


@dataclass(frozen=True)
class Plan:
    """What `make reproduce` was asked for."""

    tables: tuple[str, ...]
    backbone: str
    splits: tuple[str, ...]
    limit: int | None
    data_root: Path
    results_root: Path
    overrides: tuple[str, ...]

    def sweeps(self) -> Iterator[Sweep]:
        """The sweeps of the chosen tables and splits."""
        for table in self.tables:
            for sweep in TABLES[table]:
                splits = tuple(s for s in sweep.splits if not self.splits or s in self.splits)
                if splits:
                    yield Sweep(sweep.experiment, sweep.task, splits)

    def commands(self) -> Iterator[list[str]]:
        """The harness command of each sweep and split."""
        for sweep in self.sweeps():
            for split in sweep.splits:
                yield [
                    f"+experiment={sweep.experiment}",
                    f"task={sweep.task}",
                    f"task.split={split}",
                    f"backbone={self.backbone}",
                    f"data_root={self.data_root}",
                    f"results_root={self.results_root}",
                    *([f"task.limit={self.limit}"] if self.limit else []),
                    *self.overrides,
                ]

    def needs(self) -> list[Need]:
        """The data and weights of all sweeps, each once."""
        splits: dict[str, dict[str, None]] = {}
        for sweep in self.sweeps():
            splits.setdefault(sweep.task.rpartition("/")[2], {}).update(dict.fromkeys(sweep.splits))
        several = {"refcoco", "refcoco_plus", "refcocog"}
        data = [Need(name, tuple(of) if name in several else ()) for name, of in splits.items()]
        return data + [Need("weights", backbone=name) for name in self._weights()]

    def _weights(self) -> list[str]:
        named = [o.partition("=")[2] for o in self.overrides if o.startswith("backbone.name=")]
        names = named or backbone_names(self.backbone)
        return [name for name in names if name != "tiny" and not Path(name).is_dir()]


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 if a run failed or, with --strict, a number differs; 2 if the user must mend something."""
    try:
        options = _parser().parse_args(arguments)
        plan = _plan(options)
        if not options.no_check:
            _check(plan)
        if options.dry_run:
            for command in plan.commands():
                sys.stdout.write(f"python -m benchmarks {' '.join(command)}\n")
            return 0
        return _carry_out(plan, options)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduce", description=__doc__)
    parser.add_argument("--tables", default="all", help=f"some of {','.join(TABLES)}, or all (%(default)s)")
    parser.add_argument("--backbone", default="vit_b16", help="a file of configs/backbone (%(default)s)")
    parser.add_argument("--splits", default="", help="only these splits, such as testA,testB")
    parser.add_argument("--limit", type=int, help="only a seeded subset of so many samples; stamped, never comparable")
    parser.add_argument("--data-root", type=Path, help="data folder (FALIP_DATA, else data)")
    parser.add_argument("--results-root", type=Path, default=Path("results"), help="where runs and tables go (%(default)s)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a number differs from the published one")
    parser.add_argument("--dry-run", action="store_true", help="print the commands and run nothing")
    parser.add_argument("--no-check", action="store_true", help="take data and weights as they are, without manifests")
    parser.add_argument("overrides", nargs="*", help="more settings for every run, such as runtime.device=cuda")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    from benchmarks.acquire.check import default_root

    tables = tuple(TABLES) if options.tables == "all" else tuple(options.tables.split(","))
    unknown = [table for table in tables if table not in TABLES]
    if unknown:
        raise UserError(f"--tables: there is no table {unknown[0]!r}. There are: {', '.join(TABLES)}, all.")
    check_overrides([f"backbone={options.backbone}", *options.overrides])
    splits = tuple(split for split in options.splits.split(",") if split)
    plan = Plan(
        tables,
        options.backbone,
        splits,
        options.limit,
        options.data_root or default_root(),
        options.results_root,
        tuple(options.overrides),
    )
    known = sorted({split for table in tables for sweep in TABLES[table] for split in sweep.splits})
    wrong = [split for split in splits if split not in known]
    if wrong:
        raise UserError(f"--splits: no table has a split {wrong[0]!r}. There are: {', '.join(known)}.")
    return plan


def _check(plan: Plan) -> None:
    """Shows what is there, and stops where something lacks."""
    lacking = missing(plan.needs(), plan.data_root)
    if not lacking:
        return
    sys.stdout.write(screen(plan.data_root)[0] + "\n\n")
    sys.stdout.flush()
    raise UserError(
        f"the tables asked for ({', '.join(plan.tables)}) lack {', '.join(one.asset for one in lacking)}. Give the commands "
        "above, then this one again. Nothing to download is needed for make smoke."
    )


def _carry_out(plan: Plan, options: argparse.Namespace) -> int:
    failed = [command for command in plan.commands() if _python("benchmarks", *command)]
    for command in failed:
        sys.stderr.write(f"failed: python -m benchmarks {' '.join(command)}\n")
    tables = 0
    tasks = dict.fromkeys(sweep.task.partition("/")[0] for sweep in plan.sweeps())
    for kind in tasks:
        tables = max(tables, _tables(plan, kind, options.strict))
    return 1 if failed else tables


def _tables(plan: Plan, kind: str, strict: bool) -> int:
    arguments = ["--runs", str(plan.results_root / "runs"), "--out", str(plan.results_root / "tables"), "--task", kind]
    stamped = ["--allow-subset"] if plan.limit else []
    return _python(
        "benchmarks.tables", *arguments, *stamped, "--formats", "csv,md,latex", *(["--strict"] if strict else [])
    )


def _python(module: str, *arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
