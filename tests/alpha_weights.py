"""Random visual weights as Alpha-CLIP publishes them, over the base of a folder."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPModel

_BLOCK = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def write_alpha_weights(folder: Path, path: Path, strength: float = 1.0, tuning: float = 0.02) -> tuple[CLIPModel, Tensor]:
    """Writes the state dict of a vision tower that was tuned away from its base.

    Returns:
        The base with that tower in transformers' hands, and conv1_alpha.weight (width, 1, patch, patch), which it lacks.
    """
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in [*model.vision_model.parameters(), model.visual_projection.weight]:
            weight += tuning * torch.randn(weight.shape, generator=generator)
        embedding = model.vision_model.embeddings.patch_embedding.weight
        size = (embedding.shape[0], 1, *embedding.shape[2:])
        alpha = strength * torch.randn(size, generator=generator) / embedding[0, 0].numel() ** 0.5
    torch.save(visual_state(model) | {"conv1_alpha.weight": alpha}, path)
    return model, alpha


def visual_state(model: CLIPModel) -> dict[str, Tensor]:
    """The vision tower in the names of OpenAI's CLIP."""
    vision = model.vision_model.state_dict()
    state = {
        "class_embedding": vision["embeddings.class_embedding"],
        "positional_embedding": vision["embeddings.position_embedding.weight"],
        "conv1.weight": vision["embeddings.patch_embedding.weight"],
        "proj": model.visual_projection.weight.detach().T.contiguous(),
    }
    for kind in ("weight", "bias"):
        state[f"ln_pre.{kind}"] = vision[f"pre_layrnorm.{kind}"]
        state[f"ln_post.{kind}"] = vision[f"post_layernorm.{kind}"]
        for i in range(len(model.vision_model.encoder.layers)):
            layer, block = f"encoder.layers.{i}", f"transformer.resblocks.{i}"
            parts = [vision[f"{layer}.self_attn.{part}_proj.{kind}"] for part in ("q", "k", "v")]
            state[f"{block}.attn.in_proj.{kind}"] = torch.cat(parts)
            state |= {f"{block}.{new}.{kind}": vision[f"{layer}.{old}.{kind}"] for old, new in _BLOCK.items()}
    return state
