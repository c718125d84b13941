"""Prompts that do more inside the attention than add a bias: the ablations of the FALIP paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from PIL import Image

from falip.errors import UserError
from falip.foveal import covered_tokens
from falip.geometry import Geometry
from falip.regions import Region
from falip.views import Component, Intervention, InterventionKind, Prompt, Views


@dataclass(frozen=True)
class Unleash:
    """Doubles what a prompt changed: the CLS output of each head becomes G' + (G' - G) (FALIP, "Unleash").

    G' is the output of a head under the prompt and G that of an independent plain pass over the unprompted picture, both
    after the head's part of the output projection; its bias counts once. The paper's layers are the last four.

    Attributes:
        prompt: The prompt that is unleashed.
        layers: The last so many, or a list of layers counted from 0.
    """

    prompt: Prompt
    layers: int | Sequence[int] = 4
    version: ClassVar[int] = 1

    @property
    def text_template(self) -> str | None:
        """That of the prompt."""
        return self.prompt.text_template

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The views of the prompt, each compared with the plain picture."""
        return _against_plain("unleash", self.prompt, self.layers, image, regions, geometry)


@dataclass(frozen=True)
class ReplaceV:
    """The prompt's attention weights on the plain picture's values (FALIP's "replace v").

    In the layers named, v of every token comes from a plain pass over the unprompted picture. The paper does not say
    which layers; the last four are the default.

    Attributes:
        prompt: The prompt whose q and k are kept.
        layers: The last so many, or a list of layers counted from 0.
    """

    prompt: Prompt
    layers: int | Sequence[int] = 4
    version: ClassVar[int] = 1

    @property
    def text_template(self) -> str | None:
        """That of the prompt."""
        return self.prompt.text_template

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The views of the prompt, each taking v from the plain picture."""
        return _against_plain("replace_v", self.prompt, self.layers, image, regions, geometry)


@dataclass(frozen=True)
class ReplaceQK:
    """The plain picture's attention weights on the prompt's values (FALIP's "replace q,k").

    In the layers named, q and k of every token come from a plain pass over the unprompted picture. The paper does not
    say which layers; the last four are the default.

    Attributes:
        prompt: The prompt whose v is kept.
        layers: The last so many, or a list of layers counted from 0.
    """

    prompt: Prompt
    layers: int | Sequence[int] = 4
    version: ClassVar[int] = 1

    @property
    def text_template(self) -> str | None:
        """That of the prompt."""
        return self.prompt.text_template

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The views of the prompt, each taking q and k from the plain picture."""
        return _against_plain("replace_qk", self.prompt, self.layers, image, regions, geometry)


@dataclass(frozen=True)
class FeatureMask:
    """The features of patches outside of the region are left out (FALIP's "feature mask").

    The paper gives no formula. Here: in the layers named, v of every patch outside of the region is 0, for all queries;
    the attention weights stay as they are. A region outside of CLIP's centre crop leaves everything as it is.

    Attributes:
        layers: The last so many, or a list of layers counted from 0.
    """

    layers: int | Sequence[int] = 4
    name: str = "feature_mask"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, with the tokens to keep for each region."""
        keep = covered_tokens([region.clipped(image.size) for region in regions], image.size, geometry)
        keep |= ~keep.any(1, keepdim=True)
        keep[:, 0] = True
        intervention = Intervention("feature_mask", geometry.last_layers(self.layers), keep=keep)
        return Views((image,), (Component(self.name, (0,) * len(regions), intervention=intervention),))


def _against_plain(
    kind: InterventionKind,
    prompt: Prompt,
    layers: int | Sequence[int],
    image: Image.Image,
    regions: Sequence[Region],
    geometry: Geometry,
) -> Views:
    views = prompt(image, regions, geometry)
    if any(component.intervention for component in views.components):
        raise UserError(f"{kind} wraps a prompt that has an intervention already; a view takes at most one.")
    known = [i for i, picture in enumerate(views.images) if picture is image]
    images, plain = (views.images, known[0]) if known else ((*views.images, image), len(views.images))
    intervention = Intervention(kind, geometry.last_layers(layers), reference=(plain,) * len(regions))
    components = tuple(
        replace(component, name=f"{kind}({component.name})", intervention=intervention) for component in views.components
    )
    return Views(images, components, views.combine)
