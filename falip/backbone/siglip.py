"""SigLIP, and SigLIP 2 of a fixed resolution: a ViT without a class token, whose head pools the patches by one attention.

The query of that attention is a learnt probe (Zhai et al. 2023, arXiv:2303.15343; transformers,
SiglipMultiheadAttentionPoolingHead). No paper puts a foveal mask there; it is an extension and is called one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import linear, pad
from transformers import SiglipConfig, SiglipModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from falip.backbone.budget import cached_views, views_within
from falip.backbone.dense import Read, read_by_picture
from falip.backbone.parts import Parts, Unusable, check_tensors, quiet
from falip.backbone.pooled import ABILITIES, PooledTower
from falip.backbone.probe import ProbeBlocks
from falip.backbone.siglip_text import load_text
from falip.backbone.watching import Watch
from falip.geometry import Ability, Geometry, Resize
from falip.surgery import Heads
from falip.views import Component, Sharing

_ABILITIES: frozenset[Ability] = frozenset((*ABILITIES, "dense"))


def load(folder: Path, dtype: torch.dtype, resize: Resize) -> Parts:
    """A SiglipModel with its tokenizer and image processor; its own way to resize is to squash, whatever `resize` says.

    Raises:
        Unusable: Tensors are missing, it has no pooling head, or the tokenizer cannot be read or is another model's.
    """
    with quiet():
        _check_vision(SiglipConfig.from_pretrained(folder).vision_config)
        loaded: Any = SiglipModel.from_pretrained(
            folder, dtype=dtype, attn_implementation="sdpa", output_loading_info=True, ignore_mismatched_sizes=True
        )
    model, report = loaded
    check_tensors(report)
    tokenizer, form = load_text(folder, model.config.text_config)
    return Parts(model, SiglipTower, tokenizer, _processor(folder), form, released=False)


def _check_vision(vision: Any) -> None:
    for name in ("image_size", "patch_size"):
        if not isinstance(getattr(vision, name), int):
            raise Unusable(f"its vision_config has {name}={getattr(vision, name)!r}, and falip takes square ones alone")
    if not vision.vision_use_head:
        raise Unusable("its vision_config has vision_use_head=false: without a head no embedding is pooled")


def _processor(folder: Path) -> CLIPImageProcessorPil:
    """Filter, mean and deviation of the folder's own processor, in the one that all backbones have."""
    own: Any = SiglipImageProcessorPil.from_pretrained(folder)
    return CLIPImageProcessorPil(
        resample=own.resample,
        image_mean=own.image_mean,
        image_std=own.image_std,
        do_rescale=own.do_rescale,
        rescale_factor=own.rescale_factor,
        do_normalize=own.do_normalize,
    )


class SiglipTower(PooledTower):
    """A `VisionTower` over a transformers SiglipModel; its one layer is the probe's attention.

    Attributes:
        model: The SiglipModel, as transformers wrote it.
    """

    pooling: ClassVar[str] = "probe"

    def __init__(self, model: Any) -> None:
        self.model, self._vision = model, model.vision_model
        self._head, self._config = model.vision_model.head, model.config.vision_config
        self._biased: Tensor | None = None
        vision = self._config
        heads = self._head.attention.num_heads
        geometry = Geometry(vision.image_size, vision.patch_size, 1, heads, "squash", _ABILITIES)
        super().__init__(geometry, vision.hidden_size, model.dtype, model.device)
        self._head.attention.register_forward_pre_hook(self._masked, with_kwargs=True)

    def views_within(self, memory_gb: float | None) -> int:
        """See `VisionTower`."""
        return views_within(self._config, self.device, self.dtype, memory_gb)

    def _attended(self, heads: Heads, owner: Tensor, row: Tensor | None) -> Tensor:
        """The first token, where others have their class token, is none here and gets 0."""
        return pad(super()._attended(heads, owner, row), (1, 0))

    @property
    def head_projections(self) -> list[Tensor]:
        """See `VisionTower`."""
        return [self._head.attention.out_proj.weight]

    @property
    def _cached_views(self) -> int:
        return cached_views(self._config)

    def _row(self, component: Component) -> Tensor | None:
        row = super()._row(component)
        return None if row is None else row[..., 1:]

    def _features(self, pixels: Tensor) -> Tensor:
        """(images, patches, width)."""
        hidden = self._vision.encoder(inputs_embeds=self._vision.embeddings(pixels)).last_hidden_state
        return self._vision.post_layernorm(hidden)

    def _project(self, features: Tensor) -> Heads:
        attention = self._head.attention
        weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        probe = self._head.probe.expand(len(features), -1, -1)
        inputs = zip((probe, features, features), weights, biases, strict=True)
        return Heads(*(linear(*one).unflatten(-1, (self.geometry.heads, -1)).transpose(1, 2) for one in inputs))

    def _embed(self, outputs: Tensor) -> Tensor:
        attended = self._head.attention.out_proj(outputs.flatten(1))
        return attended + self._head.mlp(self._head.layernorm(attended))

    def _whole(self, pixels: Tensor, row: Tensor | None) -> Tensor:
        """Through transformers' tower, the mask handed to the probe's attention."""
        with self._masking(row):
            return self.model.get_image_features(pixel_values=pixels).pooler_output

    def read(self, component: Component, pixels: Tensor) -> Read:
        """The views of a component with a read-out, each encoded whole, about to be read."""
        assert component.reading
        tiles, first = sorted(set(component.reading.pictures)), len(component.image_index)
        features = self._shared_features(pixels[[*component.image_index, *tiles]])
        grid = (self.geometry.rows, self.geometry.cols)
        blocks = ProbeBlocks(self._head, features, self.geometry.heads, grid, self.geometry.patch_size)
        parts = [[first + tiles.index(part) for part in place.parts] for place in component.reading.places]
        return Read(component.reading, blocks, range(first), parts)

    def _read(self, component: Component, pixels: Tensor, sharing: Sharing, watch: Watch | None) -> Tensor:
        return read_by_picture(self, component, pixels, sharing, watch)

    @contextmanager
    def _masking(self, row: Tensor | None) -> Iterator[None]:
        heads = self.geometry.heads
        self._biased = None if row is None else row.expand(-1, heads, -1).flatten(0, 1)[:, None]
        try:
            yield
        finally:
            self._biased = None

    def _masked(self, _module: Any, inputs: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return inputs, options if self._biased is None else options | {"attn_mask": self._biased}
