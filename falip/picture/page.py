"""The pages of the command line: a summary, then blocks, as many on a page as fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from falip.errors import UserError
from falip.picture import summary
from falip.picture.block import Block
from falip.picture.drawing import FONT_SIZE
from falip.picture.sheet import DPI, MARGIN, Sheet
from falip.picture.table import Scored
from falip.regions import Region

MOST_HEIGHT = 19.8  # inches, below 2,000 pixels
_HEADING, _GAP, _CAPTION = 0.5, 0.3, 0.5
MASK_CAPTION = (
    "A foveal mask is laid over whole tokens: every token that the region touches has a part in it, so that it may reach "
    "up to one token past the white frame.\nIn it, the bias falls from alpha at the region's centre to 0 at the tokens "
    "farthest from it."
)


@dataclass(frozen=True, eq=False)
class Content:
    """All that is drawn of one picture.

    Attributes:
        heading: At the top of each page.
        image: The picture.
        regions: Its regions.
        blocks: What each prompt does with each.
        scored: The scores; None to leave the summary away.
    """

    heading: str
    image: Image.Image
    regions: Sequence[Region]
    blocks: Sequence[Block]
    scored: Scored | None = None


def figures(content: Content, tallest: float = MOST_HEIGHT) -> list[Figure]:
    """The pages, each at most so many inches high unless one block alone is higher."""
    pages = list(_pages(content, tallest))
    return [_page(content, blocks, i, len(pages)) for i, blocks in enumerate(pages)]


def write(content: Content, path: Path) -> list[Path]:
    """Writes the pages: out.png, and where they are several out-2.png and so on.

    Raises:
        UserError: If a file cannot be written, or its ending names no picture format.
    """
    made = figures(content)
    paths = [path if i == 0 else path.with_name(f"{path.stem}-{i + 1}{path.suffix}") for i in range(len(made))]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for figure, one in zip(made, paths, strict=True):
            figure.savefig(one, dpi=DPI)
    except (OSError, ValueError) as error:
        raise UserError(
            f"The picture could not be written to {path}: {error}. Give --out another name, such as out.png."
        ) from error
    return paths


def _head(content: Content, page: int) -> float:
    """Inches above the first block of a page."""
    return _HEADING + (summary.height_of(content.image, content.scored) + _GAP if content.scored and not page else 0)


def _pages(content: Content, tallest: float) -> Iterator[list[Block]]:
    """The blocks of each page."""
    blocks: list[Block] = []
    page, used = 0, _head(content, 0) + _CAPTION
    for block in content.blocks:
        if blocks and used + block.height > tallest:
            yield blocks
            blocks, page, used = [], page + 1, _head(content, 1) + _CAPTION
        blocks.append(block)
        used += block.height
    yield blocks


def _page(content: Content, blocks: Sequence[Block], page: int, pages: int) -> Figure:
    masked = any(block.study.bias is not None for block in blocks)
    top = _head(content, page)
    sheet = Sheet(top + sum(block.height for block in blocks) + (_CAPTION if masked else 0))
    place = f" ({page + 1} of {pages})" if pages > 1 else ""
    sheet.words(MARGIN, 0.14, content.heading + place, FONT_SIZE + 5, weight="bold")
    if content.scored and not page:
        summary.draw(sheet, _HEADING, content.image, content.regions, content.scored)
    for block in blocks:
        block.draw(sheet, top)
        top += block.height
    if masked:
        sheet.words(MARGIN, top, MASK_CAPTION, FONT_SIZE - 0.5, color="#404040")
    return sheet.figure
