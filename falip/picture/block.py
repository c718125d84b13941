"""One region under one view of a prompt: five equal panels in a row, and below them each head where asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from falip.picture import drawing
from falip.picture.drawing import ATTENTION_MAP, BIAS_MAP, CHANGE_MAP, FONT_SIZE
from falip.picture.sheet import MARGIN, WIDTH, Sheet
from falip.picture.study import Study
from falip.picture.summary import frame
from falip.regions import Region

PANELS, GAP = 5, 0.3
PANEL_WIDTH = (WIDTH - 2 * MARGIN - (PANELS - 1) * GAP) / PANELS
_TITLE, _HEAD, _LABEL, _BAR, _AFTER = 0.3, 0.24, 0.25, 0.42, 0.25
HEAD_COLUMNS, HEAD_GAP = 12, 0.1

# What colours of a change span at least, so that rounding looks like none: cosines, and points of attention.
LEAST_CHANGE = {"similarity": 0.01, "attention": 0.05}


@dataclass(frozen=True, eq=False)
class Block:
    """One region under one view of a prompt.

    Attributes:
        title: The line above.
        image: The picture that was given.
        region: The region in it.
        study: What the prompt does with it.
        heads: Whether each head is drawn too.
    """

    title: str
    image: Image.Image
    region: Region
    study: Study
    heads: bool = False

    @property
    def height(self) -> float:
        """Inches that `draw` takes."""
        rows = self._head_rows
        heads = rows * (_side(self.image, self._head_width) + _HEAD) + (_BAR + 0.1 if rows else 0)
        return _TITLE + _HEAD + _side(self.image, PANEL_WIDTH) + _LABEL + _BAR + _AFTER + heads

    @property
    def _head_rows(self) -> int:
        if not self.heads or self.study.similarity or self.study.note:
            return 0
        return -(-2 * len(self.study.before) // HEAD_COLUMNS)

    @property
    def _head_columns(self) -> int:
        """As many in each row."""
        pairs = -(-len(self.study.before) // max(self._head_rows, 1))
        return 2 * pairs

    @property
    def _head_width(self) -> float:
        return (WIDTH - 2 * MARGIN - (self._head_columns - 1) * HEAD_GAP) / self._head_columns

    def draw(self, sheet: Sheet, top: float) -> None:
        """Draws it below `top`."""
        sheet.words(MARGIN, top, self.title, FONT_SIZE + 1, weight="bold")
        panels = top + _TITLE + _HEAD
        side = _side(self.image, PANEL_WIDTH)
        axes = [sheet.axes(_left(i), panels, PANEL_WIDTH, side) for i in range(PANELS)]
        bars = panels + side + _LABEL
        self._looked_at(sheet, axes[0], axes[1], bars)
        self._attention(sheet, axes[2:], bars)
        if self._head_rows:
            self._heads(sheet, bars + _BAR)

    def _looked_at(self, sheet: Sheet, first: Any, second: Any, bars: float) -> None:
        """What the model sees, and what tells it where to look."""
        study = self.study
        mask = study.bias is not None
        shown = study.view if mask else self.image
        drawing.show_picture(first, shown)
        drawing.title(first, "What the model sees" if mask else "The picture")
        self._frame(first, shown)
        drawing.below(first, "white: the region" if shown is self.image or study.box else "cut to the region")
        if study.bias is not None:
            limits = (0.0, float(study.bias.max()) or 1.0)
            heat = drawing.show_heat(second, study.view, study.bias, study.geometry, BIAS_MAP, limits)
            drawing.title(second, "Foveal mask, in whole tokens")
            drawing.below(second, f"{study.geometry.rows} × {study.geometry.cols} tokens; 0 elsewhere")
            sheet.bar(heat, _left(1), bars, PANEL_WIDTH, f"bias added to the logits of {study.whose}")
            self._frame(second, study.view)
        elif study.edited:
            drawing.show_picture(second, study.view)
            drawing.title(second, "What the model sees")
            drawing.below(second, "no foveal mask: the prompt edits the picture" if study.box else "cut to the region")
        else:
            heat = drawing.show_heat(second, study.view, study.covered, study.geometry, BIAS_MAP, (0.0, 1.0))
            drawing.title(second, "Tokens of the region")
            drawing.below(second, "no foveal mask, and the picture as it is")
            sheet.bar(heat, _left(1), bars, PANEL_WIDTH, "share of the token in the region's box")

    def _attention(self, sheet: Sheet, axes: list[Any], bars: float) -> None:
        """Attention before and after on one scale, and the difference."""
        study, (before, after, change) = self.study, axes
        plain, prompted = study.grid(study.before).mean(0), study.grid(study.after).mean(0)
        limits = _limits(plain, prompted)
        heat = drawing.show_heat(before, self.image, plain, study.geometry, ATTENTION_MAP, limits)
        self._frame(before, self.image)
        first, second = ("Similarity to the picture", "Similarity to the region") if study.similarity else (
            "Attention before", "Attention after",
        )  # fmt: skip
        drawing.title(before, first)
        sheet.bar(heat, _left(2), bars, 2 * PANEL_WIDTH + GAP, study.unit)
        if study.box:
            drawing.below(before, study.on_region(study.before))
        if study.note:
            drawing.empty(after, study.note)
            drawing.empty(change, "")
            return
        drawing.show_heat(after, study.view, prompted, study.geometry, ATTENTION_MAP, limits)
        drawing.title(after, second)
        self._frame(after, study.view)
        if not study.box:
            drawing.empty(change, "no difference:\nthe view shows another part of the picture")
            return
        drawing.below(after, study.on_region(study.after))
        least = LEAST_CHANGE["similarity" if study.similarity else "attention"]
        most = max(float(np.abs(prompted - plain).max()), least)
        heat = drawing.show_heat(change, study.view, prompted - plain, study.geometry, CHANGE_MAP, (-most, most))
        drawing.title(change, "Change: after − before")
        self._frame(change, study.view)
        points = "difference" if study.similarity else f"points of the attention of {study.whose}"
        sheet.bar(heat, _left(4), bars, PANEL_WIDTH, points)

    def _frame(self, axes: Any, shown: Image.Image, width: float = 1.8) -> None:
        """The region, where it is in what is shown."""
        if shown.size == self.image.size:
            frame(axes, self.region, self.image, width=width)

    def _heads(self, sheet: Sheet, top: float) -> None:
        """Each head before and, beside it, after, with one scale for all."""
        study = self.study
        before, after = study.grid(study.before), study.grid(study.after)
        width, columns = self._head_width, self._head_columns
        limits, side = _limits(before, after), _side(self.image, width)
        heat = None
        for head in range(len(study.before)):
            pairs = ((self.image, before, "before"), (study.view, after, "after"))
            for k, (picture, grids, word) in enumerate(pairs):
                row, column = divmod(2 * head + k, columns)
                place = (MARGIN + column * (width + HEAD_GAP), top + row * (side + _HEAD) + _HEAD)
                axes = sheet.axes(*place, width, side)
                heat = drawing.show_heat(axes, picture, grids[head], study.geometry, ATTENTION_MAP, limits)
                drawing.title(axes, f"head {head} {word}", FONT_SIZE - 1)
                self._frame(axes, picture, 0.9)
        end = top + self._head_rows * (side + _HEAD) + 0.1
        sheet.bar(heat, MARGIN, end, PANEL_WIDTH, study.unit)


def block_title(region: str, prompt: str, study: Study, settings: Mapping[str, Any]) -> str:
    """The line above a block."""
    if study.similarity:
        return f"{prompt} · {region} · similarity of the read-out's dense features"
    layers = ", ".join(map(str, study.layers))
    if study.geometry.layers == 1:
        return f"{prompt} · {region} · attention of {study.whose} in the pooling layer, mean of the heads"
    kind = "masked layers" if study.bias is not None else "layers"
    words = "".join(f"; {key} {value}" for key, value in settings.items()) if study.bias is not None else ""
    return (
        f"{prompt} · {region} · attention of {study.whose}, mean of the heads and of the {kind} {layers} "
        f"of {study.geometry.layers}{words}"
    )


def _left(place: int) -> float:
    return MARGIN + place * (PANEL_WIDTH + GAP)


def _side(image: Image.Image, width: float) -> float:
    """Height of a panel for the picture, neither flat nor tall."""
    return min(max(width * image.height / image.width, 0.2 * width), 1.05 * width)


def _limits(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """One scale for two maps, so that their colours can be compared."""
    return float(min(first.min(), second.min())), float(max(first.max(), second.max()))
