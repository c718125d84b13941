"""Our numbers beside the published ones, in the shape of the papers' tables: methods in rows, splits in columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from benchmarks.measure import formats
from benchmarks.published.figures import ANY, load_averages
from benchmarks.published.verdicts import DIFFERS, MATCH, NEAR, NOT_COMPARABLE, NOT_RUN, Verdict
from benchmarks.tables.layout import Column, Row, Table
from benchmarks.tables.render import Grid

TITLE = "Beside the published numbers"


@dataclass(frozen=True)
class Place:
    """A split under a backbone: what a plan asks for, or a run is of; `proposals` counts where the task has any."""

    task: str
    split: str
    backbone: str
    proposals: str


def beside(verdicts: Sequence[Verdict], asked: Collection[Place] = ()) -> list[Grid]:
    """One grid for each table of a paper.

    Args:
        verdicts: All expectations of the kind of task, run or not.
        asked: Places whose cells are listed also where nothing was run.
    """
    if not verdicts:
        return []
    shown = relevant(verdicts, asked)
    grids: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in shown:
        figure = verdict.expectation.figure
        grids.setdefault((figure.file, figure.setting, figure.backbone), []).append(verdict)
    made = [_grid(key, members) for key, members in grids.items()]
    return [_summary(shown, len(verdicts) - len(shown)), *made]


def relevant(verdicts: Sequence[Verdict], asked: Collection[Place] = ()) -> list[Verdict]:
    """Verdicts of what was run or asked for.

    A run whose backbone has published numbers of its own is not held beside those of other backbones, nor a run with
    gold proposals beside numbers of detected ones.
    """
    places = set(asked) | {_place(v) for v in verdicts if v.run is not None}
    published = {(v.expectation.task, v.expectation.backbone) for v in verdicts}
    return [v for v in verdicts if _is_relevant(v, places, published)]


def _place(verdict: Verdict) -> Place:
    assert verdict.run is not None
    labels = verdict.run.labels
    return Place(labels["task"], labels["split"], labels["backbone"].partition(",")[0], labels.get("proposals") or "gt")


def _is_relevant(verdict: Verdict, places: Collection[Place], published: Collection[tuple[str, str]]) -> bool:
    expected = verdict.expectation
    if verdict.run is None:
        return Place(expected.task, expected.split, expected.backbone, expected.proposals or "gt") in places
    if verdict.verdict != NOT_COMPARABLE:
        return True
    if expected.proposals and verdict.run.labels.get("proposals") != expected.proposals:
        return False
    own = verdict.run.labels["backbone"].partition(",")[0]
    return expected.backbone in (ANY, own) or (expected.task, own) not in published


def _summary(shown: Sequence[Verdict], hidden: int) -> Grid:
    names = (MATCH, NEAR, DIFFERS, NOT_COMPARABLE, NOT_RUN)
    counts = tuple(str(sum(v.verdict == name for v in shown)) for name in names)
    words = (
        "Match: equal to the printed decimals; close: within 0.5 points. The interval never decides: the same weights "
        "and samples leave no sampling error."
    )
    others = f"{hidden} published numbers of other splits, backbones, proposals or prompts were not asked for."
    return Grid(TITLE, tuple(name.capitalize() for name in names), (counts,), (words,), (others,) if hidden else ())


def _grid(key: tuple[str, str, str], members: Sequence[Verdict]) -> Grid:
    file, setting, backbone = key
    columns = list(dict.fromkeys(_column(v, members) for v in members))
    rows: dict[tuple[str, str], dict[str, list[Verdict]]] = {}
    for v in members:
        prompt = v.expectation.metric if v.expectation.prompt == ANY else v.expectation.prompt
        row = rows.setdefault((v.expectation.figure.method, prompt), {})
        row.setdefault(_column(v, members), []).append(v)
    reasons: dict[str, int] = {}
    body = []
    for (method, prompt), found in rows.items():
        line = [_cell(found.get(column, ()), reasons) for column in columns]
        body.append((method, prompt, *line))
    notes = tuple(f"[{number}] {reason}." for reason, number in reasons.items())
    unknowns = sorted({u for v in members if (u := v.expectation.figure.protocol_unknowns)})
    source = ", ".join(sorted({v.expectation.figure.source for v in members}))
    return Grid(
        f"{TITLE}: {file.removesuffix('.csv')}, {backbone}, {setting}",
        ("Published as", "Ours", *columns),
        tuple(body),
        before=(f"Ours / published: difference, verdict. Source: {source}.",),
        after=(*notes, *(f"Not stated by the source: {unknown}." for unknown in unknowns)),
    )


def _column(verdict: Verdict, members: Sequence[Verdict]) -> str:
    """The data, with what is chosen of them, and split; the metric too where the table has several."""
    expected = verdict.expectation
    chosen = [rule.partition("=")[2] for rule in expected.rules if rule.startswith("task.dataset.")]
    name = " ".join([expected.task.partition("/")[2], expected.split, *chosen])
    several = len({v.expectation.metric for v in members if v.expectation.prompt != ANY}) > 1  # chance has a row of its own
    return f"{name} {expected.metric}" if several else name


def _cell(found: Sequence[Verdict], reasons: dict[str, int]) -> str:
    """All our answers to one published number, told apart by their text and precision."""
    names = [(v.run.labels.get("text") or "", v.run.precision) if v.run else ("", "") for v in found]
    texts = {text for text, _ in names}
    parts = []
    for v, (text, precision) in zip(found, names, strict=True):
        named = [*([text] if len(texts) > 1 else []), *([f"{precision} precision"] if precision else [])]
        parts.append((f"{', '.join(named)}: " if named else "") + _answer(v, reasons))
    return "; ".join(dict.fromkeys(parts)) or formats.EMPTY


def _answer(verdict: Verdict, reasons: dict[str, int]) -> str:
    printed = verdict.expectation.figure.value
    if verdict.run is None:
        return f"- / {printed}: {NOT_RUN}"
    ours = formats.EMPTY if verdict.ours is None else f"{verdict.ours:.1f}"
    if verdict.expectation.metric == "accuracy":
        ours = formats.with_interval(verdict.run.metrics)
    mark = f" [{reasons.setdefault(verdict.reason, len(reasons) + 1)}]" if verdict.reason else ""
    by = f"{formats.signed(verdict.difference, decimals(printed))}, " if verdict.difference is not None else ""
    return f"{ours} / {printed}: {by}{verdict.verdict}{mark}"


def averages(table: Table) -> Grid | None:
    """Our means over the columns of a table beside published means; None where nothing of the table has one."""
    groups = average_groups(table)
    body = []
    for known in load_averages():
        for row in (row for row in table.rows if row.prompt == known.prompt and known.kind == table.kind):
            ours = [f"{formats.percent(mean_accuracy(table, row, columns))} ({name})" for name, columns in groups.items()]
            figure = known.figure
            line = (figure.method, row.method, row.backbone, figure.setting, "; ".join(ours) or formats.EMPTY, figure.value)
            body.append((*line, NOT_COMPARABLE))
    if not body or table.embedded:
        return None
    header = ("Published as", "Ours", "Our backbone", "Setting", "Our mean", "Published (ViT-B/16)", "Verdict")
    note = (
        "Shown, never judged: the source does not name the columns of its REC averages, and the mean of those it prints is "
        "another number. Ours is over the columns of this table, where all of them are finished."
    )
    return Grid(f"{TITLE}: averages", header, tuple(body), before=(note,))


def average_groups(table: Table) -> dict[str, list[Column]]:
    """Columns to average: of one setting, and each split once (not two versions of its data)."""
    groups: dict[tuple[str, int | None, bool], list[Column]] = {}
    for column in table.columns:
        groups.setdefault(column.setting, []).append(column)
    several = len(groups) > 1
    return {
        "average" + (f" ({proposals})" if several and proposals else "") + (" (TUNED)" if tuned else ""): members
        for (proposals, _, tuned), members in groups.items()
        if len(members) > 1 and len({(c.task, c.split) for c in members}) == len(members)
    }


def mean_accuracy(table: Table, row: Row, columns: Sequence[Column]) -> float | None:
    """Mean over some columns of a row; None where one is missing or has no accuracy."""
    values = [table.cells[row, c].metrics["accuracy"] if (row, c) in table.cells else None for c in columns]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(columns) else None


def decimals(printed: str) -> int:
    """How many decimals to show beside a printed number."""
    return max(1, len(printed.partition(".")[2]))
