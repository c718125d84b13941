"""Small whole pictures, each of its own."""

import io

import numpy as np
from PIL import Image


def noise(seed: int, size: tuple[int, int] = (64, 48), form: str = "JPEG", **options: object) -> bytes:
    """A picture of noise, which compression does not make much smaller."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=form, **options)
    return buffer.getvalue()
