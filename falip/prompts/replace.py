"""A prompt's attention on plain values, or plain attention on its values: FALIP's "replace v" and "replace q,k"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from PIL import Image

from falip.geometry import Geometry
from falip.prompts.reference import against_plain
from falip.regions import Region
from falip.surgery import LayerAttention
from falip.views import Prompt, Views

if TYPE_CHECKING:
    from torch import Tensor


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
        return against_plain("replace_v", PlainValues(), self.prompt, self.layers, image, regions, geometry)


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
        return against_plain("replace_qk", PlainQueriesAndKeys(), self.prompt, self.layers, image, regions, geometry)


@dataclass(frozen=True)
class PlainValues:
    """v of the plain pass."""

    def attend(self, attention: LayerAttention) -> Tensor:
        """The views' own weights on the plain values."""
        assert attention.plain is not None
        return attention.attend(attention.own._replace(value=attention.plain.value))


@dataclass(frozen=True)
class PlainQueriesAndKeys:
    """q and k of the plain pass."""

    def attend(self, attention: LayerAttention) -> Tensor:
        """The plain weights on the views' own values."""
        assert attention.plain is not None
        return attention.attend(attention.plain._replace(value=attention.own.value))
