"""CLIP's ViT: whole views through the unmodified transformers tower, or what the regions of an image share only once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from falip.backbone.attention import ATTENTION_NAME, AttentionControl
from falip.backbone.budget import cached_views, views_within
from falip.backbone.sharing import Passes, Rows, Seats
from falip.geometry import ALPHA_ABILITIES, VIT_ABILITIES, Geometry, Resize
from falip.views import Component, Sharing


class ClipViT:
    """A `VisionTower` over a transformers CLIPModel.

    Attributes:
        model: The CLIPModel; its vision tower stays as transformers wrote it, but for the attention function.
    """

    def __init__(self, model: Any, resize: Resize) -> None:
        vision = model.config.vision_config
        self.model = model
        self.geometry = Geometry(
            vision.image_size,
            vision.patch_size,
            vision.num_hidden_layers,
            vision.num_attention_heads,
            resize,
            ALPHA_ABILITIES if vision.num_channels == 4 else VIT_ABILITIES,
        )
        self.dtype: torch.dtype = model.dtype
        self.device: torch.device = model.device
        model.vision_model.config._attn_implementation = ATTENTION_NAME
        for i, layer in enumerate(model.vision_model.encoder.layers):
            layer.self_attn.layer_index = i
        self._passes = Passes(model.vision_model, model.visual_projection)
        self._cached_views = cached_views(vision)

    def views_within(self, memory_gb: float | None) -> int:
        """See `VisionTower`."""
        return views_within(self.model.config.vision_config, self.device, self.dtype, memory_gb)

    def compile(self) -> None:
        """See `VisionTower`; `sharing="none"` stays the unmodified tower."""
        self._passes.compile()

    def encode(self, components: Sequence[Component], pixels: Tensor, sharing: Sharing, batch: int) -> list[Tensor]:
        """See `VisionTower`."""
        # On a CPU its caches are to hold a layer's activations.
        batch = min(batch, self._cached_views) if pixels.device.type == "cpu" else batch
        shared = [c for c in components if sharing != "none" and _is_shareable(c)]
        found = self._encode_shared(shared, pixels, sharing, batch) if shared else {}
        return [found[id(c)] if id(c) in found else self._encode_whole(c, pixels, batch) for c in components]

    def attention(self, component: Component, pixels: Tensor) -> Tensor:
        """See `VisionTower`."""
        captured: dict[int, Tensor] = {}
        self._whole_batch(component, pixels, captured)
        return torch.stack([captured[layer] for layer in range(self.geometry.layers)], dim=1).cpu()

    def head_outputs(self, component: Component, pixels: Tensor) -> Tensor:
        """See `VisionTower`."""
        with self._captured_heads() as captured:
            self._whole_batch(component, pixels)
        parts = []
        for layer, outputs in zip(self.model.vision_model.encoder.layers, captured, strict=True):
            # An intervention puts its plain pictures behind the views.
            mine = outputs[: len(component.image_index)].float().unflatten(-1, (self.geometry.heads, -1))
            weight = layer.self_attn.out_proj.weight.float().unflatten(1, (self.geometry.heads, -1))
            parts.append(torch.einsum("vhk,dhk->vhd", mine, weight))
        return torch.stack(parts, dim=1).cpu()

    @contextmanager
    def _captured_heads(self) -> Iterator[list[Tensor]]:
        """The CLS row of the input of each layer's output projection, in the order of the layers."""
        found: list[Tensor] = []
        hooks = [
            layer.self_attn.out_proj.register_forward_pre_hook(lambda _module, inputs: found.append(inputs[0][:, 0]))
            for layer in self.model.vision_model.encoder.layers
        ]
        try:
            yield found
        finally:
            for hook in hooks:
                hook.remove()

    def _encode_whole(self, component: Component, pixels: Tensor, batch: int) -> Tensor:
        """Every view whole, through the transformers tower."""
        total = len(component.image_index)
        parts = [self._whole_batch(component.some(range(total)[rows]), pixels) for rows in _slices(total, batch)]
        return torch.cat(parts).cpu()

    def _whole_batch(self, component: Component, pixels: Tensor, captured: dict[int, Tensor] | None = None) -> Tensor:
        index, intervention = list(component.image_index), component.intervention
        if intervention and intervention.reference is not None:
            plain = sorted(set(intervention.reference))
            intervention = replace(intervention, reference=tuple(plain.index(i) for i in intervention.reference))
            index += plain
        control = None
        if component.biases or intervention or captured is not None:
            control = AttentionControl(len(component.image_index), component.biases, intervention, captured)
        output = self.model.get_image_features(pixel_values=pixels[index], control=control)
        return output.pooler_output[: len(component.image_index)]

    def _encode_shared(
        self, components: Sequence[Component], pixels: Tensor, sharing: Sharing, batch: int
    ) -> dict[int, Tensor]:
        """CLS-row components and plain ones, over one trunk for each image."""
        needs = {id(c): self._passes.needs(c.layers, sharing == "frozen") for c in components}
        wanted: dict[int, set[int]] = defaultdict(set)
        for component in components:
            for image in set(component.image_index):
                wanted[image] |= needs[id(component)]
        width = self.model.config.projection_dim
        results = {id(c): torch.empty(len(c.image_index), width, device=self.device, dtype=self.dtype) for c in components}
        for images in _alike(wanted, batch):
            states = self._passes.trunk(pixels[images], wanted[images[0]])
            for component in components:
                self._finish(component, images, states, sharing, batch, results[id(component)])
        return {key: embeddings.cpu() for key, embeddings in results.items()}

    def _finish(
        self, component: Component, images: list[int], states: dict[int, Tensor], sharing: Sharing, batch: int, out: Tensor
    ) -> None:
        """Writes the embeddings of those views of a component that see these images."""
        place = {image: i for i, image in enumerate(images)}
        mine = sorted((place[image], view) for view, image in enumerate(component.image_index) if image in place)
        if not mine:
            return
        owner, views = torch.tensor(mine).T
        if not component.biases:
            out[views] = self._passes.embed(states[self.geometry.layers])[owner.to(out.device)]
            return
        finish = self._passes.frozen if sharing == "frozen" else self._passes.exact
        for some in _slices(len(mine), batch):
            first, last = int(owner[some][0]), int(owner[some][-1])
            seats = Seats.of(owner[some] - first, last - first + 1, out.device)
            near = {layer: state[first : last + 1] for layer, state in states.items()}
            rows = Rows.of(component.some(views[some].tolist()).biases, near[min(near)])
            out[views[some]] = self._passes.embed(finish(near, seats, rows))


def _is_shareable(component: Component) -> bool:
    return component.intervention is None and all(bias.form == "cls_row" for bias in component.biases)


def _alike(wanted: Mapping[int, set[int]], size: int) -> Iterator[list[int]]:
    """Images that want the same states of the trunk, at most `size` at a time."""
    groups: dict[frozenset[int], list[int]] = defaultdict(list)
    for image, states in sorted(wanted.items()):
        groups[frozenset(states)].append(image)
    return (images[some] for images in groups.values() for some in _slices(len(images), size))


def _slices(total: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, total)) for start in range(0, total, size))
