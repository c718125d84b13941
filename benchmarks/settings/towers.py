"""What the tower of a backbone is like, without loading it: from its configuration where that is here, else declared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falip.errors import UserError
from falip.layouts import OPEN_CLIP
from falip.weights import OPEN_CLIP_CONFIG, layout_of

CLS, MEAN, PROBE = "CLS row", "mean row of the pool", "probe of the head"
_PATCH = 32  # of a ResNet: its strides multiplied
# What transformers takes where a config.json leaves it out: CLIPVisionConfig, MetaClip2VisionConfig, SiglipVisionConfig.
_UNSAID = {"clip": (224, 32, 12), "metaclip_2": (224, 32, 12), "siglip": (224, 16, 12)}


@dataclass(frozen=True)
class Tower:
    """The place for a mask in a vision tower.

    Attributes:
        layout: One of `falip.layouts.kinds`.
        side: Of the input in pixels.
        patch: Side of a patch in pixels.
        layers: Layers that a mask can be put in.
        mask: The row of their attention that it is put on.
    """

    layout: str
    side: int
    patch: int
    layers: int
    mask: str = CLS

    @property
    def grid(self) -> str:
        """Token grid, such as "14x14"."""
        rows = self.side // self.patch
        return f"{rows}x{rows}"


def _resnet(side: int) -> Tower:
    return Tower(OPEN_CLIP, side, _PATCH, 1, MEAN)


KNOWN: Mapping[str, Tower] = {
    "openai/clip-vit-base-patch32": Tower("clip", 224, 32, 12),
    "openai/clip-vit-base-patch16": Tower("clip", 224, 16, 12),
    "openai/clip-vit-large-patch14": Tower("clip", 224, 14, 24),
    "openai/clip-vit-large-patch14-336": Tower("clip", 336, 14, 24),
    "facebook/metaclip-b16-fullcc2.5b": Tower("clip", 224, 16, 12),
    "facebook/metaclip-2-worldwide-b16": Tower("metaclip_2", 224, 16, 12),
    "google/siglip-base-patch16-224": Tower("siglip", 224, 16, 1, PROBE),
    "google/siglip2-base-patch16-224": Tower("siglip", 224, 16, 1, PROBE),
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": Tower(OPEN_CLIP, 224, 32, 12),
    "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K": Tower(OPEN_CLIP, 224, 16, 12),
    "apple/DFN2B-CLIP-ViT-B-16": Tower(OPEN_CLIP, 224, 16, 12),
    "timm/resnet50_clip.openai": _resnet(224),
    "timm/resnet101_clip.openai": _resnet(224),
    "timm/resnet50x4_clip.openai": _resnet(288),
    "timm/resnet50x16_clip.openai": _resnet(384),
    "timm/resnet50x64_clip.openai": _resnet(448),
}
"""Of the hub ids of the configurations (Radford et al. 2021, tables 19 and 20, and the papers of the others)."""


def tower_in(folder: Path) -> Tower:
    """The tower of a model folder, by its configuration.

    Raises:
        UserError: It is in no layout that falip loads, or its configuration does not say its sizes.
    """
    layout = layout_of(folder)
    path = folder / (OPEN_CLIP_CONFIG if layout == OPEN_CLIP else "config.json")
    vision = _vision(path, ("model_cfg", "vision_cfg") if layout == OPEN_CLIP else ("vision_config",))
    if layout == OPEN_CLIP and isinstance(vision.get("layers"), list):
        return _resnet(_whole(path, vision, "image_size", 224))
    unsaid = _UNSAID.get(layout, (224, 16, 12))  # open_clip model.py, CLIPVisionCfg
    depth = "layers" if layout == OPEN_CLIP else "num_hidden_layers"
    side, patch, layers = (
        _whole(path, vision, name, default)
        for name, default in zip(("image_size", "patch_size", depth), unsaid, strict=True)
    )
    return Tower(layout, side, patch, 1, PROBE) if layout == "siglip" else Tower(layout, side, patch, layers)


def _vision(path: Path, sections: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}). Copy the model folder again.") from error
    for name in sections:
        content = content.get(name) if isinstance(content, dict) else None
    if not isinstance(content, dict):
        raise UserError(f"{path} has no {'.'.join(sections)}. Copy the model folder again.")
    return content


def _whole(path: Path, vision: dict[str, Any], name: str, default: int) -> int:
    value = vision.get(name, default)
    if isinstance(value, list) and value:  # open_clip also writes a side as a pair
        value = value[0]
    if not isinstance(value, int) or value < 1:
        raise UserError(f"{path} has {name}={value!r}, and a whole number from 1 on is asked for.")
    return value
