"""ROIAlign of MaskCLIP's features: what CLIPSelf and FG-CLIP score regions by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np
from PIL import Image

from falip.dense import Blocks, Place, Reading
from falip.errors import check_choice
from falip.geometry import Geometry
from falip.readouts.cover import filled, token_weights
from falip.readouts.mask_pool import maskclip
from falip.readouts.pooling import PatchMeans
from falip.regions import Box, ImageSize, Region
from falip.views import Component, Views

if TYPE_CHECKING:
    from torch import Tensor

Area = Literal["box", "mask"]


@dataclass(frozen=True)
class ROIAlign(PatchMeans):
    """MaskCLIP's dense features, sampled in the region's box and averaged (CLIPSelf, arXiv:2310.01403).

    torchvision's roi_align with one bin, aligned, ceil(side in patches) samples along each side at the middle of equal
    parts, bilinear (CLIPSelf src/open_clip/transformer.py, lines 247 to 260 and 685 to 722). A region of several boxes has
    the mean of theirs; one so narrow that it would have no sample has the patch that holds its centre.

    Attributes:
        unit_tokens: Whether the features of each patch get unit length first, as in CLIPSelf; FG-CLIP leaves them
            (v1.0, fgclip/model/clip_strc/fgclip.py, lines 183 to 194 and 247 to 261).
        area: `box`, or `mask`: the mean over the patches of the region's mask where it has one (CLIPSelf, lines 525 to
            535), made as small as the grid as its loader does it.
    """

    unit_tokens: bool = True
    area: Area = "box"
    name: str = "roi_align"
    text_template: str | None = None
    version: ClassVar[int] = 1
    amplifies_rounding: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Rejects an unknown area."""
        check_choice("ROIAlign", "area", self.area, get_args(Area))

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, read over each region."""
        places = tuple(Place(self._weights(region.clipped(image.size), image.size, geometry)) for region in regions)
        return Views((image,), (Component(self.name, (0,) * len(regions), reading=Reading(self, places)),))

    def layers(self, depth: int) -> tuple[int, ...]:
        """The last one."""
        return (depth - 1,)

    def features(self, blocks: Blocks) -> Tensor:
        """Dense features, (pictures, patches, D)."""
        return blocks.embed(maskclip(blocks)[:, 1:])

    def _weights(self, region: Region, image_size: ImageSize, geometry: Geometry) -> np.ndarray:
        if self.area == "mask" and region.mask is not None:
            return token_weights(region, image_size, geometry, "bicubic")
        weights = np.mean([aligned_weights(box, image_size, geometry) for box in region.boxes], axis=0)
        return filled(weights.astype(np.float32), region, image_size, geometry).reshape(-1)


def aligned_weights(box: Box, image_size: ImageSize, geometry: Geometry) -> np.ndarray:
    """What each patch counts for in the mean of the samples of a box, float64 (rows, cols); all 0 without a sample.

    Args:
        box: In pixels of its image.
        image_size: (width, height) of the image.
        geometry: Token grid and resize of the backbone.
    """
    x0, y0, x1, y1 = geometry.to_input(np.array([box], float), image_size)[0] / geometry.patch_size
    return np.outer(_along(y0, y1, geometry.rows), _along(x0, x1, geometry.cols))


def _along(start: float, end: float, patches: int) -> np.ndarray:
    """The mean of bilinear samples between two places on a side of the grid, as weights of its patches."""
    count = int(np.ceil(end - start))
    weights = np.zeros(patches)
    if count < 1:
        return weights
    # The value of a patch stands at its middle; beyond the outermost ones the side goes on as it ends.
    at = np.clip(start - 0.5 + (np.arange(count) + 0.5) * (end - start) / count, 0, patches - 1)
    low = np.minimum(np.floor(at).astype(int), patches - 1)
    np.add.at(weights, low, (1 - (at - low)) / count)
    np.add.at(weights, np.minimum(low + 1, patches - 1), (at - low) / count)
    return weights
