"""A CLIP: views, regions and text to unit-length embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize, pad

from falip.backbone.alpha import with_alpha_channel
from falip.backbone.dense import dense_features, similarities
from falip.backbone.equal import distinct_views, with_keys
from falip.backbone.images import ImageProcessing
from falip.backbone.text import TextEncoder, TextForm
from falip.backbone.tower import VisionTower
from falip.backbone.watching import WATCHED_LAYERS, AttentionByLayer, HeadsByLayer, Watch
from falip.errors import UserError
from falip.geometry import Geometry, Resize
from falip.reading import as_picture
from falip.regions import Region
from falip.views import Component, Prompt, Sharing, Views, make_views
from falip.weights import Weights, backbone_identity


class Backbone:
    """A loaded CLIP: a vision tower, a text tower with its tokenizer, and the way pictures become pixels.

    Attributes:
        model: The transformers model that holds the text tower and the learnt temperature.
        tower: The vision tower.
        tokenizer: That of transformers which belongs to the text tower.
        logit_scale: exp of the learnt temperature: the factor on cosines.
        logit_bias: What is added to scaled cosines; 0 for CLIP, learnt by SigLIP.
        preprocess: From pictures to pixels.
        weights: Where it came from.
        precision: None, or "released": features and scores are rounded as the released programs do it.
    """

    def __init__(
        self,
        model: Any,
        tower: VisionTower,
        tokenizer: Any,
        preprocess: ImageProcessing,
        weights: Weights,
        precision: str | None = None,
        resize: Resize | None = None,
        text_form: TextForm | None = None,
        image_size: int | None = None,
    ) -> None:
        self.model, self.tower, self.tokenizer = model, tower, tokenizer
        self.preprocess, self.weights, self.precision = preprocess, weights, precision
        self.logit_scale = float(model.logit_scale.detach().exp())
        self.logit_bias = float(model.logit_bias.detach()) if hasattr(model, "logit_bias") else 0.0
        # As it was asked for; what that means with these weights stands in the tower's geometry.
        self._resize, self._image_size = resize or tower.geometry.resize, image_size
        self._text = TextEncoder(model, tokenizer, text_form)

    @property
    def geometry(self) -> Geometry:
        """What prompts may know of it."""
        return self.tower.geometry

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
        dtype = str(self.tower.dtype).removeprefix("torch.")
        return backbone_identity(self.weights, dtype, self._resize, self.precision, self._image_size)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit-length embeddings of texts.

        Returns:
            float32 (texts, D) on the CPU.

        Raises:
            UserError: As `text_features`.
        """
        return normalize(self.text_features(texts).float(), dim=-1)

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Features of texts before they are normalised; each distinct text is encoded once in the life of the backbone.

        A text longer than the context is cut, its end token kept, and counted in `truncated_texts`.

        Returns:
            (texts, D) on the CPU, in the dtype of the model.

        Raises:
            UserError: If `texts` is one string and not a list of them, or a text is no text.
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
                region, the image is neither RGB nor a depth map, or the prompt asks for what the tower cannot do.
        """
        views = make_views(prompt, image, regions, self.geometry)
        if len(views.components) != 1:
            raise UserError(
                f"{type(prompt).__name__} has {len(views.components)} views for each region, so a region has no single "
                "embedding. Use falip.score(backbone, image, regions, prompt, texts), which combines their scores."
            )
        return self.encode_views(views, sharing)[0]

    @torch.inference_mode()
    def dense(self, image: Image.Image, readout: Prompt) -> Tensor:
        """Dense features of a picture before they are normalised, row by row.

        Args:
            image: An RGB picture, or a depth map of mode "F".
            readout: Such as `falip.MaskPool("sclip")`, or a `Compose` with one.

        Returns:
            float32 (rows, cols, D) on the CPU; of all tiles where the read-out has some.

        Raises:
            UserError: If the prompt has no read-out, the read-out has no dense features, or the tower can have none.
        """
        image = as_picture(image)
        return dense_features(self.tower, *self._single(image, [Region.from_box(0, 0, *image.size)], readout))

    @torch.inference_mode()
    def similarity(
        self, image: Image.Image, regions: Sequence[Region], readout: Prompt, targets: Tensor | None = None
    ) -> Tensor:
        """Where in a picture that is what a read-out takes for each region; it stands in place of attention.

        Args:
            image: An RGB picture, or a depth map of mode "F".
            regions: At least one region of it.
            readout: A read-out, or a `Compose` with one.
            targets: Unit-length embeddings of what is looked for, (targets, D), such as texts, or (regions, targets, D);
                None for each region's own.

        Returns:
            float32 on the CPU: cosines of each patch's dense features with the region's embedding, (regions, rows,
            cols), or with the targets, (regions, targets, rows, cols). MaskInversion has LeGrad maps instead, 0 to 1.

        Raises:
            UserError: If the prompt has no read-out.
        """
        component, pixels = self._single(image, regions, readout)
        if targets is not None:
            return similarities(self.tower, component, pixels, targets.expand(len(component.image_index), -1, -1))
        own = self.encode_regions(image, regions, readout)
        return similarities(self.tower, component, pixels, own[:, None])[:, 0]

    def compile(self) -> None:
        """Lets torch.compile fuse the layers of the shared passes; `sharing="none"` stays the unmodified tower."""
        self.tower.compile()

    def views_within(self, memory_gb: float | None = None) -> int:
        """Number of views whose forward pass stays within a memory budget.

        Args:
            memory_gb: The budget, weights aside; None for half of what a GPU has free, or 1 GB on a CPU.
        """
        return self.tower.views_within(memory_gb)

    def prepare(self, views: Views) -> Views:
        """The views with their pictures as this backbone takes them, which other threads can do ahead of time."""
        if views.pixels is not None:
            return views
        made = with_keys(*self._inputs(views))
        return replace(made, pixels=self._to_model(made.pixels))

    @torch.inference_mode()
    def encode_views(self, views: Views, sharing: Sharing = "exact", batch: int = 64) -> Tensor:
        """Unit-length embeddings of views, of one image or of many (`falip.views.merge_views`).

        Args:
            views: What a prompt made, prepared or not.
            sharing: See `features`.
            batch: See `features`.

        Returns:
            float32 (components, regions, D) on the CPU.
        """
        scorers = [component.name for component in views.components if component.scorer]
        if scorers:
            raise UserError(
                f"{scorers[0]} gives a region no embedding: its scores are no products of embeddings. "
                "Use falip.score(backbone, image, regions, prompt, texts)."
            )
        return normalize(self.features(views, sharing, batch).float(), dim=-1)

    @torch.inference_mode()
    def features(self, views: Views, sharing: Sharing = "exact", batch: int = 64) -> Tensor:
        """Features of views before they are normalised. Equal views are encoded once: they get the same bits.

        Args:
            views: What a prompt made, prepared or not.
            sharing: `none` runs every view whole through the unmodified transformers tower. `exact` gives the same to
                float rounding and computes once what the regions of an image have in common. `frozen` also keeps the
                patch tokens of the unprompted pass: an approximation.
            batch: Most views in one forward pass; on a CPU there are fewer, so that its caches hold a layer's activations.

        Returns:
            (components, regions, D) on the CPU, in the dtype of the model. Where a component has a scorer, which takes
            longer rows, as long as the longest: zeros stand behind the others.
        """
        return self._encoded(views, sharing, batch, None)[0]

    @torch.inference_mode()
    def attended_features(
        self, views: Views, sharing: Sharing = "exact", batch: int = 64
    ) -> tuple[Tensor, list[Tensor | None]]:
        """As `features`, and what the views attended to on the way, which costs little beside it.

        Returns:
            The features, and for each component the mean over the last four layers of what `attention` gives, float32
            (regions, heads, 1 + rows * cols) on the CPU. A read-out has one head: how alike its patches are to what it
            took for the region (`similarity`), from 0 for the least, as shares; None where it scores in its own way.
        """
        layers = self.geometry.last_layers(min(WATCHED_LAYERS, self.geometry.layers))
        return self._encoded(views, sharing, batch, Watch(layers))

    def _encoded(
        self, views: Views, sharing: Sharing, batch: int, watch: Watch | None
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Features of views, and where somebody watches what they attended to."""
        if sharing not in get_args(Sharing):
            raise UserError(f"sharing={sharing!r}: choose from {', '.join(get_args(Sharing))}.")
        ready = self.prepare(views)
        assert ready.pixels is not None and ready.keys is not None
        distinct, places = zip(
            *(distinct_views(c, keys) for c, keys in zip(ready.components, ready.keys, strict=True)), strict=True
        )
        # Sharing is exact to rounding, which in half is what released precision is about.
        way: Sharing = "none" if self.precision else sharing
        found = self.tower.encode(distinct, self._to_model(ready.pixels), way, batch, watch)
        longest = max(part.shape[1] for part in found)
        rows = [pad(part, (0, longest - part.shape[1])) for part in found]
        attended = [watch.of(component) if watch else None for component in distinct]
        attended = [w if w is None else w[place] for w, place in zip(attended, places, strict=True)]
        return torch.stack([part[place] for part, place in zip(rows, places, strict=True)]), attended

    @torch.inference_mode()
    def attention(
        self, image: Image.Image, regions: Sequence[Region], prompt: Prompt, sharing: Sharing = "exact"
    ) -> Tensor:
        """What CLS attends to: softmax weights of the CLS row. A read-out reads behind it and changes nothing of it.

        Args as for `encode_regions`.

        Returns:
            float32 (regions, layers, heads, 1 + rows * cols) on the CPU.

        Raises:
            UserError: If the prompt has several views for each region.
        """
        return self._watched(AttentionByLayer(range(self.geometry.layers)), image, regions, prompt, sharing)

    @torch.inference_mode()
    def head_outputs(
        self, image: Image.Image, regions: Sequence[Region], prompt: Prompt, sharing: Sharing = "exact"
    ) -> Tensor:
        """What each head adds to the CLS token, after its part of the output projection and without that one's bias.

        Args and errors as for `attention`.

        Returns:
            float32 (regions, layers, heads, width) on the CPU.
        """
        heads = self._watched(HeadsByLayer(range(self.geometry.layers)), image, regions, prompt, sharing)
        projections = [part.float().cpu().unflatten(1, heads.shape[2:]) for part in self.tower.head_projections]
        return torch.stack([torch.einsum("vhk,dhk->vhd", heads[:, i], part) for i, part in enumerate(projections)], dim=1)

    def _watched(
        self, watch: Watch, image: Image.Image, regions: Sequence[Region], prompt: Prompt, sharing: Sharing
    ) -> Tensor:
        """What is taken of the one component of a prompt on the way to its embeddings."""
        views = make_views(prompt, image, regions, self.geometry)
        component = replace(_only(prompt, views), reading=None)
        (found,) = self._encoded(replace(views, components=(component,)), sharing, self.views_within(), watch)[1]
        assert found is not None
        return found

    def _single(self, image: Image.Image, regions: Sequence[Region], prompt: Prompt) -> tuple[Component, Tensor]:
        """The one component of a prompt and its pixels on the device."""
        views = make_views(prompt, image, regions, self.geometry)
        _only(prompt, views)
        seen, pixels = self._inputs(views)
        return seen.components[0], self._to_model(pixels)

    def _inputs(self, views: Views) -> tuple[Views, Tensor]:
        """Views and the pixels that they point at, (images, channels, side, side), on the CPU, uint8 or normalised."""
        seen, pixels = self.preprocess.prepared(views)
        if "alpha" in self.geometry.abilities:
            pixels = self.preprocess.normalised(pixels)
        return with_alpha_channel(seen, pixels, self.geometry)

    def _to_model(self, pixels: Any) -> Tensor:
        """Pixels on the model's device, normalised, in its dtype; towards a GPU the copy runs beside the model's work."""
        if pixels.dtype != torch.uint8:  # 8 bits travel as they are
            pixels = pixels.to(dtype=self.tower.dtype)
        if self.tower.device.type == "cuda" and pixels.device.type == "cpu":
            pixels = pixels.pin_memory()
        return self.preprocess.normalised(pixels.to(self.tower.device, non_blocking=True)).to(self.tower.dtype)


def _only(prompt: Prompt, views: Views) -> Component:
    if len(views.components) != 1:
        raise UserError(f"{type(prompt).__name__} has several views for each region; ask for one of its parts.")
    return views.components[0]
