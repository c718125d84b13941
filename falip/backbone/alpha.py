"""Alpha-CLIP: a fourth input channel that says where to look, and the weights that read it (arXiv:2312.03818).

Its patch embedding is conv1(image) + conv1_alpha(alpha map), which is one convolution of four channels. So the tower stays
the CLIP ViT that it is: what differs is what comes in, a picture and its map together. Views that see the same picture
under different maps see different inputs from the first layer on, and share nothing but the resize of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad
from transformers import CLIPModel

from falip.errors import UserError
from falip.geometry import Geometry
from falip.views import Component, Views

MEAN, DEVIATION = 0.5, 0.26  # of the map: Alpha-CLIP eval/imagenet_s_zs_test/imagenet_s.py, lines 27 to 61
_CONVOLUTIONS = ("conv1.weight", "conv1_alpha.weight")
_PROJECTION = "proj"  # (width, D), the other way round than a linear layer keeps it


def with_alpha_channel(views: Views, pixels: Tensor, geometry: Geometry) -> tuple[Views, Tensor]:
    """The views and their pixels as a tower with an alpha channel takes them; as they are for any other tower.

    A view without a map, and the picture that an intervention refers to, get 1 everywhere: all of it is looked at.

    Args:
        views: What a prompt made.
        pixels: Its pictures, prepared, float32 (images, 3, side, side).
        geometry: Of the tower.

    Returns:
        The views, each pointing at its picture with its map, and pixels (pictures with their maps, 4, side, side).

    Raises:
        UserError: If a view has a map and the tower no channel for it, or a map is not of its picture's size.
    """
    if "alpha" not in geometry.abilities:
        for component in views.components:
            geometry.check(component.name, component.needs & {"alpha"})
        return views, pixels
    inputs = _Inputs(views, pixels, geometry)
    components = tuple(inputs.moved(component) for component in views.components)
    return replace(views, components=components), torch.stack(inputs.pixels)


class _Inputs:
    """Pictures with their maps, each pair once."""

    def __init__(self, views: Views, pixels: Tensor, geometry: Geometry) -> None:
        self.pixels: list[Tensor] = []
        self._images, self._pictures, self._geometry = views.images, pixels, geometry
        self._known: dict[tuple[int, int | None], int] = {}

    def moved(self, component: Component) -> Component:
        """The component with each view, and each reference of its intervention, put to its picture with its map."""
        maps = component.alpha or (None,) * len(component.image_index)
        index = tuple(self._place(i, alpha) for i, alpha in zip(component.image_index, maps, strict=True))
        surgery = component.intervention
        if surgery and surgery.reference is not None:
            surgery = replace(surgery, reference=tuple(self._place(i, None) for i in surgery.reference))
        reading = component.reading
        if reading and reading.pictures:
            reading = reading.moved([self._place(i, None) for i in range(len(self._images))])
        return replace(component, image_index=index, intervention=surgery, alpha=None, reading=reading)

    def _place(self, image: int, alpha: np.ndarray | None) -> int:
        key = (image, None if alpha is None else id(alpha))
        if key not in self._known:
            self._known[key] = len(self.pixels)
            self.pixels.append(torch.cat([self._pictures[image], self._channel(image, alpha)]))
        return self._known[key]

    def _channel(self, image: int, alpha: np.ndarray | None) -> Tensor:
        side, size = self._geometry.image_size, self._images[image].size
        if alpha is not None and alpha.shape != size[::-1]:
            raise UserError(
                f"An alpha map has the shape (height, width) of its picture, {size[::-1]}; this one has {alpha.shape}."
            )
        if alpha is None or (alpha == 1).all():  # the resize of a map of ones is 1 but for rounding, and these must tie
            return torch.full((1, side, side), (1 - MEAN) / DEVIATION)
        return alpha_channel(alpha, self._geometry)


def alpha_channel(alpha: np.ndarray, geometry: Geometry) -> Tensor:
    """The map as the tower takes it: resized as its picture is, bilinear and anti-aliased, and normalised.

    Args:
        alpha: bool, or 0 to 1, (height, width) of the picture.
        geometry: Of the tower.

    Returns:
        float32 (1, side, side).
    """
    (width, height), (left, top) = geometry.resized((alpha.shape[1], alpha.shape[0]))
    whole = torch.from_numpy(np.asarray(alpha, np.float32))[None, None]
    resized = interpolate(whole, (height, width), mode="bilinear", antialias=True)[0]
    side = geometry.image_size
    window = resized[:, top : top + side, left : left + side]
    window = pad(window, (0, side - window.shape[2], 0, side - window.shape[1]))  # beyond a picture nothing is looked at
    return (window - MEAN) / DEVIATION


def put_alpha_weights(model: Any, path: Path) -> None:
    """Gives a transformers CLIPModel the vision tower of Alpha-CLIP; its text tower stays.

    Args:
        model: Of the sizes of that tower; changed in place.
        path: A visual state dict as Alpha-CLIP publishes them, in OpenAI's names (conv1.weight, conv1_alpha.weight,
            transformer.resblocks.0.attn.in_proj.weight ...).

    Raises:
        UserError: If the model is no CLIPModel, the file is no such state dict, or tensors of it are missing, left over
            or of other sizes.
    """
    _check_base(path, model)
    found = _state(path)
    old = model.vision_model.embeddings.patch_embedding
    pairs = list(_pairs(model.config.vision_config.num_hidden_layers))
    tower = dict(model.vision_model.named_parameters())
    sizes = {source: torch.cat([tower[name] for name in targets]).shape for source, targets in pairs}
    width, _, *patch = old.weight.shape
    sizes |= {name: torch.Size((width, channels, *patch)) for name, channels in zip(_CONVOLUTIONS, (3, 1), strict=True)}
    sizes[_PROJECTION] = model.visual_projection.weight.T.shape
    _check(path, found, sizes)
    embedding = nn.Conv2d(4, width, old.kernel_size, old.stride, bias=False).to(old.weight)
    with torch.no_grad():
        for source, targets in pairs:
            for name, part in zip(targets, found[source].chunk(len(targets)), strict=True):
                tower[name].copy_(part)
        embedding.weight.copy_(torch.cat([found[name] for name in _CONVOLUTIONS], dim=1))
        model.visual_projection.weight.copy_(found[_PROJECTION].T)
    model.vision_model.embeddings.patch_embedding = embedding
    model.config.vision_config.num_channels = 4


def _pairs(layers: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Tensors in OpenAI's names, and the parameters of transformers' vision tower that one holds, one below the other."""
    yield "class_embedding", ("embeddings.class_embedding",)
    yield "positional_embedding", ("embeddings.position_embedding.weight",)
    for kind in ("weight", "bias"):
        yield f"ln_pre.{kind}", (f"pre_layrnorm.{kind}",)
        yield f"ln_post.{kind}", (f"post_layernorm.{kind}",)
        for i in range(layers):
            block, layer = f"transformer.resblocks.{i}", f"encoder.layers.{i}"
            yield f"{block}.attn.in_proj.{kind}", tuple(f"{layer}.self_attn.{part}_proj.{kind}" for part in "qkv")
            yield f"{block}.attn.out_proj.{kind}", (f"{layer}.self_attn.out_proj.{kind}",)
            yield f"{block}.ln_1.{kind}", (f"{layer}.layer_norm1.{kind}",)
            yield f"{block}.ln_2.{kind}", (f"{layer}.layer_norm2.{kind}",)
            yield f"{block}.mlp.c_fc.{kind}", (f"{layer}.mlp.fc1.{kind}",)
            yield f"{block}.mlp.c_proj.{kind}", (f"{layer}.mlp.fc2.{kind}",)


def _state(path: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch, zipfile and pickle raise of a file that is something else
        reason = next((line for line in str(error).strip().splitlines() if line), type(error).__name__)
        if "weights_only" in str(error) or "Weights only" in str(error):
            reason = "it holds pickled objects, which could run code and are not loaded; save its tensors alone"
        raise _unusable(path, f"could not be read: {reason}") from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise _unusable(path, "is not a dictionary of tensors")
    return found


def _check_base(path: Path, model: Any) -> None:
    if not isinstance(model, CLIPModel):
        raise _unusable(path, "is for a CLIP with a ViT, and the backbone is none")


def _check(path: Path, found: dict[str, Tensor], sizes: dict[str, torch.Size]) -> None:
    missing, strange = sorted(sizes.keys() - found.keys()), sorted(map(str, found.keys() - sizes.keys()))
    if missing:
        raise _unusable(path, f"lacks {len(missing)} of the tensors of this tower: {', '.join(missing[:3])}")
    if strange:
        raise _unusable(path, f"has {len(strange)} tensors that this tower has no place for: {', '.join(strange[:3])}")
    for name, size in sizes.items():
        if found[name].shape != size:
            raise _unusable(path, f"has {name} of shape {tuple(found[name].shape)}, and its base takes {tuple(size)}")


def _unusable(path: Path, reason: str) -> UserError:
    return UserError(
        f"The alpha weights {str(path)!r}: the file {reason}.\nGive a visual state dict of the Alpha-CLIP model zoo "
        "(https://github.com/SunzeY/AlphaCLIP), and as backbone the CLIP that it was trained from, such as "
        "openai/clip-vit-base-patch16 for clip_b16_*.pth and openai/clip-vit-large-patch14 for clip_l14_*.pth."
    )
