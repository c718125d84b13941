"""What `make reproduce` asks for: tables as experiments on splits, and the data and weights that they need."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.acquire.check import Need, default_root
from benchmarks.acquire.masks import SAM
from benchmarks.settings.choices import backbone_names, check_overrides, takes_alpha_weights
from benchmarks.settings.tables import TABLES, Sweep
from falip.errors import UserError

DESCRIPTION = """\
The papers' tables on real data, beside the published figures.

Checks that data and weights are there, runs what is missing, and writes CSV, Markdown and LaTeX. Safe to kill and to give
again: complete runs are not repeated, begun ones go on.
"""


SENTENCES = "_v2"
"""How tasks end that PointCLIP V2's sentences are asked under."""


@dataclass(frozen=True)
class Plan:
    """What `make reproduce` was asked for."""

    tables: tuple[str, ...]
    backbone: str | None
    tasks: tuple[str, ...]
    splits: tuple[str, ...]
    limit: int | None
    data_root: Path
    results_root: Path
    overrides: tuple[str, ...]
    released: bool = False

    def sweeps(self) -> Iterator[Sweep]:
        """The sweeps of the chosen tables, tasks, splits and backbone; what is then the same is there once.

        Where another backbone stands in for those of the tables, what needs Alpha-CLIP's fourth channel is left out.
        """
        return iter(dict.fromkeys(self._chosen()))

    def _chosen(self) -> Iterator[Sweep]:
        for table in self.tables:
            for sweep in TABLES[table]:
                splits = tuple(s for s in sweep.splits if not self.splits or s in self.splits)
                fits = (
                    not self.backbone
                    or takes_alpha_weights(self.backbone)
                    or not all(map(takes_alpha_weights, sweep.backbones))
                )
                if splits and fits and (not self.tasks or sweep.task in self.tasks):
                    backbones = (self.backbone,) if self.backbone else sweep.backbones
                    yield replace(sweep, splits=splits, backbones=backbones)

    def commands(self) -> Iterator[list[str]]:
        """The harness command of each sweep, split, backbone and precision."""
        precisions: tuple[list[str], ...] = ([], ["backbone.precision=released"]) if self.released else ([],)
        for sweep in self.sweeps():
            for split, backbone, precision in itertools.product(sweep.splits, sweep.backbones, precisions):
                yield [
                    f"+experiment={sweep.experiment}",
                    f"task={sweep.task}",
                    f"task.split={split}",
                    *([f"task.proposals={sweep.proposals}"] if sweep.proposals else []),
                    f"backbone={backbone}",
                    *precision,
                    *sweep.overrides,
                    f"data_root={self.data_root}",
                    f"results_root={self.results_root}",
                    *([f"task.limit={self.limit}"] if self.limit else []),
                    *self.overrides,
                ]

    def needs(self) -> list[Need]:
        """The data and weights of all sweeps, each once."""
        splits: dict[str, dict[str, None]] = {}
        for sweep in self.sweeps():
            splits.setdefault(_data_of(sweep), {}).update(dict.fromkeys(sweep.splits))
        several = {"refcoco", "refcoco_plus", "refcocog"}
        data = [Need(name, tuple(of) if name in several else ()) for name, of in splits.items()]
        options = {option for sweep in self.sweeps() for option in sweep.backbones}
        given = any(o.startswith("backbone.alpha_weights=") for o in self.overrides)
        alpha = [Need("alphaclip")] if any(map(takes_alpha_weights, options)) and not given else []
        data += [Need("sentences")] if any(SENTENCES in sweep.task for sweep in self.sweeps()) else []
        data += [Need("masks", tuple(of), of=name) for name, of in self._masked().items()]
        return data + [Need("weights", backbone=name) for name in self._weights()] + alpha

    def _masked(self) -> dict[str, dict[str, None]]:
        """Splits of each data set whose masks of detected boxes are asked for."""
        found: dict[str, dict[str, None]] = {}
        for sweep in self.sweeps():
            if f"task.masks={SAM}" in sweep.overrides:
                found.setdefault(sweep.task.rpartition("/")[2], {}).update(dict.fromkeys(sweep.splits))
        return found

    def _weights(self) -> list[str]:
        named = [o.partition("=")[2] for o in self.overrides if o.startswith("backbone.name=")]
        options = dict.fromkeys(option for sweep in self.sweeps() for option in sweep.backbones)
        names = named or list(dict.fromkeys(name for option in options for name in backbone_names(option)))
        return [name for name in names if name != "tiny" and not Path(name).is_dir()]


def _data_of(sweep: Sweep) -> str:
    """The name of a sweep's data: PointCLIP V2 looks at those of PointCLIP."""
    return sweep.task.rpartition("/")[2].removesuffix(SENTENCES)


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = argparse.ArgumentParser(
        prog="falip reproduce", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--tables", default="all", help=f"some of {','.join(TABLES)}, or all (%(default)s)")
    made.add_argument("--backbone", help="a file of configs/backbone, for all tables; left out: those of each table")
    made.add_argument("--tasks", default="", help="only these tasks, such as rec/refcoco,rec/refcocog")
    made.add_argument("--splits", default="", help="only these splits, such as testA,testB")
    made.add_argument("--limit", type=int, help="only a seeded subset of so many samples; stamped, never comparable")
    made.add_argument("--data-root", type=Path, help="data folder (FALIP_DATA, else data)")
    made.add_argument("--results-root", type=Path, default=Path("results"), help="where runs and tables go (%(default)s)")
    made.add_argument("--strict", action="store_true", help="exit with 1 if a number differs from the published one")
    made.add_argument(
        "--released", action="store_true", help="each run in the precision of the released programs too, beside float32"
    )
    made.add_argument(
        "--dry-run", action="store_true", help="print the commands, what each needs and what it costs, and run nothing"
    )
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
    check_overrides([*([f"backbone={options.backbone}"] if options.backbone else []), *options.overrides])
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
