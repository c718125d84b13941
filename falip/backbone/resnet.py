"""OpenAI's ResNets: a vision tower whose one attention, over the last feature map, makes the embedding.

The modules have the names of open_clip's state dicts (open_clip modified_resnet.py; Radford et al. 2021, section 2.4).
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from transformers import CLIPTextConfig, CLIPTextModelWithProjection
from transformers.modeling_outputs import BaseModelOutputWithPooling

from falip.backbone.budget import CACHE_BYTES, within_budget
from falip.backbone.pooled import ABILITIES, PooledTower
from falip.backbone.watching import Watch
from falip.geometry import Ability, Geometry, Resize
from falip.readouts.gradcam import of_cosine
from falip.surgery import Heads
from falip.views import Component, Sharing

PATCH = 32  # the strides of stem and stages multiplied
_EXPANSION = 4
_ABILITIES: frozenset[Ability] = frozenset((*ABILITIES, "gradients"))


class Shape(NamedTuple):
    """The size of a tower.

    Attributes:
        layers: Bottlenecks in each of the four stages.
        width: Channels of the stem's output; the last feature map has 32 times as many.
        heads: Of the attention pool.
        image_size: Side of the input in pixels.
        embedding: Length of an embedding.
    """

    layers: tuple[int, int, int, int]
    width: int
    heads: int
    image_size: int
    embedding: int


class Bottleneck(nn.Module):
    """A residual block; where it has a stride, an average pool stands before its last convolution and on its shortcut."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * _EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * _EXPANSION)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample: nn.Module | None = None
        if stride > 1 or channels != planes * _EXPANSION:
            projection = nn.Conv2d(channels, planes * _EXPANSION, 1, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(planes * _EXPANSION))

    def forward(self, x: Tensor) -> Tensor:
        """(images, channels, rows, cols) to (images, 4 planes, rows / stride, cols / stride)."""
        inner = relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))
        inner = self.bn3(self.conv3(self.pool(inner)))
        return relu(inner + (x if self.downsample is None else self.downsample(self.pool(x))))


class AttentionPool(nn.Module):
    """One attention of the mean token over itself and the feature map; its output is the embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width * 32
        self.heads = shape.heads
        self.positional_embedding = nn.Parameter(torch.empty(1 + (shape.image_size // PATCH) ** 2, width))
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj = nn.Linear(width, shape.embedding)

    def project(self, features: Tensor) -> Heads:
        """Query (images, heads, 1, head size) of the mean token, keys and values (images, heads, tokens, head size)."""
        grid = features.flatten(2).mT
        tokens = torch.cat([grid.mean(1, keepdim=True), grid], dim=1) + self.positional_embedding
        projected = (self.q_proj(tokens[:, :1]), self.k_proj(tokens), self.v_proj(tokens))
        return Heads(*(part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in projected))


class ModifiedResnet(nn.Module):
    """Stem, four stages of bottlenecks, and the attention pool."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, half = shape.width, shape.width // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.pool = nn.AvgPool2d(2)
        channels = width
        for stage, blocks in enumerate(shape.layers):
            planes, stride = width * 2**stage, 1 if stage == 0 else 2
            first = Bottleneck(channels, planes, stride)
            channels = planes * _EXPANSION
            rest = (Bottleneck(channels, planes, 1) for _ in range(blocks - 1))
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))
        self.attnpool = AttentionPool(shape)

    def forward(self, pixels: Tensor) -> Tensor:
        """The last feature map, (images, 32 width, rows, cols)."""
        hidden = relu(self.bn1(self.conv1(pixels)))
        hidden = relu(self.bn2(self.conv2(hidden)))
        hidden = self.pool(relu(self.bn3(self.conv3(hidden))))
        for stage in range(1, 5):
            hidden = self.get_submodule(f"layer{stage}")(hidden)
        return hidden


class ResnetClipConfig(NamedTuple):
    """What text encoding asks of a configuration."""

    text_config: CLIPTextConfig
    projection_dim: int


class ResnetClip(nn.Module):
    """A ResNet beside transformers' CLIP text tower, with what a backbone asks of a CLIPModel."""

    def __init__(self, visual: ModifiedResnet, text: CLIPTextModelWithProjection, logit_scale: Tensor) -> None:
        super().__init__()
        self.visual, self.text = visual, text
        self.logit_scale = nn.Parameter(logit_scale)
        self.config = ResnetClipConfig(text.config, visual.shape.embedding)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.logit_scale.device

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return self.logit_scale.dtype

    def get_text_features(self, input_ids: Tensor) -> BaseModelOutputWithPooling:
        """As that of a CLIPModel: `pooler_output` is (texts, D), not normalised."""
        return BaseModelOutputWithPooling(pooler_output=self.text(input_ids=input_ids).text_embeds)


class ResnetTower(PooledTower):
    """A `VisionTower` over a `ResnetClip`; its one layer is the attention pool."""

    pooling: ClassVar[str] = "mean token"

    def __init__(self, model: ResnetClip, resize: Resize) -> None:
        self.visual, self.shape = model.visual, model.visual.shape
        geometry = Geometry(self.shape.image_size, PATCH, 1, self.shape.heads, resize, _ABILITIES)
        super().__init__(geometry, self.shape.embedding, model.dtype, model.device)

    def views_within(self, memory_gb: float | None) -> int:
        """See `VisionTower`."""
        # Held at once where the maps are largest, after the stem and in the first stage: input, inner maps, output and
        # shortcut. Pixels come on top.
        per_view = (8 * self._largest_map() + 3 * self.shape.image_size**2) * self.dtype.itemsize
        return within_budget(per_view, self.device, memory_gb)

    @property
    def head_projections(self) -> list[Tensor]:
        """See `VisionTower`."""
        return [self.visual.attnpool.c_proj.weight]

    @property
    def _cached_views(self) -> int:
        return max(1, CACHE_BYTES // (self._largest_map() * 4))

    def _read(self, component: Component, pixels: Tensor, sharing: Sharing, watch: Watch | None) -> Tensor:
        """The rows of a read-out of gradients, (views, W); each picture by itself."""
        assert component.reading
        rows: dict[int, Tensor] = {}
        for image in sorted(set(component.image_index)):
            mine = [view for view, seen in enumerate(component.image_index) if seen == image]
            vectors = gradient_vectors(self.visual.attnpool, self.visual(pixels[[image]]))
            readout: Any = component.reading.readout
            rows |= dict(zip(mine, readout.rows(vectors, component.reading.some(mine).places), strict=True))
        return torch.stack([rows[view] for view in range(len(component.image_index))]).cpu()

    def _features(self, pixels: Tensor) -> Tensor:
        return self.visual(pixels)

    def _project(self, features: Tensor) -> Heads:
        return self.visual.attnpool.project(features)

    def _embed(self, outputs: Tensor) -> Tensor:
        return self.visual.attnpool.c_proj(outputs.flatten(1))

    def _largest_map(self) -> int:
        return self.shape.width * (self.shape.image_size // 2) ** 2


def gradient_vectors(pool: AttentionPool, features: Tensor) -> Tensor:
    """What GradCAM needs of a picture: for each cell the change of the unit-length embedding along its channels.

    A map of a text t is max(0, sum over channels of F g), g the mean over cells of d(t . unit embedding)/dF. That mean is a
    derivative for one change added to every cell, so that the sum is t times the derivative of the embedding for a change
    by the cell's own channels. The keys change all logits by the same, which the softmax does not see.

    Args:
        pool: Of the tower.
        features: The last feature map of one picture, (1, C, rows, cols).

    Returns:
        (1, cells, D): one group, as `GradCAM.rows` takes them.
    """
    heads, cells = pool.project(features), features[0].flatten(1).T  # (cells, C)
    query, key, value = (part[0] for part in heads)  # (heads, 1 or tokens, head size)
    scale = query.shape[-1] ** -0.5
    weights = (query @ key.mT * scale).softmax(-1)  # (heads, 1, tokens)
    turned, added = ((cells @ layer.weight.T).unflatten(1, (pool.heads, -1)) for layer in (pool.q_proj, pool.v_proj))
    logits = torch.einsum("nhk,htk->nht", turned, key) * scale
    change = weights[:, 0] * (logits - (weights[:, 0] * logits).sum(-1, keepdim=True))
    outputs = torch.einsum("nht,htk->nhk", change, value) + added
    vectors = outputs.flatten(1) @ pool.c_proj.weight.T / len(cells)
    return of_cosine(vectors, pool.c_proj((weights @ value).flatten()))[None]
