"""One table as a paper prints it: groups of splits, the best of a column bold, the second underlined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import formats
from benchmarks.tables.document import row_header, row_names
from benchmarks.tables.layout import Column, Table
from benchmarks.tables.render import tex
from falip.errors import UserError

_KEYS = ("rows", "columns", "tables")


@dataclass(frozen=True)
class Names:
    """Labels in LaTeX for what the configurations call otherwise; what has none keeps its name.

    Attributes:
        rows: Of methods, backbones and texts.
        columns: Of tasks, splits and whole column labels.
        tables: Captions, by the stem of the table's file.
    """

    rows: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)


def read_names(path: Path) -> Names:
    """The labels of a YAML file with some of the mappings `rows`, `columns` and `tables`.

    Raises:
        UserError: If it cannot be read, or is no such file.
    """
    if not path.is_file():
        raise UserError(f"--names {path}: there is no such file.")
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"--names {path}: it cannot be read as YAML: {error}") from error
    if not isinstance(content, dict) or set(content) - set(_KEYS):
        raise UserError(f"--names {path}: its keys must be some of {', '.join(_KEYS)}, each with name: label below it.")
    for key, labels in content.items():
        if not isinstance(labels, dict):
            raise UserError(f"--names {path}: {key} must hold lines name: label, and is {labels!r}.")
    return Names(**{key: {str(name): str(label) for name, label in labels.items()} for key, labels in content.items()})


def paper_latex(table: Table, stem: str, names: Names) -> str:
    """The accuracies in per cent, for booktabs.

    Args:
        table: Rows, columns and runs.
        stem: Name of its file, and of its label.
        names: Labels that take the place of names.
    """
    header, methods = row_header(table), row_names(table)
    spans = [(task, list(columns)) for task, columns in groupby(table.columns, key=lambda column: column.task)]
    ranked = {column: _ranked(table, column) for column in table.columns}
    body = []
    for row in table.rows:
        cells = [_label(names.rows, part) for part in methods[row]]
        cells += [_cell(_printed(table, row, column), ranked[column]) for column in table.columns]
        body.append(_line(cells))
    caption = names.tables.get(stem) or tex(f"Accuracy in per cent: {stem}.")
    lines = [r"% needs \usepackage{booktabs}"]
    lines += ["% SUBSET RUNS: not comparable with whole splits or with published numbers"] if table.subset else []
    lines += [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{''.join(c if c.isalnum() else '-' for c in stem)}}}",
        rf"\begin{{tabular}}{{{'l' * len(header)}{'c' * len(table.columns)}}}",
        r"\toprule",
        *_head(spans, header, names),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _head(spans: Sequence[tuple[str, Sequence[Column]]], header: Sequence[str], names: Names) -> list[str]:
    """A line of tasks over a line of their splits."""
    above, rules, first = [""] * len(header), [], len(header) + 1
    for task, columns in spans:
        above.append(rf"\multicolumn{{{len(columns)}}}{{c}}{{{_label(names.columns, task)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + len(columns) - 1}}}")
        first += len(columns)
    below = [tex(name) for name in header]
    for _, columns in spans:
        splits = [column.split for column in columns]
        for column in columns:
            # The split names a column, unless proposals or subsets tell columns of one split apart, or it is tuned.
            name = column.label if column.tuned or splits.count(column.split) > 1 else column.split
            below.append(names.columns.get(column.label) or _label(names.columns, name))
    return [_line(above), "".join(rules), _line(below)]


def _printed(table: Table, row: Any, column: Column) -> str:
    run = table.cells.get((row, column))
    return formats.percent(run.metrics["accuracy"]) if run else formats.EMPTY


def _ranked(table: Table, column: Column) -> list[str]:
    """The distinct numbers of a column as printed, the best first: what looks equal is marked alike."""
    printed = {_printed(table, row, column) for row in table.rows} - {formats.EMPTY}
    return sorted(printed, key=float, reverse=True)


def _cell(printed: str, ranked: Sequence[str]) -> str:
    if len(ranked) < 2 or printed not in ranked[:2]:
        return tex(printed)
    return rf"\textbf{{{printed}}}" if printed == ranked[0] else rf"\underline{{{printed}}}"


def _label(labels: Mapping[str, str], name: str) -> str:
    return labels[name] if name in labels else tex(name)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
