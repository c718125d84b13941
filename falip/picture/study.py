"""What one prompt does with one region: the view, the foveal mask, and the attention before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from falip.backbone import Backbone
from falip.geometry import Geometry
from falip.picture.similarity import similarity_maps
from falip.prompts import Plain
from falip.regions import Box, ImageSize, Region
from falip.views import Prompt

NO_MAP = "no map:\n{} scores by the\ngradients of each text"
UNBIASED_LAYERS = 4  # averaged where a prompt masks no layer: as many as FALIP masks


@dataclass(frozen=True, eq=False)
class Study:
    """One region under one prompt.

    Attributes:
        view: The picture that the model sees, before its resize.
        box: The region in that picture, or None where the picture was cut to it.
        bias: float32 (rows, cols), the bias of the CLS row; None where the prompt has none.
        before: float32 (heads, 1 + rows * cols), CLS attention in the plain picture, mean of `layers`; of a read-out
            (1, 1 + rows * cols), how alike each patch is to the picture's own embedding.
        after: The same under the prompt; of a read-out, how alike each patch is to the region's embedding.
        covered: float32 (rows, cols), the share of each token that lies in the region's box.
        layers: The layers averaged, counted from 0: those that the prompt masks, or the last four.
        geometry: Of the backbone.
        similarity: Whether the prompt has a read-out, so that `before` and `after` are similarities.
        pooling: The token whose attention this is: `VisionTower.pooling`.
        edited: Whether the view is another picture than the one that was given.
        note: Why `after` says nothing of its own; "" where it does.
    """

    view: Image.Image
    box: Box | None
    bias: np.ndarray | None
    before: np.ndarray
    after: np.ndarray
    covered: np.ndarray
    layers: tuple[int, ...]
    geometry: Geometry
    similarity: bool = False
    pooling: str = "CLS"
    edited: bool = False
    note: str = ""

    @property
    def unit(self) -> str:
        """What the maps of `grid` are in."""
        return "cosine of the patch" if self.similarity else f"% of the attention of {self.whose}"

    @property
    def whose(self) -> str:
        """Whose attention it is, in a sentence."""
        return "CLS" if self.pooling == "CLS" else f"the {self.pooling}"

    def grid(self, attention: np.ndarray) -> np.ndarray:
        """Attention to the patches in per cent, (..., rows, cols), CLS itself left out; or similarities as they are."""
        shape = (*attention.shape[:-1], self.geometry.rows, self.geometry.cols)
        return (1 if self.similarity else 100) * attention[..., 1:].reshape(shape)

    def on_region(self, attention: np.ndarray) -> str:
        """What falls on the region, in words."""
        if not self.similarity:
            return f"on the region: {self.share(attention):.1f} %"
        mean = (self.grid(attention).mean(0) * self.covered).sum() / max(float(self.covered.sum()), 1e-9)
        return f"on the region: {mean:.3f} on average"

    def share(self, attention: np.ndarray) -> float:
        """Per cent of the attention that falls on the region, mean of the heads."""
        return float((self.grid(attention).mean(0) * self.covered).sum())


def studies(backbone: Backbone, image: Image.Image, regions: Sequence[Region], prompt: Prompt) -> list[Study]:
    """One study for each region; the prompt must have one view for each."""
    geometry = backbone.geometry
    views = prompt(image, regions, geometry)
    component = views.components[0]
    layers, rows = component.layers or geometry.last_layers(min(UNBIASED_LAYERS, geometry.layers)), component.bias_map
    note = NO_MAP.format(component.name) if component.scorer else ""
    if component.reading and not component.scorer:
        before, after = (maps[:, None].numpy() for maps in similarity_maps(backbone, image, regions, prompt))
        layers = ()
    else:
        before = backbone.attention(image, regions[:1], Plain())[:, list(layers)].mean(1).numpy()
        after = backbone.attention(image, regions, Plain() if note else prompt)[:, list(layers)].mean(1).numpy()
    found = []
    for i, region in enumerate(regions):
        view, box = views.images[component.image_index[i]], region.clipped(image.size).box
        if component.reading and component.reading.pictures:  # the whole picture made square, whose tiles it sees too
            view = image
        cut = view.size != image.size
        bias = None if rows is None else rows[i, 1:].reshape(geometry.rows, geometry.cols).numpy()
        place = (0.0, 0.0, float(view.width), float(view.height)) if cut else box
        covered = coverage(geometry, place, view.size)
        similar, own = component.reading is not None and not note, before[min(i, len(before) - 1)]
        found.append(
            Study(
                view, None if cut else box, bias, own, after[i], covered, layers, geometry, similar,
                pooling=backbone.tower.pooling, edited=view is not image, note=note,
            )
        )  # fmt: skip
    return found


def coverage(geometry: Geometry, box: Box, image_size: ImageSize) -> np.ndarray:
    """float32 (rows, cols): the share of each token's area that lies in a box."""
    x0, y0, x1, y1 = geometry.to_input(np.array([box], float), image_size)[0]
    edges = np.arange(geometry.rows + 1) * geometry.patch_size
    across = np.clip(np.minimum(edges[1:], x1) - np.maximum(edges[:-1], x0), 0, None)
    down = np.clip(np.minimum(edges[1:], y1) - np.maximum(edges[:-1], y0), 0, None)
    return (np.outer(down, across) / geometry.patch_size**2).astype(np.float32)
