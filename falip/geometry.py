"""How pixels of an image map to tokens of a vision tower."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from falip.errors import UserError
from falip.regions import ImageSize, Region

Resize = Literal["squash", "crop", "pad"]
MaskForm = Literal["cls_row", "all_rows", "diagonal"]
Ability = Literal[
    "cls_row", "all_rows", "diagonal", "per_head", "interventions", "alpha", "dense", "patch_attention", "gradients"
]
ALPHA_ABILITIES: frozenset[Ability] = frozenset(get_args(Ability))
VIT_ABILITIES: frozenset[Ability] = ALPHA_ABILITIES - {"alpha"}
_WORDS: dict[str, str] = {
    "cls_row": "a bias on the pooled token's row",
    "all_rows": "a bias on the rows of all tokens",
    "diagonal": "a bias on the diagonal",
    "per_head": "a bias for each head",
    "interventions": "interventions inside the attention",
    "alpha": "an alpha channel",
    "dense": "read-outs of dense features",
    "patch_attention": "attention of the patches to each other in the last layer",
    "gradients": "gradients of its scores",
}


@dataclass(frozen=True)
class Geometry:
    """All that a prompt may know of a backbone.

    Attributes:
        image_size: Side of the model's square input in pixels.
        patch_size: Side of a patch in pixels of that input.
        layers: Number of layers of the vision tower.
        heads: Attention heads in each layer.
        resize: How an image becomes square: squashed, whatever its aspect (the reference's way for REC), CLIP's own
            resize of the shorter side followed by a centre crop, or a resize of the longer side and black to the right
            and below (CLIPSelf).
        abilities: What prompts may do inside the tower; a plain ViT can do all but take an alpha channel.
    """

    image_size: int
    patch_size: int
    layers: int
    heads: int
    resize: Resize = "squash"
    abilities: frozenset[Ability] = VIT_ABILITIES

    def check(self, name: str, needs: Collection[Ability]) -> None:
        """Raises a UserError where what is called `name` needs what the tower cannot do."""
        lacking = sorted(set(needs) - self.abilities)
        if lacking:
            offers = ", ".join(_WORDS[ability] for ability in sorted(self.abilities)) or "pictures alone"
            other = "a backbone with a plain ViT"
            if "alpha" in lacking:
                other = "load Alpha-CLIP's visual weights over the backbone: alpha_weights=FILE, or backbone=alphaclip_b16"
            raise UserError(
                f"{name} needs {' and '.join(_WORDS[ability] for ability in lacking)}, which this vision tower does not "
                f"have. It takes: {offers}. Choose another prompt, or {other}."
            )

    @property
    def rows(self) -> int:
        """Rows of the token grid."""
        return self.image_size // self.patch_size

    @property
    def cols(self) -> int:
        """Columns of the token grid."""
        return self.image_size // self.patch_size

    @property
    def tokens(self) -> int:
        """Length of the token sequence, CLS included."""
        return 1 + self.rows * self.cols

    def last_layers(self, layers: int | Sequence[int]) -> tuple[int, ...]:
        """Layer indices from a number (the last so many, or all) or a list (those, from 0; negative from the end).

        Raises:
            UserError: If there are no such layers.
        """
        if isinstance(layers, int):
            if layers < 1:
                raise UserError(f"layers={layers}: give a number from 1 on; this vision tower has {self.layers}.")
            return tuple(range(max(self.layers - layers, 0), self.layers))
        chosen = sorted({layer + self.layers if layer < 0 else layer for layer in layers})
        if not chosen or chosen[0] < 0 or chosen[-1] >= self.layers:
            raise UserError(f"layers={list(layers)}: this vision tower has the layers 0 to {self.layers - 1}.")
        return tuple(chosen)

    def resized(self, image_size: ImageSize) -> tuple[ImageSize, tuple[int, int]]:
        """Size of an image after the resize, and the (left, top) offset of the window that the model sees."""
        side = self.image_size
        if self.resize == "squash":
            return (side, side), (0, 0)
        width, height = image_size
        if self.resize == "pad":
            longer = max(width, height)
            return (max(round(side * width / longer), 1), max(round(side * height / longer), 1)), (0, 0)
        shorter = min(width, height)
        # CLIP truncates the longer side and transformers floors the offset of the centre crop.
        size = (side, int(side * height / width)) if width == shorter else (int(side * width / height), side)
        return size, ((size[0] - side) // 2, (size[1] - side) // 2)

    def to_input(self, boxes: np.ndarray, image_size: ImageSize) -> np.ndarray:
        """Boxes in pixels of the model's input, clipped to what patches cover of it.

        Args:
            boxes: float64 (boxes, 4), corners (x0, y0, x1, y1) in pixels of the image.
            image_size: (width, height) of the image.
        """
        size, offset = self.resized(image_size)
        # The scale is computed first, as in the released code: boxes that end on a patch border depend on the rounding.
        scale = np.array([size[0] / image_size[0], size[1] / image_size[1]] * 2)
        return np.clip(boxes * scale - np.array(offset * 2), 0.0, float(self.rows * self.patch_size))

    def sees(self, region: Region, image_size: ImageSize) -> bool:
        """Whether any part of the region lies inside the window that the model sees."""
        if region.mask is not None:
            return bool(self.token_mask(region.mask, image_size).any())
        return bool(self.sees_boxes(np.array(region.boxes, float), image_size).any())

    def sees_boxes(self, boxes: np.ndarray, image_size: ImageSize) -> np.ndarray:
        """Bool (boxes,): which boxes, float64 (boxes, 4), have any area inside the window that the model sees."""
        seen = self.to_input(boxes, image_size)
        return (seen[:, 2] > seen[:, 0]) & (seen[:, 3] > seen[:, 1])

    def token_ranges(self, boxes: np.ndarray, image_size: ImageSize) -> np.ndarray:
        """First and last token row and column of boxes, as the released FALIP code counts them.

        The patch of a scaled coordinate v is max(ceil(v / patch), 1) - 1 for both ends of a box, so that an edge that
        lies on a patch border takes in the patch before it (FALIP executor.py, lines 51 to 66).

        Returns:
            First column, first row, last column and last row of each, all inclusive: int (boxes, 4).
        """
        return np.maximum(np.ceil(self.to_input(boxes, image_size) / self.patch_size), 1).astype(np.int64) - 1

    def token_mask(self, mask: np.ndarray, image_size: ImageSize) -> np.ndarray:
        """Tokens that a pixel mask covers: the mask, resized as its image is, then max-pooled to the grid.

        `mask` is bool (height, width), the tokens are bool (rows, cols).
        """
        size, offset = self.resized(image_size)
        by_row = self._coverage(mask.shape[0], size[1], offset[1])
        by_column = self._coverage(mask.shape[1], size[0], offset[0])
        return (by_row.T @ mask.astype(np.float32) @ by_column) > 0

    def _coverage(self, pixels: int, resized: int, offset: int) -> np.ndarray:
        """float32 (pixels, rows): 1 where a pixel, resized, overlaps the patches of a row of the grid."""
        edges = np.arange(pixels + 1) * (resized / pixels) - offset
        starts = np.arange(self.rows) * self.patch_size
        rounding = 1e-9 * self.image_size
        overlap = np.minimum(edges[1:, None], starts + self.patch_size) - np.maximum(edges[:-1, None], starts)
        return (overlap > rounding).astype(np.float32)
