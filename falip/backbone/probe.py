"""The head of a SigLIP as a read-out sees it: one attention of a probe to the patches, then an MLP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.nn.functional import linear, pad


@dataclass(frozen=True, eq=False)
class ProbeBlocks:
    """The `Values` of a SigLIP's head, over the features of some pictures; it is their one layer, 0.

    The probe has the place that CLS has in other towers, token 0, and brings no stream along: the head adds what it attends
    to to nothing. So of a patch that is attended to alone the head makes M(O(v)), M(x) = x + MLP(norm(x)), which is its
    dense feature: what `MaskPool("maskclip")` is on this tower. No paper of the read-outs has it; it is an extension.

    Attributes:
        head: transformers' SiglipMultiheadAttentionPoolingHead.
        features: What it pools, (pictures, patches, width).
        number: Of its heads.
        grid: Rows and columns of patches.
        patch_size: In pixels of the model's input.
    """

    head: Any
    features: Tensor
    number: int
    grid: tuple[int, int]
    patch_size: int

    @property
    def depth(self) -> int:
        """See `Values`."""
        return 1

    def of(self, pictures: Sequence[int]) -> ProbeBlocks:
        """For some of the pictures, in the order given."""
        return replace(self, features=self.features[list(pictures)])

    def entering(self, layer: int) -> Tensor:
        """Zeros, see above."""
        return pad(self.features.new_zeros(self.features.shape), (0, 0, 1, 0))

    def value(self, layer: int) -> Tensor:
        """See `Values`; zeros for the probe."""
        attention = self.head.attention
        weight, bias = attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2]
        values = linear(self.features, weight, bias).unflatten(-1, (self.number, -1)).transpose(1, 2)
        return pad(values, (0, 0, 1, 0))

    def output(self, layer: int, mixed: Tensor) -> Tensor:
        """See `Values`."""
        return self.head.attention.out_proj(mixed)

    def after_mlp(self, layer: int, hidden: Tensor) -> Tensor:
        """See `Values`."""
        return hidden + self.head.mlp(self.head.layernorm(hidden))

    def embed(self, hidden: Tensor) -> Tensor:
        """As it is: nothing comes behind the head."""
        return hidden
