"""A figure on which axes and words have places in inches from its upper left corner."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from falip.picture import drawing

WIDTH = 17.0
MARGIN = 0.3
DPI = 100


class Sheet:
    """A page that is filled from its top.

    Attributes:
        figure: What is drawn on; its layout is that of the places given here.
        height: In inches.
    """

    def __init__(self, height: float) -> None:
        self.figure: Figure = drawing.new_figure(WIDTH, height)
        self.figure.set_layout_engine("none")
        self.figure.set_dpi(DPI)
        self.height = height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes of that size; what keeps an aspect of its own stands at the upper left of the place."""
        place = (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set_anchor("NW")
        return axes

    def words(self, left: float, top: float, text: str, size: float = drawing.FONT_SIZE, **style: Any) -> None:
        """A line, or several, whose upper left corner is there."""
        self.figure.text(
            left / WIDTH, 1 - top / self.height, drawing.literal(text), fontsize=size, va="top", ha="left", **style
        )

    def bar(self, heat: Any, left: float, top: float, width: float, label: str) -> None:
        """A flat colour bar with its unit below."""
        bar = self.figure.colorbar(heat, cax=self.axes(left, top, width, 0.09), orientation="horizontal")
        bar.set_label(label, fontsize=drawing.FONT_SIZE - 1, labelpad=1)
        bar.ax.tick_params(labelsize=drawing.FONT_SIZE - 2, pad=1, length=2)
        bar.locator = _few_ticks()
        bar.update_ticks()


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)
