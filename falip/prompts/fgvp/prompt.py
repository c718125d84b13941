"""FGVP: Fine-Grained Visual Prompting (NeurIPS 2023, arXiv:2306.04356; ylingfeng/FGVP, fgvp-reclip)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image

from falip.errors import UserError, check_choice
from falip.geometry import Geometry
from falip.prompts.fgvp.canvas import cut_canvas, resized, whole_canvas
from falip.prompts.fgvp.drawing import Area, Effect, drawn, opencv
from falip.prompts.fgvp.resize import TwoResizes
from falip.prompts.pictures import WholeImage, filters
from falip.regions import Region
from falip.views import Component, Views

CUTS: dict[str, tuple[Area, Effect]] = {
    "crop": ("all", "none"),
    "cpt": ("all", "tint"),
    "cpt_seg": ("mask", "tint"),
    "ov_seg": ("mask", "paint"),
    "blur_seg": ("mask", "blur"),
}
DRAWINGS: dict[str, tuple[Area, Effect]] = {
    "keypoint": ("point", "outline"),
    "box": ("box", "outline"),
    "circle": ("circle", "outline"),
    "contour": ("mask", "outline"),
    "box_mask": ("box", "tint"),
    "circle_mask": ("circle", "tint"),
    "mask": ("mask", "tint"),
    "reverse_box_mask": ("box", "reverse"),
    "reverse_circle_mask": ("circle", "reverse"),
    "reverse_mask": ("mask", "reverse"),
    "blur_box_mask": ("box", "blur"),
    "blur_circle_mask": ("circle", "blur"),
    "blur_mask": ("mask", "blur"),
    "grayscale_box_mask": ("box", "grayscale"),
    "grayscale_circle_mask": ("circle", "grayscale"),
    "grayscale_mask": ("mask", "grayscale"),
}


@dataclass(frozen=True)
class FGVP:
    """One of FGVP's 21 prompts, drawn and resized as FGVP does.

    The picture, or the region's box cut out of it, is resized so that its shorter side has 384 pixels, drawn on with
    OpenCV, normalised, and resized twice without anti-aliasing. FGVP's programs make masks with SAM and then draw on the
    picture as it was resized for SAM; here the picture itself is resized. What is drawn by a mask takes the pixels of
    the boxes where a region has none, what is drawn by a box takes a mask's bounding box where that is all there is.

    Attributes:
        drawing: FGVP's name of it (main.py, lines 69 to 75).
        name: What tables call it; "fgvp_" and the drawing by default.
    """

    drawing: str
    name: str = ""
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects a drawing that FGVP does not have."""
        check_choice("FGVP", "drawing", self.drawing, (*CUTS, *DRAWINGS))
        if not self.name:
            object.__setattr__(self, "name", f"fgvp_{self.drawing}")

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """One picture for each region.

        Raises:
            UserError: If OpenCV is not installed, or the picture is a depth map.
        """
        opencv()
        if image.mode != "RGB":
            raise UserError(f"{self.name} draws in colour, so it takes RGB pictures; this one has mode {image.mode!r}.")
        clipped, whole = [region.clipped(image.size) for region in regions], filters()
        images = tuple(self._drawn(image, region, whole) for region in clipped)
        whole_picture = self.drawing not in CUTS
        component = Component(self.name, tuple(range(len(images))), preparation=TwoResizes(), scaled=whole_picture)
        return Views(images, (component,))

    def _drawn(self, image: Image.Image, region: Region, whole: WholeImage) -> Image.Image:
        if self.drawing in CUTS:
            return drawn(cut_canvas(image, region), *CUTS[self.drawing], WholeImage())
        canvas = whole_canvas(image, region, whole.filtered(image, "fgvp canvas", resized))
        return drawn(canvas, *DRAWINGS[self.drawing], whole)
