"""The load: a model, images with regions, and expressions, as in RefCOCO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from benchmarks.embedded.shapes import rec_scene
from benchmarks.speed.amounts import LARGE, RANDOM
from falip import Backbone, Foveal, Region, UserError, Views, load_backbone
from falip.backbone.loading import clip_backbone
from falip.regions import ImageSize
from falip.weights import Weights

# Sizes of openai/clip-vit-base-patch16 and -large-patch14-336; what is left out is transformers' default and the same.
_SHAPES: dict[str, dict[str, int]] = {
    RANDOM: {
        "patch_size": 16, "hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072, "num_attention_heads": 12,
    },
    LARGE: {
        "patch_size": 14, "hidden_size": 1024, "num_hidden_layers": 24, "intermediate_size": 4096,
        "num_attention_heads": 16, "image_size": 336,
    },
}  # fmt: skip
BEGIN, END = 49406, 49407  # of CLIP's tokenizer


@dataclass(frozen=True)
class Load:
    """What is encoded.

    Attributes:
        views: For each image the foveal views of its regions, pixels included.
        texts: For each image its expressions.
    """

    views: list[Views]
    texts: list[list[str]]


class Words:
    """Stands in for CLIP's tokenizer, whose files are not here: one token for each word."""

    eos_token_id = END

    def get_vocab(self) -> dict[str, int]:
        """None of CLIP's words."""
        return {}

    def __call__(self, texts: Sequence[str], **_: object) -> dict[str, list[list[int]]]:
        """Token ids, begin and end included."""
        return {"input_ids": [[BEGIN, *(sum(word.encode()) % 40000 for word in text.split()), END] for text in texts]}


def backbone_of(name: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Backbone:
    """The embedded model or any other, or one of a ViT's shapes with random weights, which needs no download.

    Args:
        name: What `load_backbone` takes, `RANDOM` or `LARGE`.
        device: Where random weights go.
        dtype: Of random weights.

    Raises:
        UserError: If there is no such model.
    """
    if name not in _SHAPES:
        return load_backbone(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vision: Any = _SHAPES[name]
        model: Any = CLIPModel(CLIPConfig(vision_config=vision))
    model.vision_model.config._attn_implementation = model.text_model.config._attn_implementation = "sdpa"
    side = vision.get("image_size", 224)
    processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return clip_backbone(model.to(device, dtype), Words(), processor, Weights(name, None, "random"))


def make_load(backbone: Backbone, images: int, regions: int | None, expressions: float, seed: int = 0) -> Load:
    """Images of noise with random boxes, or scenes of the embedded world.

    Args:
        backbone: The model that is to encode them.
        images: Number of images.
        regions: Regions of each, or None for the scenes' own.
        expressions: Expressions of each image, on average; scenes have their own.
        seed: Of boxes and words.
    """
    if regions is None:
        return _scenes(backbone, images)
    if images < 1 or regions < 1 or expressions <= 0:
        raise UserError(f"images={images}, regions={regions}, expressions={expressions}: all must be above 0.")
    rng = np.random.default_rng(seed)
    views, texts = [], []
    for i in range(images):
        size = (640, 480)  # COCO's most frequent
        picture = Image.fromarray(rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)).resize(size)
        views.append(backbone.prepare(Foveal()(picture, boxes(rng, regions, size), backbone.geometry)))
        count = round((i + 1) * expressions) - round(i * expressions)
        texts.append([expression(rng) for _ in range(count)])
    return Load(views, texts)


def boxes(rng: np.random.Generator, regions: int, size: ImageSize) -> list[Region]:
    """Random boxes in a picture."""
    corners = np.sort(rng.uniform(0.02, 0.98, (regions, 2, 2)), axis=1) * size
    return [Region.from_box(*low, *(high + 8)).clipped(size) for low, high in corners]


def expression(rng: np.random.Generator) -> str:
    """A photo of two to nine words, most often four: RefCOCO's expressions are 3.5 words long on average."""
    words = rng.integers(0, 9999, min(2 + rng.poisson(1.5), 9))
    return " ".join(["a", "photo", "of", *(f"w{word}" for word in words)])


def _scenes(backbone: Backbone, images: int) -> Load:
    views, texts = [], []
    for index in range(images):
        drawn = rec_scene(index)
        regions = [Region.from_box(*item.box).clipped(drawn.scene.image.size) for item in drawn.scene.objects]
        views.append(backbone.prepare(Foveal()(drawn.scene.image, regions, backbone.geometry)))
        texts.append([f"a photo of {query.text}" for query in drawn.queries])
    return Load(views, texts)
