"""Prompts made of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, get_args

from PIL import Image

from falip.dense import ReadOut
from falip.errors import UserError, check_choice, check_weights
from falip.geometry import Geometry
from falip.prompts.alpha import ChannelPrompt
from falip.prompts.foveal import AttentionPrompt
from falip.prompts.pictures import Picture, Plain, WholeImage, filters, shared_filters
from falip.regions import Region
from falip.views import Combine, Component, Prompt, Views, join_views, merge_views

_WAYS = ("edit", "bias", "alpha_map", "embeddings")  # what a prompt has that can be a part of one view


class ReadingPrompt(ReadOut, Protocol):
    """A read-out, as the prompt on the plain picture that it also is."""

    @property
    def text_template(self) -> str | None:
        """How the prompt phrases an expression, or None."""
        ...

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, read over each region."""
        ...


@dataclass(frozen=True)
class Compose:
    """One view with all edits and biases: a red circle and a foveal mask, say.

    Attributes:
        prompts: Edits of the picture, done in this order, prompts that bias the attention, whose biases add up, and at
            most one that fills the alpha channel and one read-out.
    """

    prompts: Sequence[Picture | AttentionPrompt | ChannelPrompt | ReadingPrompt]
    name: str = ""
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects what has no meaning in one view."""
        if not self.prompts:
            raise UserError("Compose needs at least one prompt, and got none.")
        strangers = [p for p in self.prompts if not isinstance(p, Plain) and not any(hasattr(p, way) for way in _WAYS)]
        if strangers:
            raise UserError(
                f"Compose cannot take {', '.join(type(p).__name__ for p in strangers)}: it makes one view from edits of "
                "the picture, biases of the attention, an alpha map and a read-out. To sum the scores of several views use "
                "Ensemble."
            )
        filling = [type(p).__name__ for p in self.prompts if hasattr(p, "alpha_map")]
        if len(filling) > 1:
            raise UserError(f"Compose takes one prompt that fills the alpha channel, and got {', '.join(filling)}.")
        self._check_readouts()
        if not self.name:
            object.__setattr__(self, "name", "+".join(p.name for p in self.prompts))

    @property
    def text_template(self) -> str | None:
        """That of the first part that has one."""
        return next((p.text_template for p in self.prompts if p.text_template), None)

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """One view for each region."""
        whole = filters()
        views = [self._view(image, region.clipped(image.size), geometry, whole) for region in regions]
        if not any(hasattr(p, "edit") for p in self.prompts) and all(len(view.images) == 1 for view in views):
            views = [replace(view, images=(image,)) for view in views]
            components = merge_views(views).components
            return Views((image,), tuple(replace(c, image_index=(0,) * len(regions)) for c in components))
        return merge_views(views)

    def _view(self, image: Image.Image, region: Region, geometry: Geometry, whole: WholeImage) -> Views:
        picture, place = image, region
        for prompt in self.prompts:
            if hasattr(prompt, "edit"):
                picture, place = prompt.edit(picture, place, whole)  # pyright: ignore[reportAttributeAccessIssue]
        biasing: list[AttentionPrompt] = [p for p in self.prompts if hasattr(p, "bias")]  # pyright: ignore[reportAssignmentType]
        biases = tuple(prompt.bias([place], picture.size, geometry) for prompt in biasing)
        filling: list[ChannelPrompt] = [p for p in self.prompts if hasattr(p, "alpha_map")]  # pyright: ignore[reportAssignmentType]
        maps = tuple(prompt.alpha_map(place, picture.size, geometry) for prompt in filling) or None
        made = Views((picture,), (Component(self.name, (0,)),))
        for readout in self._readouts:
            made = readout(picture, [place], geometry)
        one = made.components[0]
        whole_picture = one.scaled and picture.size == image.size
        return replace(made, components=(replace(one, name=self.name, biases=biases, alpha=maps, scaled=whole_picture),))

    @property
    def _readouts(self) -> list[ReadingPrompt]:
        return [p for p in self.prompts if hasattr(p, "embeddings")]  # pyright: ignore[reportReturnType]

    def _check_readouts(self) -> None:
        readouts = self._readouts
        if len(readouts) > 1:
            raise UserError(
                f"Compose takes one read-out, and got {', '.join(type(p).__name__ for p in readouts)}. To sum their scores "
                "use Ensemble."
            )
        inside = [type(p).__name__ for p in self.prompts if hasattr(p, "bias") or hasattr(p, "alpha_map")]
        for readout in readouts:
            name = type(readout).__name__
            if getattr(readout, "compares_regions", False):
                raise UserError(
                    f"{name} compares all regions of one picture, and Compose makes a view of its own for each. Give it "
                    "remove_global=False, or sum the scores of both in an Ensemble."
                )
            if inside and not readout.takes_changed_attention:
                raise UserError(
                    f"{name} reads a picture whose attention is its own, so it has no meaning in one view with "
                    f"{', '.join(inside)}. Compose it with edits of the picture, or sum the scores of both in an Ensemble."
                )


@dataclass(frozen=True)
class Ensemble:
    """Several views for each region, their scores summed or maximised.

    Attributes:
        prompts: The prompts, each with a view or more for each region.
        combine: How their scores become one.
        weights: A factor on the scores of each prompt, before they are combined; it may be negative: plain less the
            picture with the region blacked out, say. None for 1 throughout.

    If one of them brings a text template, it stands for all, as in ReCLIP (executor.py, lines 175 to 178).
    """

    prompts: Sequence[Prompt]
    combine: Combine = "sum"
    weights: Sequence[float] | None = field(default=None, metadata={"since": "later"})
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects an empty ensemble, an unknown way to combine, and weights that do not fit."""
        if not self.prompts:
            raise UserError("Ensemble needs at least one prompt, and got none.")
        check_choice("Ensemble", "combine", self.combine, get_args(Combine))
        check_weights("Ensemble", self.weights, len(self.prompts), "prompts")
        if self.weights is not None:  # 1 and 1.0 are one weight, and one run
            object.__setattr__(self, "weights", tuple(float(weight) for weight in self.weights))

    @property
    def text_template(self) -> str | None:
        """That of the first prompt that has one."""
        return next((prompt.text_template for prompt in self.prompts if prompt.text_template), None)

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The views of all prompts; a picture that several of them leave alone is there once."""
        with shared_filters():
            made = [prompt(image, regions, geometry) for prompt in self.prompts]
        for views in made:
            if len(views.components) > 1 and views.combine != self.combine:
                raise UserError(
                    f"An Ensemble with combine={self.combine} holds one with combine={views.combine}; the scores of all "
                    "views of a region are combined at once, so give both the same."
                )
        weights = None
        if self.weights is not None or any(views.weights for views in made):
            own = self.weights or (1.0,) * len(made)
            within = [views.weights or (1.0,) * len(views.components) for views in made]
            weights = tuple(factor * one for factor, inner in zip(own, within, strict=True) for one in inner)
        return replace(join_views(made), combine=self.combine, weights=weights)
