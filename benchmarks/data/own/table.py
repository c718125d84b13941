"""Reading a table that a person wrote: every fault of it is said at once, with file, line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.data.files import shown
from falip.errors import UserError
from falip.regions import Box

_LISTED = 8
BOX = ("x0", "y0", "x1", "y1")


@dataclass
class Faults:
    """What is wrong with a file, gathered so that a person mends it in one go."""

    found: list[str] = field(default_factory=list)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Keeps an error of one line, and goes on with the next."""
        try:
            yield
        except UserError as error:
            self.found.append(str(error))

    def raise_any(self, where: str) -> None:
        """Says all that was found.

        Raises:
            UserError: If anything was.
        """
        if not self.found:
            return
        more = len(self.found) - _LISTED
        lines = [*self.found[:_LISTED], *([f"and {more} more"] if more > 0 else [])]
        count = f"{len(self.found)} fault{'s' if len(self.found) > 1 else ''}"
        raise UserError(f"{where} has {count}:\n  " + "\n  ".join(lines))


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        place: "FILE, line N", for messages.
        values: Text of each column, without blanks around it.
    """

    place: str
    values: dict[str, str]

    def text(self, column: str) -> str:
        """The text of a column.

        Raises:
            UserError: If it is empty.
        """
        value = self.values.get(column, "")
        if not value:
            raise UserError(f"{self.place}: the column {column} is empty.")
        return value

    def number(self, column: str) -> float:
        """The finite number of a column.

        Raises:
            UserError: If it is none.
        """
        text = self.text(column)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UserError(f"{self.place}: the column {column} is {shown(text)}, and a number is needed.")
        return value

    def box(self) -> Box:
        """Corners (x0, y0, x1, y1) in pixels.

        Raises:
            UserError: If one is no number, or the box has no area.
        """
        x0, y0, x1, y1 = map(self.number, BOX)
        if x1 <= x0 or y1 <= y0:
            raise UserError(
                f"{self.place}: the box {x0:g}, {y0:g}, {x1:g}, {y1:g} has no area. x1 and y1 are its right and lower "
                "edge, not its width and height."
            )
        return x0, y0, x1, y1


def read_table(path: Path, columns: Sequence[str]) -> list[Row]:
    """The lines of a CSV file with a header; separated by commas, semicolons or tabs, as the header is.

    Args:
        path: The file, UTF-8.
        columns: Columns that it must have; others are kept too.

    Raises:
        UserError: If it is missing, empty, no UTF-8, lacks a column or has lines of another length than its header.
    """
    if not path.is_file():
        raise UserError(
            f"There is no table {path.absolute()}. Give the path of a CSV file with the columns {', '.join(columns)}."
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            separator = max(",;\t", key=header.count)
            file.seek(0)
            lines = list(csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table: {error}. Save it as CSV, in UTF-8.") from None
    if not any(cell.strip() for line in lines for cell in line):
        raise UserError(
            f"{path} is empty. Its first line must name the columns {','.join(columns)}, and each line below it is a row."
        )
    names = [name.strip().lower() for name in lines[0]]
    lacking = [column for column in columns if column not in names]
    if lacking:
        raise UserError(
            f"{path} lacks the column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}. Its first line must name the "
            f"columns {', '.join(columns)}, and names {', '.join(names) or 'nothing'}."
        )
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{path} has the column {doubled[0]} twice.")
    return _rows(path, names, lines[1:])


def _rows(path: Path, names: Sequence[str], lines: Sequence[Sequence[str]]) -> list[Row]:
    faults, rows = Faults(), []
    for number, line in enumerate(lines, start=2):
        if not any(cell.strip() for cell in line):
            continue
        place = f"{path}, line {number}"
        if len(line) != len(names):
            faults.found.append(f"{place}: {len(line)} cells, and the header has {len(names)}; quote cells with commas.")
            continue
        rows.append(Row(place, {name: cell.strip() for name, cell in zip(names, line, strict=True)}))
    faults.raise_any(str(path))
    if not rows:
        raise UserError(f"{path} has no line below its header.")
    return rows
