"""The head of a page: the picture with its numbered regions, and the scores of all prompts on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from PIL import Image

from falip.picture import drawing
from falip.picture.drawing import FONT_SIZE
from falip.picture.sheet import MARGIN, WIDTH, Sheet
from falip.picture.table import Scored
from falip.regions import Region

LEAST_SPAN = 4.0
"""Of the axis of scores: a difference of 1 is a factor of e between two texts' odds, and a tenth of it is no finding."""
TALLEST_ROW = 0.8
PANELS, COLUMNS = 6, 3
PICTURE_WIDTH, LABEL_WIDTH = 4.6, 2.3
LEAST_HEIGHT, MOST_HEIGHT = 1.7, 7.0
_TITLE, _AXIS, _LEGEND_LINE = 0.3, 0.55, 0.22
_COLOURS = (drawing.BLUE, drawing.VERMILION, drawing.GREEN, drawing.ORANGE, "#CC79A7", "#56B4E9", "black", drawing.GREY)
_SHAPES = "oDs^vP<>X*hp"


def height_of(image: Image.Image, scored: Scored) -> float:
    """Inches that `draw` takes."""
    rows = -(-min(len(scored.regions), PANELS) // COLUMNS)
    panels = rows * (_panel_height(scored) + _TITLE) + _AXIS + _LEGEND_LINE * _legend_lines(scored)
    return min(max(_picture_height(image) + _TITLE, panels, LEAST_HEIGHT), MOST_HEIGHT)


def draw(sheet: Sheet, top: float, image: Image.Image, regions: Sequence[Region], scored: Scored) -> None:
    """Draws it below `top`."""
    axes = sheet.axes(MARGIN, top + _TITLE, PICTURE_WIDTH, _picture_height(image))
    drawing.show_picture(axes, image)
    drawing.title(axes, "The picture and its regions" if len(regions) > 1 else "The picture and its region")
    for i, region in enumerate(regions):
        frame(axes, region, image, str(i + 1))
    _panels(sheet, top, height_of(image, scored), scored)


def frame(axes: Any, region: Region, image: Image.Image, name: str = "", width: float = 1.8) -> None:
    """A region in its picture: the rim of its mask or its boxes, and a name."""
    inside = region.clipped(image.size)
    if inside.mask is not None:
        drawing.contour(axes, inside.mask)
    else:
        for box in inside.boxes:
            drawing.outline(axes, box, width=width)
    if name:
        drawing.number(axes, inside.box, name)


def _picture_height(image: Image.Image) -> float:
    return min(max(PICTURE_WIDTH * image.height / image.width, 0.9), 3.8)


def _panel_height(scored: Scored) -> float:
    return len(scored.texts) * max(0.3, 0.12 * len(scored.scores) + 0.12) + 0.1


def _legend_lines(scored: Scored) -> int:
    return -(-len(scored.scores) // _legend_columns(scored))


def _legend_columns(scored: Scored) -> int:
    longest = max(map(len, scored.scores))
    return max(1, int((WIDTH - PICTURE_WIDTH - LABEL_WIDTH - 1) / (0.45 + 0.075 * longest)))


def _panels(sheet: Sheet, top: float, height: float, scored: Scored) -> None:
    shown = min(len(scored.regions), PANELS)
    columns, rows = min(shown, COLUMNS), -(-shown // COLUMNS)
    left = MARGIN + PICTURE_WIDTH + 0.3 + LABEL_WIDTH
    width = (WIDTH - MARGIN - left + 0.2) / columns
    legend = _LEGEND_LINE * _legend_lines(scored)
    room = (height - legend - _AXIS - rows * _TITLE) / rows
    each = min(room, max(_panel_height(scored), len(scored.texts) * TALLEST_ROW))
    values = relative(scored)
    limits = span(np.concatenate([v.ravel() for v in values.values()]))
    _legend(sheet, left, top, WIDTH - MARGIN - left, legend, scored)
    for place in range(shown):
        row, column = divmod(place, COLUMNS)
        axes = sheet.axes(left + column * width, top + legend + row * (each + _TITLE) + _TITLE, width - 0.2, each)
        _panel(axes, scored, {name: v[place] for name, v in values.items()}, limits, labelled=column == 0)
        drawing.title(axes, drawing.shortened(f"{place + 1}: {scored.regions[place]}", int(width * 13)))
        if place + columns < shown:
            axes.tick_params(labelbottom=False)
    kind = "score minus the mean over the texts" if len(scored.texts) > 1 else "score"
    beyond = f"; regions {shown + 1} to {len(scored.regions)}: in the printed table" if shown < len(scored.regions) else ""
    words = f"{kind}; one axis for all, at least {LEAST_SPAN:g} wide; 1 apart: e times the odds{beyond}"
    sheet.words(left, top + legend + rows * (each + _TITLE) + 0.22, words, FONT_SIZE - 1, color="#404040")


def relative(scored: Scored) -> dict[str, np.ndarray]:
    """For each prompt its scores (regions, texts), of several texts less their mean: sums of views have another zero."""
    found = {name: np.asarray(rows, float) for name, rows in scored.scores.items()}
    return {name: v - v.mean(1, keepdims=True) if v.shape[1] > 1 else v for name, v in found.items()}


def span(values: np.ndarray) -> tuple[float, float]:
    """Ends of an axis that holds some values, and is wide enough that noise looks like noise."""
    low, high = float(values.min()), float(values.max())
    half = max(1.12 * (high - low), LEAST_SPAN) / 2
    return (low + high) / 2 - half, (low + high) / 2 + half


def _panel(axes: Any, scored: Scored, values: dict[str, np.ndarray], limits: tuple[float, float], labelled: bool) -> None:
    rows = np.arange(len(scored.texts))
    for i, (name, row) in enumerate(values.items()):
        axes.plot(row, rows + _offset(i, len(values)), ls="", ms=5, **_style(i, name))
    for row in rows[:-1]:
        axes.axhline(row + 0.5, color="#d8d8d8", lw=0.8, zorder=0)
    if len(rows) > 1:
        axes.axvline(0, color="#b0b0b0", lw=0.8, zorder=0)
    words = [drawing.literal(drawing.shortened(text, 32)) for text in scored.texts] if labelled else []
    axes.set_yticks(rows, words or [""] * len(rows), fontsize=FONT_SIZE - 1)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(*limits)
    axes.tick_params(axis="x", labelsize=FONT_SIZE - 2)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _offset(i: int, count: int) -> float:
    return 0.0 if count == 1 else 0.6 * (i / (count - 1) - 0.5)


def _style(i: int, name: str) -> dict[str, Any]:
    colour = _COLOURS[i % len(_COLOURS)]
    filled = "white" if name == "plain" else colour
    return {"marker": _SHAPES[i % len(_SHAPES)], "mec": colour, "mfc": filled, "mew": 1.5}


def _legend(sheet: Sheet, left: float, top: float, width: float, height: float, scored: Scored) -> None:
    axes = sheet.axes(left, top, width, height)
    axes.axis("off")
    lines = [Line2D([], [], ls="", label=drawing.literal(name), **_style(i, name)) for i, name in enumerate(scored.scores)]
    axes.legend(
        handles=lines, ncols=_legend_columns(scored), loc="upper left", bbox_to_anchor=(0, 1.1), frameon=False,
        fontsize=FONT_SIZE - 1, borderaxespad=0, borderpad=0, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
