"""The one idea of the library: a prompt turns (image, regions) into views; a view is pixels and an attention bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol

import torch
from PIL import Image

from falip.errors import UserError
from falip.geometry import Geometry
from falip.regions import Region

MaskForm = Literal["cls_row", "all_rows", "diagonal"]
Combine = Literal["sum", "max"]
InterventionKind = Literal["unleash", "replace_v", "replace_qk", "feature_mask"]


@dataclass(frozen=True)
class Bias:
    """What is added to the attention logits, the same for every head.

    Attributes:
        rows: float32 (views, 1 + rows * cols); column 0 is CLS.
        layers: Layers that get it, counted from 0.
        form: The rows of the attention matrix that get it: that of CLS as query (FALIP), all, or each token on itself.
    """

    rows: torch.Tensor
    layers: tuple[int, ...]
    form: MaskForm = "cls_row"


@dataclass(frozen=True)
class Intervention:
    """A change inside the attention of some layers that is more than a bias.

    Attributes:
        kind: What is done; `falip.backbone.interventions` has the formula of each.
        layers: Layers it is done in, counted from 0.
        reference: For each view the picture (index into `Views.images`) of the plain pass that the intervention
            compares with or takes from; None where it needs none.
        keep: bool (views, 1 + rows * cols), the tokens that a feature mask keeps; None for other kinds.
    """

    kind: InterventionKind
    layers: tuple[int, ...]
    reference: tuple[int, ...] | None = None
    keep: torch.Tensor | None = None


@dataclass(frozen=True)
class Component:
    """One view for each region, all made by the same rule.

    Attributes:
        name: What tables and records call it.
        image_index: For each view the picture it sees, an index into `Views.images`.
        bias: The attention bias of its views, or None.
        intervention: At most one, or None.
    """

    name: str
    image_index: tuple[int, ...]
    bias: Bias | None = None
    intervention: Intervention | None = None


@dataclass(frozen=True)
class Views:
    """What a prompt made of (image, regions), or several of these in one batch.

    Attributes:
        images: The distinct pictures (PIL), before the resize to the model's input; empty once `pixels` stand in.
        components: Each has one view for each region, in the order of the regions.
        combine: How the scores of several components become one.
        pixels: The pictures as one backbone takes them, float32 (images, 3, side, side); see `Backbone.prepare`.
    """

    images: tuple[Image.Image, ...]
    components: tuple[Component, ...]
    combine: Combine = "sum"
    pixels: torch.Tensor | None = None

    def __len__(self) -> int:
        """Number of regions."""
        return len(self.components[0].image_index)


class Prompt(Protocol):
    """How CLIP is told where to look.

    Attributes:
        version: Raised when the numbers of a prompt can move; part of a run's identity.
        text_template: How the prompt phrases an expression (`"{} is in red color."`), or None to leave it to the task.
    """

    version: ClassVar[int]

    @property
    def text_template(self) -> str | None:
        """How the prompt phrases an expression, or None."""
        ...

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """One view or more for each region."""
        ...


def make_views(prompt: Prompt, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
    """The views of a prompt, for an image and regions that any prompt can take.

    Raises:
        UserError: If there is no region, or the image is neither RGB nor a depth map (mode "F").
    """
    if not len(regions):
        raise UserError("There is no region to look at: give at least one falip.Region.")
    if image.mode not in ("RGB", "F"):
        raise UserError(f"The image has mode {image.mode!r}; falip takes RGB pictures: image.convert('RGB').")
    return prompt(image, regions, geometry)


def merge_views(batch: Sequence[Views]) -> Views:
    """One `Views` with the regions of all, in order, so that several images fill one forward pass.

    Args:
        batch: Views made by the same prompt, so that their components correspond.
    """
    if len(batch) == 1:
        return batch[0]
    offsets, total = [], 0
    for views in batch:
        offsets.append(total)
        total += len(views.images) if views.pixels is None else len(views.pixels)
    components = tuple(
        _merge_components(
            [_moved(views.components[k], range(offset, total)) for views, offset in zip(batch, offsets, strict=True)]
        )
        for k in range(len(batch[0].components))
    )
    prepared = [views.pixels for views in batch if views.pixels is not None]
    pixels = torch.cat(prepared) if prepared else None
    return Views(tuple(image for views in batch for image in views.images), components, batch[0].combine, pixels)


def join_views(parts: Sequence[Views]) -> Views:
    """One `Views` with the components of all, for the same regions; a picture that several share is there once.

    Args:
        parts: Views of the same image and regions by several prompts, not prepared yet.
    """
    images: list[Image.Image] = []
    components: list[Component] = []
    for views in parts:
        place = [_index(images, picture) for picture in views.images]
        components += [_moved(component, place) for component in views.components]
    return Views(tuple(images), tuple(components), parts[0].combine)


def _index(images: list[Image.Image], picture: Image.Image) -> int:
    for i, known in enumerate(images):
        if known is picture:
            return i
    images.append(picture)
    return len(images) - 1


def _moved(component: Component, place: Sequence[int]) -> Component:
    """The component with each picture index put through `place`."""
    intervention = component.intervention
    if intervention and intervention.reference is not None:
        intervention = replace(intervention, reference=tuple(place[i] for i in intervention.reference))
    return replace(component, image_index=tuple(place[i] for i in component.image_index), intervention=intervention)


def _merge_components(parts: Sequence[Component]) -> Component:
    first = parts[0]
    bias = first.bias and replace(first.bias, rows=torch.cat([part.bias.rows for part in parts if part.bias]))
    intervention = first.intervention
    if intervention:
        others = [part.intervention for part in parts if part.intervention]
        references = [i for other in others for i in other.reference or ()]
        keeps = [other.keep for other in others if other.keep is not None]
        intervention = replace(
            intervention,
            reference=tuple(references) if intervention.reference is not None else None,
            keep=torch.cat(keeps) if keeps else None,
        )
    return Component(first.name, tuple(i for part in parts for i in part.image_index), bias, intervention)
