"""What `make reproduce` asks for: tables as experiments on splits, and the data and weights that they need."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.acquire.check import Need, default_root
from benchmarks.settings.choices import backbone_names, check_overrides, takes_alpha_weights
from falip.errors import UserError

GOLD_SPLITS = ("rec/refcoco:testA", "rec/refcoco:testB", "rec/refcoco_plus:testA", "rec/refcocog:test")


DESCRIPTION = """\
The paper's tables on real data, beside the published figures.

Checks that data and weights are there, runs what is missing, and writes CSV, Markdown and LaTeX. Safe to kill and to give
again: complete runs are not repeated, begun ones go on.
"""


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
    tasks: tuple[str, ...]
    splits: tuple[str, ...]
    limit: int | None
    data_root: Path
    results_root: Path
    overrides: tuple[str, ...]
    released: bool = False

    def sweeps(self) -> Iterator[Sweep]:
        """The sweeps of the chosen tables, tasks and splits."""
        for table in self.tables:
            for sweep in TABLES[table]:
                splits = tuple(s for s in sweep.splits if not self.splits or s in self.splits)
                if splits and (not self.tasks or sweep.task in self.tasks):
                    yield Sweep(sweep.experiment, sweep.task, splits)

    def commands(self) -> Iterator[list[str]]:
        """The harness command of each sweep, split and precision."""
        precisions: tuple[list[str], ...] = ([], ["backbone.precision=released"]) if self.released else ([],)
        for sweep in self.sweeps():
            for split, precision in itertools.product(sweep.splits, precisions):
                yield [
                    f"+experiment={sweep.experiment}",
                    f"task={sweep.task}",
                    f"task.split={split}",
                    f"backbone={self.backbone}",
                    *precision,
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
        given = any(o.startswith("backbone.alpha_weights=") for o in self.overrides)
        alpha = [Need("alphaclip")] if takes_alpha_weights(self.backbone) and not given else []
        return data + [Need("weights", backbone=name) for name in self._weights()] + alpha

    def _weights(self) -> list[str]:
        named = [o.partition("=")[2] for o in self.overrides if o.startswith("backbone.name=")]
        names = named or backbone_names(self.backbone)
        return [name for name in names if name != "tiny" and not Path(name).is_dir()]


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.reproduce", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--tables", default="all", help=f"some of {','.join(TABLES)}, or all (%(default)s)")
    made.add_argument("--backbone", default="vit_b16", help="a file of configs/backbone (%(default)s)")
    made.add_argument("--tasks", default="", help="only these tasks, such as rec/refcoco,rec/refcocog")
    made.add_argument("--splits", default="", help="only these splits, such as testA,testB")
    made.add_argument("--limit", type=int, help="only a seeded subset of so many samples; stamped, never comparable")
    made.add_argument("--data-root", type=Path, help="data folder (FALIP_DATA, else data)")
    made.add_argument("--results-root", type=Path, default=Path("results"), help="where runs and tables go (%(default)s)")
    made.add_argument("--strict", action="store_true", help="exit with 1 if a number differs from the published one")
    made.add_argument(
        "--released", action="store_true", help="each run in the precision of the released programs too, beside float32"
    )
    made.add_argument("--dry-run", action="store_true", help="print the commands and run nothing")
    made.add_argument("--no-check", action="store_true", help="take data and weights as they are, without manifests")
    made.add_argument("overrides", nargs="*", help="more settings for every run, such as runtime.device=cuda")
    return made


def planned(options: argparse.Namespace) -> Plan:
    """What was asked for.

    Raises:
        UserError: If there is no such table, task, split or setting.
    """
    tables = tuple(TABLES) if options.tables == "all" else _listed(options.tables)
    unknown = [table for table in tables if table not in TABLES]
    if unknown or not tables:
        raise UserError(f"--tables: there is no table {options.tables!r}. There are: {', '.join(TABLES)}, all.")
    check_overrides([f"backbone={options.backbone}", *options.overrides])
    wrong = [word for word in options.overrides if "=" not in word]
    if wrong:
        raise UserError(f"{wrong[0]!r} is neither an option nor a setting such as runtime.device=cuda. See --help.")
    if options.limit is not None and options.limit < 1:
        raise UserError(f"--limit {options.limit}: give a number of samples from 1 on.")
    sweeps = [sweep for table in tables for sweep in TABLES[table]]
    tasks = _chosen("--tasks", options.tasks, {sweep.task for sweep in sweeps})
    left = [sweep for sweep in sweeps if not tasks or sweep.task in tasks]
    splits = _chosen("--splits", options.splits, {split for sweep in left for split in sweep.splits})
    data_root = options.data_root or default_root()
    return Plan(
        tables,
        options.backbone,
        tasks,
        splits,
        options.limit,
        data_root,
        options.results_root,
        tuple(options.overrides),
        options.released,
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _chosen(option: str, text: str, known: set[str]) -> tuple[str, ...]:
    chosen = _listed(text)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise UserError(f"{option}: no table asked for has {unknown[0]!r}. There are: {', '.join(sorted(known))}.")
    return chosen
