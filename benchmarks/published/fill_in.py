"""The figures of FALIP's paper that no open source quotes, for a reader of the paper to add."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping

from benchmarks.published.figures import CELLS, FILL_IN, FOLDER, Figure, rows_of

_COLUMNS = ("table", "file", "method", "backbone", "setting", "prompt", "text", "proposals", "our_backbone")
_SPLITS = {
    ("RefCOCO", "rec/refcoco"): ("val", "testA", "testB"),
    ("RefCOCO+", "rec/refcoco_plus"): ("val", "testA", "testB"),
    ("RefCOCOg", "rec/refcocog"): ("val", "test"),
}
_METRIC = "accuracy_iou0.5_pct"
_SOURCE = "FALIP paper (arXiv 2407.05578), Table N"

_OPENING = f"""\
# Figures of FALIP's paper that no open source quotes

The lines below are those that a reader of the paper (arXiv 2407.05578) can add. Rows and columns are named as far as
notes on it tell, so some may not be in the paper. For each figure that is:

1. Put the first line into the file that it names, with the printed number in the place of VALUE (its decimals count) and
   the number of the table in the place of N.
2. Put the second line into `{CELLS}`: it says which run of ours answers to the figure. Where there is none, the notes do
   not say which views are summed or what is done to the scores; choose prompt and text when the paper does.
3. `falip published` names a line that does not fit, and lists the figure with its command.

A figure that is added is no longer listed here.
"""


def page(figures: Iterable[Figure]) -> str:
    """What is still to be filled in, as Markdown: table, row and column of each figure, with the lines to add."""
    known = {(f.file, f.method, f.backbone, f.dataset, f.split, f.setting) for f in figures}
    parts, table = [_OPENING], ""
    for row in rows_of(FOLDER / FILL_IN, _COLUMNS):
        lacking = [line for key, line in _lines(row) if key not in known]
        if lacking and row["table"] != table:
            table = row["table"]
            parts.append(f"## {table[:1].upper()}{table[1:]}\n")
        if lacking:
            parts.append(f"### Row {row['method']}, {row['backbone']}\n")
            parts += lacking
    return "\n".join(parts)


def _lines(row: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """For each column of a row the key of its figure, and what to add for it."""
    for (dataset, task), splits in _SPLITS.items():
        for split in splits:
            paper = (row["method"], row["backbone"], dataset, split, row["setting"], _METRIC)
            lines = [f"{row['file']}: {_csv((*paper, 'VALUE', _SOURCE, ''))}"]
            if row["prompt"]:
                ours = (task, split, row["proposals"], row["our_backbone"], row["prompt"], row["text"], "accuracy", "")
                lines.append(f"{CELLS}: {_csv((*ours, row['file'], *paper))}")
            block = "".join(f"      {line}\n" for line in lines)
            yield (row["file"], *paper[:5]), f"- column {dataset} {split}\n\n{block}"


def _csv(values: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()
