"""Small random SigLIPs and MetaCLIP 2 in the files that transformers writes and their hub folders have."""

import json
from pathlib import Path

import torch
from random_clip import WORDS
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import MetaClip2Config, MetaClip2Model, SiglipConfig, SiglipModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

CONTEXT = 12
SPECIAL = {"siglip": {"eos_token": "</s>", "pad_token": "</s>"}, "siglip2": {"eos_token": "<eos>", "pad_token": "<pad>"}}
_CLASSES = {"siglip": "SiglipTokenizer", "siglip2": "GemmaTokenizer"}
# Of the released files: SigLIP resizes by a bicubic filter and SigLIP 2 by a bilinear one.
_FILTERS = {"siglip": 3, "siglip2": 2}


def words_of(kind: str) -> list[str]:
    """The vocabulary, each word with its place as its id; the end token is 1."""
    first = {"siglip": ["<unk>", "</s>"], "siglip2": ["<pad>", "<eos>", "<unk>"]}[kind]
    return [*first, "Dog", "?", *(word for word in WORDS if not word.startswith("<"))]


def write_siglip(
    folder: Path,
    kind: str = "siglip",
    image_size: int = 64,
    patch_size: int = 16,
    layers: int = 3,
    width: int = 32,
    tokenizer_settings: dict | None = None,
) -> SiglipModel:
    """Writes a random SigLIP or SigLIP 2 of a fixed resolution ("siglip2"), and returns it."""
    tower = {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": 4, "num_hidden_layers": layers}
    words = words_of(kind)
    config = SiglipConfig(
        vision_config={**tower, "image_size": image_size, "patch_size": patch_size},
        text_config={
            **tower, "num_hidden_layers": 2, "vocab_size": len(words), "max_position_embeddings": CONTEXT,
            "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 1,
        },
    )  # fmt: skip
    model = _random(SiglipModel, config)
    model.save_pretrained(folder)
    processor = SiglipImageProcessorPil(size={"height": image_size, "width": image_size}, resample=_FILTERS[kind])
    processor.save_pretrained(folder)
    _write_tokenizer(folder, kind, tokenizer_settings or {})
    return model


def write_metaclip2(folder: Path, image_size: int = 64, patch_size: int = 16, layers: int = 6, width: int = 32):
    """Writes a random MetaCLIP 2 and returns it."""
    tower = {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": 4, "projection_dim": 16}
    config = MetaClip2Config(
        vision_config={**tower, "num_hidden_layers": layers, "image_size": image_size, "patch_size": patch_size},
        text_config={
            **tower, "num_hidden_layers": 2, "vocab_size": len(_pieces()), "max_position_embeddings": CONTEXT,
            "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1,
        },
        projection_dim=16,
    )  # fmt: skip
    model = _random(MetaClip2Model, config)
    model.save_pretrained(folder)
    size = {"height": image_size, "width": image_size}
    CLIPImageProcessorPil(size={"shortest_edge": image_size}, crop_size=size).save_pretrained(folder)
    tokenizer = Tokenizer(models.Unigram([(piece, -i) for i, piece in enumerate(_pieces())], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "XLMRobertaTokenizer"}))
    return model


def _pieces() -> list[str]:
    """Of sentencepiece, as MetaCLIP 2's tokenizer has them: its end token is 2, and all words lie above it."""
    words = (f"▁{word}" for word in ("Dog", *WORDS) if not word.startswith("<"))
    return ["<s>", "<pad>", "</s>", "<unk>", *words, "<mask>"]


def _random(model_class, config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = model_class(config)
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(weight, std=0.1)
            elif "norm" not in name and weight.ndim > 1:
                torch.nn.init.normal_(weight, std=1.3 * weight[0].numel() ** -0.5)
        if model_class is SiglipModel:
            torch.nn.init.normal_(model.vision_model.head.probe)
            model.logit_scale.data.fill_(2.0)
            model.logit_bias.data.fill_(-7.0)
    return model.eval()


def _write_tokenizer(folder: Path, kind: str, settings: dict) -> None:
    words, eos = words_of(kind), SPECIAL[kind]["eos_token"]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single=f"$A {eos}", special_tokens=[(eos, 1)])
    made.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": _CLASSES[kind], "unk_token": "<unk>", **SPECIAL[kind]}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | settings))
