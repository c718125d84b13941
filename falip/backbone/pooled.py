"""Vision towers whose embedding is made by one attention over a feature map, which then has the mask's only place.

Regions of a picture share everything below it, so that R of them cost about one encoding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from falip.backbone.attention import summed_rows
from falip.backbone.watching import Seen, Watch
from falip.geometry import Ability, Geometry
from falip.surgery import Heads
from falip.views import Component, Sharing

ABILITIES: frozenset[Ability] = frozenset({"cls_row", "per_head"})


class PooledTower(ABC):
    """A `VisionTower` whose one layer is the attention of a pooling query over a feature map.

    `sharing="exact"` and `"frozen"` are the same here: no patch sees a token that a bias has changed.

    Attributes:
        geometry: With one layer.
        dtype: Of the weights.
        device: Where they are.
        pooling: See `VisionTower`.
    """

    pooling: ClassVar[str]

    def __init__(self, geometry: Geometry, width: int, dtype: torch.dtype, device: torch.device) -> None:
        self.geometry, self.dtype, self.device = geometry, dtype, device
        self._width = width  # of an embedding
        self._shared_features = self._features

    @property
    @abstractmethod
    def head_projections(self) -> Sequence[Tensor]:
        """See `VisionTower`; the width is that behind the projection of the heads."""

    @property
    @abstractmethod
    def _cached_views(self) -> int:
        """Number of views whose largest activations fill the last-level cache of a CPU."""

    @abstractmethod
    def views_within(self, memory_gb: float | None) -> int:
        """See `VisionTower`."""

    @abstractmethod
    def _features(self, pixels: Tensor) -> Tensor:
        """The feature map of each picture, which its regions share."""

    @abstractmethod
    def _project(self, features: Tensor) -> Heads:
        """Query (images, heads, 1, head size) of the pool, keys and values (images, heads, tokens, head size)."""

    @abstractmethod
    def _embed(self, outputs: Tensor) -> Tensor:
        """Embeddings (views, D) from what the heads say, (views, heads, head size)."""

    @abstractmethod
    def _read(self, component: Component, pixels: Tensor, sharing: Sharing, watch: Watch | None) -> Tensor:
        """What a read-out makes of its views, (views, D), on the CPU."""

    def _row(self, component: Component) -> Tensor | None:
        """What a component adds to the logits of the pool, (views, heads or 1, tokens), or None."""
        return summed_rows(component.biases, torch.empty(0, dtype=self.dtype, device=self.device)).get("cls_row")

    def _whole(self, pixels: Tensor, row: Tensor | None) -> Tensor:
        """Embeddings (views, D) of a picture for each view, without any sharing."""
        heads = self._project(self._features(pixels))
        return self._embed(pooled(heads, torch.arange(len(pixels), device=self.device), row))

    def compile(self) -> None:
        """See `VisionTower`; `sharing="none"` stays as it is."""
        self._shared_features = torch.compile(self._features)

    def _attended(self, heads: Heads, owner: Tensor, row: Tensor | None) -> Tensor:
        """What the pool of each view attends to, float32 (views, heads, 1 + rows * cols)."""
        return pool_weights(heads, owner, row)

    def _seen(self, watch: Watch, heads: Heads, owner: Tensor, row: Tensor | None) -> Seen:
        seen = watch.seen()
        seen.weights[0] = self._attended(heads, owner, row)
        if seen.heads is not None:
            seen.heads[0] = pooled(heads, owner, row)
        return seen

    def encode(
        self, components: Sequence[Component], pixels: Tensor, sharing: Sharing, batch: int, watch: Watch | None = None
    ) -> list[Tensor]:
        """See `VisionTower`."""
        if pixels.device.type == "cpu":
            batch = min(batch, self._cached_views)
        pooled = [component for component in components if not component.reading]
        if sharing == "none":
            encoded = [self._encode_whole(component, pixels, batch, watch) for component in pooled]
        else:
            encoded = self._encode_shared(pooled, pixels, batch, watch)
        found = dict(zip(map(id, pooled), encoded, strict=True))
        return [found[id(c)] if id(c) in found else self._read(c, pixels, sharing, watch) for c in components]

    def _encode_whole(self, component: Component, pixels: Tensor, batch: int, watch: Watch | None) -> Tensor:
        """Every view whole."""
        parts = []
        for some in _slices(range(len(component.image_index)), batch):
            views = component.some(some)
            parts.append(self._whole(pixels[list(views.image_index)], self._row(views)))
            if watch:
                heads = self._project(self._features(pixels[list(views.image_index)]))
                watch.keep(component, some, self._seen(watch, heads, torch.arange(len(some)), self._row(views)))
        return torch.cat(parts).cpu()

    def _encode_shared(
        self, components: Sequence[Component], pixels: Tensor, batch: int, watch: Watch | None
    ) -> list[Tensor]:
        """One feature map for each picture."""
        results = [torch.empty(len(c.image_index), self._width, device=self.device, dtype=self.dtype) for c in components]
        for images in _slices(sorted({image for c in components for image in c.image_index}), batch):
            heads = self._project(self._shared_features(pixels[list(images)]))
            place = {image: i for i, image in enumerate(images)}
            for component, result in zip(components, results, strict=True):
                mine = [view for view, image in enumerate(component.image_index) if image in place]
                for some in _slices(mine, batch):
                    views = component.some(some)
                    owner = torch.tensor([place[image] for image in views.image_index], device=self.device)
                    row = self._row(views)
                    result[list(some)] = self._embed(pooled(heads, owner, row))
                    if watch:
                        watch.keep(component, some, self._seen(watch, heads, owner, row))
        return [result.cpu() for result in results]


def pool_weights(heads: Heads, owner: Tensor, row: Tensor | None) -> Tensor:
    """What the pooling query of each view attends to, float32 (views, heads, tokens).

    Args:
        heads: Of the images.
        owner: int (views,), the image of each view.
        row: What is added to the logits, (views, heads or 1, tokens), or None.
    """
    logits = (heads.query @ heads.key.mT)[:, :, 0][owner] * heads.query.shape[-1] ** -0.5
    return (logits if row is None else logits + row).softmax(-1, dtype=torch.float32)


def pooled(heads: Heads, owner: Tensor, row: Tensor | None) -> Tensor:
    """What each head says to each view before the output projection, (views, heads, head size)."""
    weights = pool_weights(heads, owner, row).to(heads.value)
    return (weights[:, :, None] @ heads.value[owner])[:, :, 0]


def _slices(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (items[start : start + size] for start in range(0, len(items), size))
