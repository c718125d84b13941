"""Whether boxes are in pixels of their pictures: another unit, order or frame shows nowhere but in the numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from falip.errors import UserError
from falip.regions import Box, ImageSize, clip_box, ends_outside, in_unit_square

log = logging.getLogger(__name__)

ACCEPT_SWITCH = "task.dataset.accept_outside=true"
_NEARLY_ALL = 0.95  # a pixel's width at the origin is no object, so boxes in 0..1 are not there by chance


def check_unit(boxes: Iterable[Box], where: str) -> None:
    """Refuses a file of which all boxes, or all but a few, lie in 0..1, where pixels are read.

    Args:
        boxes: All boxes of the file, as corners.
        where: The file, for the message.

    Raises:
        UserError: Naming the file and the mend.
    """
    inside = [in_unit_square(box) for box in boxes]
    if inside and sum(inside) >= _NEARLY_ALL * len(inside):
        raise UserError(
            f"{where}: {sum(inside)} of {len(inside)} boxes lie in 0..1, and boxes are in pixels. Multiply x and width by "
            "the width of each picture, y and height by its height."
        )


def check_frame(
    pictures: Iterable[tuple[Path, Sequence[Box]]],
    where: str,
    size_of: Callable[[Path], ImageSize | None],
    accept_outside: bool,
) -> None:
    """Warns of boxes that end outside of their picture by more than rounding, and refuses a file where most do.

    Missing and broken pictures are passed over.

    Args:
        pictures: Each picture's file and its boxes, as corners.
        where: The file that has the boxes, for messages.
        size_of: (width, height) of a picture, from its header; None where it cannot be had.
        accept_outside: Whether a file is taken where most boxes do.

    Raises:
        UserError: Naming the file, the count and the switch.
    """
    count, outside, example = 0, 0, ""
    for path, boxes in pictures:
        size = size_of(path) if boxes else None
        if size is None:
            continue
        count += len(boxes)
        wrong = [box for box in boxes if ends_outside(box, size)]
        outside += len(wrong)
        if wrong and not example:
            example = f"{tuple(round(value, 2) for value in wrong[0])} in {path.name} ({size[0]} x {size[1]})"
    if not outside:
        return
    found = f"{where}: {outside} of {count} boxes end outside of their picture, such as (x0, y0, x1, y1) = {example}"
    if 2 * outside > count and not accept_outside:
        raise UserError(
            f"{found}. Are they corners where x, y, width, height are read, or those of other or resized pictures? To take "
            f"the parts inside: {ACCEPT_SWITCH}"
        )
    log.warning("%s; the parts inside are taken.", found)


def inside(box: Box, image_size: ImageSize) -> Box:
    """The box clipped to the image; one that has no area there becomes the pixel next to it."""
    x0, y0, x1, y1 = clip_box(box, image_size)
    if x1 > x0 and y1 > y0:
        return x0, y0, x1, y1
    x0, y0 = min(x0, image_size[0] - 1.0), min(y0, image_size[1] - 1.0)
    return x0, y0, max(x1, x0 + 1.0), max(y1, y0 + 1.0)
