"""CLIP's ViT: whole views through the unmodified transformers tower, or what the regions of an image share only once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from falip.backbone.attention import ATTENTION_NAME, AttentionControl
from falip.backbone.budget import cached_views, views_within
from falip.backbone.changing import against, changed, compared, touched
from falip.backbone.dense import LastBlocks, Read, captured_inputs, embedded, read_by_picture
from falip.backbone.sharing import Passes, Rows, Seats
from falip.backbone.watching import Seen, Watch
from falip.geometry import ALPHA_ABILITIES, VIT_ABILITIES, Geometry, Resize
from falip.views import Component, Sharing


@dataclass(frozen=True, eq=False)
class Trunk:
    """The unprompted pass over some images.

    Attributes:
        images: Which, among the pixels.
        states: See `Passes.trunk`.
        seen: What CLS attended to there, where that is asked.
    """

    images: list[int]
    states: dict[int, Tensor]
    seen: Seen | None

    def entering(self, layer: int, pictures: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The states of the distinct ones of some of its images, and for each of these its place among them."""
        distinct = sorted(set(pictures))
        owner = torch.tensor([distinct.index(picture) for picture in pictures], device=self.states[layer].device)
        return self.states[layer][[self.images.index(picture) for picture in distinct]], owner


class ClipViT:
    """A `VisionTower` over a transformers CLIPModel.

    Attributes:
        model: The CLIPModel; its vision tower stays as transformers wrote it, but for the attention function.
    """

    pooling: ClassVar[str] = "CLS"

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

    def encode(
        self, components: Sequence[Component], pixels: Tensor, sharing: Sharing, batch: int, watch: Watch | None = None
    ) -> list[Tensor]:
        """See `VisionTower`."""
        # On a CPU its caches are to hold a layer's activations.
        batch = min(batch, self._cached_views) if pixels.device.type == "cpu" else batch
        shared = [c for c in components if sharing != "none" and (_is_shareable(c) or _is_changed(c))]
        found = self._encode_shared(shared, pixels, sharing, batch, watch) if shared else {}
        found |= {id(c): read_by_picture(self, c, pixels, sharing, watch) for c in components if _is_alone(c, sharing)}
        return [found[id(c)] if id(c) in found else self._encode_whole(c, pixels, batch, watch) for c in components]

    def read(self, component: Component, pixels: Tensor) -> Read:
        """The views of a component with a read-out, each encoded whole, about to be read."""
        assert component.reading
        places = component.reading.places
        tiles = sorted(set(component.reading.pictures))
        wanted = component.reading.readout.layers(self.geometry.layers)
        layers = self.model.vision_model.encoder.layers
        with captured_inputs({layer: layers[layer] for layer in wanted}) as states:
            first = self._run(component, pixels, tiles)[1]
        parts = [[first + tiles.index(part) for part in place.parts] for place in places]
        return Read(component.reading, self._blocks(states), range(len(places)), parts)

    @property
    def head_projections(self) -> list[Tensor]:
        """See `VisionTower`."""
        return [layer.self_attn.out_proj.weight for layer in self.model.vision_model.encoder.layers]

    def _encode_whole(self, component: Component, pixels: Tensor, batch: int, watch: Watch | None) -> Tensor:
        """Every view whole, through the transformers tower."""
        total = len(component.image_index)
        if component.reading:
            batch = max(1, batch // max(1 + len(place.parts) for place in component.reading.places))
        parts = []
        for views in (range(total)[rows] for rows in _slices(total, batch)):
            some = component.some(views)
            if some.reading:
                parts.append(embedded(self.read(some, pixels), watch, component, views))
                continue
            seen = watch.seen() if watch else None
            parts.append(self._run(some, pixels, seen=seen)[0][: len(views)])
            if watch and seen:
                watch.keep(component, views, seen)
        return torch.cat(parts).cpu()

    def _run(
        self, component: Component, pixels: Tensor, beside: Sequence[int] = (), seen: Seen | None = None
    ) -> tuple[Tensor, int]:
        """Embeddings of the views, of the plain pictures that they refer to, and of those beside, which begin at a row."""
        index, intervention = list(component.image_index), component.intervention
        if intervention and intervention.reference is not None:
            plain = sorted(set(intervention.reference))
            intervention = replace(intervention, reference=tuple(plain.index(i) for i in intervention.reference))
            index += plain
        control = None
        if component.biases or intervention or seen:  # what comes after the views is plain
            control = AttentionControl(len(component.image_index), component.biases, intervention, seen)
        output = self.model.get_image_features(pixel_values=pixels[[*index, *beside]], control=control)
        return output.pooler_output, len(index)

    def _encode_shared(
        self, components: Sequence[Component], pixels: Tensor, sharing: Sharing, batch: int, watch: Watch | None
    ) -> dict[int, Tensor]:
        """Components over one trunk for each image that they see, or compare with."""
        wanted: dict[int, set[int]] = defaultdict(set)
        for component in components:
            for image, anchor in set(zip(component.image_index, _anchors(component), strict=True)):
                wanted[anchor] |= self._states(component, sharing, image == anchor)
        width = self.model.config.projection_dim
        results = {id(c): torch.empty(len(c.image_index), width, device=self.device, dtype=self.dtype) for c in components}
        for images in _alike(wanted, batch):
            trunk = self._trunk(images, pixels, wanted[images[0]], watch)
            for component in components:
                out = results[id(component)]
                if _is_changed(component):
                    self._finish_changed(component, trunk, pixels, batch, out, watch)
                else:
                    self._finish(component, trunk, sharing, batch, out, watch)
        return {key: embeddings.cpu() for key, embeddings in results.items()}

    def _states(self, component: Component, sharing: Sharing, unedited: bool = True) -> set[int]:
        """The states of the trunk that a component is made from, or those that its edited pictures are compared with."""
        wanted = self._read_layers(component)
        if _is_changed(component):
            return compared(component) | (self._entered(component) if unedited else set())
        if component.reading:
            # The tokens of a view are its own from the second biased layer on.
            first = min(component.layers, default=self.geometry.layers)
            own = {first, first + 1} if component.biases else set()
            return own | {layer for layer in wanted if layer <= first}
        return self._passes.needs(component.layers, sharing == "frozen")

    def _entered(self, component: Component) -> set[int]:
        """The states of their own pictures that changed views are made from."""
        first = min(touched(component))
        return {first, *(layer for layer in self._read_layers(component) if layer < first)}

    def _read_layers(self, component: Component) -> set[int]:
        """The layers at whose entrance the streams of views are read."""
        return set(component.reading.readout.layers(self.geometry.layers)) if component.reading else set()

    def _blocks(self, states: Mapping[int, Tensor]) -> LastBlocks:
        geometry = self.geometry
        return LastBlocks(self._passes, states, (geometry.rows, geometry.cols), geometry.patch_size)

    def _finish(
        self, component: Component, trunk: Trunk, sharing: Sharing, batch: int, out: Tensor, watch: Watch | None
    ) -> None:
        """Writes the embeddings of those views of a component that see the images of a trunk."""
        states, place = trunk.states, {image: i for i, image in enumerate(trunk.images)}
        mine = sorted((place[image], view) for view, image in enumerate(component.image_index) if image in place)
        if not mine:
            return
        owner, views = torch.tensor(mine).T
        if component.reading and not component.biases:
            seen = sorted(set(owner.tolist()))
            blocks = self._blocks({layer: states[layer][seen] for layer in self._states(component, sharing)})
            places = [seen.index(int(image)) for image in owner]
            read = Read(component.reading.some(views.tolist()), blocks, places, [()] * len(places))
            out[views] = embedded(read, watch, component, views)
            return
        if not component.biases:
            out[views] = self._passes.embed(states[self.geometry.layers])[owner.to(out.device)]
            _watch(watch, component, views, trunk, owner)
            return
        finish = self._passes.frozen if sharing == "frozen" else self._passes.exact
        for some in _slices(len(mine), batch):
            first, last = int(owner[some][0]), int(owner[some][-1])
            seats = Seats.of(owner[some] - first, last - first + 1, out.device)
            near = {layer: state[first : last + 1] for layer, state in states.items()}
            part = component.some(views[some].tolist())
            rows = Rows.of(part.biases, near[min(near)])
            if part.reading:
                streams = self._passes.streams(near, seats, rows, self._read_layers(part))
                out[views[some]] = embedded(self._own_streams(part, streams), watch, component, views[some])
            else:
                seen = watch.seen() if watch else None
                out[views[some]] = self._passes.embed(finish(near, seats, rows, seen))
                _watch(watch, component, views[some], trunk, owner[some], seen)

    def _finish_changed(
        self, component: Component, trunk: Trunk, pixels: Tensor, batch: int, out: Tensor, watch: Watch | None
    ) -> None:
        """As `_finish`, for views that the trunk's images are the beginning of, or what they are compared with."""
        place = {image: i for i, image in enumerate(trunk.images)}
        seats = list(zip(component.image_index, _anchors(component), strict=True))
        mine = sorted((anchor, view) for view, (_, anchor) in enumerate(seats) if anchor in place)
        for edited in (False, True):
            views = [view for anchor, view in mine if (seats[view][0] != anchor) == edited]
            for some in (views[rows] for rows in _slices(len(views), batch)):
                part, below = component.some(some), trunk
                if edited:
                    below = self._trunk(sorted(set(part.image_index)), pixels, self._entered(component), watch)
                plain = sorted({seats[view][1] for view in some})
                states = {layer: trunk.states[layer][[place[i] for i in plain]] for layer in compared(component)}
                tokens, owner = below.entering(min(touched(component)), part.image_index)
                seen = watch.seen() if watch else None
                entering = changed(self._passes, against(part, plain), tokens, owner, states, seen)
                if part.reading:
                    streams = self._streams(part, below, entering)
                    out[some] = embedded(self._own_streams(part, streams), watch, component, some)
                    continue
                *_, (_, cls) = entering
                out[some] = self._passes.embed(cls)
                pictures = torch.tensor([below.images.index(image) for image in part.image_index])
                _watch(watch, component, torch.tensor(some), below, pictures, seen)

    def _streams(self, component: Component, trunk: Trunk, entering: Iterator[tuple[int, Tensor]]) -> dict[int, Tensor]:
        """The streams of changed views on entering the layers that are read."""
        wanted, found = self._read_layers(component), {}
        for layer in wanted & set(trunk.states):
            tokens, owner = trunk.entering(layer, component.image_index)
            found[layer] = tokens[owner]
        for layer, stream in entering:
            if layer in wanted:
                found[layer] = stream
            if layer >= max(wanted):
                break
        return found

    def _own_streams(self, component: Component, streams: Mapping[int, Tensor]) -> Read:
        """Views about to be read, each of which has streams of its own."""
        assert component.reading
        count = len(component.image_index)
        return Read(component.reading, self._blocks(streams), range(count), [()] * count)

    def _trunk(self, images: list[int], pixels: Tensor, wanted: set[int], watch: Watch | None) -> Trunk:
        seen = watch.seen() if watch else None
        return Trunk(images, self._passes.trunk(pixels[images], wanted, seen), seen)


def _watch(
    watch: Watch | None, component: Component, views: Tensor, trunk: Trunk, owner: Tensor, own: Seen | None = None
) -> None:
    """Keeps what some views attended to: in their own layers, and in the trunk below."""
    if watch and trunk.seen:
        watch.keep(component, views, (own or watch.seen()).above(trunk.seen, owner))


def _is_shareable(component: Component) -> bool:
    plain_or_row = component.intervention is None and all(bias.form == "cls_row" for bias in component.biases)
    return plain_or_row and not _is_read_whole(component)


def _is_changed(component: Component) -> bool:
    return not _is_shareable(component) and not _is_read_whole(component) and bool(touched(component))


def _is_read_whole(component: Component) -> bool:
    return bool(component.reading and (component.reading.pictures or component.reading.readout.amplifies_rounding))


def _anchors(component: Component) -> tuple[int, ...]:
    """For each view the image whose trunk it is made from, or compared with."""
    surgery = component.intervention
    return component.image_index if surgery is None or surgery.reference is None else surgery.reference


def _is_plain(component: Component) -> bool:
    return component.intervention is None and not component.biases


def _is_alone(component: Component, sharing: Sharing) -> bool:
    if not component.reading or not _is_plain(component):
        return False
    return component.reading.readout.amplifies_rounding or (sharing != "none" and bool(component.reading.pictures))


def _alike(wanted: Mapping[int, set[int]], size: int) -> Iterator[list[int]]:
    """Images that want the same states of the trunk, at most `size` at a time."""
    groups: dict[frozenset[int], list[int]] = defaultdict(list)
    for image, states in sorted(wanted.items()):
        groups[frozenset(states)].append(image)
    return (images[some] for images in groups.values() for some in _slices(len(images), size))


def _slices(total: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, total)) for start in range(0, total, size))
