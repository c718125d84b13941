"""Prompts that leave the picture alone and bias the attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, get_args

from PIL import Image

from falip.errors import check_choice, check_number
from falip.foveal import RegionForm, check_foveal, covered_tokens, foveal_bias
from falip.geometry import Geometry, MaskForm
from falip.regions import ImageSize, Region
from falip.views import Bias, Component, Views


class AttentionPrompt(Protocol):
    """A prompt that only biases the attention, and so can be composed with edits of the picture."""

    version: ClassVar[int]

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def text_template(self) -> str | None:
        """How the prompt phrases an expression, or None."""
        ...

    def bias(self, regions: Sequence[Region], image_size: ImageSize, geometry: Geometry) -> Bias:
        """The bias of each region of a picture of (width, height) pixels."""
        ...


def biased_views(prompt: AttentionPrompt, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
    """The views of a prompt that biases the attention and leaves the picture alone."""
    clipped = [region.clipped(image.size) for region in regions]
    bias = prompt.bias(clipped, image.size, geometry)
    return Views((image,), (Component(prompt.name, (0,) * len(regions), (bias,)),))


@dataclass(frozen=True)
class Foveal:
    """FALIP: a small Gaussian bias on the attention that CLS pays to the region (ECCV 2024, arXiv:2407.05578).

    Attributes:
        alpha: Largest value of the bias. The paper has 0.2.
        sigma: Standard deviation of the Gaussian in tokens. The paper has 100.
        layers: The last so many, or a list of layers counted from 0. The paper has the last 4. The released code begins
            at layer 8 whatever the depth of the tower, which `layers: [8, ..., 23]` repeats for ViT-L.
        region_form: What a region with a mask covers: the bounding box of its tokens, or just its tokens.
        mask_form: Rows of the attention matrix that get the bias: CLS alone (form a, FALIP), all (b), the diagonal (c).
    """

    alpha: float = 0.2
    sigma: float = 100.0
    layers: int | Sequence[int] = 4
    region_form: RegionForm = "box"
    mask_form: MaskForm = "cls_row"
    name: str = "foveal"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects parameters without meaning."""
        check_foveal("Foveal", self.alpha, self.sigma, self.region_form)
        check_choice("Foveal", "mask_form", self.mask_form, get_args(MaskForm))

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, with one bias for each region."""
        return biased_views(self, image, regions, geometry)

    def bias(self, regions: Sequence[Region], image_size: ImageSize, geometry: Geometry) -> Bias:
        """The foveal mask of each region."""
        rows = foveal_bias(regions, image_size, geometry, self.alpha, self.sigma, self.region_form)
        return Bias(rows, geometry.last_layers(self.layers), self.mask_form)


@dataclass(frozen=True)
class HardMask:
    """In the last layer CLS attends to the region's patches alone: the MaskCLIP baseline of Alpha-CLIP (appendix B).

    A bias of minus infinity on every other token, CLS itself included. A region that falls outside of CLIP's centre
    crop leaves the attention as it is.

    Attributes:
        layers: The last so many, or a list of layers counted from 0.
        keep_cls: Whether CLS may attend to itself; Alpha-CLIP's words leave it out.
    """

    layers: int | Sequence[int] = 1
    keep_cls: bool = False
    name: str = "hard_mask"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, with one bias for each region."""
        return biased_views(self, image, regions, geometry)

    def bias(self, regions: Sequence[Region], image_size: ImageSize, geometry: Geometry) -> Bias:
        """0 on the region, minus infinity elsewhere."""
        keep = covered_tokens(regions, image_size, geometry)
        keep[:, 0] = self.keep_cls
        keep |= ~keep[:, 1:].any(1, keepdim=True)
        rows = (~keep).float().masked_fill(~keep, -math.inf)
        return Bias(rows, geometry.last_layers(self.layers))


@dataclass(frozen=True)
class PastaStyle:
    """PASTA-style steering: tokens outside of the region lose log(strength) (after PASTA, arXiv:2311.02262).

    PASTA steers language models; no source says how FALIP carried it over to CLIP. Here: the last four layers, all
    heads, CLS row, CLS itself left alone (pastalib/pasta.py, lines 180 to 198).

    Attributes:
        strength: Factor on the attention weights outside of the region, before the softmax is normalised; PASTA has 0.01.
        layers: The last so many, or a list of layers counted from 0.
    """

    strength: float = 0.01
    layers: int | Sequence[int] = 4
    name: str = "pasta_style"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Rejects a strength without logarithm."""
        check_number("PastaStyle", "strength", self.strength, positive=True)

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """The picture as it is, with one bias for each region."""
        return biased_views(self, image, regions, geometry)

    def bias(self, regions: Sequence[Region], image_size: ImageSize, geometry: Geometry) -> Bias:
        """log(strength) outside of the region, 0 on it and on CLS."""
        keep = covered_tokens(regions, image_size, geometry)
        keep |= ~keep.any(1, keepdim=True)
        keep[:, 0] = True
        rows = (~keep).float().masked_fill(~keep, math.log(self.strength))
        return Bias(rows, geometry.last_layers(self.layers))
