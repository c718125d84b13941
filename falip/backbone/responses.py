"""How much a prompt changes what each attention head adds to the CLS token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from falip.backbone.backbone import Backbone
from falip.prompts import Plain
from falip.regions import Region
from falip.views import Prompt

# Regions whose parts, each as wide as the model and for each layer and head, are held together.
_AT_ONCE = 128


def head_responses(backbone: Backbone, image: Image.Image, regions: Sequence[Region], prompt: Prompt) -> Tensor:
    """Norm of G'_h - G_h: the change of each head's part of the CLS output (FALIP, "Key Designs", the view by heads).

    G_h is the part of head h after the output projection, W_O[:, h] times its output, in an independent plain pass over
    the unprompted picture; G'_h is the same under the prompt. The projection's bias is in neither.

    Args:
        backbone: Any loaded backbone.
        image: An RGB picture, or a depth map of mode "F".
        regions: At least one region of it.
        prompt: A prompt with one view for each region.

    Returns:
        float32 (regions, layers, heads) on the CPU.

    Raises:
        UserError: If the prompt has several views for each region.
    """
    plain, parts = backbone.head_outputs(image, regions[:1], Plain()), []
    for start in range(0, len(regions), _AT_ONCE):
        changed = backbone.head_outputs(image, regions[start : start + _AT_ONCE], prompt)
        parts.append((changed - plain).norm(dim=-1))
    return torch.cat(parts)
