"""A CLIP with a ViT tower: views, regions and text to unit-length embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from PIL import Image
from torch import Tensor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip.backbone.attention import ATTENTION_NAME, AttentionControl
from falip.backbone.images import ImageProcessing
from falip.backbone.sharing import Tower
from falip.backbone.text import TextEncoder
from falip.errors import UserError
from falip.geometry import Geometry, Resize
from falip.regions import Region
from falip.views import Bias, Component, Prompt, Views

Sharing = Literal["exact", "frozen", "none"]


@dataclass(frozen=True)
class Provenance:
    """Where a backbone came from; part of a run's identity.

    Attributes:
        name: "tiny", a hub id, or the folder as the user named it.
        revision: Commit of the hub repository, or "" for a folder.
        weights: sha256 of the weight files of a folder, or "" for a hub id with a revision.
    """

    name: str
    revision: str = ""
    weights: str = ""


class Backbone:
    """A loaded CLIP: a transformers CLIPModel with its tokenizer and image processor.

    Attributes:
        geometry: What prompts may know of it.
        logit_scale: exp of the learnt temperature: the factor on cosines.
        provenance: Where it came from.
        truncated_texts: See `TextEncoder.truncated`.
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
        self._text = TextEncoder(model, tokenizer)

    @property
    def truncated_texts(self) -> int:
        """Number of distinct texts that were cut at the context length."""
        return self._text.truncated

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers depend on: weights, dtype and image handling."""
        return {
            "name": self.provenance.name,
            "revision": self.provenance.revision,
            "weights": self.provenance.weights,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "resize": self.geometry.resize,
            "image_processor": CLIPImageProcessorPil.__name__,
        }

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit-length embeddings of texts, each distinct text encoded once in the life of the backbone.

        A text longer than the context is cut, its end token kept, and counted in `truncated_texts`.

        Returns:
            float32 (texts, D) on the CPU.
        """
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
            UserError: If the prompt has several views for each region; `falip.score` sums their scores.
        """
        views = prompt(image, regions, self.geometry)
        if len(views.components) != 1:
            raise UserError(
                f"{type(prompt).__name__} has {len(views.components)} views for each region, so a region has no single "
                "embedding. Use falip.score(backbone, image, regions, prompt, texts), which combines their scores."
            )
        return self.encode_views(views, sharing)[0]

    @torch.inference_mode()
    def encode_views(
        self, views: Views, sharing: Sharing = "exact", pixels: Tensor | None = None, batch: int = 64
    ) -> Tensor:
        """Unit-length embeddings of views, of one image or of many (`falip.views.merge_views`).

        Args:
            views: What a prompt made.
            sharing: `none` runs every view whole through the unmodified transformers tower. `exact` gives the same to
                float rounding and computes once what the regions of an image have in common. `frozen` also keeps the
                patch tokens of the unprompted pass: an approximation.
            pixels: `preprocess(views.images)` where that is done already.
            batch: Most views in one forward pass.

        Returns:
            float32 (components, regions, D) on the CPU.
        """
        if sharing not in get_args(Sharing):
            raise UserError(f"sharing={sharing!r}: choose from {', '.join(get_args(Sharing))}.")
        pixels = self.preprocess(views.images) if pixels is None else pixels
        pixels = pixels.to(self.model.device, self.model.dtype)
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
        views = prompt(image, regions, self.geometry)
        if len(views.components) != 1:
            raise UserError(f"{type(prompt).__name__} has several views for each region; ask for one of its parts.")
        pixels = self.preprocess(views.images).to(self.model.device, self.model.dtype)
        captured: list[Tensor] = []
        self._whole_batch(views.components[0], pixels, captured)
        return torch.stack(captured, dim=1).cpu()

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
        depth = self.geometry.layers
        entries = {id(c): c.bias.layers[0] if c.bias else depth for c in components}
        results: dict[int, list[Tensor]] = {id(c): [] for c in components}
        order = {id(c): torch.tensor(c.image_index).argsort(stable=True) for c in components}
        for images in _slices(len(pixels), batch):
            states = self._tower.trunk(pixels[images], entries.values())
            for component in components:
                hidden = states[entries[id(component)]]
                mine = [v for v in order[id(component)].tolist() if component.image_index[v] in range(len(pixels))[images]]
                results[id(component)] += self._finish(component, mine, hidden, images.start, sharing, batch)
        return {key: torch.cat(parts)[order[key].argsort()].cpu() for key, parts in results.items()}

    def _finish(
        self, component: Component, mine: list[int], hidden: Tensor, start: int, sharing: Sharing, batch: int
    ) -> Iterator[Tensor]:
        """Embeddings of the views `mine` of a component, whose images are in this trunk."""
        if component.bias is None:
            embeddings = self._tower.embed(hidden)
            yield embeddings[[component.image_index[v] - start for v in mine]]
            return
        finish = self._tower.frozen if sharing == "frozen" else self._tower.exact
        for rows in _slices(len(mine), batch):
            part = _part(component, mine[rows])
            owner = torch.tensor([i - start for i in part.image_index], device=hidden.device)
            assert part.bias
            yield self._tower.embed(finish(hidden, owner, part.bias))


def _is_shareable(component: Component) -> bool:
    return component.intervention is None and (component.bias is None or component.bias.form == "cls_row")


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
