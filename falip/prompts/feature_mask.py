"""Features outside of the region left out: FALIP's "feature mask"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from PIL import Image

from falip.foveal import covered_tokens
from falip.geometry import Geometry
from falip.regions import Region
from falip.surgery import LayerAttention
from falip.views import Component, Intervention, Views

if TYPE_CHECKING:
    from torch import Tensor


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
        intervention = Intervention(KeptValues(), geometry.last_layers(self.layers), tokens=keep)
        return Views((image,), (Component(self.name, (0,) * len(regions), intervention=intervention),))


@dataclass(frozen=True)
class KeptValues:
    """v of the tokens to keep, 0 elsewhere."""

    def attend(self, attention: LayerAttention) -> Tensor:
        """The views' own weights on what is kept."""
        assert attention.tokens is not None
        keep = attention.tokens[:, None, :, None]
        return attention.attend(attention.own._replace(value=attention.own.value * keep))
