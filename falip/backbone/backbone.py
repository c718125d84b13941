"""A CLIP with a ViT tower: views, regions and text to unit-length embeddings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from PIL import Image
from torch import Tensor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip.backbone.attention import ATTENTION_NAME, AttentionControl
from falip.backbone.budget import cached_views, views_within
from falip.backbone.images import ImageProcessing
from falip.backbone.sharing import Seats, Tower
from falip.backbone.text import TextEncoder
from falip.errors import UserError
from falip.geometry import Geometry, Resize
from falip.regions import Region
from falip.views import Bias, Component, Prompt, Views, make_views

Sharing = Literal["exact", "frozen", "none"]


@dataclass(frozen=True)
class Provenance:
    """Where a backbone came from; part of a run's identity.

    Attributes:
        name: "tiny", a hub id, or the folder as the user named it.
        revision: Commit of the hub repository, or "" for a folder.
        weights: sha256 of the files of a folder (see `loading.weights_hash`), or "" for a hub id with a revision.
    """

    name: str
    revision: str = ""
    weights: str = ""


class Backbone:
    """A loaded CLIP: a transformers CLIPModel with its tokenizer and image processor.

    Attributes:
        geometry: What prompts may know of it.
        tokenizer: That of transformers which belongs to the text tower.
        logit_scale: exp of the learnt temperature: the factor on cosines.
        provenance: Where it came from.
        truncated_texts: Number of distinct texts that were cut at the context length.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        processor: CLIPImageProcessorPil,
        provenance: Provenance,
        resize: Resize = "squash",
    ) -> None:
        vision = model.config.vision_config
        self.geometry = Geometry(
            vision.image_size, vision.patch_size, vision.num_hidden_layers, vision.num_attention_heads, resize
        )
        self.model, self.provenance = model.eval(), provenance
        self.model.vision_model.config._attn_implementation = ATTENTION_NAME
        for i, layer in enumerate(model.vision_model.encoder.layers):
            layer.self_attn.layer_index = i
        self.logit_scale = float(model.logit_scale.detach().exp())
        self.preprocess = ImageProcessing(processor, self.geometry)
        self._tower = Tower(model.vision_model, model.visual_projection)
        self._cached_views = cached_views(vision)
        self.tokenizer, self._text = tokenizer, TextEncoder(model, tokenizer)

    @property
    def truncated(self) -> frozenset[str]:
        """Texts that were cut at the context length, their end token kept."""
        return frozenset(self._text.truncated)

    @property
    def truncated_texts(self) -> int:
        """Number of distinct texts that were cut at the context length."""
        return len(self._text.truncated)

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers depend on: weights, dtype and image handling."""
        return {
            "weights": self.provenance.weights or f"{self.provenance.name}@{self.provenance.revision}",
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "resize": self.geometry.resize,
            "image_processor": CLIPImageProcessorPil.__name__,
        }

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit-length embeddings of texts, each distinct text encoded once in the life of the backbone.

        A text longer than the context is cut, its end token kept, and counted in `truncated_texts`.

        Returns:
            float32 (texts, D) on the CPU.

        Raises:
            UserError: If `texts` is one string and not a list of them.
        """
        if isinstance(texts, str):
            raise UserError(f"Texts come as a list, and got the string {texts!r}: write [{texts!r}].")
        return self._text(texts)

    def encode_regions(
        self, image: Image.Image, regions: Sequence[Region], prompt: Prompt, sharing: Sharing = "exact"
    ) -> Tensor:
        """Unit-length embeddings of the regions of one image under a prompt.

        Args:
            image: An RGB picture, or a depth map of mode "F".
            regions: At least one region of it.
            prompt: A prompt with one view for each region.
            sharing: See `encode_views`.

        Returns:
            float32 (regions, D) on the CPU.

        Raises:
            UserError: If the prompt has several views for each region (`falip.score` sums their scores), there is no
                region, or the image is neither RGB nor a depth map.
        """
        views = make_views(prompt, image, regions, self.geometry)
        if len(views.components) != 1:
            raise UserError(
                f"{type(prompt).__name__} has {len(views.components)} views for each region, so a region has no single "
                "embedding. Use falip.score(backbone, image, regions, prompt, texts), which combines their scores."
            )
        return self.encode_views(views, sharing)[0]

    def compile(self) -> None:
        """Lets torch.compile fuse the layers of the shared passes; `sharing="none"` stays the unmodified tower."""
        self._tower.compile()

    def views_within(self, memory_gb: float | None = None) -> int:
        """Number of views whose forward pass stays within a memory budget.

        Args:
            memory_gb: The budget, weights aside; None for half of what a GPU has free, or 1 GB on a CPU.
        """
        return views_within(self.model.config.vision_config, self.model.device, self.model.dtype, memory_gb)

    def prepare(self, views: Views) -> Views:
        """The views with their pictures as this backbone takes them, which other threads can do ahead of time."""
        return replace(views, images=(), pixels=self._to_model(self.preprocess(views.images)))

    @torch.inference_mode()
    def encode_views(self, views: Views, sharing: Sharing = "exact", batch: int = 64) -> Tensor:
        """Unit-length embeddings of views, of one image or of many (`falip.views.merge_views`).

        Args:
            views: What a prompt made, prepared or not.
            sharing: `none` runs every view whole through the unmodified transformers tower. `exact` gives the same to
                float rounding and computes once what the regions of an image have in common. `frozen` also keeps the
                patch tokens of the unprompted pass: an approximation.
            batch: Most views in one forward pass; on a CPU there are fewer, so that its caches hold a layer's activations.

        Returns:
            float32 (components, regions, D) on the CPU.
        """
        if sharing not in get_args(Sharing):
            raise UserError(f"sharing={sharing!r}: choose from {', '.join(get_args(Sharing))}.")
        pixels = self._to_model(self.preprocess(views.images) if views.pixels is None else views.pixels)
        batch = min(batch, self._cached_views) if pixels.device.type == "cpu" else batch
        shared = [c for c in views.components if sharing != "none" and _is_shareable(c)]
        found = self._encode_shared(shared, pixels, sharing, batch) if shared else {}
        parts = [
            found[id(component)] if id(component) in found else self._encode_whole(component, pixels, batch)
            for component in views.components
        ]
        return torch.stack(parts)

    @torch.inference_mode()
    def attention(self, image: Image.Image, regions: Sequence[Region], prompt: Prompt) -> Tensor:
        """What CLS attends to: softmax weights of the CLS row.

        Returns:
            float32 (regions, layers, heads, 1 + rows * cols) on the CPU.

        Raises:
            UserError: If the prompt has several views for each region.
        """
        views = make_views(prompt, image, regions, self.geometry)
        if len(views.components) != 1:
            raise UserError(f"{type(prompt).__name__} has several views for each region; ask for one of its parts.")
        pixels = self._to_model(self.preprocess(views.images))
        captured: list[Tensor] = []
        self._whole_batch(views.components[0], pixels, captured)
        return torch.stack(captured, dim=1).cpu()

    def _to_model(self, pixels: Tensor) -> Tensor:
        """Pixels on the model's device in its dtype; towards a GPU the copy runs beside the model's work."""
        pixels = pixels.to(dtype=self.model.dtype)
        if self.model.device.type == "cuda" and pixels.device.type == "cpu":
            pixels = pixels.pin_memory()
        return pixels.to(self.model.device, non_blocking=True)

    def _encode_whole(self, component: Component, pixels: Tensor, batch: int) -> Tensor:
        """Every view whole, through the transformers tower."""
        total = len(component.image_index)
        parts = [self._whole_batch(_part(component, rows), pixels) for rows in _slices(total, batch)]
        return torch.cat(parts).cpu()

    def _whole_batch(self, component: Component, pixels: Tensor, captured: list[Tensor] | None = None) -> Tensor:
        index, intervention = list(component.image_index), component.intervention
        if intervention and intervention.reference is not None:
            plain = sorted(set(intervention.reference))
            intervention = replace(intervention, reference=tuple(plain.index(i) for i in intervention.reference))
            index += plain
        control = None
        if component.bias or intervention or captured is not None:
            control = AttentionControl(len(component.image_index), component.bias, intervention, captured)
        output = self.model.get_image_features(pixel_values=pixels[index], control=control)
        embeddings = output.pooler_output[: len(component.image_index)]
        return torch.nn.functional.normalize(embeddings.float(), dim=-1)

    def _encode_shared(
        self, components: Sequence[Component], pixels: Tensor, sharing: Sharing, batch: int
    ) -> dict[int, Tensor]:
        """CLS-row components and plain ones, over one trunk for each image."""
        needs = {id(c): self._tower.needs(c.bias, sharing == "frozen") for c in components}
        wanted: dict[int, set[int]] = defaultdict(set)
        for component in components:
            for image in set(component.image_index):
                wanted[image] |= needs[id(component)]
        width, device = self.model.config.projection_dim, self.model.device
        results = {id(c): torch.empty(len(c.image_index), width, device=device) for c in components}
        for images in _alike(wanted, batch):
            states = self._tower.trunk(pixels[images], wanted[images[0]])
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
        if component.bias is None:
            out[views] = self._tower.embed(states[self.geometry.layers])[owner.to(out.device)]
            return
        finish = self._tower.frozen if sharing == "frozen" else self._tower.exact
        for some in _slices(len(mine), batch):
            first, last = int(owner[some][0]), int(owner[some][-1])
            seats = Seats.of(owner[some] - first, last - first + 1, out.device)
            near = {layer: state[first : last + 1] for layer, state in states.items()}
            bias = replace(component.bias, rows=component.bias.rows[views[some]])
            out[views[some]] = self._tower.embed(finish(near, seats, bias))


def _is_shareable(component: Component) -> bool:
    return component.intervention is None and (component.bias is None or component.bias.form == "cls_row")


def _alike(wanted: Mapping[int, set[int]], size: int) -> Iterator[list[int]]:
    """Images that want the same states of the trunk, at most `size` at a time."""
    groups: dict[frozenset[int], list[int]] = defaultdict(list)
    for image, states in sorted(wanted.items()):
        groups[frozenset(states)].append(image)
    return (images[some] for images in groups.values() for some in _slices(len(images), size))


def _slices(total: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


def _part(component: Component, views: slice | list[int]) -> Component:
    """Some of the views of a component."""
    chosen = range(len(component.image_index))[views] if isinstance(views, slice) else views
    rows = list(chosen)
    bias: Bias | None = component.bias and replace(component.bias, rows=component.bias.rows[rows])
    intervention = component.intervention
    if intervention:
        reference, keep = intervention.reference, intervention.keep
        intervention = replace(
            intervention,
            reference=None if reference is None else tuple(reference[v] for v in rows),
            keep=None if keep is None else keep[rows],
        )
    return Component(component.name, tuple(component.image_index[v] for v in rows), bias, intervention)
