"""From runs to one HTML page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmarks.published.figures import load_expectations
from benchmarks.published.verdicts import verdicts
from benchmarks.records.run import Run
from benchmarks.records.runs import Choice
from benchmarks.report.attention import Attention, recompute
from benchmarks.report.gallery import Gallery, build_gallery
from benchmarks.report.groups import Group, chosen_samples, restore
from benchmarks.report.overview import Line, as_it_is, ranked
from benchmarks.report.plots import Chart, column_charts, methods_of, responses_chart
from benchmarks.tables.document import document
from benchmarks.tables.layout import Column, Table, build
from benchmarks.tables.render import Document
from benchmarks.tables.request import left_out

FOLDER = Path(__file__).parent
BUDGET = 20_000_000  # bytes of pictures; texts and scores come on top, and the page stays below 25 MB
ANSWERS = 20_000  # decisions in the gallery: about 3 MB


@dataclass(frozen=True)
class Options:
    """How a page is made.

    Attributes:
        command: What the user typed.
        baseline: Prompt that others are compared with.
        max_samples: Samples in the gallery, of all tasks together.
        data_root: Where the data are, or None for where they were.
        attention: Folder of cached attention, or None where it is not asked for.
    """

    command: str
    baseline: str = "plain"
    max_samples: int = 500
    data_root: str | None = None
    attention: Path | None = None


@dataclass(frozen=True)
class Section:
    """One table of the overview."""

    document: Document
    lines: tuple[Sequence[Line], ...]
    charts: tuple[Chart, ...]
    runs: tuple[Mapping[str, Any], ...]


def page(choice: Choice, options: Options) -> Iterator[str]:
    """The whole page for some runs, in pieces."""
    tables = build(choice.runs, options.baseline)
    groups = _groups(tables, options)
    for group in groups.values():
        restore(group, options.data_root)
    shown = list(groups.values())
    attention = recompute(shown, options.attention) if options.attention else Attention()
    gallery = build_gallery(shown, BUDGET, attention.maps)
    sections = [_section(table, choice, groups, attention, options) for table in tables]
    return render(sections, gallery, options.command, [one.reason for one in choice.damaged])


def render(sections: Sequence[Section], gallery: Gallery, command: str, damaged: Sequence[str] = ()) -> Iterator[str]:
    """HTML in pieces, one of which may be large; whatever comes from data is escaped."""
    content = {"groups": gallery.groups, "samples": gallery.samples, "queries": gallery.queries}
    words = {"sections": sections, "data": script_json(content), "command": command, "damaged": damaged}
    return _environment().get_template("report.html").generate(words)


def script_json(content: Any) -> Markup:
    """JSON that can stand in a script element: no text in it can end the element."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["marked"] = marked
    environment.globals["include_file"] = lambda name: Markup((FOLDER / name).read_text(encoding="utf-8"))
    return environment


def marked(text: str) -> Markup:
    """Escaped text in which `**bold**` and backquotes are turned into elements."""
    html = str(escape(text))
    for mark, element in (("**", "strong"), ("`", "code")):
        parts = html.split(mark)
        if len(parts) % 2:
            html = "".join(f"<{element}>{part}</{element}>" if i % 2 else part for i, part in enumerate(parts))
    return Markup(html)


def _groups(tables: Sequence[Table], options: Options) -> dict[tuple[int, Column], Group]:
    places = [(t, column) for t, table in enumerate(tables) for column in table.columns]
    groups = {}
    left, answers = options.max_samples, ANSWERS
    runs = {place: methods_of(tables[place[0]], place[1]) for place in places}
    # The small ones first, so that what they do not use goes to the others.
    order = sorted(places, key=lambda place: max(len(run.frame["group"].unique()) for run in runs[place].values()))
    for k, place in enumerate(order):
        t, column = place
        records = sum(len(run.frame) for run in runs[place].values())
        each = records / max(len(run.frame["group"].unique()) for run in runs[place].values())
        wanted = left // (len(order) - k)
        most = max(1, int(answers / (len(order) - k) / max(each, 1)))
        ids = chosen_samples(runs[place], min(wanted, most))
        left, answers = left - len(ids), answers - each * len(ids)
        few = [f"{len(ids)} samples are shown: more of so many methods would not fit."] if len(ids) == most < wanted else []
        names = [run.labels["prompt"] for run in runs[place].values()]
        baseline = names.index(options.baseline) if options.baseline in names else -1
        groups[place] = Group(column.label, tables[t].kind, baseline, runs[place], ids, few)
    return {place: groups[place] for place in places}


def _section(
    table: Table, choice: Choice, groups: Mapping[tuple[int, Column], Group], attention: Attention, options: Options
) -> Section:
    expected = _expected(table.kind)
    known = {expectation.task for expectation in expected} & {column.task for column in table.columns}
    found = verdicts(table.cells.values(), expected) if known and not table.embedded else []
    charts: list[Chart] = []
    for column in table.columns:
        group = next(g for g in groups.values() if set(g.runs.values()) == set(methods_of(table, column).values()))
        charts += column_charts(table, column)
        charts += _responses(group, column, attention)
    notes = left_out(choice, table)
    runs = tuple(_provenance(run) for run in table.cells.values())
    page = document(table, found, options.command, notes)
    main, *others = page.grids
    lines = (ranked(main, main.header.index(table.columns[0].label)), *map(as_it_is, others))
    return Section(page, lines, tuple(charts), runs)


def _responses(group: Group, column: Column, attention: Attention) -> list[Chart]:
    import numpy as np

    charts: list[Chart] = []
    for name, run in group.runs.items():
        values = attention.responses.get(run.run_id)
        mean = np.mean(values, axis=0) if values else None
        if mean is not None and float(mean.max()) > 0:
            charts.append(responses_chart(column, name, mean, len(group.sample_ids)))
    return charts


def _expected(kind: str) -> list[Any]:
    return [expectation for expectation in load_expectations() if expectation.task.partition("/")[0] == kind]


def _provenance(run: Run) -> dict[str, Any]:
    info = run.info
    return {
        "name": run.name,
        "labels": dict(run.labels),
        "overrides": " ".join(info.get("overrides") or []),
        "started": info.get("started") or "",
        "finished": info.get("finished") or "",
        "device": info.get("device") or "",
        "commit": ((info.get("git") or {}).get("commit") or "unknown")[:12],
        "dirty": bool((info.get("git") or {}).get("dirty")),
        "versions": info.get("versions") or {},
        "numerics": info.get("numerics") or {},
        "timing": info.get("timing") or {},
        "identity": json.dumps(run.identity, indent=1, ensure_ascii=False, default=str),
    }
