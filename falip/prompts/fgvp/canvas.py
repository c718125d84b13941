"""What FGVP draws on: the picture, or a cut-out of it, with its shorter side at 384 pixels, and the region on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from falip.errors import UserError
from falip.regions import Box, ImageSize, Region

SIDE = 384  # of the canvas and of the first square: `--clip_image_size 384` in all of FGVP's commands
LARGEST = 150_000_000  # pixels of a canvas: a line across any picture of COCO, 1 by 640, has 94 million


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture to draw on and the region on it.

    Attributes:
        picture: RGB, its shorter side at 384 pixels.
        boxes: float32 (boxes, 4), corners in pixels of the canvas, no further than its last row and column.
        centres: float32 (boxes, 2), their centres.
        mask: bool (height, width): the pixels of the region.
    """

    picture: Image.Image
    boxes: np.ndarray
    centres: np.ndarray
    mask: np.ndarray


def resized(image: Image.Image) -> Image.Image:
    """The picture with its shorter side at 384 pixels (FGVP transforms.py, lines 20 to 39), Pillow's bilinear.

    Raises:
        UserError: If it is so thin that this takes more than `LARGEST` pixels.
    """
    scale = SIDE / min(image.size)
    width, height = (int(side * scale + 0.5) for side in image.size)
    if width * height > LARGEST:
        raise UserError(
            f"FGVP enlarges the shorter side to {SIDE} pixels, which of {image.width} x {image.height} makes {width} x "
            f"{height}, more than {LARGEST // 1_000_000} megapixels. Leave thin boxes out (task.min_area=...), or widen it."
        )
    return image.resize((width, height), Image.Resampling.BILINEAR)


def whole_canvas(image: Image.Image, region: Region, picture: Image.Image) -> Canvas:
    """The region on the whole picture (FGVP fine_grained_visual_prompt.py, lines 99 to 112).

    Args:
        image: The picture as it is.
        region: In pixels of it.
        picture: `resized(image)`, which the regions of a picture share.
    """
    # float32 throughout, as the reference's tensors: a coordinate is truncated to whole pixels later.
    scale = np.array([picture.width / image.width, picture.height / image.height], np.float32)
    boxes = np.array(region.boxes, np.float32)
    centres = (boxes[:, :2] + boxes[:, 2:]) / np.float32(2) * scale
    last = np.array([picture.width - 1, picture.height - 1] * 2, np.float32)
    corners = np.clip(boxes * np.tile(scale, 2), np.float32(0), last)
    return Canvas(picture, corners, centres, _resized_mask(pixels(region, image.size), picture.size))


def cut_canvas(image: Image.Image, region: Region) -> Canvas:
    """The region's box cut out, its mask with it (FGVP fine_grained_visual_prompt.py, lines 50 to 66)."""
    x0, y0, x1, y1 = box = whole_pixels(region.box, image.size)
    picture = resized(image.crop(box))
    mask = _resized_mask(pixels(region, image.size)[y0:y1, x0:x1], picture.size)
    corners = np.array([[0, 0, picture.width - 1, picture.height - 1]], np.float32)
    return Canvas(picture, corners, corners[:, 2:] / 2, mask)


def pixels(region: Region, image_size: ImageSize) -> np.ndarray:
    """Bool (height, width): the mask of a region, or the pixels of its boxes where it has none."""
    if region.mask is not None:
        return region.mask
    inside = np.zeros(image_size[::-1], bool)
    for box in region.boxes:
        x0, y0, x1, y1 = whole_pixels(box, image_size)
        inside[y0:y1, x0:x1] = True
    return inside


def whole_pixels(box: Box, image_size: ImageSize) -> tuple[int, int, int, int]:
    """The box truncated to whole pixels, at least one."""
    x0, y0, x1, y1 = (int(value) for value in np.array(box, np.float32))
    x0, y0 = min(x0, image_size[0] - 1), min(y0, image_size[1] - 1)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _resized_mask(mask: np.ndarray, size: ImageSize) -> np.ndarray:
    """Bilinear on floats; inside is whatever is above 0."""
    import torch
    from torch.nn.functional import interpolate

    grey = torch.from_numpy(np.ascontiguousarray(mask)).float()[None, None]
    return (interpolate(grey, size[::-1], mode="bilinear", align_corners=False)[0, 0] > 0).numpy()
