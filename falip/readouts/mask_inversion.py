"""MaskInversion: an embedding that is optimised until its explanation is the region's mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from PIL import Image

from falip.dense import Blocks, Place, Reading
from falip.errors import UserError, check_number
from falip.geometry import Ability, Geometry
from falip.readouts.cover import seen_pixels
from falip.regions import Region
from falip.views import Component, Views

if TYPE_CHECKING:
    from torch import Tensor

SMOOTH = 1.0  # of the Dice loss: maskinversion/utils.py, lines 13 to 22


@dataclass(frozen=True)
class MaskInversion:
    """One embedding for each region, optimised until its LeGrad map is the region's mask (arXiv:2407.20034).

    It begins as the picture's own embedding e0, and AdamW without weight decay lowers the soft Dice loss of the map and
    the mask plus alpha (1 - cos(e, e0)); the model stays as it is (maskinversion/maskinversion.py, lines 71 to 103).
    Nothing in it is drawn at random: the same picture and region give the same embedding, whatever other regions there are.

    The LeGrad map of e (arXiv:2404.03214) is, for each layer taken, the gradient of the cosine of e and the tower's
    embedding of the mean token after that layer, with respect to the layer's attention weights; negative parts cut off, the
    mean over heads and queries, CLS left out; summed over layers and brought to 0 to 1.

    A region of boxes is the mask of their pixels. It takes no biases or interventions; edits of the picture it does.

    Attributes:
        steps: Of AdamW.
        lr: Its learning rate; the example of the reference has 0.5.
        alpha: Weight of the pull towards e0.
        layers_explained: The last so many layers that the map is made from; the reference has 1.
    """

    steps: int = 10
    lr: float = 0.1
    alpha: float = 0.0
    layers_explained: int = 1
    name: str = "mask_inversion"
    text_template: str | None = None
    version: ClassVar[int] = 1
    amplifies_rounding: ClassVar[bool] = True
    ability: ClassVar[Ability] = "patch_attention"

    def __post_init__(self) -> None:
        """Rejects parameters without meaning."""
        check_number("MaskInversion", "lr", self.lr, positive=True)
        check_number("MaskInversion", "alpha", self.alpha)
        for field in ("steps", "layers_explained"):
            check_number("MaskInversion", field, getattr(self, field), positive=True)

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, with the pixels of each region."""
        places = tuple(Place(seen_pixels(region.clipped(image.size), image.size, geometry)) for region in regions)
        return Views((image,), (Component(self.name, (0,) * len(regions), reading=Reading(self, places)),))

    @property
    def takes_changed_attention(self) -> bool:
        """Not: the map explains the picture's own attention."""
        return False

    def layers(self, depth: int) -> tuple[int, ...]:
        """The last ones."""
        return tuple(range(max(depth - self.layers_explained, 0), depth))

    def features(self, blocks: Blocks) -> Tensor:
        """The pictures' own embeddings, (pictures, D)."""
        last = blocks.depth - 1
        stream = blocks.entering(last) + blocks.output(last, blocks.attend(*blocks.heads(last)))
        return blocks.embed(blocks.after_mlp(last, stream[:, :1])[:, 0])

    def embeddings(self, blocks: Blocks, features: Tensor, places: Sequence[Place]) -> Tensor:
        """The optimised embeddings, (views, D)."""
        import torch

        with torch.inference_mode(False), torch.enable_grad():
            explained = _Explained(blocks.for_gradients(), self.layers(blocks.depth))
            return torch.stack([self._inverted(explained, features[0].clone(), place) for place in places])

    def dense(self, blocks: Blocks, features: Tensor, place: Place) -> Tensor:
        """It has none.

        Raises:
            UserError: Always.
        """
        raise UserError("MaskInversion has no dense features: it optimises one embedding for each region.")

    def similarity(self, blocks: Blocks, features: Tensor, place: Place, targets: Tensor) -> Tensor:
        """The LeGrad map of each target, 0 to 1, (targets, rows, cols)."""
        import torch

        with torch.inference_mode(False), torch.enable_grad():
            explained = _Explained(blocks.for_gradients(), self.layers(blocks.depth))
            return torch.stack([_stretched(explained.map(one.clone().to(features.device))) for one in targets]).detach()

    def _inverted(self, explained: _Explained, start: Tensor, place: Place) -> Tensor:
        import torch
        from torch.nn.functional import cosine_similarity, normalize

        mask = torch.from_numpy(place.weights).to(start.device)
        found = start.float().clone().requires_grad_()
        optimizer = torch.optim.AdamW([found], lr=self.lr, weight_decay=0.0)
        for _ in range(self.steps):
            shown = explained.enlarged(normalize(found, dim=-1), mask.shape)
            overlap = 2 * (shown * mask).sum() + SMOOTH
            loss = 1 - overlap / (shown.sum() + mask.sum() + SMOOTH)
            if self.alpha:
                loss = loss + self.alpha * (1 - cosine_similarity(found, start.float(), dim=-1))
            (found.grad,) = torch.autograd.grad(loss, found)
            optimizer.step()
        return found.detach().to(start)


class _Explained:
    """LeGrad maps of one picture, for any number of embeddings."""

    def __init__(self, blocks: Blocks, layers: Sequence[int]) -> None:
        from torch.nn.functional import normalize

        self._blocks, self._parts = blocks, []
        for layer in layers:
            heads = blocks.heads(layer)
            # A gradient with respect to attention weights is that with respect to what they mix, times the values.
            mixed = blocks.attend(*heads).detach().requires_grad_()
            after = blocks.after_mlp(layer, blocks.entering(layer) + blocks.output(layer, mixed))
            unit = normalize(blocks.embed(after.mean(1)), dim=-1)[0]
            self._parts.append((mixed, unit, heads.value[0].detach()))

    def map(self, embedding: Tensor) -> Tensor:
        """(rows, cols), of an embedding of unit length (D,)."""
        import torch

        total = None
        for mixed, unit, value in self._parts:
            cosine = (unit * embedding.to(unit)).sum()
            (pull,) = torch.autograd.grad(cosine, mixed, create_graph=True, retain_graph=True)
            by_head = pull[0].unflatten(-1, (len(value), -1)).transpose(0, 1)
            found = (by_head @ value.mT).clamp(min=0).mean((0, 1))[1:].unflatten(0, self._blocks.grid)
            total = found if total is None else total + found
        assert total is not None
        return total

    def enlarged(self, embedding: Tensor, size: Sequence[int]) -> Tensor:
        """The map as large as the model's input, brought to 0 to 1, and then of the size (height, width) of a mask."""
        from torch.nn.functional import interpolate

        patch = self._blocks.patch_size
        large = interpolate(self.map(embedding)[None, None], scale_factor=patch, mode="bilinear")
        return interpolate(_stretched(large), tuple(size), mode="bilinear")[0, 0]


def _stretched(found: Tensor) -> Tensor:
    """A map from its least to its largest value, as 0 to 1."""
    low, high = found.min(), found.max()
    return (found - low) / (high - low).clamp(min=1e-12)
