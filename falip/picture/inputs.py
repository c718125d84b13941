"""What the command line is given, checked: image, regions, prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from falip.errors import UserError
from falip.prompts import Blur, Compose, Crop, Foveal, Grayscale, Plain, RedCircle, Shade
from falip.regions import Region
from falip.views import Prompt

PROMPTS: dict[str, Callable[[Foveal], Prompt]] = {
    "plain": lambda _: Plain(),
    "crop": lambda _: Crop(),
    "blur": lambda _: Blur(),
    "red_circle": lambda _: RedCircle(),
    "shade": lambda _: Shade(),
    "grayscale": lambda _: Grayscale(),
    "foveal": lambda foveal: foveal,
    "falip": lambda foveal: foveal,
}


def read_image(path: Path) -> Image.Image:
    """An RGB picture.

    Raises:
        UserError: If there is no such file or it is not a whole picture.
    """
    return _opened(path, "image").convert("RGB")


def read_mask(path: Path, image: Image.Image) -> Region:
    """The region of a mask file: every pixel that is not 0.

    Raises:
        UserError: If it cannot be read, has another size than the image, or is empty.
    """
    mask = _opened(path, "mask")
    if mask.size != image.size:
        raise UserError(
            f"The mask {path} has {mask.width} x {mask.height} pixels, but the image has {image.width} x {image.height}. "
            "Give a mask of the image's size."
        )
    pixels = np.asarray(mask if mask.mode in ("1", "L", "P", "I", "I;16") else mask.convert("L"))
    try:
        return Region.from_mask(pixels)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _opened(path: Path, what: str) -> Image.Image:
    if not path.is_file():
        raise UserError(f"There is no {what} file {path}. Check the path.")
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"The {what} {path} cannot be read: {error}. Is it a whole picture file (PNG, JPEG, WebP)?"
        ) from error


def read_box(text: str, image: Image.Image) -> Region:
    """The region of a box x0,y0,x1,y1.

    Raises:
        UserError: If it is not four numbers, is empty or lies outside of the image.
    """
    try:
        corners = [float(number) for number in text.split(",")]
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
    region.clipped(image.size)
    return region


def read_prompts(names: str, foveal: Foveal) -> dict[str, Prompt]:
    """Prompts by the names given: separated by commas, or joined by + into one view.

    Raises:
        UserError: If a name is not known.
    """
    return {name: _prompt(name, foveal) for name in dict.fromkeys(part.strip() for part in names.split(",")) if name}


def _prompt(name: str, foveal: Foveal) -> Prompt:
    parts: Sequence[str] = name.split("+")
    unknown = [part for part in parts if part not in PROMPTS]
    if unknown:
        raise UserError(
            f"--prompt {name}: there is no prompt {unknown[0]!r}. Choose from {', '.join(PROMPTS)}; "
            "+ joins two in one view."
        )
    chosen = [PROMPTS[part](foveal) for part in parts]
    return chosen[0] if len(chosen) == 1 else Compose(chosen)  # pyright: ignore[reportArgumentType]
