"""Alpha-CLIP's prompt: the region as a fourth input channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from PIL import Image

from falip.geometry import Geometry
from falip.regions import ImageSize, Region
from falip.views import Component, Views


class ChannelPrompt(Protocol):
    """A prompt that fills the alpha channel, and so can be composed with edits of the picture and biases."""

    version: ClassVar[int]

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def text_template(self) -> str | None:
        """How the prompt phrases an expression, or None."""
        ...

    def alpha_map(self, region: Region, image_size: ImageSize, geometry: Geometry) -> np.ndarray | None:
        """The map of a region of a picture of (width, height) pixels; None looks at all of it."""
        ...


@dataclass(frozen=True)
class Alpha:
    """The region's mask goes in as the alpha channel and the picture stays as it is (Alpha-CLIP, arXiv:2312.03818).

    A region of boxes is the mask of their pixels, corners rounded to whole ones. Needs a backbone with Alpha-CLIP's visual
    weights, `falip.load_backbone(base, alpha_weights=FILE)`; on such a one all other prompts look at the whole picture.
    A region outside of CLIP's centre crop leaves everything as it is.
    """

    name: str = "alpha"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, with one map for each region."""
        maps = tuple(self.alpha_map(region.clipped(image.size), image.size, geometry) for region in regions)
        return Views((image,), (Component(self.name, (0,) * len(regions), alpha=maps),))

    def alpha_map(self, region: Region, image_size: ImageSize, geometry: Geometry) -> np.ndarray | None:
        """The region's mask, or None where the model sees nothing of it."""
        mask = region.pixels(image_size)
        return mask if geometry.token_mask(mask, image_size).any() else None
