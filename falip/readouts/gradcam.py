"""GradCAM of CLIP: where in the picture the score of a text comes from, summed over the region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from falip.dense import Blocks, Place, Reading
from falip.errors import UserError, check_number
from falip.geometry import Ability, Geometry
from falip.regions import Box, ImageSize, Region
from falip.views import Component, Views

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GradCAM:
    """ReCLIP's gradient baseline: the sum of a text's heat map over the region's box, divided by the box's area^alpha.

    The map of a text t has a value for each cell of the tower's last grid, and is made as large as the picture, bicubic
    (ReCLIP executor.py, `ClipGradcamExecutor`). With s the scaled cosine of t and the whole picture:

    - ViT: the mean over heads of max(0, A ds/dA), A what CLS attends to in the last layer (Chefer et al. 2021);
    - ResNet: max(0, sum over channels of F g), F the last feature map and g the mean of ds/dF over its cells (GradCAM).

    Gradients of a cosine are linear in the text, so that what is kept of a picture are vectors: one for each head and cell,
    whose products with t are what the maximum is taken of. A region is its weight for each cell. Both are no embedding:
    `scores` makes scores of them, and `encode_regions` refuses them.

    The picture must be squashed, as ReCLIP's is. A box counts with the pixels between its corners cut to whole numbers, as
    Python slices them, and with the area of its part inside the picture.

    Attributes:
        alpha: Exponent of the area; ReCLIP's README has 0.5.
    """

    alpha: float = 0.5
    name: str = "gradcam"
    text_template: str | None = None
    version: ClassVar[int] = 1
    ability: ClassVar[Ability] = "gradients"
    # So that a picture is read by itself: its rows are longer than embeddings.
    amplifies_rounding: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Rejects an exponent without meaning."""
        check_number("GradCAM", "alpha", self.alpha)

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, with the weight of each cell of the grid for each region."""
        if geometry.resize != "squash":
            raise UserError("GradCAM maps the grid to the whole picture: set the backbone's resize=squash.")
        grid = (geometry.rows, geometry.cols)
        places = tuple(Place(self._weights(region.clipped(image.size), image.size, grid)) for region in regions)
        return Views((image,), (Component(self.name, (0,) * len(regions), reading=Reading(self, places)),))

    @property
    def takes_changed_attention(self) -> bool:
        """No: it asks where the score of the plain picture comes from."""
        return False

    def layers(self, depth: int) -> tuple[int, ...]:
        """The last one."""
        return (depth - 1,)

    def features(self, blocks: Blocks) -> Tensor:
        """The vectors of a ViT, (pictures, heads, patches, D)."""
        import torch

        with torch.inference_mode(False), torch.enable_grad():
            parts, last = blocks.for_gradients(), blocks.depth - 1
            stream, heads = parts.entering(last)[:, 0], parts.heads(last)
            size = heads.query.shape[-1]
            weights = (heads.query[:, :, :1] @ heads.key.mT * size**-0.5).softmax(-1)[:, :, 0]  # (pictures, heads, tokens)
            mixed = (weights[:, :, None] @ heads.value).flatten(1)
            found = []
            for picture in range(len(stream)):

                def embed(one: Tensor, picture: int = picture) -> Tensor:
                    hidden = stream[picture] + parts.output(last, one)
                    return parts.embed(parts.after_mlp(last, hidden))

                gradient = torch.func.jacrev(embed)(mixed[picture]).unflatten(1, (-1, size))  # (D, heads, head size)
                values = (heads.value * weights[..., None])[picture, :, 1:]
                vectors = torch.einsum("dhk,hnk->hnd", gradient, values)
                found.append(of_cosine(vectors, embed(mixed[picture])))
            return torch.stack(found).detach()

    def embeddings(self, blocks: Blocks, features: Tensor, places: Sequence[Place]) -> Tensor:
        """A row for each view of one picture: see `rows`."""
        return self.rows(features[0], places)

    def rows(self, vectors: Tensor, places: Sequence[Place]) -> Tensor:
        """What `scores` takes: number of heads and of cells, the region's weights, and the picture's vectors.

        Args:
            vectors: Of one picture, (heads, cells, D).
            places: The weights of each view.

        Returns:
            (views, 2 + cells + heads * cells * D).
        """
        import torch

        sizes = vectors.new_tensor(vectors.shape[:2])
        return torch.stack([torch.cat([sizes, torch.from_numpy(p.weights).to(vectors), vectors.flatten()]) for p in places])

    def scores(self, rows: Tensor, texts: Tensor, logit_scale: float) -> Tensor:
        """Scores of the views under texts.

        Args:
            rows: As `rows` gives them; what stands behind is passed over.
            texts: Unit-length embeddings (texts, D).
            logit_scale: Factor on cosines.

        Returns:
            float32 (views, texts).
        """
        import torch

        heads, cells = (int(size) for size in rows[0, :2])
        weights, ends = rows[:, 2 : 2 + cells].float(), 2 + cells + heads * cells * texts.shape[1]
        maps: dict[bytes, Tensor] = {}
        found = []
        for row, weight in zip(rows[:, 2 + cells : ends], weights, strict=True):
            key = row.contiguous().view(torch.uint8).numpy().tobytes()
            if key not in maps:
                vectors = row.float().unflatten(0, (heads, cells, -1))
                maps[key] = (logit_scale * vectors @ texts.float().T).clamp(min=0).mean(0)  # (cells, texts)
            found.append((weight[:, None] * maps[key]).sum(0))
        return torch.stack(found)

    def dense(self, blocks: Blocks, features: Tensor, place: Place) -> Tensor:
        """It has none.

        Raises:
            UserError: Always.
        """
        raise UserError("GradCAM has no dense features: its map is that of a text. Ask for its similarity with texts.")

    def similarity(self, blocks: Blocks, features: Tensor, place: Place, targets: Tensor) -> Tensor:
        """The heat map of each target before it is enlarged, of cosines, (targets, rows, cols)."""
        heat = (features[0].float() @ targets.float().to(features.device).T).clamp(min=0).mean(0)
        return heat.T.unflatten(1, blocks.grid)

    def _weights(self, region: Region, size: ImageSize, grid: tuple[int, int]) -> np.ndarray:
        """float32 (rows * cols,): how much each cell of the enlarged map counts for a region."""
        if region.mask is None:
            parts = [_box_weights(box, size, grid) for box in region.boxes]
            area = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in region.boxes)
            return (np.sum(parts, axis=0) / area**self.alpha).reshape(-1).astype(np.float32)
        pixels = region.mask.astype(np.float64)
        found = _enlarging(grid[0], size[1]).T @ pixels @ _enlarging(grid[1], size[0])
        return (found / pixels.sum() ** self.alpha).reshape(-1).astype(np.float32)


def of_cosine(vectors: Tensor, embedding: Tensor) -> Tensor:
    """From derivatives of an embedding to those of its unit-length form.

    Args:
        vectors: (..., D).
        embedding: (D,), before it is normalised.
    """
    norm = embedding.norm()
    unit = embedding / norm
    return (vectors - (vectors @ unit)[..., None] * unit) / norm


def _box_weights(box: Box, size: ImageSize, grid: tuple[int, int]) -> np.ndarray:
    """(rows, cols): the pixels of a box, those between its corners cut to whole numbers."""
    x0, y0, x1, y1 = (int(value) for value in box)
    return np.outer(_enlarging(grid[0], size[1])[y0:y1].sum(0), _enlarging(grid[1], size[0])[x0:x1].sum(0))


@lru_cache(maxsize=256)
def _enlarging(cells: int, pixels: int) -> np.ndarray:
    """(pixels, cells): torch's bicubic resize along one side, corners not aligned, as a matrix."""
    import torch
    from torch.nn.functional import interpolate

    columns = torch.eye(cells, dtype=torch.float64)[None, :, :, None]
    return interpolate(columns, size=(pixels, 1), mode="bicubic", align_corners=False)[0, :, :, 0].T.numpy()
