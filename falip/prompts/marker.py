"""Markers drawn on the picture: circle, box, arrow and cross, in any colour and width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from PIL import Image, ImageColor, ImageDraw

from falip.edited import edited, window_of
from falip.errors import UserError, check_choice, check_number
from falip.geometry import Geometry
from falip.prompts.pictures import WholeImage
from falip.regions import Box, Region
from falip.views import Component, Views

Shape = Literal["circle", "box", "arrow", "cross"]
Side = Literal["larger", "shorter"]
Point = tuple[float, float]

UNIT = 200  # widths count in 0.5 % of a side: RedCircle, table 10; 1 px at 224
_HEAD = 1 / 3  # of an arrow's shaft, and how far its sides lie apart from it; no source says what arrows look like
_HEAD_ANGLE = math.radians(30)


@dataclass(frozen=True)
class Marker:
    """A marker on the picture, as RedCircle's study of markers has them (ICCV 2023, tables 2 and 10).

    Circle and box are inscribed in the region's box, the strokes of a cross are diameters of that ellipse, and an arrow
    leads from its edge to its centre; the paper says that much of the circle's line alone. A red circle of width 1 is
    `RedCircle`. A region that ends outside of the picture is marked where it is, and the picture cuts the marker off.

    Attributes:
        shape: "circle", "box", "arrow" or "cross".
        colour: A name of CSS or anything else that Pillow takes for a colour, such as "#00ff00".
        width: Of the line, in units of 0.5 % of a side of the image; at least one pixel is drawn.
        side: The side that this is a share of: the larger one (table 10) or the shorter one (appendix 8.2, keypoints).
        angle: Degrees by which strokes are turned: a cross stands upright at 0 and has diagonals at 45; an arrow comes from
            the left at 0 and from the upper left at 45.
    """

    shape: Shape = "circle"
    colour: str = "red"
    width: float = 1.0
    side: Side = "larger"
    angle: float = 45.0
    name: str = "marker"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects parameters without meaning."""
        check_choice("Marker", "shape", self.shape, get_args(Shape))
        check_choice("Marker", "side", self.side, get_args(Side))
        check_number("Marker", "width", self.width)
        check_number("Marker", "angle", self.angle)
        try:
            ImageColor.getrgb(self.colour)
        except ValueError:
            raise UserError(
                f"Marker: colour={self.colour!r} is no colour. Give a name of CSS such as red, green, blue, yellow or "
                "purple, or a value such as '#00ff00'."
            ) from None

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """One picture for each region, with the marker of that region."""
        for region in regions:
            region.clipped(image.size)
        whole = WholeImage()
        images = tuple(self.edit(image, region, whole)[0] for region in regions)
        return Views(images, (Component(self.name, tuple(range(len(images)))),))

    def edit(self, image: Image.Image, region: Region, whole: WholeImage) -> tuple[Image.Image, Region]:
        """The picture with a marker for each box of the region."""
        if image.mode != "RGB":
            raise UserError(
                f"{self.name} edits colours, and a picture of mode {image.mode!r} (a depth map) has none. Crop and the "
                "prompts that leave pixels alone (plain, foveal, hard_mask ...) take depth maps."
            )
        picture = image.copy()
        side = max(image.size) if self.side == "larger" else min(image.size)
        width = max(1, int(self.width * side / UNIT))
        for box in region.boxes:
            self._draw(ImageDraw.Draw(picture), box, width)
        # Lines are drawn where they are, since Pillow's slopes round by the place; the window is what they can touch.
        window = window_of([*region.boxes, *map(_bounds, self._strokes(region.boxes))], image.size, margin=width + 1)
        return edited(image, window, picture.crop(window)), region

    def _strokes(self, boxes: Sequence[Box]) -> list[tuple[Point, Point]]:
        """Lines of arrows and crosses."""
        shape = {"arrow": _arrow, "cross": _cross}.get(self.shape)
        return [stroke for box in boxes for stroke in shape(box, self.angle)] if shape else []

    def _draw(self, canvas: ImageDraw.ImageDraw, box: Box, width: int) -> None:
        colour = ImageColor.getrgb(self.colour)
        if self.shape == "circle":
            canvas.ellipse(box, outline=colour, width=width)
        elif self.shape == "box":
            canvas.rectangle(box, outline=colour, width=width)
        else:
            for stroke in self._strokes([box]):
                ends = [(round(x), round(y)) for x, y in stroke]  # Pillow cuts fractions off, and 89.999 would be 89
                canvas.line(ends, fill=colour, width=width)


def _cross(box: Box, angle: float) -> list[tuple[Point, Point]]:
    """Two diameters of the inscribed ellipse."""
    turns = (math.radians(angle), math.radians(angle + 90))
    return [(_on_ellipse(box, turn), _on_ellipse(box, turn + math.pi)) for turn in turns]


def _arrow(box: Box, angle: float) -> list[tuple[Point, Point]]:
    """A shaft from the edge of the inscribed ellipse to its centre, and the two sides of the head there."""
    tip, start = _centre(box), _on_ellipse(box, math.radians(angle) + math.pi)
    length, back = math.dist(start, tip), math.atan2(start[1] - tip[1], start[0] - tip[0])
    sides = [back - _HEAD_ANGLE, back + _HEAD_ANGLE]
    ends = [(tip[0] + _HEAD * length * math.cos(turn), tip[1] + _HEAD * length * math.sin(turn)) for turn in sides]
    return [(start, tip), *((tip, end) for end in ends)]


def _bounds(stroke: tuple[Point, Point]) -> Box:
    (x0, y0), (x1, y1) = stroke
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _centre(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _on_ellipse(box: Box, turn: float) -> Point:
    """The point of the ellipse inscribed in a box at an angle in radians, 0 to the right and growing downwards."""
    x, y = _centre(box)
    return x + (box[2] - box[0]) / 2 * math.cos(turn), y + (box[3] - box[1]) / 2 * math.sin(turn)
