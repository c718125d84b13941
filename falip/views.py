"""The one idea of the library: a prompt turns (image, regions) into views; a view is pixels and what is done to attention.

Tensors are named here and made elsewhere, so that a prompt, and with it a run's identity, is known without loading torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from PIL import Image

from falip.dense import Reading, check_reading
from falip.errors import UserError
from falip.geometry import Ability, Geometry, MaskForm
from falip.reading import as_picture
from falip.regions import Region, as_regions
from falip.surgery import AttentionChange

if TYPE_CHECKING:
    from torch import Tensor

Combine = Literal["sum", "max"]
Sharing = Literal["exact", "frozen", "none"]
PICTURES_SHOWN = 8  # in a notebook


@dataclass(frozen=True)
class Bias:
    """What is added to the attention logits of some layers.

    Attributes:
        rows: float32 (views, tokens), the same for every head, or (views, heads, tokens), with 1 + rows * cols tokens;
            column 0 is CLS.
        layers: Layers that get it, counted from 0.
        form: The rows of the attention matrix that get it: that of CLS as query (FALIP), all, or each token on itself.
    """

    rows: Tensor
    layers: tuple[int, ...]
    form: MaskForm = "cls_row"

    @property
    def needs(self) -> frozenset[Ability]:
        """What a tower must be able to do for it."""
        per_head: tuple[Ability, ...] = ("per_head",) if self.rows.ndim == 3 else ()
        return frozenset((self.form, *per_head))


@dataclass(frozen=True)
class Intervention:
    """A change inside the attention of some layers that is more than a bias.

    Attributes:
        change: What is done.
        layers: Layers it is done in, counted from 0.
        reference: For each view the picture (index into `Views.images`) of an independent plain pass that the change
            compares with or takes from; None where it needs none.
        tokens: For each view one value a token, (views, 1 + rows * cols), such as the tokens to keep; None where it
            needs none.
    """

    change: AttentionChange
    layers: tuple[int, ...]
    reference: tuple[int, ...] | None = None
    tokens: Tensor | None = None


class Preparation(Protocol):
    """How pictures become a model's input, for a prompt that has a way of its own.

    A frozen dataclass: equal ways are equal objects.
    """

    def pixels(self, image: Image.Image, side: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
        """One picture as the model takes it.

        Args:
            image: What the prompt made.
            side: Of the model's square input.
            mean: Of the three channels, on a scale from 0 to 1; subtracted.
            std: Of the three channels; divided by.

        Returns:
            float32 (3, side, side).
        """
        ...


class Scorer(Protocol):
    """A read-out that scores texts in a way that is no product of two embeddings."""

    def scores(self, rows: Tensor, texts: Tensor, logit_scale: float) -> Tensor:
        """Scores float32 (views, texts).

        Args:
            rows: What the read-out gave for each view, (views, W); zeros may stand behind.
            texts: Unit-length embeddings (texts, D).
            logit_scale: Factor on cosines.
        """
        ...


@dataclass(frozen=True)
class Component:
    """One view for each region, all made by the same rule.

    Attributes:
        name: What tables and records call it.
        image_index: For each view the picture it sees, an index into `Views.images`.
        biases: Attention biases of its views; those of one layer add up.
        intervention: At most one, or None.
        preparation: How its pictures, those of its references included, become the model's input; None for the
            backbone's own way.
        alpha: For each view the map of the alpha channel of a tower that has one, 0 to 1, (height, width) of its picture;
            None for a view that looks at all of it, and for a component whose views all do.
        reading: What becomes the embedding of each view; None for the pooled token.
        scaled: Whether its pictures are the whole picture in another size, and not cut out of it.
    """

    name: str
    image_index: tuple[int, ...]
    biases: tuple[Bias, ...] = ()
    intervention: Intervention | None = None
    preparation: Preparation | None = None
    alpha: tuple[np.ndarray | None, ...] | None = None
    reading: Reading | None = None
    scaled: bool = False

    @property
    def needs(self) -> frozenset[Ability]:
        """What a tower must be able to do for it."""
        wanted: set[Ability] = {ability for bias in self.biases for ability in bias.needs}
        if self.intervention:
            wanted.add("interventions")
        if self.alpha is not None:
            wanted.add("alpha")
        if self.reading:
            wanted.add(getattr(self.reading.readout, "ability", "dense"))
        return frozenset(wanted)

    @property
    def scorer(self) -> Scorer | None:
        """Its read-out, where what that gives is no embedding and it makes the scores itself; else None."""
        readout: Any = self.reading.readout if self.reading else None
        return readout if hasattr(readout, "scores") else None

    @property
    def told(self) -> tuple[str, ...]:
        """What is done beside showing its pictures, in words."""
        words = [f"{bias.form} bias in layers {list(bias.layers)}" for bias in self.biases]
        if self.intervention:
            words.append(f"{type(self.intervention.change).__name__} in layers {list(self.intervention.layers)}")
        if self.alpha is not None:
            words.append("alpha channel")
        if self.reading:
            words.append(f"read by {self.reading.readout.name}")
        return tuple(words)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that any of its biases touches, ascending."""
        return tuple(sorted({layer for bias in self.biases for layer in bias.layers}))

    @property
    def bias_map(self) -> Tensor | None:
        """For pictures: its biases added up, mean over heads, (views, 1 + rows * cols); None without any."""
        flat = [bias.rows if bias.rows.ndim == 2 else bias.rows.mean(1) for bias in self.biases]
        return sum(flat[1:], flat[0]) if flat else None

    @property
    def pictures(self) -> tuple[int, ...]:
        """The pictures that it sees or refers to, each once."""
        reference = self.intervention.reference if self.intervention else None
        tiles = self.reading.pictures if self.reading else ()
        return tuple(dict.fromkeys((*self.image_index, *(reference or ()), *tiles)))

    def some(self, views: Sequence[int]) -> Component:
        """Some of its views, in the order given."""
        chosen = list(views)
        biases = tuple(replace(bias, rows=bias.rows[chosen]) for bias in self.biases)
        intervention = self.intervention
        if intervention:
            reference, tokens = intervention.reference, intervention.tokens
            intervention = replace(
                intervention,
                reference=None if reference is None else tuple(reference[v] for v in chosen),
                tokens=None if tokens is None else tokens[chosen],
            )
        return replace(
            self,
            image_index=tuple(self.image_index[v] for v in chosen),
            biases=biases,
            intervention=intervention,
            alpha=None if self.alpha is None else tuple(self.alpha[v] for v in chosen),
            reading=self.reading and self.reading.some(chosen),
        )

    def moved(self, place: Sequence[int]) -> Component:
        """The component with each picture index put through `place`."""
        intervention = self.intervention
        if intervention and intervention.reference is not None:
            intervention = replace(intervention, reference=tuple(place[i] for i in intervention.reference))
        index, reading = tuple(place[i] for i in self.image_index), self.reading and self.reading.moved(place)
        return replace(self, image_index=index, intervention=intervention, reading=reading)


@dataclass(frozen=True)
class Views:
    """What a prompt made of (image, regions), or several of these in one batch.

    Attributes:
        images: The distinct pictures (PIL), before the resize to the model's input; empty once `pixels` stand in.
        components: Each has one view for each region, in the order of the regions.
        combine: How the scores of several components become one.
        pixels: The distinct pictures as one backbone takes them, float32 (images, channels, side, side), an alpha channel
            in them where the tower has one; see `Backbone.prepare`.
        keys: For each component and view what it is made of: views with one key are the same view. None until prepared.
        weights: For each component a factor on its scores, before they are combined; None for 1 throughout.
    """

    images: tuple[Image.Image, ...]
    components: tuple[Component, ...]
    combine: Combine = "sum"
    pixels: Tensor | None = None
    keys: tuple[tuple[bytes, ...], ...] | None = None
    weights: tuple[float, ...] | None = None

    def _repr_html_(self) -> str:
        """What a notebook shows: its pictures, small, and what each component does to the attention."""
        from falip.picture.inline import picture_tag, table

        pictures = "".join(picture_tag(image, f"picture {i}") for i, image in enumerate(self.images[:PICTURES_SHOWN]))
        more = len(self.images) - PICTURES_SHOWN
        rows = [
            (c.name, f"{len(c.image_index)} views", f"pictures {sorted(set(c.image_index))}", *c.told)
            for c in self.components
        ]
        how = f"scores combined by {self.combine}" if len(self.components) > 1 else ""
        return f"<div>{pictures}{f' and {more} more' if more > 0 else ''}{table(rows)}{how}</div>"

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
    """The views of a prompt, for an image and regions that any prompt can take, and a tower that can do what they ask.

    Args:
        prompt: A prompt.
        image: A picture, or what `falip.reading.as_picture` takes for one.
        regions: Regions of it, or what `falip.regions.as_regions` takes for some.
        geometry: Of the tower.

    Raises:
        UserError: If there is no region, the image is neither RGB nor a depth map (mode "F"), or the prompt asks for what
            the tower cannot do.
    """
    image = as_picture(image)
    regions = as_regions(regions, image.size)
    if not len(regions):
        raise UserError("There is no region to look at: give at least one falip.Region.")
    if image.mode not in ("RGB", "F"):
        raise UserError(f"The image has mode {image.mode!r}; falip takes RGB pictures: image.convert('RGB').")
    if "transparency" in image.info:  # left over from the file; edits of the picture would take it for a colour to hide
        image = image.copy()
        del image.info["transparency"]
    if not callable(prompt) or isinstance(prompt, type):
        raise UserError(f"{prompt!r} is no prompt. Give an object such as falip.Foveal() or falip.RedCircle().")
    views = prompt(image, regions, geometry)
    for component in views.components:
        geometry.check(component.name, component.needs)
        if component.reading:
            inside = component.intervention.layers if component.intervention else ()
            check_reading(component.name, component.reading.readout, {*component.layers, *inside}, geometry.layers)
    return views


def merge_views(batch: Sequence[Views]) -> Views:
    """One `Views` with the regions of all, in order, so that several images fill one forward pass.

    Args:
        batch: Views made by the same prompt, so that their components correspond; all prepared, or none.
    """
    if len(batch) == 1:
        return batch[0]
    counts = [len(views.images) if views.pixels is None else len(views.pixels) for views in batch]
    places = [range(sum(counts[:i]), sum(counts[: i + 1])) for i in range(len(batch))]
    components = tuple(
        _merged([views.components[k].moved(place) for views, place in zip(batch, places, strict=True)])
        for k in range(len(batch[0].components))
    )
    images = tuple(image for views in batch for image in views.images)
    if batch[0].pixels is None:
        return Views(images, components, batch[0].combine, weights=batch[0].weights)
    keys = tuple(tuple(key for views in batch for key in (views.keys or ())[k]) for k in range(len(components)))
    pixels = _concatenated([views.pixels for views in batch])
    return Views(images, components, batch[0].combine, pixels, keys, batch[0].weights)


def join_views(parts: Sequence[Views]) -> Views:
    """One `Views` with the components of all, for the same regions; a picture that several share is there once.

    Args:
        parts: Views of the same image and regions by several prompts, not prepared yet.
    """
    images: list[Image.Image] = []
    components: list[Component] = []
    for views in parts:
        place = [_index(images, picture) for picture in views.images]
        components += [component.moved(place) for component in views.components]
    return Views(tuple(images), tuple(components), parts[0].combine)


def _index(images: list[Image.Image], picture: Image.Image) -> int:
    for i, known in enumerate(images):
        if known is picture:
            return i
    images.append(picture)
    return len(images) - 1


def _merged(parts: Sequence[Component]) -> Component:
    first = parts[0]
    if len({_shape(part) for part in parts}) > 1:
        raise UserError(
            f"{first.name} biases other layers, does other things inside the attention, or prepares its pictures "
            "otherwise, from one picture to the next; the views of one prompt are batched, so they must differ in their "
            "rows and pictures alone."
        )
    biases = tuple(
        replace(bias, rows=_concatenated([part.biases[k].rows for part in parts])) for k, bias in enumerate(first.biases)
    )
    intervention = first.intervention
    if intervention:
        others = [part.intervention for part in parts if part.intervention]
        references = tuple(i for other in others for i in other.reference or ())
        intervention = replace(
            intervention,
            reference=references if intervention.reference is not None else None,
            tokens=_concatenated([other.tokens for other in others]) if intervention.tokens is not None else None,
        )
    places, alpha = tuple(i for part in parts for i in part.image_index), None
    if any(part.alpha is not None for part in parts):
        alpha = tuple(one for part in parts for one in part.alpha or (None,) * len(part.image_index))
    spots = tuple(place for part in parts if part.reading for place in part.reading.places)
    reading = first.reading and replace(first.reading, places=spots)
    return replace(first, image_index=places, biases=biases, intervention=intervention, alpha=alpha, reading=reading)


def _shape(part: Component) -> Any:
    """What the components of a batch must have in common."""
    surgery = part.intervention
    inside = surgery and (surgery.change, surgery.layers, surgery.reference is None, surgery.tokens is None)
    biases = tuple((bias.layers, bias.form, bias.rows.ndim) for bias in part.biases)
    return biases, inside, part.preparation, part.reading and part.reading.readout


def _concatenated(tensors: Sequence[Any]) -> Tensor:
    import torch

    return torch.cat(list(tensors))
