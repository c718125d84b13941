"""Makes tables from finished runs: `python -m benchmarks.tables [--task rec] [--strict]`."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.published import Expectation, Verdict, contradicted, load_expectations, verdicts
from benchmarks.runs import Choice, Run, discover, select, usable
from benchmarks.tables.document import document
from benchmarks.tables.layout import Table, build
from benchmarks.tables.render import latex, markdown
from benchmarks.tables.tidy import cells_csv, published_csv, slices_csv
from falip.errors import UserError

FORMATS = ("csv", "md", "latex")


def main(argv: Sequence[str] | None = None) -> int:
    """0; 1 if `--strict` and a number differs from its published one; 2 if the user must mend something."""
    argv = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        return _run(_parser().parse_args(argv), argv)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description="Makes tables from finished runs.")
    parser.add_argument("--runs", type=Path, default=Path("results/runs"), help="folder of runs (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("results/tables"), help="where tables go (%(default)s)")
    parser.add_argument("--task", help="only this task (rec/refcoco) or kind of task (rec, classification, pointcloud)")
    parser.add_argument("--experiment", help="only runs started by this experiment")
    parser.add_argument("--baseline", default="plain", help="prompt that the others are compared with (%(default)s)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a number differs from the published one")
    parser.add_argument("--allow-subset", action="store_true", help="take runs on subsets too, and stamp the tables")
    parser.add_argument("--formats", default="csv,md", help="some of csv,md,latex (%(default)s)")
    return parser


def _run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    formats = _formats(arguments.formats)
    choice = choose(arguments.runs, arguments.task, arguments.experiment, arguments.allow_subset)
    expectations = load_expectations()
    command = shlex.join(["python", "-m", "benchmarks.tables", *argv])
    differing: list[Verdict] = []
    for table in build(choice.runs, arguments.baseline):
        found = _verdicts(table, expectations, arguments.task)
        differing += contradicted(found)
        text = write(table, found, arguments.out, formats, command, left_out(choice, table))
        sys.stdout.write(text + "\n")
    if arguments.strict and differing:
        cells = "; ".join(f"{v.expectation.task} {v.expectation.split} {v.expectation.prompt}" for v in differing)
        sys.stderr.write(f"{len(differing)} numbers differ from the published ones: {cells}\n")
        return 1
    return 0


def _formats(text: str) -> list[str]:
    formats = [part.strip() for part in text.split(",") if part.strip()]
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise UserError(f"--formats {text!r}: choose some of {', '.join(FORMATS)}, separated by commas")
    return formats


def choose(root: Path, task: str | None, experiment: str | None, allow_subset: bool) -> Choice:
    """The runs that the tables are made of.

    Raises:
        UserError: If there are none; it says where they were looked for and how to make some.
    """
    runs = discover(root)
    runs = runs if task is None else select(runs, task=task)
    runs = runs if experiment is None else [run for run in runs if run.in_experiment(experiment)]
    choice = usable(runs, allow_subset)
    if choice.runs:
        return choice
    wanted = "".join(f" of {name} {value}" for name, value in (("task", task), ("experiment", experiment)) if value)
    if choice.subsets:
        raise UserError(
            f"the {len(choice.subsets)} finished runs{wanted} under {root} are on subsets, "
            "which a table takes only with --allow-subset"
        )
    unfinished = f" ({len(choice.unfinished)} unfinished: see python -m benchmarks.status)" if choice.unfinished else ""
    raise UserError(
        f"no finished runs{wanted} under {root}{unfinished}. Make some with: "
        "python -m benchmarks task=rec/shapes prompt=plain,foveal -m"
    )


def _verdicts(table: Table, expectations: Sequence[Expectation], task: str | None) -> list[Verdict]:
    if table.embedded:
        return []
    wanted = [e for e in expectations if e.task.partition("/")[0] == table.kind]
    wanted = [e for e in wanted if task is None or task in (table.kind, e.task)]
    return verdicts(table.cells.values(), wanted)


def left_out(choice: Choice, table: Table) -> list[str]:
    """Notes on runs of the table's kind that are not in it."""

    def here(runs: Sequence[Run]) -> int:
        return sum((run.kind, run.embedded) == (table.kind, table.embedded) for run in runs)

    unfinished, subsets = here(choice.unfinished), here(choice.subsets)
    notes = [f"Left out: {unfinished} unfinished runs (see `python -m benchmarks.status`)."] if unfinished else []
    return notes + ([f"Left out: {subsets} runs on subsets (`--allow-subset` takes them)."] if subsets else [])


def write(
    table: Table,
    found: Sequence[Verdict],
    out: Path,
    formats: Sequence[str],
    command: str,
    notes: Sequence[str],
) -> str:
    """Writes the files of one table and returns its Markdown."""
    page = document(table, found, command, notes)
    text = markdown(page)
    out.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    if "md" in formats:
        files[f"{table.name}.md"] = text
    if "latex" in formats:
        files[f"{table.name}.tex"] = latex(page)
    if "csv" in formats:
        files[f"{table.name}.csv"] = cells_csv(table)
        files[f"{table.name}_slices.csv"] = slices_csv(table)
        files[f"{table.name}_published.csv"] = published_csv(found)
    for name, content in files.items():
        if content:
            (out / name).write_text(content, encoding="utf-8")
        else:
            (out / name).unlink(missing_ok=True)  # of an earlier call with other runs
    return text


if __name__ == "__main__":
    sys.exit(main())
