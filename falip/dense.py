"""What a read-out gets to see of a vision tower, and what it must be able to do.

A read-out says what becomes the embedding of a view in the place of the pooled token: dense features of the patches,
pooled over the region, say.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from falip.errors import UserError
from falip.surgery import Heads

if TYPE_CHECKING:
    from torch import Tensor


class Values(Protocol):
    """The last layers of a ViT, and the tokens of some pictures that enter them; token 0 is CLS."""

    @property
    def depth(self) -> int:
        """Number of layers of the tower."""
        ...

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        ...

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels of the model's input."""
        ...

    def entering(self, layer: int) -> Tensor:
        """The stream on entering a layer that the read-out asked for, (pictures, tokens, width)."""
        ...

    def value(self, layer: int) -> Tensor:
        """The values of that layer alone, (pictures, heads, tokens, head size)."""
        ...

    def output(self, layer: int, mixed: Tensor) -> Tensor:
        """The output projection of a layer's attention with its bias, of (..., width)."""
        ...

    def after_mlp(self, layer: int, hidden: Tensor) -> Tensor:
        """The MLP of a layer and its residual: hidden + MLP(norm(hidden))."""
        ...

    def embed(self, hidden: Tensor) -> Tensor:
        """(..., D): the projection of the tower's last norm of (..., width)."""
        ...


class Blocks(Values, Protocol):
    """The same with the attention of the patches to each other."""

    def heads(self, layer: int) -> Heads:
        """Queries, keys and values of that layer, after its first norm."""
        ...

    def attend(self, query: Tensor, key: Tensor, value: Tensor, added: Tensor | None = None) -> Tensor:
        """softmax(query key^T / sqrt(head size) + added) value, the heads side by side: (pictures, tokens, width)."""
        ...

    def for_gradients(self) -> Blocks:
        """The same in float32, with tensors that gradients may be taken of."""
        ...


class ReadOut(Protocol):
    """What becomes the embedding of a view.

    A frozen dataclass: equal ways are equal objects.

    Attributes:
        amplifies_rounding: Whether rounding grows in it, so that each picture is encoded alone and in one way, whatever
            sharing is asked for.
    """

    amplifies_rounding: ClassVar[bool]

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def takes_changed_attention(self) -> bool:
        """Whether a bias or an intervention in the layers below its own has a meaning."""
        ...

    def layers(self, depth: int) -> tuple[int, ...]:
        """The layers of a tower of that depth whose input it is made from; the last layer is among them."""
        ...

    def features(self, blocks: Blocks) -> Tensor:
        """What all regions of a picture share, (pictures, ...)."""
        ...

    def embeddings(self, blocks: Blocks, features: Tensor, places: Sequence[Place]) -> Tensor:
        """Embeddings (views, D) of views of one picture, before they are normalised.

        Args:
            blocks: Of the picture, and after it of its tiles where it has some.
            features: Of the same, (1 + tiles, ...).
            places: Where each view is read.
        """
        ...

    def dense(self, blocks: Blocks, features: Tensor, place: Place) -> Tensor:
        """Dense features of one picture before they are normalised, (rows, cols, D).

        Raises:
            UserError: If it has none.
        """
        ...

    def similarity(self, blocks: Blocks, features: Tensor, place: Place, targets: Tensor) -> Tensor:
        """How much of each target, unit length (targets, D), is where in one picture: (targets, rows, cols)."""
        ...


@dataclass(frozen=True, eq=False)
class Place:
    """Where in its picture a view is read.

    Attributes:
        weights: float32, what the read-out knows a region by: a weight for each patch, row by row, or a map of pixels.
        among: The weights of all regions of the picture, (regions, patches), where the read-out compares them.
        tiles: Rows and columns of the tiles that the picture is also seen in; (0, 0) for none.
        parts: The pictures of those tiles, row by row, indices into `Views.images`.
    """

    weights: np.ndarray
    among: np.ndarray | None = None
    tiles: tuple[int, int] = (0, 0)
    parts: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Reading:
    """The read-out of a component.

    Attributes:
        readout: What is done.
        places: Where, for each view.
    """

    readout: ReadOut
    places: tuple[Place, ...]

    @property
    def pictures(self) -> tuple[int, ...]:
        """The tiles that it looks at."""
        return tuple(part for place in self.places for part in place.parts)

    def some(self, views: Sequence[int]) -> Reading:
        """That of some views, in the order given."""
        return replace(self, places=tuple(self.places[view] for view in views))

    def moved(self, place: Sequence[int]) -> Reading:
        """With each picture index put through `place`."""
        if not self.pictures:
            return self
        return replace(self, places=tuple(replace(one, parts=tuple(place[i] for i in one.parts)) for one in self.places))


def check_reading(name: str, readout: ReadOut, changed: Collection[int], layers: int) -> None:
    """Raises a UserError where what is done inside the attention cannot reach a read-out.

    Args:
        name: What the component is called.
        readout: Its read-out.
        changed: The layers whose attention a bias or an intervention changes.
        layers: Number of layers of the tower.
    """
    if changed and not readout.takes_changed_attention:
        raise UserError(
            f"{name} changes the attention, and {readout.name} reads a picture whose attention is its own. Combine it with "
            "edits of the picture, or sum the scores of both in an Ensemble."
        )
    if changed and min(changed) >= layers - 1:
        raise UserError(
            f"{name} changes the attention of the last layer alone, which {readout.name} works out in a way of its own, so "
            "that nothing would change. Give the prompt earlier layers too, such as layers=4."
        )
