"""The region blacked out: what the picture is without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, get_args

from PIL import Image

from falip.edited import cut, edited, window_of_mask
from falip.errors import check_choice
from falip.geometry import Geometry
from falip.prompts.pictures import Area, WholeImage, edited_views
from falip.regions import Region
from falip.views import Views


@dataclass(frozen=True)
class Blackout:
    """The region's pixels become black, or 0 in a depth map.

    By itself it says what the rest of the picture shows; `Ensemble([Plain(), Blackout()], weights=[1, -1])` scores what
    the region adds.

    Attributes:
        area: What is blacked out: the region's box, or its mask where it has one.
    """

    area: Area = "box"
    name: str = "blackout"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects an unknown area."""
        check_choice("Blackout", "area", self.area, get_args(Area))

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """One picture for each region, black there."""
        return edited_views(self, image, regions)

    def edit(self, image: Image.Image, region: Region, whole: WholeImage) -> tuple[Image.Image, Region]:
        """The picture without the region."""
        shown = region if self.area == "mask" else Region(region.boxes)
        inside = shown.pixels(image.size)
        window = x0, y0, x1, y1 = window_of_mask(inside)
        patch = cut(image, window)
        patch.paste(0 if image.mode == "F" else (0, 0, 0), None, Image.fromarray(inside[y0:y1, x0:x1]))
        return edited(image, window, patch), region
