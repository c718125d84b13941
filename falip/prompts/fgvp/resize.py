"""How FGVP's pictures become a model's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from falip.prompts.fgvp.canvas import SIDE

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TwoResizes:
    """Normalised first, then bilinear to a square and from there to the model's size, neither anti-aliased.

    FGVP fine_grained_visual_prompt.py, lines 89 to 98 and 212 to 233, and executor.py, lines 245 to 249.

    Attributes:
        side: Of the square in between.
    """

    side: int = SIDE

    def pixels(self, image: Image.Image, side: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
        """float32 (3, side, side)."""
        import torch
        from torch.nn.functional import interpolate

        colours = np.asarray(image)
        # Channel by channel, for a thin cut-out has a canvas of a hundred megapixels.
        channels = []
        for k in range(3):
            channel = torch.from_numpy(colours[None, None, :, :, k].astype(np.float32))
            channel = channel.sub_(_float32(mean[k]) * 255.0).div_(_float32(std[k]) * 255.0)
            square = interpolate(channel, (self.side, self.side), mode="bilinear", align_corners=False)
            channels.append(interpolate(square, (side, side), mode="bilinear", align_corners=False)[0, 0])
        return torch.stack(channels)


def _float32(value: float) -> float:
    return float(np.float32(value))
