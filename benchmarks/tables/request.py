"""From a request to the files of tables: which runs, which rows, written and printed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.published.figures import Expectation, load_expectations
from benchmarks.published.verdicts import Verdict, contradicted, verdicts
from benchmarks.records.folder import write_texts
from benchmarks.records.run import Run
from benchmarks.records.runs import Choice, Found, find, select, usable
from benchmarks.tables.beside import TITLE, Place
from benchmarks.tables.document import document
from benchmarks.tables.layout import Table, build
from benchmarks.tables.paper import Names, paper_latex, read_names
from benchmarks.tables.render import Document, latex, markdown
from benchmarks.tables.tidy import cells_csv, published_csv, slices_csv
from falip.errors import UserError

FORMATS = ("csv", "md", "latex")
_PLACES = ("--runs", "--out", "--data-root", "--results-root", "data_root", "results_root")


@dataclass(frozen=True)
class Request:
    """Which tables to make, of what, and where.

    Attributes:
        runs: Folder of runs.
        out: Folder of tables.
        task: Only this task or kind of task.
        experiment: Only runs that this experiment asked for.
        data: "embedded" or "published"; None for both.
        name: Stem of the files; None for the experiment's or the task's.
        baseline: Prompt that the others are compared with.
        strict: Whether a number that differs from the published one is a failure.
        allow_subset: Whether subset runs are taken.
        formats: Some of `FORMATS`.
        command: What the page says it was made by.
        asked: Places whose published numbers are listed also where nothing was run.
        quiet: Print no more than how our numbers stand beside the published ones.
        latex: Whether the one table is also written as a paper prints it.
        names: File of labels for that; None for the names that the configurations have.
    """

    runs: Path = Path("results/runs")
    out: Path = Path("results/tables")
    task: str | None = None
    experiment: str | None = None
    data: str | None = None
    name: str | None = None
    baseline: str = "plain"
    strict: bool = False
    allow_subset: bool = False
    formats: tuple[str, ...] = ("csv", "md")
    command: str = ""
    asked: tuple[Place, ...] = ()
    quiet: bool = False
    latex: bool = False
    names: Path | None = None


def without_places(words: Sequence[str]) -> str:
    """A command line without the folders that results are in, which move no number and differ between machines."""
    shown, skip = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        if name in _PLACES:
            skip = not equals
        elif skip:
            skip = False
        else:
            shown.append(word)
    return shlex.join(shown)


def make(request: Request, found: Found | None = None) -> int:
    """Writes the tables and prints them.

    Args:
        request: What is wanted.
        found: What is under its folder of runs, where several tables are made of it; None to look.

    Returns:
        0; 1 if the request is strict and a number differs from its published one.

    Raises:
        UserError: If there are no runs for them, or several tables where one is wanted.
    """
    labels = _labels(request)
    choice = choose(request, find(request.runs) if found is None else found)
    expectations = load_expectations()
    tables = build(choice.runs, request.baseline)
    if request.latex and len(tables) > 1:
        made = ", ".join(table.name for table in tables)
        raise UserError(f"--latex writes one table, and there are several: {made}. Choose with --task and --data.")
    differing: list[Verdict] = []
    for table, stem in zip(tables, _stems(tables, request), strict=True):
        beside = _verdicts(table, expectations, request.task)
        differing += contradicted(beside)
        page = document(table, beside, request.command, left_out(choice, table), request.asked)
        written = write(table, beside, page, stem, request)
        if request.latex:
            written.append(request.out / f"{stem}_paper.tex")
            write_texts({written[-1]: paper_latex(table, stem, labels)})
        shown = replace(page, grids=tuple(g for g in page.grids if g.title.startswith(TITLE))) if request.quiet else page
        sys.stdout.write((_brief(shown, stem, request) if request.quiet else markdown(shown)) + "\n")
        if not request.quiet:
            sys.stderr.write(f"wrote {', '.join(map(str, written))}\n")
    if request.strict and differing:
        cells = "; ".join(f"{v.expectation.task} {v.expectation.split} {v.expectation.prompt}" for v in differing)
        sys.stderr.write(f"{len(differing)} numbers differ from the published ones: {cells}\n")
        return 1
    return 0


def _labels(request: Request) -> Names:
    if request.names is None:
        return Names()
    if not request.latex:
        raise UserError(f"--names {request.names}: labels are for --latex, which is not given.")
    return read_names(request.names)


def _brief(page: Document, stem: str, request: Request) -> str:
    """The grids beside the published numbers, and where the rest is."""
    head, *grids = markdown(page).split("\n## ")
    del head
    files = f"{request.out / stem}.{{{','.join(f.replace('latex', 'tex') for f in request.formats)}}}"
    return "\n## ".join([f"\n# {page.title}: {stem}\n\nAll of it: {files}\n", *grids])


def _stems(tables: Sequence[Table], request: Request) -> list[str]:
    """Names of the files of each table."""
    base = request.name or request.experiment
    if base is None:
        return [table.name for table in tables]
    if len(tables) == 1:
        return [base]
    if request.name:
        made = ", ".join(table.name for table in tables)
        raise UserError(f"--name {base} names one table, and there are several: {made}. Choose with --task and --data.")
    return [f"{base}_{table.name}" for table in tables]


def choose(request: Request, found: Found) -> Choice:
    """The runs that the tables are made of.

    Raises:
        UserError: If there are none; it says where they were looked for and how to make some.
    """
    root, task, experiment, data = request.runs, request.task, request.experiment, request.data
    runs = found.runs if task is None else select(found.runs, task=task)
    runs = runs if experiment is None else [run for run in runs if run.in_experiment(experiment)]
    runs = runs if data is None else [run for run in runs if run.embedded == (data == "embedded")]
    choice = usable(runs, request.allow_subset, found.damaged)
    if choice.runs:
        return choice
    wanted = "".join(
        f" of {name} {value}" for name, value in (("task", task), ("experiment", experiment), ("data", data)) if value
    )
    if choice.subsets:
        raise UserError(
            f"the {len(choice.subsets)} finished runs{wanted} under {root} are on subsets, "
            "which a table takes only with --allow-subset"
        )
    rest = {"unfinished": len(choice.unfinished), "damaged": len(choice.damaged)}
    others = ", ".join(f"{count} {name}" for name, count in rest.items() if count)
    unfinished = f" ({others}: see `falip status`)" if others else ""
    raise UserError(
        f"no finished runs{wanted} under {root}{unfinished}. Make some with: "
        "falip sweep task=rec/shapes prompt=plain,foveal"
    )


def _verdicts(table: Table, expectations: Sequence[Expectation], task: str | None) -> list[Verdict]:
    if table.embedded:
        return []
    wanted = [e for e in expectations if e.task.partition("/")[0] == table.kind]
    wanted = [e for e in wanted if task is None or task in (table.kind, e.task)]
    if not {e.task for e in wanted} & {column.task for column in table.columns}:
        return []  # data of one's own have nothing to stand beside
    return verdicts(table.cells.values(), wanted)


def left_out(choice: Choice, table: Table) -> list[str]:
    """Notes on runs of the table's kind that are not in it."""

    def here(runs: Sequence[Run]) -> int:
        return sum((run.kind, run.embedded) == (table.kind, table.embedded) for run in runs)

    unfinished, subsets = here(choice.unfinished), here(choice.subsets)
    notes = [f"Left out: {unfinished} unfinished runs (see `falip status`)."] if unfinished else []
    notes += [f"Left out: {subsets} runs on subsets (`--allow-subset` takes them)."] if subsets else []
    older = here(choice.superseded)
    why = "of the same labels with earlier weights, data or code versions; the newest finished ones are shown"
    notes += [f"Left out: {older} superseded runs ({why})."] if older else []
    return [*notes, *damage(choice)]


def damage(choice: Choice) -> list[str]:
    """Notes on what was to be a run and cannot be used, whatever it was of."""
    many = len(choice.damaged)
    head = [f"**Damaged: {many} {'run is' if many == 1 else 'runs are'} left out.**"] if many else []
    return head + [f"Damaged: {one.reason.rstrip('.')}." for one in choice.damaged]


def write(table: Table, found: Sequence[Verdict], page: Document, stem: str, request: Request) -> list[Path]:
    """Writes the files of one table, all of them or none; returns those that hold something."""
    files: dict[str, str] = {}
    if "md" in request.formats:
        files[f"{stem}.md"] = markdown(page)
    if "latex" in request.formats:
        files[f"{stem}.tex"] = latex(page)
    if "csv" in request.formats:
        files[f"{stem}.csv"] = cells_csv(table)
        files[f"{stem}_slices.csv"] = slices_csv(table)
        files[f"{stem}_published.csv"] = published_csv(found)
    # What is empty now may be there from an earlier call with other runs.
    write_texts({request.out / name: content or None for name, content in files.items()})
    return [request.out / name for name, content in files.items() if content]
