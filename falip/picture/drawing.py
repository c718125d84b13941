"""The parts that drawings are made of: pictures with regions, and heat maps over the token grid."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from PIL import Image

from falip.geometry import Geometry
from falip.regions import Box, ImageSize

ATTENTION_MAP, BIAS_MAP, CHANGE_MAP = "viridis", "cividis", "PuOr_r"
# Okabe and Ito's colours, which the colour-blind can tell apart.
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6b6b6b"
FONT_SIZE = 9.0
LONGEST_SIDE = 800


class Drawn(Figure):
    """A figure that a notebook shows, whatever backend matplotlib has there."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.savefig(content, format="png", dpi=self.dpi)
        return content.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches; it needs no display."""
    return Drawn(figsize=(width, height), layout="constrained")


def title(axes: Axes, text: str, size: float = FONT_SIZE) -> None:
    """A title on the left, as text and never as a formula."""
    axes.set_title(literal(text), fontsize=size, loc="left")


def below(axes: Axes, words: str) -> None:
    """A line below a panel."""
    axes.set_xlabel(literal(words), fontsize=FONT_SIZE - 1, labelpad=3)


def literal(text: str) -> str:
    """Text that matplotlib draws as it is: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


def shortened(text: str, length: int) -> str:
    """The text, cut with an ellipsis where it is longer."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def show_picture(axes: Axes, image: Image.Image, size: tuple[int, int] | None = None) -> None:
    """A picture without ticks, in the pixel coordinates of `size` (its own by default); depth maps in grey."""
    width, height = size or image.size
    small = image.copy()
    if image.mode != "F":
        small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    options: dict[str, Any] = {"cmap": "gray"} if image.mode in ("F", "L") else {}
    axes.imshow(np.asarray(small), extent=(0, width, height, 0), interpolation="antialiased", **options)
    axes.set_xticks([])
    axes.set_yticks([])


def outline(axes: Axes, box: Box, colour: str = "white", style: Any = "-", width: float = 1.8) -> None:
    """A box with a dark rim, so that it shows on any picture."""
    x0, y0, x1, y1 = box
    for line, shade, dashes in ((width + 1.4, "black", "-"), (width, colour, style)):
        size = (x1 - x0, y1 - y0)
        axes.add_patch(Rectangle((x0, y0), *size, fill=False, ec=shade, lw=line, ls=dashes, zorder=3))


def contour(axes: Axes, mask: np.ndarray) -> None:
    """The rim of a mask (height, width) with a dark edge, in the pixel coordinates of its picture."""
    padded = np.pad(mask, 1).astype(float)  # so that a mask that ends with the picture has a rim there too
    across, down = np.arange(-0.5, mask.shape[1] + 1), np.arange(-0.5, mask.shape[0] + 1)
    limits = axes.get_xlim(), axes.get_ylim()
    for width, colour in ((2.6, "black"), (1.2, "white")):
        axes.contour(across, down, padded, levels=[0.5], colors=colour, linewidths=width, zorder=3)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def number(axes: Axes, box: Box, words: str) -> None:
    """A number at the upper left corner of a box."""
    style = {"boxstyle": "square,pad=0.15", "fc": "black", "ec": "white", "lw": 0.8}
    axes.text(box[0], box[1], words, color="white", fontsize=FONT_SIZE, va="top", ha="left", bbox=style, zorder=5)


def show_heat(
    axes: Axes,
    image: Image.Image,
    grid: np.ndarray,
    geometry: Geometry,
    cmap: str,
    limits: tuple[float, float],
    opacity: float = 0.78,
) -> AxesImage:
    """A heat map (rows, cols) of the token grid over the picture in pale grey.

    Returns:
        What a colour bar needs.
    """
    # What the map leaves visible is texture only, so the colours keep their meaning.
    grey = image if image.mode == "F" else image.convert("L").point([90 + value * 165 // 255 for value in range(256)])
    show_picture(axes, grey)
    if grey.mode == "L":
        axes.images[-1].set_clim(0, 255)
    x0, y0, x1, y1 = window(geometry, image.size)
    low, high = limits
    heat = axes.imshow(
        grid, extent=(x0, x1, y1, y0), cmap=cmap, vmin=low, vmax=high, alpha=opacity, interpolation="nearest", zorder=2
    )
    axes.set_xlim(0, image.width)
    axes.set_ylim(image.height, 0)
    return heat


def colour_bar(figure: Any, heat: AxesImage, axes: Any, label: str, horizontal: bool = False) -> None:
    """A colour bar with its unit, beside one panel or many, or below them."""
    many = isinstance(axes, np.ndarray)
    size, gap = (0.012, 0.01) if many else (0.046, 0.02)
    place = (
        {"location": "bottom", "fraction": 0.05, "pad": 0.03, "aspect": 30}
        if horizontal
        else {"fraction": size, "pad": gap}
    )
    bar = figure.colorbar(heat, ax=axes, **place)
    bar.set_label(label, fontsize=FONT_SIZE - 1)
    bar.ax.tick_params(labelsize=FONT_SIZE - 2)


def empty(axes: Axes, words: str) -> None:
    """A panel that says why it shows nothing."""
    axes.axis("off")
    axes.text(
        0.5, 0.5, words, ha="center", va="center", fontsize=FONT_SIZE, color=GREY, transform=axes.transAxes, wrap=True
    )


def window(geometry: Geometry, image_size: ImageSize) -> Box:
    """The part of an image that the token grid covers, in pixels of the image."""
    size, (left, top) = geometry.resized(image_size)
    across, down = image_size[0] / size[0], image_size[1] / size[1]
    side = geometry.image_size
    return left * across, top * down, (left + side) * across, (top + side) * down
