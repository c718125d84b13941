"""Small random CLIPs in the transformers layout, and pictures to look at with them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

WORDS = [
    "<pad>",
    "<unk>",
    "it",
    "<bos>",
    "<eos>",
    "a",
    "the",
    "dog",
    "cat",
    "red",
    "blue",
    "left",
    "photo",
    "of",
    "is",
    "in",
]
WORDS += ["color", ".", "x", "y", "z"]
CONTEXT = 12

# Token grid and depth of the released towers, with few and narrow channels; OpenCLIP's weights have the other activation.
GRIDS = {
    "small": {"image_size": 64, "patch_size": 16, "layers": 6, "heads": 4, "width": 64},
    "ViT-B/32": {"image_size": 224, "patch_size": 32, "layers": 12, "heads": 2, "width": 32, "activation": "gelu"},
    "ViT-B/16": {"image_size": 224, "patch_size": 16, "layers": 12, "heads": 2, "width": 32},
    "ViT-L/14": {"image_size": 224, "patch_size": 14, "layers": 24, "heads": 2, "width": 32},
    "ViT-L/14@336": {"image_size": 336, "patch_size": 14, "layers": 24, "heads": 2, "width": 32},
}


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Noise over soft colour, so that every place of it looks different."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((width, height))
    noise = rng.integers(-40, 40, (height, width, 3))
    return Image.fromarray((np.asarray(soft).astype(int) + noise).clip(0, 255).astype(np.uint8))


def write_clip(
    folder: Path, image_size: int, patch_size: int, layers: int, heads: int, width: int, activation: str = "quick_gelu"
) -> None:
    """A CLIP with random weights whose attention is sharp enough for a bias to matter."""
    tower = {
        "hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": heads, "projection_dim": 32,
        "hidden_act": activation,
    }  # fmt: skip
    config = CLIPConfig(
        vision_config={**tower, "num_hidden_layers": layers, "image_size": image_size, "patch_size": patch_size},
        text_config={
            **tower, "num_hidden_layers": 2, "vocab_size": len(WORDS), "max_position_embeddings": CONTEXT,
            "pad_token_id": 0, "bos_token_id": 3, "eos_token_id": 4,
        },
        projection_dim=32,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPModel(config)
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(weight, std=0.1)
            elif "norm" not in name and weight.ndim > 1:
                sharpness = 1.3 if "q_proj" in name or "k_proj" in name else 1.0
                torch.nn.init.normal_(weight, std=sharpness * weight[0].numel() ** -0.5)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": image_size},
        crop_size={"height": image_size, "width": image_size},
        image_mean=OPENAI_CLIP_MEAN,
        image_std=OPENAI_CLIP_STD,
    ).save_pretrained(folder)


def tokenizer(words: Sequence[str] = WORDS) -> PreTrainedTokenizerFast:
    """Whole words, each with its place in the list as its id."""
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[(word, words.index(word)) for word in ("<bos>", "<eos>")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )
