"""How much a prompt changes what each attention head adds to the CLS token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from PIL import Image
from torch import Tensor

from falip.backbone.backbone import Backbone
from falip.errors import UserError
from falip.prompts import Plain
from falip.regions import Region
from falip.views import Prompt, Views, make_views


@torch.inference_mode()
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
    views = make_views(prompt, image, regions, backbone.geometry)
    if len(views.components) != 1:
        raise UserError(f"{type(prompt).__name__} has several views for each region; ask for one of its parts.")
    changed = _head_outputs(backbone, views) - _head_outputs(backbone, Plain()(image, regions[:1], backbone.geometry))
    parts = []
    for layer, change in zip(backbone.model.vision_model.encoder.layers, changed.unbind(1), strict=True):
        weight = layer.self_attn.out_proj.weight.float().unflatten(1, (backbone.geometry.heads, -1))
        parts.append(torch.einsum("rhk,dhk->rhd", change, weight).norm(dim=-1))
    return torch.stack(parts, dim=1).cpu()


def _head_outputs(backbone: Backbone, views: Views) -> Tensor:
    """What the heads hand to the output projection for the CLS token, float32 (views, layers, heads, head size)."""
    with _captured(backbone) as captured:
        backbone.encode_views(views, sharing="none", batch=len(views))
    # An intervention puts its plain pictures behind the views.
    outputs = torch.stack([layer[: len(views)] for layer in captured], dim=1).float()
    return outputs.unflatten(-1, (backbone.geometry.heads, -1))


@contextmanager
def _captured(backbone: Backbone) -> Iterator[list[Tensor]]:
    """The CLS row of the input of each layer's output projection, in the order of the layers."""
    found: list[Tensor] = []
    hooks = [
        layer.self_attn.out_proj.register_forward_pre_hook(lambda _module, inputs: found.append(inputs[0][:, 0].detach()))
        for layer in backbone.model.vision_model.encoder.layers
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
