"""What a table page says: the grids and the words around them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchmarks.measure import formats
from benchmarks.measure.decisions import NEAR_TIE
from benchmarks.measure.metrics import scored
from benchmarks.measure.recombination import (
    MOST_SEARCHED,
    component_weights,
    search_view_weights,
    view_scores,
    weight_views,
)
from benchmarks.measure.statistics import FEW_CLUSTERS, RESAMPLES
from benchmarks.published.verdicts import Verdict
from benchmarks.records.run import Run
from benchmarks.tables.attention import attention_grid
from benchmarks.tables.base_new import base_new_grid
from benchmarks.tables.beside import Place, average_groups, averages, beside, mean_accuracy
from benchmarks.tables.layout import Row, Table
from benchmarks.tables.render import Document, Grid
from benchmarks.tables.reviewed import reviewed_grid
from benchmarks.tables.thresholds import threshold_grid

_KINDS = {
    "rec": "Referring expression comprehension",
    "classification": "Region-level image classification",
    "pointcloud": "Point cloud recognition",
    "keypoint": "Keypoint naming and localisation",
}
_SUBSET_STAMP = "**SUBSET RUNS: not comparable with other subsets, with whole splits or with published numbers.**"


def document(
    table: Table,
    verdicts: Sequence[Verdict],
    command: str,
    notes: Sequence[str],
    asked: Collection[Place] = (),
) -> Document:
    """The page for one table.

    Args:
        table: Rows, columns and runs.
        verdicts: Ours beside published numbers; none for the embedded benchmark.
        command: What made the page.
        notes: What was left out.
        asked: Places whose published numbers are listed also where nothing was run.
    """
    title = _KINDS.get(table.kind, table.kind) + (": embedded benchmark" if table.embedded else "")
    grids = [
        _main(table),
        _paired(table),
        base_new_grid(table, row_names(table), row_header(table)),
        reviewed_grid(table, row_names(table), row_header(table)),
        threshold_grid(table, row_names(table), row_header(table)),
        attention_grid(table, row_names(table), row_header(table)),
        _slices(table),
        _groups(table),
        _classes(table),
        _class_means(table),
        _views(table),
    ]
    grids += [*beside(verdicts, asked), averages(table) if verdicts else None, _details(table)]
    return Document(title, _opening(table, command, notes), tuple(grid for grid in grids if grid is not None))


def _opening(table: Table, command: str, notes: Sequence[str]) -> tuple[str, ...]:
    runs = list(table.cells.values())
    data = "Data: the embedded benchmark, drawn by code; its numbers never stand beside published ones."
    if not table.embedded:
        data = "Data: " + ", ".join(dict.fromkeys(column.task for column in table.columns)) + "."
    commits = sorted({_commit(run) for run in runs})
    packages = sorted({f"{name} {version}" for run in runs for name, version in _versions(run).items()})
    lines = [
        f"Made by `{command}`.",
        data,
        f"Commit: {', '.join(commits)}. Versions: {', '.join(packages) or 'unknown'}.",
    ]
    released = sorted({run.labels["backbone"] for run in runs if run.precision})
    lines += [f"In the precision of the released programs (half): {', '.join(released)}."] if released else []
    lines += ["Accuracy in per cent with 95 % intervals clustered by image."]
    return (*lines, *notes)


def _commit(run: Run) -> str:
    git = run.info.get("git") or {}
    return str(git.get("commit") or "unknown")[:12] + (" (with uncommitted changes)" if git.get("dirty") else "")


def _versions(run: Run) -> Mapping[str, Any]:
    return run.info.get("versions") or {}


def row_names(table: Table) -> dict[Row, tuple[str, ...]]:
    """Method, and backbone and text where rows differ in them."""
    several = {key: len({getattr(row, key) for row in table.rows}) > 1 for key in ("backbone", "text")}
    return {
        row: (row.method, *(getattr(row, key) or formats.EMPTY for key in several if several[key])) for row in table.rows
    }


def row_header(table: Table) -> tuple[str, ...]:
    """Headings of the cells that `row_names` gives."""
    keys = (("backbone", "Backbone"), ("text", "Text"))
    return ("Method", *(name for key, name in keys if len({getattr(row, key) for row in table.rows}) > 1))


def _main(table: Table) -> Grid:
    names, header = row_names(table), row_header(table)
    groups = average_groups(table)
    body = []
    for row in table.rows:
        found = [table.cells.get((row, column)) for column in table.columns]
        line = [formats.accuracy(run.metrics) if run else formats.EMPTY for run in found]
        means = [mean_accuracy(table, row, group) for group in groups.values()]
        body.append((*names[row], *line, *map(formats.percent, means)))
    padding = ("",) * (len(header) - 1)
    figures = ("chance", "oracle") if table.kind in ("rec", "keypoint") else ("chance",)
    spread: list[str] = []
    for figure in figures:
        line, note = _level(table, figure)
        spread += note
        body.append((figure, *padding, *line, *(formats.EMPTY for _ in groups)))
    common = [
        f"{name}: {getattr(table.rows[0], key) or formats.EMPTY}."
        for key, name in (("backbone", "Backbone"), ("text", "Text"))
        if len({getattr(row, key) for row in table.rows}) == 1
    ]
    before = (" ".join([*common, *([_SUBSET_STAMP] if table.subset else [])]),) if common or table.subset else ()
    labels = tuple(column.label for column in table.columns)
    notes = (*table.notes, *spread, *((formats.FEW_NOTE,) if _few(table) else ()))
    return Grid("Accuracy", (*header, *labels, *groups), tuple(body), before, notes)


def _few(table: Table) -> bool:
    """Whether an interval of the table is missing or marked, for lack of samples."""
    intervals = [run.metrics["interval"] for run in table.cells.values()]
    return any(interval and interval["clusters"] < FEW_CLUSTERS for interval in intervals)


def _level(table: Table, figure: str) -> tuple[list[str], list[str]]:
    """Chance or oracle of each column; a note where runs disagree (they dropped other candidates)."""
    line, notes = [], []
    for column in table.columns:
        values = {run.metrics[figure] for (_, c), run in table.cells.items() if c == column} - {None}
        low, high = (min(values), max(values)) if values else (None, None)
        line.append(formats.percent(low))
        if low is not None and high is not None and high - low > 5e-4:
            line[-1] = f"{formats.percent(low)} to {formats.percent(high)}"
            notes.append(f"The {figure} of {column.label} differs between runs, which dropped different candidates.")
    return line, notes


def _paired(table: Table) -> Grid | None:
    if not any(pair.result for pair in table.pairs.values()):
        return None
    names = row_names(table)
    body = []
    for (row, column), pair in table.pairs.items():
        figures = (formats.EMPTY,) * 7 if pair.result is None else formats.comparison(pair.result)
        body.append((*names[row], column.label, *figures, pair.reason))
    header = (*row_header(table), "Data", "Difference", "95 % interval", "p", "Only it", "Only baseline")
    remarks = any(line[-1] for line in body)
    header = (*header, "McNemar p", "Pairs", *(("Remark",) if remarks else ()))
    return Grid(
        f"Compared with {table.baseline}",
        header,
        tuple(line if remarks else line[:-1] for line in body),
        before=(
            f"Points, pair by pair on the same samples: cluster bootstrap ({RESAMPLES:,} resamples, seed 0) "
            "with two-sided p, and how many samples only one of the two has right with the exact McNemar test.",
        ),
    )


def _slices(table: Table) -> Grid | None:
    found = {place: run.metrics["slices"] for place, run in table.cells.items() if run.metrics["slices"]}
    if not found:
        return None
    slices = sorted({name for values in found.values() for name in values})
    if len(slices) > 12:  # one per class or the like: the CSV has them all
        return None
    names = row_names(table)
    body = [
        (*names[row], column.label, *(_slice_cell(values.get(name)) for name in slices))
        for (row, column), values in found.items()
    ]
    padding = ("",) * (len(row_header(table)) - 1)
    for column in table.columns:
        values = next((v for (_, c), v in found.items() if c == column), None)
        if values is not None:
            chances = (formats.percent(values[n]["chance"]) if n in values else formats.EMPTY for n in slices)
            body.append(("chance", *padding, column.label, *chances))
    return Grid(
        "Slices",
        (*row_header(table), "Data", *slices),
        tuple(body),
        after=("In brackets the number of queries.",),
    )


def _slice_cell(values: Mapping[str, Any] | None) -> str:
    return formats.EMPTY if values is None else f"{formats.percent(values['accuracy'])} ({values['n']})"


def _groups(table: Table) -> Grid | None:
    found = {place: run.metrics["groups"] for place, run in table.cells.items() if "groups" in run.metrics}
    if not found:
        return None
    names = row_names(table)
    body = tuple(
        (
            *names[row],
            column.label,
            *(formats.percent(g[k]) for k in ("mean", "weighted_mean", "worst")),
            g["worst_group"],
        )
        for (row, column), g in found.items()
    )
    header = (*row_header(table), "Data", "Mean", "Weighted mean", "Worst group", "Which")
    return Grid("Groups", header, body, before=("The weights are the groups' shares in the training set.",))


def _classes(table: Table) -> Grid | None:
    keys = ("top1", "top5", "class_mean_top1", "class_mean_top5")
    if table.kind in ("rec", "keypoint"):
        return None
    names = row_names(table)
    body = tuple(
        (*names[row], column.label, *(formats.percent(run.metrics[key]) for key in keys))
        for (row, column), run in table.cells.items()
    )
    header = ("Top 1", "Top 5", "Class mean top 1", "Class mean top 5")
    return Grid("Top 1 and top 5", (*row_header(table), "Data", *header), body)


def _class_means(table: Table) -> Grid | None:
    found = {place: run.metrics["class_means"] for place, run in table.cells.items() if "class_means" in run.metrics}
    if not found:
        return None
    names, keys = row_names(table), ("macc1", "macc5", "macc1_float16", "macc5_float16", "top1", "top5")
    body = tuple(
        (
            *names[row],
            column.label,
            name,
            str(values["classes"]),
            str(values["n"]),
            *(formats.percent(values[k]) for k in keys),
        )
        for (row, column), slices in found.items()
        for name, values in slices.items()
    )
    header = ("Data", "Slice", "Classes", "Queries", "macc1", "macc5", "macc1 (half)", "macc5 (half)", "Top 1", "Top 5")
    note = (
        "macc is the mean over the classes that are present of each one's top-1 or top-5 accuracy; half: each class's is "
        "rounded to half precision first, as CLIPSelf does."
    )
    return Grid("Means over classes", (*row_header(table), *header), body, before=(note,))


def _views(table: Table) -> Grid | None:
    names = row_names(table)
    body = []
    for (row, column), run in table.cells.items():
        components = run.info.get("components") or []
        if table.kind != "pointcloud" or not all("/view" in name for name in components) or not components:
            continue
        if run.metrics["accuracy"] is None:
            continue
        prompt = run.identity.get("prompt") or {}
        how, weights = prompt.get("combine", "sum"), component_weights(prompt)
        stored = run.records(("status", "target", "component_scores"))
        scores, labels = view_scores(stored, components, how, weights), scored(stored)["target"].to_numpy()
        equal = weight_views(scores, labels)
        if scores.shape[1] > MOST_SEARCHED:
            body.append((*names[row], column.label, formats.percent(equal.accuracy), formats.EMPTY, formats.EMPTY))
            continue
        best = search_view_weights(scores, labels)
        weights = " ".join(f"{weight:g}" for weight in best.weights)
        body.append((*names[row], column.label, *map(formats.percent, (equal.accuracy, best.accuracy)), weights))
    if not body:
        return None
    header = (*row_header(table), "Data", "Equal weights", "Searched on test labels", "Searched weights")
    note = "**Searched on test labels** is an upper bound tuned on the answers, not a result; equal weights are."
    return Grid("View weights", header, tuple(body), before=(note,))


def _details(table: Table) -> Grid:
    names = row_names(table)
    counts = ("n", "samples", "unscored", "ties", "near_ties", "fallback", "dropped", "outside")
    body = tuple(
        (
            *names[row],
            column.label,
            *(str(run.metrics["counts"][key]) for key in counts),
            formats.percent(run.metrics["tie_accuracy"]),
            run.run_id,
        )
        for (row, column), run in table.cells.items()
    )
    header = (
        "Scored",
        "Samples",
        "Unscored",
        "Ties",
        "Near ties",
        "Fallback",
        "Dropped",
        "Outside",
        "Ties at random",
        "Run",
    )
    notes = (
        "Ties go to the lowest index; `Ties at random` is the accuracy expected if chance broke them.",
        f"`Near ties` have a margin below {NEAR_TIE:g}: another machine may decide them otherwise.",
    )
    return Grid("Runs", (*row_header(table), "Data", *header), body, after=notes)
