"""The embedded CLIP before training: sizes, tokenizer, picture processing."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from benchmarks.embedded.drawing import COLOURS, SHAPES, SIZES, TEXTURES
from benchmarks.embedded.solids import SOLIDS

IMAGE_SIZE = 112
_PATCH_SIZE = 14
_CONTEXT = 32

# The end token's id must not be 2: transformers takes that for an old checkpoint's mistake and then pools at
# the largest token id, where most captions collapse to the same embedding.
_PAD, _UNKNOWN, _BEGIN, _END = "<pad>", "<unk>", "<bos>", "<eos>"
_TEMPLATE_WORDS = (
    "a an the this that is are of in on and with photo image picture red color colour color. blurred background point "
    "cloud depth map object thing shape shows part bird animal it . ,"
)


def vocabulary() -> dict[str, int]:
    """Words and their ids; 0 to 4 are padding, unknown, a word that captions hardly use, begin and end."""
    words = [_PAD, _UNKNOWN, "it", _BEGIN, _END]
    words += [*_TEMPLATE_WORDS.split(), *COLOURS, *SHAPES, *TEXTURES, *SIZES, *SOLIDS]
    return {word: index for index, word in enumerate(dict.fromkeys(word for word in words if word != "color."))}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of whole words in lower case; words outside the world become `<unk>`."""
    words = vocabulary()
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_BEGIN} $A {_END}", special_tokens=[(_BEGIN, words[_BEGIN]), (_END, words[_END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=_PAD,
        unk_token=_UNKNOWN,
        bos_token=_BEGIN,
        eos_token=_END,
        model_max_length=_CONTEXT,
    )


def make_model(width: int = 128, heads: int = 4) -> CLIPModel:
    """A CLIP of 1.7 million parameters with fresh weights, from torch's global seed.

    Args:
        width: Width of the vision tower.
        heads: Its attention heads.
    """
    words = vocabulary()
    config = CLIPConfig(
        vision_config={
            "hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": 6,
            "num_attention_heads": heads, "image_size": IMAGE_SIZE, "patch_size": _PATCH_SIZE,
            "projection_dim": 128, "hidden_act": "quick_gelu",
        },
        text_config={
            "vocab_size": len(words), "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2,
            "num_attention_heads": 4, "max_position_embeddings": _CONTEXT, "projection_dim": 128,
            "hidden_act": "quick_gelu", "pad_token_id": words[_PAD], "bos_token_id": words[_BEGIN],
            "eos_token_id": words[_END],
        },
        projection_dim=128,
    )  # fmt: skip
    return CLIPModel(config)


def save_model(model: CLIPModel, folder: Path) -> None:
    """Writes what `falip.load_backbone` and transformers' Auto classes read; weights as fp16."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: tensor.detach().to("cpu", torch.float16) for name, tensor in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=half, safe_serialization=True)
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float16"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    make_tokenizer().save_pretrained(folder)
    # The whole picture is squashed to the model's square, as the FALIP code does; nothing is cropped away.
    processing = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "resample": 3,
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": OPENAI_CLIP_MEAN,
        "image_std": OPENAI_CLIP_STD,
        "do_convert_rgb": True,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processing, indent=2) + "\n")
