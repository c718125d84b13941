"""Grids as Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
}


@dataclass(frozen=True)
class Grid:
    """A table of text with a title; `before` and `after` are paragraphs around it."""

    title: str
    header: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """A title, opening paragraphs and grids."""

    title: str
    opening: tuple[str, ...]
    grids: tuple[Grid, ...]


def markdown(document: Document) -> str:
    """The document as GitHub Markdown."""
    blocks = [f"# {document.title}", *document.opening]
    for grid in document.grids:
        blocks += [f"## {grid.title}", *grid.before, _pipes(grid), *grid.after]
    return "\n\n".join(blocks) + "\n"


def _pipes(grid: Grid) -> str:
    lines = [tuple(_escape(cell) for cell in line) for line in (grid.header, *grid.body)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(grid.header))]
    padded = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([padded[0], rule, *padded[1:]])


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def latex(document: Document) -> str:
    """The grids as tables with booktabs rules, to be included in a paper; the opening as comments."""
    blocks = [f"% {document.title}"]
    blocks += [f"% {line}" for paragraph in document.opening for line in paragraph.splitlines()]
    blocks += ["% needs \\usepackage{booktabs}"]
    for grid in document.grids:
        notes = " ".join((*grid.before, *grid.after))
        caption = tex(f"{document.title}. {grid.title}. {notes}".strip())
        blocks += [
            "",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{{'l' * len(grid.header)}}}",
            r"\toprule",
            _ampersands(grid.header),
            r"\midrule",
            *(_ampersands(line) for line in grid.body),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    return "\n".join(blocks) + "\n"


def _ampersands(cells: Iterable[str]) -> str:
    return " & ".join(tex(cell) for cell in cells) + r" \\"


def tex(text: str) -> str:
    """Text with LaTeX's own signs escaped; Markdown's marks are dropped."""
    return "".join(_LATEX.get(character, character) for character in text.replace("`", "'").replace("**", ""))
