"""Small pictures inside the HTML that a notebook shows; matplotlib is not needed."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO

import numpy as np
from PIL import Image

SIDE = 160  # pixels


def picture_tag(image: Image.Image, title: str = "") -> str:
    """An `<img>` of a picture, at most `SIDE` pixels on a side; depth maps in grey from their least to their greatest."""
    if image.mode == "F":
        depth = np.asarray(image)
        scaled = (depth - depth.min()) / max(float(depth.max() - depth.min()), 1e-9)
        image = Image.fromarray((255 * scaled).astype(np.uint8))
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    content = BytesIO()
    small.save(content, "PNG")
    data = base64.b64encode(content.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" title="{escape(title)}" alt="{escape(title)}">'


def mask_tag(mask: np.ndarray) -> str:
    """An `<img>` of a mask (height, width), white inside."""
    return picture_tag(Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)), "mask")


def table(rows: Iterable[Sequence[str]]) -> str:
    """A table of texts."""
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
