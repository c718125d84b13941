"""Prompts that edit the picture: crop, blur, grey, tint, ring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from falip.edited import cut, edited, moved, window_of, window_of_mask
from falip.errors import UserError, check_choice, check_number
from falip.geometry import Geometry
from falip.regions import Box, Region
from falip.views import Component, Views

Outside = Literal["keep", "blur", "grey"]
Area = Literal["box", "mask"]


class Picture(Protocol):
    """A prompt that only edits pixels, one picture at a time, and so can be composed with others."""

    version: ClassVar[int]

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def text_template(self) -> str | None:
        """How the prompt phrases an expression, or None."""
        ...

    def edit(self, image: Image.Image, region: Region, whole: WholeImage) -> tuple[Image.Image, Region]:
        """The edited picture, and the region in it, which moves where the picture is cropped."""
        ...


class WholeImage:
    """Filters of a whole picture, each computed once for the picture however many regions ask for it."""

    def __init__(self) -> None:
        self._filtered: dict[tuple[int, str], tuple[Image.Image, Image.Image]] = {}

    def filtered(self, image: Image.Image, name: str, apply: Callable[[Image.Image], Image.Image]) -> Image.Image:
        """`apply(image)`, remembered under its name for this very picture."""
        key = (id(image), name)
        if key not in self._filtered:
            # The picture is kept with its result, so that its id is not given to another one.
            self._filtered[key] = (image, apply(image))
        return self._filtered[key][1]


_shared: ContextVar[WholeImage | None] = ContextVar("filters that prompts share", default=None)


@contextmanager
def shared_filters() -> Iterator[None]:
    """Prompts called within compute the filters of a picture once for all of them; it must not change meanwhile."""
    if _shared.get() is not None:
        yield
        return
    token = _shared.set(WholeImage())
    try:
        yield
    finally:
        _shared.reset(token)


def filters() -> WholeImage:
    """Those that are shared, or new ones."""
    return _shared.get() or WholeImage()


def edited_views(prompt: Picture, image: Image.Image, regions: Sequence[Region]) -> Views:
    """The views of a prompt that edits the picture for each region."""
    whole = filters()
    clipped = [region.clipped(image.size) for region in regions]
    images = tuple(prompt.edit(image, region, whole)[0] for region in clipped)
    return Views(images, (Component(prompt.name, tuple(range(len(images)))),))


@dataclass(frozen=True)
class Plain:
    """No prompt: every region sees the same picture, so all of them get the same score."""

    name: str = "plain"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, for every region."""
        for region in regions:
            region.clipped(image.size)
        return Views((image,), (Component(self.name, (0,) * len(regions)),))


@dataclass(frozen=True)
class Crop:
    """The region's box is cut out (ReCLIP executor.py, lines 53 to 82); at least one pixel."""

    name: str = "crop"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """One cut-out for each region."""
        return edited_views(self, image, regions)

    def edit(self, image: Image.Image, region: Region, whole: WholeImage) -> tuple[Image.Image, Region]:
        """The cut-out; the region in it is all of it, or its mask or several boxes cut alike."""
        x0, y0, x1, y1 = box = _pixel_box(region.box, image)
        mask = None if region.mask is None else region.mask[y0:y1, x0:x1]
        parts = [_pixel_box(part, image) for part in region.boxes]
        moved = tuple((float(a - x0), float(b - y0), float(c - x0), float(d - y0)) for a, b, c, d in parts)
        # A proposal's mask may lie outside of its box.
        return image.crop(box), Region(moved, mask if mask is not None and mask.any() else None)


@dataclass(frozen=True)
class Blur:
    """All but the region is Gaussian-blurred (ReCLIP executor.py, lines 53 to 82).

    Attributes:
        radius: Of Pillow's Gaussian blur, in pixels of the image; ReCLIP chose 100.
        area: What stays sharp: the region's box, or its mask where it has one (FGVP's blur reverse mask, D4).
    """

    radius: float = 100.0
    area: Area = "box"
    name: str = "blur"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects parameters without meaning."""
        check_number("Blur", "radius", self.radius)
        check_choice("Blur", "area", self.area, get_args(Area))

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """One picture for each region, sharp there alone."""
        return edited_views(self, image, regions)

    def edit(self, image: Image.Image, region: Region, whole: WholeImage) -> tuple[Image.Image, Region]:
        """The sharp region on the blurred picture."""
        _check_colours(self.name, image)
        return _with_region(_outside(image, "blur", self.radius, whole), image, region, self.area), region


@dataclass(frozen=True)
class Grayscale:
    """All but the region is grey (FGVP's grayscale reverse).

    Attributes:
        area: What keeps its colours: the region's box, or its mask where it has one.
    """

    area: Area = "box"
    name: str = "grayscale"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects parameters without meaning."""
        check_choice("Grayscale", "area", self.area, get_args(Area))

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """One picture for each region, coloured there alone."""
        return edited_views(self, image, regions)

    def edit(self, image: Image.Image, region: Region, whole: WholeImage) -> tuple[Image.Image, Region]:
        """The coloured region on the grey picture."""
        _check_colours(self.name, image)
        return _with_region(_outside(image, "grey", 0, whole), image, region, self.area), region


@dataclass(frozen=True)
class RedCircle:
    """A red ellipse around the region (RedCircle, ICCV 2023), as the FALIP code draws it (executor.py, lines 153 to 178).

    The ellipse is inscribed in the box, its line max(1, int(longer side / 200)) pixels wide: the paper's size 1 is 0.5 %
    of the longer side. The three pictures of the RedCircle paper are an `Ensemble` of the three values of `outside`.

    Attributes:
        outside: What happens outside of the ellipse before the ring is drawn: nothing, blur or grey.
        radius: Radius of that blur in pixels of the image.
        width: Width of the line in pixels, or None for the rule above; at 0 no line is drawn.
        colour: RGB of the line.
    """

    outside: Outside = "keep"
    radius: float = 100.0
    width: int | None = None
    colour: tuple[int, int, int] = (255, 0, 0)
    name: str = "red_circle"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects parameters without meaning."""
        check_choice("RedCircle", "outside", self.outside, get_args(Outside))
        check_number("RedCircle", "radius", self.radius)
        check_number("RedCircle", "width", self.width or 0)

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """One picture for each region, with the ring of that region."""
        return edited_views(self, image, regions)

    def edit(self, image: Image.Image, region: Region, whole: WholeImage) -> tuple[Image.Image, Region]:
        """The picture with a ring around each box of the region."""
        _check_colours(self.name, image)
        window = window_of(region.boxes, image.size)
        patch, base, boxes = cut(image, window), image, moved(region.boxes, window)
        if self.outside != "keep":
            base = _outside(image, self.outside, self.radius, whole)
            inside = Image.new("L", patch.size, 0)
            for box in boxes:
                ImageDraw.Draw(inside).ellipse(box, fill=255)
            patch = Image.composite(patch, base.crop(window), inside)
        width = max(1, int(max(image.size) / 200)) if self.width is None else self.width
        for box in boxes:
            ImageDraw.Draw(patch).ellipse(box, outline=tuple(self.colour), width=width)
        return edited(base, window, patch), region


@dataclass(frozen=True)
class Shade:
    """The region's box is tinted, and the text says so: CPT adapted to CLIP (ReCLIP executor.py, lines 83 to 100 and 175).

    Attributes:
        colour: RGB of the tint.
        alpha: Its opacity, of 255.
        text_template: The expression and the colour; there is no prefix.
    """

    colour: tuple[int, int, int] = (240, 0, 30)
    alpha: int = 127
    name: str = "shade"
    text_template: str | None = "{} is in red color."
    version: ClassVar[int] = 1

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """One picture for each region, tinted there."""
        return edited_views(self, image, regions)

    def edit(self, image: Image.Image, region: Region, whole: WholeImage) -> tuple[Image.Image, Region]:
        """The picture with each box of the region tinted."""
        _check_colours(self.name, image)
        window = window_of(region.boxes, image.size)
        patch = cut(image, window).convert("RGBA")
        overlay = Image.new("RGBA", patch.size, (0, 0, 0, 0))
        for box in moved(region.boxes, window):
            ImageDraw.Draw(overlay).rectangle(box, fill=(*self.colour, self.alpha))
        return edited(image, window, Image.alpha_composite(patch, overlay).convert("RGB")), region


def _check_colours(name: str, image: Image.Image) -> None:
    """Raises a UserError for a depth map, of which a filter or a colour would make numbers without a meaning."""
    if image.mode != "RGB":
        raise UserError(
            f"{name} edits colours, and a picture of mode {image.mode!r} (a depth map) has none. Crop and the prompts that "
            "leave pixels alone (plain, foveal, hard_mask ...) take depth maps."
        )


def _outside(image: Image.Image, kind: Outside, radius: float, whole: WholeImage) -> Image.Image:
    if kind == "blur":
        return whole.filtered(image, f"blur {radius}", lambda picture: picture.filter(ImageFilter.GaussianBlur(radius)))
    return whole.filtered(image, "grey", lambda picture: picture.convert("L").convert("RGB"))


def _with_region(base: Image.Image, source: Image.Image, region: Region, area: Area) -> Image.Image:
    """The base with the region of the source in it."""
    if area == "mask" and region.mask is not None:
        window = x0, y0, x1, y1 = window_of_mask(region.mask)
        inside = Image.fromarray(region.mask[y0:y1, x0:x1].astype(np.uint8) * 255)
    else:
        # Pillow's rectangle takes in its last row and column; the reference pastes through such a mask.
        window = window_of(region.boxes, source.size)
        inside = Image.new("L", (window[2] - window[0], window[3] - window[1]), 0)
        for box in moved(region.boxes, window):
            ImageDraw.Draw(inside).rectangle(box, fill=255)
    patch = base.crop(window)
    patch.paste(cut(source, window), (0, 0), inside)
    return edited(base, window, patch)


def _pixel_box(box: Box, image: Image.Image) -> tuple[int, int, int, int]:
    """Whole pixels of a box, rounded as Pillow's crop rounds, and at least one."""
    x0, y0, x1, y1 = (round(value) for value in box)
    x0, y0 = min(x0, image.width - 1), min(y0, image.height - 1)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)
