"""What FGVP draws, with OpenCV (fine_grained_visual_prompt.py, lines 67 to 210)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from PIL import Image, ImageFilter

from falip.errors import UserError
from falip.prompts.fgvp.canvas import SIDE, Canvas
from falip.prompts.pictures import WholeImage

Area = Literal["all", "box", "circle", "mask", "point"]
Effect = Literal["none", "outline", "tint", "reverse", "paint", "blur", "grayscale"]

# FGVP main.py, lines 76 to 127.
LINE = (255, 0, 0)
COLOUR = (0, 255, 0)
THICKNESS = 2
WEIGHT = 0.5
BLUR = 100
POINT = int(0.06 * SIDE)


def opencv() -> Any:
    """The module cv2, which only these prompts need.

    Raises:
        UserError: If it is not installed, or cannot be loaded here.
    """
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            f"FGVP's prompts are drawn with OpenCV, which cannot be loaded here ({error}). Install it: "
            "pip install opencv-python-headless  (it is the extra falip[fgvp])."
        ) from error
    return cv2


def drawn(canvas: Canvas, area: Area, effect: Effect, whole: WholeImage) -> Image.Image:
    """The canvas with one effect on one area of it.

    Args:
        canvas: What is drawn on; it is left alone.
        area: What the region is taken for: everything, its boxes, the ellipses in them, its mask, or its centre.
        effect: Its outline in red; green at one half inside (tint) or outside (reverse); green outside (paint); the
            outside blurred or grey.
        whole: Remembers what is computed once for a canvas that several regions share.
    """
    if effect == "none":
        return canvas.picture
    if effect == "outline":
        return _outlined(canvas, area)
    inside = _inside(canvas, area)
    if effect == "blur":
        blurred = whole.filtered(canvas.picture, "fgvp blur", lambda p: p.filter(ImageFilter.GaussianBlur(BLUR)))
        return Image.composite(canvas.picture, blurred, Image.fromarray(inside.astype(np.uint8) * 255))
    painted = np.array(canvas.picture)
    if effect == "grayscale":
        painted[~inside] = np.asarray(whole.filtered(canvas.picture, "fgvp grey", _grey))[~inside]
        return Image.fromarray(painted)
    painted[inside if effect == "tint" else ~inside] = COLOUR
    if effect != "paint":
        painted = opencv().addWeighted(painted, WEIGHT, np.array(canvas.picture), 1 - WEIGHT, 0.0)
    return Image.fromarray(painted)


def _grey(picture: Image.Image) -> Image.Image:
    """Grey by the weights of BGR, taken of RGB, as the reference does it."""
    cv2 = opencv()
    return Image.fromarray(cv2.cvtColor(np.array(picture), cv2.COLOR_BGR2GRAY)).convert("RGB")


def _outlined(canvas: Canvas, area: Area) -> Image.Image:
    cv2, picture = opencv(), np.array(canvas.picture)
    if area == "mask":
        contours, _ = cv2.findContours(canvas.mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        return Image.fromarray(cv2.drawContours(picture, contours, -1, LINE, THICKNESS))
    if area == "point":
        for centre in canvas.centres.astype(int).tolist():
            picture = cv2.circle(picture, centre, POINT, LINE, THICKNESS)
        return Image.fromarray(picture)
    return Image.fromarray(_shapes(picture, canvas, area, LINE, THICKNESS))


def _inside(canvas: Canvas, area: Area) -> np.ndarray:
    """Bool (height, width)."""
    if area == "mask":
        return canvas.mask
    if area == "all":
        return np.ones_like(canvas.mask)
    return _shapes(np.zeros(canvas.mask.shape, np.uint8), canvas, area, 255, -1) > 0


def _shapes(picture: np.ndarray, canvas: Canvas, area: Area, colour: Any, thickness: int) -> np.ndarray:
    """The boxes of a region, or the ellipses in them, in whole pixels; a thickness of -1 fills them."""
    cv2 = opencv()
    for box in canvas.boxes:
        if area == "box":
            x0, y0, x1, y1 = box.astype(int).tolist()
            picture = cv2.rectangle(picture, (x0, y0), (x1, y1), colour, thickness)
        else:
            size = box[2:] - box[:2]
            centre, axes = (box[:2] + np.float32(0.5) * size).astype(int), (size / 2).astype(int)
            picture = cv2.ellipse(picture, centre.tolist(), axes.tolist(), 0, 0, 360, colour, thickness)
    return picture
