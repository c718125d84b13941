"""Whether pictures are whole: a mirror's half JPEG has a right beginning, and often nothing states its length.

A picture is decoded, by the library that the loaders read it with: what passes here can be evaluated, and what cannot be
evaluated does not pass. An end marker would be cheaper and wrong both ways: thumbnails within a picture carry one, and
whole pictures may have bytes behind theirs. JPEGs are decoded at an eighth of their size, for which the coded data is
still read to its end: 1.4 ms for 640 x 480 pixels, so COCO's 82,783 take two minutes on one core, and much less than
their transfer.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png")
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
"""What pictures of data sets are, whatever their suffix says: some of ImageNet's .JPEG files are PNG."""
PIXELS = 100_000_000
"""A header that claims more is not believed, and nothing decoded."""
WORKERS = 4


def is_picture(name: str | Path) -> bool:
    """Whether a file is a picture by its name; archives made on a Mac have a hidden "._name.jpg" beside each."""
    return Path(name).suffix.lower() in SUFFIXES and not Path(name).name.startswith(".")


def fault(path: Path, formats: tuple[str, ...] = FORMATS) -> str:
    """What is wrong with a picture; "" if it is whole.

    Args:
        path: The file.
        formats: Pillow's names of the formats that it may have.
    """
    try:
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > PIXELS:
                return f"claims {image.width} x {image.height} pixels"
            image.draft(None, (1, 1))
            image.load()
    except Image.UnidentifiedImageError:
        return f"is not a {' or '.join(formats[:2])} image"
    except Exception as error:  # Pillow's readers raise whatever the bytes make them stumble over
        return f"is not a whole image ({' '.join(str(error).split()) or type(error).__name__})"
    return ""


def jpeg_fault(path: Path) -> str:
    """As `fault`, of a file that has to be a JPEG."""
    return fault(path, ("JPEG",))


def broken(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """What is wrong with the pictures among the named files of a folder, by name; empty if all are whole."""
    chosen = [name for name in names if is_picture(name)]
    with ThreadPoolExecutor(WORKERS) as pool:  # Pillow decodes without the interpreter's lock
        faults = pool.map(lambda name: fault(folder / name), chosen)
        return {name: found for name, found in zip(chosen, faults, strict=True) if found}
