"""What a backbone asks of its vision tower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from falip.backbone.watching import Watch
from falip.geometry import Geometry
from falip.views import Component, Sharing


class VisionTower(Protocol):
    """A vision tower that turns pixels, and what components do to the attention, into embeddings.

    Attributes:
        geometry: Its grid, layers and heads, and what prompts may do inside it (`Geometry.abilities`).
        dtype: Of its weights and of the pixels that it takes.
        device: Where they are.
        pooling: The token whose attention makes the embedding, for people.
    """

    pooling: ClassVar[str]
    geometry: Geometry
    dtype: torch.dtype
    device: torch.device

    def encode(
        self, components: Sequence[Component], pixels: Tensor, sharing: Sharing, batch: int, watch: Watch | None = None
    ) -> list[Tensor]:
        """Embeddings of each component before they are normalised, (views, D) on the CPU.

        Args:
            components: With any number of views each.
            pixels: (images, channels, side, side), on the device; four channels where the tower has an alpha channel.
            sharing: See `Backbone.encode_views`.
            batch: Most views in one forward pass.
            watch: Takes what the pooled query attends to, or its heads say, in its layers, of all components, and of a
                read-out what it finds alike.
        """
        ...

    @property
    def head_projections(self) -> Sequence[Tensor]:
        """For each layer the projection behind its heads, (width, heads * head size)."""
        ...

    def views_within(self, memory_gb: float | None) -> int:
        """Number of views whose forward pass stays within a memory budget."""
        ...

    def compile(self) -> None:
        """Lets torch.compile fuse the layers of the shared passes."""
        ...
