"""CLIP and MetaCLIP 2, with a ViT tower, in the layout of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, CLIPModel, MetaClip2Model
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip.backbone.clip_vit import ClipViT
from falip.backbone.parts import OLD_END, Parts, check_tensors, check_tokenizer, quiet
from falip.geometry import Resize


def load(folder: Path, dtype: torch.dtype, resize: Resize) -> Parts:
    """A CLIPModel with its tokenizer and image processor.

    Raises:
        Unusable: Tensors are missing, or the tokenizer is another model's.
    """
    return _load(CLIPModel, folder, dtype, resize)


def load_metaclip2(folder: Path, dtype: torch.dtype, resize: Resize) -> Parts:
    """A MetaClip2Model, whose vision tower is that of CLIP, with its tokenizer and image processor.

    Raises:
        Unusable: Tensors are missing, or the tokenizer is another model's.
    """
    return _load(MetaClip2Model, folder, dtype, resize)


def _load(model_class: Any, folder: Path, dtype: torch.dtype, resize: Resize) -> Parts:
    with quiet():
        loaded: Any = model_class.from_pretrained(
            folder, dtype=dtype, attn_implementation="sdpa", output_loading_info=True, ignore_mismatched_sizes=True
        )
    model, report = loaded
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    check_tensors(report)
    end = model.config.text_config.eos_token_id
    if model_class is CLIPModel and end == OLD_END:  # MetaCLIP 2 pools at the token of that number
        end = None
    words = model.text_model.embeddings.token_embedding.num_embeddings
    mend = f"The eos_token_id of its text configuration is {OLD_END}: set it to {tokenizer.eos_token_id} in config.json."
    check_tokenizer(tokenizer, words, end, mend)
    return Parts(model, lambda moved: ClipViT(moved, resize), tokenizer, processor)
