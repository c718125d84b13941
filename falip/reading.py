"""Picture files, and pictures of every mode of Pillow, as the RGB that CLIP takes; masks as whole numbers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from falip.errors import UserError
from falip.regions import ImageSize

log = logging.getLogger(__name__)

MEGAPIXELS = 64.0
"""How large a picture may be unless told otherwise: one of 64 megapixels takes about 1 GB to decode and to resize."""

_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_TIFF_BITS, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_END_OF_IMAGE, _START_OF_SCAN, _WITHOUT_LENGTH = b"\xff\xd9", 0xDA, (0x01, *range(0xD0, 0xD9))


def _converted(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


def _upper_byte(image: Image.Image) -> Image.Image:
    """Grey of 16 bits by its upper byte, as Pillow reads colour of 16 bits; its own conversion cuts at 255."""
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")


# What becomes of a picture of each mode. Where transparency hides pixels their stored colours are taken, as the
# released codes do with convert("RGB") (ReCLIP main.py, FALIP main.py), and a warning says so.
TO_RGB: Mapping[str, Callable[[Image.Image], Image.Image]] = dict.fromkeys(
    ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", *_PREMULTIPLIED), _converted
) | dict.fromkeys(("I;16", "I;16B", "I;16L", "I;16N"), _upper_byte)
NO_STATED_WHITE = {"I": "whole numbers of 32 bits", "F": "floating-point numbers"}

# Masks hold numbers and not colours, so modes that only mean colours are refused.
_ONE_CHANNEL = ("1", "L", "P", "LA", "PA", "I", "I;16", "I;16B", "I;16L", "I;16N")
_THREE_CHANNELS = ("RGB", "RGBA", "RGBX")


@dataclass(frozen=True)
class PictureReader:
    """Reads picture files so that every error names the file and the mend.

    Attributes:
        megapixels: The largest picture that is decoded; larger ones are refused by their header.
        upright: Whether pictures are turned as their EXIF data say. Boxes of published data sets belong to the pixels as
            they are stored; boxes that a person reads off a photo belong to what the viewer shows.
        setting: What raises `megapixels`, for messages.
        mend: What to do about a file that is no whole picture, a sentence.
    """

    megapixels: float = MEGAPIXELS
    upright: bool = False
    setting: str = "megapixels=..."
    mend: str = "Is it a whole picture file (PNG, JPEG, WebP)?"

    def __post_init__(self) -> None:
        """Rejects a limit that no picture meets."""
        if not self.megapixels > 0:
            raise UserError(f"{self.setting}: give a number of megapixels above 0, not {self.megapixels}.")

    def picture(self, path: Path) -> Image.Image:
        """An RGB picture.

        Raises:
            UserError: If the file is missing, too large, no whole picture, or of a mode without a stated white.
        """
        return as_rgb(self.stored(path), f"The image {path}")

    def stored(self, path: Path, what: str = "image") -> Image.Image:
        """A picture in the mode in which its file has it, decoded.

        Args:
            path: The file.
            what: What it is, for messages.

        Raises:
            UserError: If the file is missing, too large or no whole picture.
        """
        try:
            with path.open("rb") as file, _opened(file) as image:
                self._check_size(image.size, f"The {what} {path}")
                image.load()
                _check_depth(image)
                _check_end(file, image.format)
                return ImageOps.exif_transpose(image) if self.upright else image
        except UserError:
            raise
        except FileNotFoundError:
            raise UserError(f"There is no {what} file {path}. Check the path.") from None
        except Exception as error:  # a broken file makes Pillow raise almost anything, struct.error and KeyError included
            raise UserError(f"The {what} {path} cannot be decoded ({_words(error)}). {self.mend}") from None

    def size(self, path: Path) -> ImageSize | None:
        """(width, height) in pixels as the file's header has them; None where the file is missing or no picture."""
        try:
            with path.open("rb") as file, _opened(file) as image:
                return image.size
        except Exception:  # as above; what is wrong is said when the picture itself is read
            return None

    def _check_size(self, size: ImageSize, name: str) -> None:
        found = size[0] * size[1] / 1e6
        if found > self.megapixels:
            raise UserError(
                f"{name} has {size[0]} x {size[1]} pixels, {found:.4g} megapixels, and at most {self.megapixels:g} are "
                f"decoded. Make it smaller, or raise {self.setting}"
            )


def as_picture(given: Any) -> Image.Image:
    """A picture from what can only mean one: itself, the path of a file, or an array.

    Args:
        given: A picture of Pillow, as it is; a path, whose picture is turned as its EXIF data say, as viewers show it; or a
            uint8 array (height, width, 3), (height, width, 4) or (height, width).

    Raises:
        UserError: If the file cannot be read, or it is something else; the message says what to give.
    """
    if isinstance(given, Image.Image):
        return given
    if isinstance(given, str | Path):
        return PictureReader(upright=True).picture(Path(given).expanduser())
    if not isinstance(given, np.ndarray):
        raise UserError(
            f"The image has type {type(given).__name__}; falip takes a picture of Pillow, the path of a file, or a uint8 "
            "array of shape (height, width, 3)."
        )
    if given.dtype == np.uint8 and (given.ndim == 2 or (given.ndim == 3 and given.shape[2] in (3, 4))) and given.size:
        return as_rgb(Image.fromarray(given))
    mend = ""
    if given.ndim == 3 and given.shape[0] in (3, 4) and given.shape[2] not in (3, 4):
        mend = " Its channels come first: give array.transpose(1, 2, 0)."
    elif given.dtype.kind == "f":
        mend = " Where its numbers run from 0 to 1, give (255 * array).round().astype('uint8')."
    raise UserError(
        f"The image is an array of type {given.dtype} and shape {given.shape}; give uint8 of shape (height, width, 3)."
        f"{mend}"
    )


def as_rgb(image: Image.Image, name: str = "The image") -> Image.Image:
    """A picture of any mode as RGB, without what Pillow keeps of its transparency.

    Args:
        image: A picture.
        name: What messages call it.

    Raises:
        UserError: If its mode does not say which number is white, or is not known.
    """
    if image.mode not in TO_RGB:
        kind = NO_STATED_WHITE.get(image.mode, "a mode that is not known")
        raise UserError(
            f"{name} has mode {image.mode!r} ({kind}), which does not say which number is white. Save it with 8 bits for "
            "each channel, white as 255."
        )
    straight = _straight(image)
    hidden = np.count_nonzero(_alpha(straight) < 255)
    if hidden:
        log.warning("%s: %d of its pixels are transparent; the colours stored for them are taken.", name, hidden)
    if "transparency" in straight.info:
        straight = straight.copy()
        del straight.info["transparency"]
    return TO_RGB[image.mode](straight)


def mask_ids(image: Image.Image, name: str = "The mask") -> np.ndarray:
    """The number of each pixel of a mask, int64 (height, width).

    Grey and palettes have their own value; colours have R + 256 G + 65536 B (panopticapi, rgb2id).

    Raises:
        UserError: If the mode has colours that are no numbers, or numbers that are not whole.
    """
    image = _straight(image)
    if image.mode in _THREE_CHANNELS:
        red, green, blue = np.moveaxis(np.asarray(image)[..., :3].astype(np.int64), -1, 0)
        return red + 256 * green + 65536 * blue
    if image.mode in _ONE_CHANNEL:
        pixels = np.asarray(image)
        return (pixels if pixels.ndim == 2 else pixels[..., 0]).astype(np.int64)
    numbers = np.asarray(image)
    if image.mode == "F" and np.isfinite(numbers).all() and (numbers == numbers.round()).all():
        return numbers.astype(np.int64)
    raise UserError(
        f"{name} has mode {image.mode!r}, which holds no whole numbers. Save `mask > 0` as a grey PNG, 0 outside and 255 "
        "inside."
    )


def mask_inside(image: Image.Image, name: str = "The mask") -> np.ndarray:
    """Where a mask is not 0, boolean (height, width).

    Where a picture is of one colour and only its transparency varies, that is the mask; elsewhere what is wholly
    transparent is outside. Says so where there are values beside 0 and one other: ids, or the noise of a JPEG.

    Raises:
        UserError: As `mask_ids`.
    """
    image = _straight(image)
    ids = mask_ids(image, name)
    alpha = _alpha(image)
    if ids.min() == ids.max() and alpha.min() != alpha.max():
        ids = alpha.astype(np.int64)
        inside = ids != 0
    else:
        inside = _off_background(image, ids) & (alpha > 0)
    values = len(np.unique(ids[inside]))
    if values > 1:
        log.warning(
            "%s has %d values beside 0, and all of them count as inside. Is it a JPEG? Save masks as PNG, whose values "
            "stay what they are. Are they ids? Choose one: FILE:ID.", name, values,
        )  # fmt: skip
    return inside


def _off_background(image: Image.Image, index: np.ndarray) -> np.ndarray:
    """Where numbers are not 0; in a palette that has black elsewhere than at 0, where the colour is not black."""
    if image.mode not in ("P", "PA"):
        return index != 0
    colours = np.asarray(image.convert("RGB")).any(-1)
    zero_is_black = not image.getpalette() or not any((image.getpalette() or [])[:3])
    return np.not_equal(index, 0) if zero_is_black or colours.all() else np.asarray(colours)


def _straight(image: Image.Image) -> Image.Image:
    """The picture with colours that are not multiplied by their opacity."""
    return image.convert(_PREMULTIPLIED[image.mode]) if image.mode in _PREMULTIPLIED else image


def _alpha(image: Image.Image) -> np.ndarray:
    """Opacity, uint8 (height, width); without transparency, or where Pillow has none for the mode, 255."""
    if not image.has_transparency_data or image.mode.startswith("I"):
        return np.full((image.height, image.width), 255, np.uint8)
    return np.asarray(image.convert("RGBA").getchannel("A"))


_PILLOWS_LIMIT = threading.Lock()


@contextmanager
def _opened(file: BinaryIO) -> Iterator[Image.Image]:
    """A picture of which only the header is read; Pillow's own limit of size gives way to the reader's."""
    with _PILLOWS_LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(file)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image


def _check_depth(image: Image.Image) -> None:
    """Refuses grey TIFF files that Pillow opens as 16 bits although their white is not at 65,535."""
    tags = getattr(image, "tag_v2", {})
    deep = image.mode.startswith("I;16")
    if deep and (12 in np.atleast_1d(tags.get(_TIFF_BITS, 16)) or tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO):
        raise OSError("its white is not 65535; save it with 8 bits")


def _check_end(file: BinaryIO, form: str | None) -> None:
    """Refuses a JPEG without an end, such as a download of which the rest is zeros: libjpeg decodes those as grey."""
    if form not in ("JPEG", "MPO"):
        return
    file.seek(0)
    content = file.read()
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != _START_OF_SCAN:
        marker = content[at + 1]
        bare = marker in _WITHOUT_LENGTH
        at += 1 if marker == 0xFF else 2 if bare else 2 + int.from_bytes(content[at + 2 : at + 4])
    if content.find(_END_OF_IMAGE, at) < 0:
        raise OSError("the end of the JPEG is missing")


def _words(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is in no format that Pillow knows"
    return str(error) or type(error).__name__
