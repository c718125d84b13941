"""What the command line is given, checked: image, regions, prompts."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from falip.errors import UserError
from falip.prompts import (
    Blur,
    Compose,
    Crop,
    Foveal,
    Grayscale,
    MaskInversion,
    MaskPool,
    Plain,
    RedCircle,
    ROIAlign,
    Shade,
    TextRegion,
)
from falip.reading import PictureReader, mask_ids, mask_inside
from falip.readouts.mask_pool import Kind
from falip.regions import Region, ends_outside, in_unit_square
from falip.views import Prompt

log = logging.getLogger(__name__)

IDS_SHOWN = 12
PROMPTS: dict[str, Callable[[Foveal], Prompt]] = {
    "plain": lambda _: Plain(),
    "crop": lambda _: Crop(),
    "blur": lambda _: Blur(),
    "red_circle": lambda _: RedCircle(),
    "shade": lambda _: Shade(),
    "grayscale": lambda _: Grayscale(),
    "foveal": lambda foveal: foveal,
    "falip": lambda foveal: foveal,
    **{kind: lambda _, kind=kind: MaskPool(kind) for kind in get_args(Kind)},
    "roi_align": lambda _: ROIAlign(),
    "text_region": lambda _: TextRegion(),
    "mask_inversion": lambda _: MaskInversion(),
}


@dataclass(frozen=True)
class MorePrompts:
    """Prompts and backbones by names that the library does not know, such as those of configurations.

    Attributes:
        names: All names of prompts.
        make: The prompt of a name; raises a `UserError` where it cannot be built.
        weights: What is loaded, and its revision, where a backbone is named so; another name stays what it is.
    """

    names: Sequence[str]
    make: Callable[[str], Prompt]
    weights: Callable[[str], tuple[str, str | None]] = lambda name: (name, None)


def picture_reader(megapixels: float) -> PictureReader:
    """Reads the pictures of the command line, turned as their EXIF data say: boxes are read off what a viewer shows."""
    return PictureReader(megapixels, upright=True, setting="--megapixels")


def check_texts(texts: Sequence[str]) -> None:
    """Refuses a text that is not valid Unicode, such as bytes of another encoding.

    Raises:
        UserError: Naming the text.
    """
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"--text {text!a} is not valid Unicode ({error.reason}). Type it in UTF-8.") from None


def read_mask(text: str, image: Image.Image, reader: PictureReader) -> Region:
    """The region of a mask FILE, every pixel that is not 0, or of FILE:ID, every pixel of that number.

    Raises:
        UserError: If it cannot be read, has another size than the image, or has no such pixel.
    """
    path, wanted = _mask_and_id(text)
    mask, name = reader.stored(path, "mask"), f"The mask {path}"
    if mask.size != image.size:
        raise UserError(
            f"{name} has {mask.width} x {mask.height} pixels, but the image has {image.width} x {image.height} (turned "
            "upright, where its EXIF data say so). Give a mask of the image's size."
        )
    if wanted is None:
        inside = mask_inside(mask, name)
    else:
        ids = mask_ids(mask, name)
        inside = ids == wanted
        if not inside.any():
            found = ", ".join(map(str, np.unique(ids)[:IDS_SHOWN]))
            raise UserError(f"{name} has no pixel of id {wanted}; it has {found} (colours: R + 256 G + 65536 B).")
    try:
        return Region.from_mask(inside)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _mask_and_id(text: str) -> tuple[Path, int | None]:
    path, colon, number = text.rpartition(":")
    if colon and re.fullmatch("[0-9]{1,9}", number) and not os.path.lexists(text):
        return Path(path), int(number)
    return Path(text), None


def read_boxes(texts: Sequence[str], image: Image.Image, accept_outside: bool) -> dict[str, Region]:
    """The regions of boxes x0,y0,x1,y1 by their texts.

    Args:
        texts: As given on the command line.
        image: The picture that they are in.
        accept_outside: Whether they are taken where most of them end outside of the picture.

    Raises:
        UserError: If one is not four numbers, is empty, is in shares of the image instead of pixels, or lies outside, or
            if most end outside.
    """
    boxes = {text: read_box(text, image) for text in texts}
    outside = [text for text, region in boxes.items() if ends_outside(region.box, image.size)]
    if outside:
        found = (
            f"{len(outside)} of {len(boxes)} boxes end outside of the image of {image.width} x {image.height} pixels, such "
            f"as --box {outside[0]}"
        )
        if 2 * len(outside) > len(boxes) and not accept_outside:
            raise UserError(
                f"{found}. Are they x,y,width,height, or of another image? A box is x0,y0,x1,y1 in pixels. To take the "
                "parts inside: --accept-outside"
            )
        log.warning("%s; the parts inside are taken.", found)
    return boxes


def read_box(text: str, image: Image.Image) -> Region:
    """The region of a box x0,y0,x1,y1.

    Raises:
        UserError: If it is not four numbers, is empty, is in shares of the image instead of pixels, or lies outside.
    """
    try:
        corners = [float(part) for part in text.split(",")]
    except ValueError:
        corners = []
    if len(corners) != 4:
        raise UserError(f"--box {text}: give four numbers x0,y0,x1,y1 in pixels of the image, without spaces.")
    x0, y0, x1, y1 = corners
    if x1 <= x0 or y1 <= y0:
        raise UserError(
            f"--box {text}: x0,y0 is the upper left corner and x1,y1 the lower right one, so x0 < x1 and y0 < y1."
        )
    region = Region.from_box(*corners)
    if in_unit_square(region.box) and image.size != (1, 1):
        scaled = ",".join(f"{value * side:g}" for value, side in zip(corners, image.size * 2, strict=True))
        raise UserError(
            f"--box {text} lies in 0..1, and boxes are in pixels: {scaled} in this image of {image.width} x {image.height}?"
        )
    region.clipped(image.size)
    return region


def read_prompts(names: str, foveal: Foveal, more: MorePrompts | None = None) -> dict[str, Prompt]:
    """Prompts by the names given: separated by commas, or joined by + into one view.

    Args:
        names: As given.
        foveal: What `foveal` and `falip` mean.
        more: Prompts beside those of `PROMPTS`.

    Raises:
        UserError: If a name is not known.
    """
    wanted = [name for name in dict.fromkeys(part.strip() for part in names.split(",")) if name]
    if not wanted:
        raise UserError(f"--prompt {names!r} names no prompt. Choose from {', '.join(PROMPTS)}.")
    return {name: _prompt(name, foveal, more or MorePrompts((), _none)) for name in wanted}


def _prompt(name: str, foveal: Foveal, more: MorePrompts) -> Prompt:
    known = list(dict.fromkeys([*PROMPTS, *more.names]))
    parts: Sequence[str] = name.split("+")
    unknown = [part for part in parts if part not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(
            f"--prompt {name}: there is no prompt {unknown[0]!r}.{hint} Choose from {', '.join(known)}; "
            "+ joins two in one view."
        )
    chosen = [PROMPTS[part](foveal) if part in PROMPTS else more.make(part) for part in parts]
    return chosen[0] if len(chosen) == 1 else Compose(chosen)  # pyright: ignore[reportArgumentType]


def _none(name: str) -> Prompt:
    raise UserError(f"There is no prompt {name!r}.")
