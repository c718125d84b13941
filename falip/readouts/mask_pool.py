"""Dense features of the last layer, pooled over the region."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from PIL import Image

from falip.dense import Blocks, Place, Reading
from falip.errors import check_choice
from falip.geometry import Ability, Geometry
from falip.readouts.cover import Cover, token_weights
from falip.readouts.pooling import PatchMeans
from falip.regions import Region
from falip.views import Component, Views

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["maskclip", "maskclip_reduced", "sclip", "naclip", "naclip_full_block", "surgery", "clearclip"]
SIGMA = 5.0  # of NACLIP's Gaussian, in patches: naclip.py, line 21
SURGERY_LAYERS = 6  # CLIP_Surgery clip/clip_surgery_model.py, line 321


@dataclass(frozen=True)
class MaskPool(PatchMeans):
    """The mean of dense features over the patches of the region, in the place of the pooled token.

    With h the stream that enters the last layer, q, k, v of its norm, O the output projection, M(x) = x + MLP(norm(x)), and
    s the attention's scale, the features of the patches are the tower's last norm and projection of:

    - `maskclip`: M(h + O(v)) (MaskCLIP, arXiv:2112.01071; mmseg/models/backbones/vit.py, lines 94 to 108 and 432 to 461);
    - `maskclip_reduced`: O(v) (ClearCLIP open_clip/transformer.py, lines 604 to 609);
    - `sclip`: M(h + O(w v)), w = softmax(s qq) + softmax(s kk), whose rows sum to 2 (SCLIP, arXiv:2312.01597;
      clip/model.py, lines 246 to 309);
    - `naclip`: O(w v), w = softmax(s kk + G), G a Gaussian of the distance of two patches, 0 for CLS (NACLIP,
      arXiv:2404.08181; clip/model.py, lines 112 to 126 and 154 to 208); `naclip_full_block`: M(h + O(w v));
    - `surgery`: a second stream through the last six layers, which begins as the stream that enters them and adds
      O(softmax(s vv) v) of each without MLP, v being that of the first stream (CLIP Surgery, arXiv:2304.05653;
      clip/clip_surgery_model.py, lines 71 to 103 and 253 to 275);
    - `clearclip`: O(softmax(s qq) v) (ClearCLIP, arXiv:2407.12442; open_clip/transformer.py, lines 500 to 620).

    Where another prompt biases the attention or intervenes in it (`falip.Compose`), that acts on the layers below the last
    one, which is worked out as above.

    Attributes:
        kind: One of these.
        unit_tokens: Whether the features of each patch get unit length first, as MaskCLIP, SCLIP and CLIPSelf do it.
        cover: How a region becomes weights of the patches; see `falip.readouts.cover.token_weights`.
    """

    kind: Kind = "maskclip"
    unit_tokens: bool = False
    cover: Cover = "tokens"
    name: str = ""
    text_template: str | None = None
    version: ClassVar[int] = 1
    amplifies_rounding: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Rejects an unknown kind and cover."""
        check_choice("MaskPool", "kind", self.kind, get_args(Kind))
        check_choice("MaskPool", "cover", self.cover, get_args(Cover))
        if not self.name:
            object.__setattr__(self, "name", self.kind)

    @property
    def ability(self) -> Ability:
        """What the tower must have: values of the attention that is pooled last, or one of the patches among themselves."""
        return "dense" if self.kind in ("maskclip", "maskclip_reduced") else "patch_attention"

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, read over each region."""
        clipped = [region.clipped(image.size) for region in regions]
        places = tuple(Place(token_weights(region, image.size, geometry, self.cover)) for region in clipped)
        return Views((image,), (Component(self.name, (0,) * len(regions), reading=Reading(self, places)),))

    def layers(self, depth: int) -> tuple[int, ...]:
        """The last one; for `surgery` the last six."""
        return tuple(range(max(depth - SURGERY_LAYERS, 0), depth)) if self.kind == "surgery" else (depth - 1,)

    def features(self, blocks: Blocks) -> Tensor:
        """Dense features, (pictures, patches, D)."""
        return blocks.embed(_STREAMS[self.kind](blocks)[:, 1:])


def last_values(blocks: Blocks) -> Tensor:
    """Values of the last layer, the heads side by side, (pictures, tokens, width)."""
    return blocks.value(blocks.depth - 1).transpose(1, 2).flatten(2)


def whole_block(blocks: Blocks, mixed: Tensor) -> Tensor:
    """M(h + O(mixed)) of the last layer."""
    last = blocks.depth - 1
    return blocks.after_mlp(last, blocks.entering(last) + blocks.output(last, mixed))


def attention_alone(blocks: Blocks, mixed: Tensor) -> Tensor:
    """O(mixed) of the last layer: neither residual nor MLP."""
    return blocks.output(blocks.depth - 1, mixed)


def maskclip(blocks: Blocks) -> Tensor:
    """The stream of MaskCLIP, (pictures, tokens, width): each token takes its own value."""
    return whole_block(blocks, last_values(blocks))


def _of_queries_and_keys(blocks: Blocks) -> Tensor:
    query, key, value = blocks.heads(blocks.depth - 1)
    return blocks.attend(query, query, value) + blocks.attend(key, key, value)


def _of_neighbours(blocks: Blocks) -> Tensor:
    _, key, value = blocks.heads(blocks.depth - 1)
    return blocks.attend(key, key, value, _nearness(key, blocks.grid))


def _nearness(like: Tensor, grid: tuple[int, int]) -> Tensor:
    """A Gaussian of the distance of two patches, its peak 1, and 0 in the row and column of CLS: (tokens, tokens)."""
    rows, cols = grid
    place = like.new_zeros(rows * cols, 2).float()
    index = place.new_ones(rows * cols).cumsum(0) - 1
    place[:, 0], place[:, 1] = (index / cols).floor(), index % cols
    squared = (place[:, None] - place[None]).square().sum(-1)
    added = like.new_zeros(1 + rows * cols, 1 + rows * cols)
    added[1:, 1:] = (squared / (-2 * SIGMA**2)).exp()
    return added


def _of_queries(blocks: Blocks) -> Tensor:
    query, _, value = blocks.heads(blocks.depth - 1)
    return blocks.attend(query, query, value)


def _surgery(blocks: Blocks) -> Tensor:
    first = max(blocks.depth - SURGERY_LAYERS, 0)
    stream = blocks.entering(first)
    for layer in range(first, blocks.depth):
        value = blocks.value(layer)
        stream = stream + blocks.output(layer, blocks.attend(value, value, value))
    return stream


_STREAMS: Mapping[Kind, Callable[[Blocks], Tensor]] = {
    "maskclip": maskclip,
    "maskclip_reduced": lambda blocks: attention_alone(blocks, last_values(blocks)),
    "sclip": lambda blocks: whole_block(blocks, _of_queries_and_keys(blocks)),
    "naclip": lambda blocks: attention_alone(blocks, _of_neighbours(blocks)),
    "naclip_full_block": lambda blocks: whole_block(blocks, _of_neighbours(blocks)),
    "surgery": _surgery,
    "clearclip": lambda blocks: attention_alone(blocks, _of_queries(blocks)),
}
"""For each kind the stream that the features are projected from, (pictures, tokens, width)."""
