"""Other input sizes than a ViT was trained with."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate

from falip.errors import UserError


def resize_input(model: Any, image_size: int) -> None:
    """Lets a CLIP ViT take a larger or smaller square, its positions resized bicubically (CLIPSelf, arXiv:2310.01403).

    As in CLIPSelf src/open_clip/transformer.py, lines 724 to 734: the grid of positions alone, corners not aligned, that of
    CLS as it is.

    Args:
        model: A transformers CLIPModel; changed in place.
        image_size: Side of the input in pixels.

    Raises:
        UserError: If the model is none, or the side is no whole number of patches.
    """
    embeddings = getattr(getattr(model, "vision_model", None), "embeddings", None)
    old = getattr(embeddings, "position_embedding", None)
    if embeddings is None or old is None or not hasattr(embeddings, "class_embedding"):
        raise UserError(f"image_size={image_size}: this vision tower takes its own size alone. Choose a CLIP with a ViT.")
    patch = embeddings.patch_size
    if image_size < patch or image_size % patch:
        near = max(round(image_size / patch), 1) * patch
        raise UserError(f"image_size={image_size} is no whole number of patches of {patch} pixels. Give {near}.")
    rows, width = image_size // patch, old.weight.shape[1]
    before = int((len(old.weight) - 1) ** 0.5)
    positions = nn.Embedding(1 + rows**2, width).to(old.weight)
    with torch.no_grad():
        grid = old.weight[1:].T.reshape(1, width, before, before)
        resized = interpolate(grid.float(), (rows, rows), mode="bicubic", align_corners=False).to(old.weight)
        positions.weight.copy_(torch.cat([old.weight[:1], resized[0].flatten(1).T]))
    embeddings.position_embedding, embeddings.image_size = positions, image_size
    embeddings.num_patches, embeddings.num_positions = rows**2, 1 + rows**2
    embeddings.position_ids = torch.arange(1 + rows**2, device=old.weight.device)[None]
    model.config.vision_config.image_size = image_size
