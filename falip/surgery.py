"""What a change inside the attention gets to see of a layer, and what it must be able to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Heads(NamedTuple):
    """Queries, keys and values of one layer, each (views, heads, tokens, head size); token 0 is CLS."""

    query: Tensor
    key: Tensor
    value: Tensor


@dataclass(frozen=True)
class LayerAttention:
    """What an `AttentionChange` gets to see of one layer.

    Attributes:
        layer: Which one, counted from 0.
        own: Of the views themselves.
        attend: Output of the heads for queries, keys and values, under the biases of the views.
        plain: Of each view's reference in the independent plain pass; None where the intervention names none.
        plain_output: What the heads made of them there, (views, heads, tokens, head size).
        tokens: `falip.Intervention.tokens`, on the device.
    """

    layer: int
    own: Heads
    attend: Callable[[Heads], Tensor]
    plain: Heads | None = None
    plain_output: Tensor | None = None
    tokens: Tensor | None = None


class AttentionChange(Protocol):
    """What an intervention does inside the attention of a layer.

    A frozen dataclass, so that equal ones are known as equal.
    """

    def attend(self, attention: LayerAttention) -> Tensor:
        """The output of the heads for the views, (views, heads, tokens, head size), before the output projection."""
        ...
