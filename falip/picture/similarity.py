"""Where in a picture what a read-out takes for a region is: it stands in the place of attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from falip.backbone import Backbone
from falip.prompts import Plain
from falip.regions import Region
from falip.views import Prompt


def similarity_maps(backbone: Backbone, image: Image.Image, regions: Sequence[Region], prompt: Prompt) -> Tensor:
    """How alike each patch is to the picture's own embedding, and to that of each region.

    Args:
        backbone: With a ViT.
        image: An RGB picture, or a depth map of mode "F".
        regions: At least one region of it.
        prompt: With a read-out, and one view for each region.

    Returns:
        float32 (2, regions, 1 + rows * cols): before and after, as `Backbone.similarity` has it, on the token grid (tiles
        are averaged), with 0 for CLS.
    """
    plain = backbone.encode_regions(image, regions, Plain())
    targets = torch.stack([plain, backbone.encode_regions(image, regions, prompt)], dim=1)
    found = backbone.similarity(image, regions, prompt, targets).transpose(0, 1)
    grid = (backbone.geometry.rows, backbone.geometry.cols)
    return pad(adaptive_avg_pool2d(found, grid).flatten(2), (1, 0))
