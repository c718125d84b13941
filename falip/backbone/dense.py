"""Read-outs on CLIP's ViT: the stream that enters the last layers, once for each picture, and what is read from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize, scaled_dot_product_attention

from falip.backbone.sharing import Passes, heads_of
from falip.backbone.watching import Watch
from falip.dense import Place, Reading, Values
from falip.errors import UserError
from falip.surgery import Heads
from falip.views import Component, Sharing


@dataclass(frozen=True, eq=False)
class LastBlocks:
    """The `Blocks` of a ViT, over the streams of some pictures.

    Attributes:
        passes: The parts of the tower.
        states: The stream on entering each layer that was asked for, (pictures, tokens, width).
        grid: Rows and columns of patches.
        patch_size: In pixels of the model's input.
    """

    passes: Passes
    states: Mapping[int, Tensor]
    grid: tuple[int, int]
    patch_size: int

    @property
    def depth(self) -> int:
        """Number of layers of the tower."""
        return len(self.passes.layers)

    def of(self, pictures: Sequence[int]) -> LastBlocks:
        """For some of the pictures, in the order given."""
        chosen = list(pictures)
        return replace(self, states={layer: state[chosen] for layer, state in self.states.items()})

    def for_gradients(self) -> LastBlocks:
        """See `Blocks`."""
        states = {layer: state.float().clone() for layer, state in self.states.items()}
        whole = all(state.dtype == torch.float32 for state in self.states.values())
        return replace(self, states=states, passes=self.passes if whole else self.passes.in_float(states))

    def entering(self, layer: int) -> Tensor:
        """See `Blocks`."""
        return self.states[layer]

    def heads(self, layer: int) -> Heads:
        """See `Blocks`."""
        block = self.passes.layers[layer]
        return heads_of(block, block.layer_norm1(self.states[layer]))

    def value(self, layer: int) -> Tensor:
        """See `Blocks`."""
        block = self.passes.layers[layer]
        projected = block.self_attn.v_proj(block.layer_norm1(self.states[layer]))
        return projected.unflatten(-1, (-1, block.self_attn.head_dim)).transpose(1, 2)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, added: Tensor | None = None) -> Tensor:
        """See `Blocks`."""
        return scaled_dot_product_attention(query, key, value, attn_mask=added).transpose(1, 2).flatten(2)

    def output(self, layer: int, mixed: Tensor) -> Tensor:
        """See `Blocks`."""
        return self.passes.layers[layer].self_attn.out_proj(mixed)

    def after_mlp(self, layer: int, hidden: Tensor) -> Tensor:
        """See `Blocks`."""
        block = self.passes.layers[layer]
        return hidden + block.mlp(block.layer_norm2(hidden))

    def embed(self, hidden: Tensor) -> Tensor:
        """See `Blocks`."""
        return self.passes.embed(hidden)


class PictureBlocks(Values, Protocol):
    """What a tower shows of some pictures, of which some can be had."""

    def of(self, pictures: Sequence[int]) -> PictureBlocks:
        """Those of some of the pictures, in the order given."""
        ...


@dataclass(frozen=True, eq=False)
class Read:
    """Views that are about to be read.

    Attributes:
        reading: Their read-out.
        blocks: Over the pictures that they see.
        owner: For each view its picture, a place among those of the blocks.
        parts: For each view its tiles, places likewise.
    """

    reading: Reading
    blocks: PictureBlocks
    owner: Sequence[int]
    parts: Sequence[Sequence[int]]

    @property
    def _readout(self) -> Any:
        """Which sees of the tower what it asked for: a component's needs are checked before it is encoded."""
        return self.reading.readout

    def embeddings(self) -> Tensor:
        """(views, D), before they are normalised; what the views of a picture share is worked out once."""
        readout, found = self._readout, {}
        for mine, blocks, features in self._pictures():
            places = [self.reading.places[view] for view in mine]
            found |= dict(zip(mine, readout.embeddings(blocks, features, places), strict=True))
        return torch.stack([found[view] for view in range(len(self.owner))])

    def own_maps(self, embeddings: Tensor) -> Tensor:
        """How alike the patches of its picture are to each view's embedding, as shares of all of them.

        Args:
            embeddings: As `embeddings` gives them.

        Returns:
            float32 (views, rows * cols), from 0 for the patch that is least alike; a row sums to 1. Tiles are averaged.
        """
        readout, targets, found = self._readout, normalize(embeddings.float(), dim=-1), {}
        for mine, blocks, features in self._pictures():
            maps = readout.similarity(blocks, features, self.reading.places[mine[0]], targets[mine]).float()
            flat = adaptive_avg_pool2d(maps, blocks.grid).flatten(1)
            raised = flat - flat.amin(-1, keepdim=True)
            found |= dict(zip(mine, raised / raised.sum(-1, keepdim=True).clamp(min=1e-12), strict=True))
        return torch.stack([found[view] for view in range(len(self.owner))])

    def _pictures(self) -> Iterator[tuple[list[int], PictureBlocks, Tensor]]:
        """For each picture, with its tiles, the views of it, its blocks and its features."""
        views: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for view, (picture, tiles) in enumerate(zip(self.owner, self.parts, strict=True)):
            views[(picture, *tiles)].append(view)
        for pictures, mine in views.items():
            yield mine, self.blocks.of(pictures), self._features[list(pictures)]

    @cached_property
    def _features(self) -> Tensor:
        return self._readout.features(self.blocks)

    def dense(self) -> Tensor:
        """Dense features of the first view's picture, (rows, cols, D)."""
        return self._readout.dense(*self._first(0))

    def similarity(self, targets: Tensor) -> Tensor:
        """For each view how much of its targets, (views, targets, D), is where: (views, targets, rows, cols)."""
        readout = self._readout
        return torch.stack([readout.similarity(*self._first(view), targets[view]) for view in range(len(self.owner))])

    def _first(self, view: int) -> tuple[PictureBlocks, Tensor, Place]:
        blocks = self.blocks.of((self.owner[view], *self.parts[view]))
        return blocks, self._readout.features(blocks), self.reading.places[view]


@contextmanager
def captured_inputs(layers: Mapping[int, Any]) -> Iterator[dict[int, Tensor]]:
    """The hidden states that enter some layers of a tower while it runs, by the numbers of the layers."""
    found: dict[int, Tensor] = {}

    def keep(layer: int) -> Any:
        return lambda _module, inputs: found.__setitem__(layer, inputs[0])

    hooks = [module.register_forward_pre_hook(keep(layer)) for layer, module in layers.items()]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


class Readable(Protocol):
    """A tower whose views can be read."""

    def read(self, component: Component, pixels: Tensor) -> Read:
        """The views of a component with a read-out, each encoded whole."""
        ...


def read_by_picture(
    tower: Readable, component: Component, pixels: Tensor, sharing: Sharing, watch: Watch | None = None
) -> Tensor:
    """A read-out of each picture, with its tiles, by itself; once for its views, or with `sharing="none"` once for each.

    Args:
        tower: Which reads.
        component: With a read-out.
        pixels: (images, channels, side, side), on the device.
        sharing: See `Backbone.features`.
        watch: Takes where the patches are alike to what was read.

    Returns:
        (views, D) on the CPU, before they are normalised.
    """
    assert component.reading
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for view, (image, place) in enumerate(zip(component.image_index, component.reading.places, strict=True)):
        groups[(image, *place.parts, *((-1, view) if sharing == "none" else ()))].append(view)
    found: dict[int, Tensor] = {}
    for views in groups.values():
        one, mine = tower.read(component.some(views[:1]), pixels), component.reading.some(views)
        several = replace(one, reading=mine, owner=[0] * len(views), parts=list(one.parts) * len(views))
        found |= dict(zip(views, embedded(several, watch, component, views), strict=True))
    return torch.stack([found[view] for view in range(len(component.image_index))]).cpu()


def embedded(read: Read, watch: Watch | None, component: Component, views: Sequence[int] | Tensor) -> Tensor:
    """What is read of some views of a component, which somebody may watch."""
    embeddings = read.embeddings()
    if watch and not component.scorer:
        watch.keep_map(component, views, read.own_maps(embeddings))
    return embeddings


def dense_features(tower: Any, component: Component, pixels: Tensor) -> Tensor:
    """See `Backbone.dense`.

    Args:
        tower: A vision tower.
        component: With a read-out, which the tower can do.
        pixels: (images, channels, side, side), on the device.
    """
    return _readable(tower, component).read(component, pixels).dense().float().cpu()


def similarities(tower: Any, component: Component, pixels: Tensor, targets: Tensor) -> Tensor:
    """Where the targets of each view, unit length (views, targets, D), are: (views, targets, rows, cols) on the CPU."""
    return _readable(tower, component).read(component, pixels).similarity(targets).float().cpu()


def _readable(tower: Any, component: Component) -> Readable:
    if component.reading is None:
        raise UserError(
            f"{component.name} has no read-out, so it has no dense features. Give one, such as falip.MaskPool('sclip')."
        )
    return tower
