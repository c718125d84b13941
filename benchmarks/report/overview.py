"""Tables as the page shows them: the best row first, and the best figure of each column told apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.tables.render import Grid

_LEVELS = ("chance", "oracle")
_NUMBER = re.compile(r"[+−-]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Line:
    """A row of a table.

    Attributes:
        cells: Its texts.
        best: Places of the cells that no other row exceeds.
        level: Whether it is no method: chance or oracle, which stay below.
    """

    cells: tuple[str, ...]
    best: frozenset[int] = frozenset()
    level: bool = False


def as_it_is(grid: Grid) -> list[Line]:
    """The rows in the order that the grid has."""
    return [Line(cells, level=cells[0] in _LEVELS) for cells in grid.body]


def ranked(grid: Grid, first: int) -> list[Line]:
    """Rows of accuracies, the highest in the first column first; those without a figure there go by the next.

    Args:
        grid: Accuracy by method and data.
        first: Place of the first column of accuracies.
    """
    lines = as_it_is(grid)
    methods = [line.cells for line in lines if not line.level]
    figures = {cells: [_figure(cell) for cell in cells[first:]] for cells in methods}
    highest = [max(column) for column in zip(*figures.values(), strict=True)]
    methods.sort(key=lambda cells: [-figure for figure in figures[cells]])
    return [
        *(Line(cells, _best(figures[cells], highest, first) if len(methods) > 1 else frozenset()) for cells in methods),
        *(line for line in lines if line.level),
    ]


def _figure(cell: str) -> float:
    found = _NUMBER.match(cell)
    return float(found[0].replace("−", "-")) if found else float("-inf")


def _best(figures: Sequence[float], highest: Sequence[float], first: int) -> frozenset[int]:
    pairs = zip(figures, highest, strict=True)
    return frozenset(first + i for i, (figure, most) in enumerate(pairs) if figure == most > float("-inf"))
