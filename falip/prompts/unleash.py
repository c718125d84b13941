"""What a prompt changes in the CLS output, doubled: FALIP's "unleash"."""

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
        return against_plain("unleash", DoubledChange(), self.prompt, self.layers, image, regions, geometry)


@dataclass(frozen=True)
class DoubledChange:
    """Before the output projection, which is linear, so that it doubles the change after it too."""

    def attend(self, attention: LayerAttention) -> Tensor:
        """The CLS output and its difference from the plain one."""
        output, plain = attention.attend(attention.own), attention.plain_output
        assert plain is not None
        output[:, :, 0] = 2 * output[:, :, 0] - plain[:, :, 0]
        return output
