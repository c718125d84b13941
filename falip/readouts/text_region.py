"""TextRegion: values of the last layer summed over a region's mask, from tiles of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, get_args

import numpy as np
from PIL import Image

from falip.dense import Blocks, Place, Reading
from falip.errors import UserError, check_choice
from falip.geometry import Geometry
from falip.readouts.cover import Cover, filled, resample, token_weights
from falip.readouts.mask_pool import last_values
from falip.readouts.pooling import cosines, stacked_weights
from falip.regions import Region
from falip.views import Component, Views

if TYPE_CHECKING:
    from torch import Tensor

GLOBAL_THRESHOLD = 0.07  # TextRegionSegmenter.py, line 128
LONGER, SHORTER = 6, 2  # sides of the model's input that the picture is fitted in: 2016 and 672 at 336 pixels


@dataclass(frozen=True)
class TextRegion:
    """The region's mask as the attention of the last layer (TextRegion, arXiv:2505.23769; TextRegionSegmenter.py).

    With m the mask's weights and v the values of the patches, the embedding is the tower's last norm and projection of
    M(O(sum_j m_j v_j)): a sum, one bias of the output projection, no residual (lines 468 to 478). The numbers of the tiles
    are the reference's for an input of 336 pixels, carried over to other inputs in proportion.

    Attributes:
        tiling: Whether the picture is also seen in tiles: fitted in 6 by 2 sides of the model's input (longer, shorter),
            cut into as many tiles as whole inputs go into each side, each made square. v is then that of the tile plus
            that of the whole picture, resized bilinearly to all tiles (lines 406 to 432 and 502 to 522).
        remove_global: Whether patches that are no more like their own regions than like the others leave all regions
            (lines 438 to 466): of v's cosines, averaged over each region, those with the patch's own regions must exceed
            the others' by 0.07. All regions of the picture are compared. The reference drops a region that loses all its
            patches; here it keeps them. In tiles this also makes the v of each patch unit length, as in the reference.
        cover: How a region becomes weights of the patches; in tiles always `bilinear`, as the reference does it.
    """

    tiling: bool = True
    remove_global: bool = True
    cover: Cover = "bilinear"
    name: str = "text_region"
    text_template: str | None = None
    version: ClassVar[int] = 1
    amplifies_rounding: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Rejects an unknown cover, and one that the tiles have no grid for."""
        check_choice("TextRegion", "cover", self.cover, get_args(Cover))
        if self.tiling and self.cover != "bilinear":
            raise UserError(f"TextRegion has cover={self.cover!r}: in tiles it is bilinear; tiling=False takes any.")

    @property
    def compares_regions(self) -> bool:
        """Whether a region's embedding depends on the other regions of its picture."""
        return self.remove_global

    @property
    def takes_changed_attention(self) -> bool:
        """Not in tiles, nor where regions are compared, of which each would have an attention of its own."""
        return not self.tiling and not self.remove_global

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, or squashed and in tiles, read over each region."""
        clipped = [region.clipped(image.size) for region in regions]
        tiles, images = (0, 0), (image,)
        if self.tiling:
            tiles, images = _tiled(image, geometry.image_size)
            weights = [_on_tiles(region, image, geometry, tiles) for region in clipped]
        else:
            weights = [token_weights(region, image.size, geometry, self.cover) for region in clipped]
        among = np.stack(weights) if self.remove_global else None
        places = tuple(Place(one, among, tiles, tuple(range(1, len(images)))) for one in weights)
        component = Component(self.name, (0,) * len(regions), reading=Reading(self, places), scaled=self.tiling)
        return Views(images, (component,))

    def layers(self, depth: int) -> tuple[int, ...]:
        """The last one."""
        return (depth - 1,)

    def features(self, blocks: Blocks) -> Tensor:
        """Values of the patches, (pictures, patches, width)."""
        return last_values(blocks)[:, 1:]

    def embeddings(self, blocks: Blocks, features: Tensor, places: Sequence[Place]) -> Tensor:
        """(views, D)."""
        values = self._values(features, blocks.grid, places[0].tiles).flatten(0, 1)
        weights = stacked_weights(places, values)
        if places[0].among is not None:
            kept = weights * _local(values, places[0].among)
            weights = kept.where(kept.any(-1, keepdim=True), weights)
        return _projected(blocks, weights @ values)

    def dense(self, blocks: Blocks, features: Tensor, place: Place) -> Tensor:
        """(rows, cols, D), of all tiles where there are some: each patch as a region of its own."""
        return _projected(blocks, self._values(features, blocks.grid, place.tiles))

    def similarity(self, blocks: Blocks, features: Tensor, place: Place, targets: Tensor) -> Tensor:
        """Cosines of each patch with the targets, (targets, rows, cols), on the grid of `dense`."""
        return cosines(self.dense(blocks, features, place), targets)

    def _values(self, features: Tensor, grid: tuple[int, int], tiles: tuple[int, int]) -> Tensor:
        """Values of the picture, (rows, cols, width), of all tiles where there are some."""
        from torch.nn.functional import interpolate, normalize

        if tiles == (0, 0):
            return features[0].unflatten(0, grid)
        down, across = tiles
        size = (down * grid[0], across * grid[1])
        whole = features[:1].mT.unflatten(2, grid)
        of_tiles = features[1:].unflatten(1, grid).unflatten(0, tiles).transpose(1, 2).flatten(0, 1).flatten(1, 2)
        values = interpolate(whole, size, mode="bilinear")[0].permute(1, 2, 0) + of_tiles
        return normalize(values, dim=-1) if self.remove_global else values


def _projected(blocks: Blocks, mixed: Tensor) -> Tensor:
    last = blocks.depth - 1
    return blocks.embed(blocks.after_mlp(last, blocks.output(last, mixed)))


def _local(values: Tensor, among: np.ndarray) -> Tensor:
    """Bool (patches,): which patches are more like their own regions than like the others."""
    import torch
    from torch.nn.functional import normalize

    unit = normalize(values.float(), dim=-1)
    inside = torch.from_numpy(among).to(unit) > 0
    own = inside.to(unit)
    # The mean of cosines with the patches of a region is the product with the mean of their unit vectors.
    likeness = (own @ unit / own.sum(-1, keepdim=True)) @ unit.T
    belonging = (likeness * own).sum(0) / (own.sum(0) + 1e-9)
    elsewhere = (likeness * (1 - own)).sum(0) / ((1 - own).sum(0) + 1e-9)
    return belonging - elsewhere >= GLOBAL_THRESHOLD


def _tiled(image: Image.Image, side: int) -> tuple[tuple[int, int], tuple[Image.Image, ...]]:
    """Rows and columns of the tiles, and the whole picture made square, followed by them, row by row."""
    scale = min(LONGER * side / max(image.size), SHORTER * side / min(image.size))
    width, height = (max(int(length * scale + 0.5), 1) for length in image.size)
    fitted = image.resize((width, height), Image.Resampling.BILINEAR)
    down, across = max(height // side, 1), max(width // side, 1)
    boxes = [
        (left, top, right, bottom)
        for top, bottom in _cuts(height, down)
        for left, right in _cuts(width, across)
    ]  # fmt: skip
    squares = (fitted.resize((side, side), Image.Resampling.BICUBIC, box) for box in ((0, 0, width, height), *boxes))
    return (down, across), tuple(squares)


def _cuts(length: int, count: int) -> list[tuple[int, int]]:
    """Start and end of equal parts of a side; the last one reaches back where they do not fit."""
    size = math.ceil(length / count)
    ends = [min((k + 1) * size, length) for k in range(count)]
    return [(max(end - size, 0), end) for end in ends]


def _on_tiles(region: Region, image: Image.Image, geometry: Geometry, tiles: tuple[int, int]) -> np.ndarray:
    """The region's pixels at the centres of the patches of all tiles, float32 (patches,), not all 0."""
    pixels = region.pixels(image.size).astype(np.float32)
    rows, cols = tiles[0] * geometry.rows, tiles[1] * geometry.cols
    weights = resample(pixels.shape[0], rows) @ pixels @ resample(pixels.shape[1], cols).T
    squashed = Geometry(geometry.image_size, geometry.patch_size, geometry.layers, geometry.heads)
    return filled(weights, region, image.size, squashed).reshape(-1)
