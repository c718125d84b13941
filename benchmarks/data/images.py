"""Reading pictures and class id maps, decoded in full so that a broken file is found where it is read."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from benchmarks.data.files import existing
from falip.errors import UserError


def read_image(path: Path, mend: str) -> Image.Image:
    """A picture of mode RGB.

    The EXIF orientation is not applied, as in the reference (ReCLIP main.py, FALIP main.py): the boxes of
    COCO belong to the pixels as they are stored.

    Args:
        path: The file.
        mend: The command that fetches it.

    Raises:
        UserError: If the file is missing, broken or no picture.
    """
    existing(path, "image", mend)
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"The image {path} cannot be decoded ({error}). Delete it and fetch it again: {mend}") from None
