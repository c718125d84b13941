"""Views whose attention changes in more than the CLS row, from the first layer that is touched on.

Below it a view is its picture's unprompted pass, and what an intervention compares with is that pass too: both are states
of the trunk, computed once for a picture. From that layer on all tokens of a view are its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from falip.backbone.attention import AttentionControl
from falip.backbone.sharing import Passes, heads_of, rest_of
from falip.backbone.watching import Seen
from falip.surgery import Heads
from falip.views import Component


def touched(component: Component) -> set[int]:
    """The layers in which a component changes the attention."""
    surgery = component.intervention
    return {layer for bias in component.biases for layer in bias.layers} | set(surgery.layers if surgery else ())


def compared(component: Component) -> set[int]:
    """The layers in which a component looks at the plain pass over another, or the same, picture."""
    surgery = component.intervention
    return set(surgery.layers) if surgery and surgery.reference is not None else set()


def changed(
    passes: Passes,
    component: Component,
    tokens: Tensor,
    owner: Tensor,
    plain: Mapping[int, Tensor],
    seen: Seen | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """The views layer by layer, worked out as they are asked for.

    Args:
        passes: The parts of the tower.
        component: The views; the reference of its intervention, if it has one, counts the pictures of `plain`.
        tokens: (pictures, tokens, width), their streams on entering the first layer that is touched.
        owner: int (views,), which of them each view starts from.
        plain: The streams of the plain pictures on entering each layer of `compared`, (plain pictures, tokens, width).
        seen: See `AttentionControl`; takes layers from the first touched one on.

    Yields:
        From the first touched layer on each layer's number and the streams that enter it, (views, tokens, width); at last
        the number of layers and the CLS tokens behind them, (views, width).
    """
    control = AttentionControl(len(owner), component.biases, component.intervention, seen)
    first, last = min(touched(component)), len(passes.layers) - 1
    hidden = tokens[owner]
    for i in range(first, last + 1):
        yield i, hidden
        layer = passes.layers[i]
        # All views of a picture enter the first layer alike.
        entering = heads_of(layer, layer.layer_norm1(tokens if i == first else hidden))
        heads = Heads(*(part[owner] for part in entering)) if i == first else entering
        if i in plain and i in compared(component):
            unprompted = heads_of(layer, layer.layer_norm1(plain[i]))
            heads = Heads(*(torch.cat(pair) for pair in zip(heads, unprompted, strict=True)))
        attended = control.attend(i, heads, layer.self_attn.scale)[: len(owner)].transpose(1, 2)
        if i < last:
            hidden = rest_of(layer, hidden, attended.flatten(2))
        else:
            yield i + 1, rest_of(layer, hidden[:, 0], attended[:, 0].flatten(1))


def against(component: Component, pictures: list[int]) -> Component:
    """The component with the reference of its intervention counted among some pictures."""
    surgery = component.intervention
    if surgery is None or surgery.reference is None:
        return component
    place = {picture: i for i, picture in enumerate(pictures)}
    return replace(component, intervention=replace(surgery, reference=tuple(place[i] for i in surgery.reference)))
