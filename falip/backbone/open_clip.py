"""open_clip's layout: plain ViTs become a transformers CLIPModel, OpenAI's ResNets have a tower of their own.

A setting that is not known to leave numbers alone is refused by its name (open_clip model.py, CLIPVisionCfg, CLIPTextCfg).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer, CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip.backbone.clip_vit import ClipViT
from falip.backbone.parts import OLD_END, Parts, Unusable, check_tensors, check_tokenizer, quiet
from falip.backbone.resnet import ModifiedResnet, ResnetClip, ResnetTower, Shape
from falip.geometry import Resize
from falip.layouts import OPEN_CLIP
from falip.weights import NO_ARCHIVES, OPEN_CLIP_CONFIG, weight_files

_MEND = "Give a plain CLIP: a ViT whose class token is pooled, or one of OpenAI's ResNets, with CLIP's own text tower."
_FILTERS = {"bicubic": 3, "bilinear": 2}  # Pillow's numbers

# Settings that are read here, or change nothing when a trained model is evaluated; and the values that others may have.
_READ = {
    "model_cfg": {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg", "init_logit_scale", "cast_dtype", "output_dict"},
    "vision_cfg": {
        "layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "patch_dropout", "output_tokens",
        "attn_pooler_queries", "attn_pooler_heads", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias",
        "timm_drop", "timm_drop_path",
    },
    "text_cfg": {
        "context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "output_tokens", "pad_id", "eos_id",
        "hf_tokenizer_name", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type",
    },
}  # fmt: skip
_PLAIN = {("vision_cfg", "pos_embed_type"): "learnable", ("vision_cfg", "pool_type"): "tok"}
_PLAIN |= {("text_cfg", "pool_type"): "argmax", ("text_cfg", "proj_type"): "linear"}

_NAMES = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "logit_scale": "logit_scale",
}
_TRANSPOSED = {"text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}
_NORMS = {
    "ln_final": "text_model.final_layer_norm",
    "visual.ln_pre": "vision_model.pre_layrnorm",
    "visual.ln_post": "vision_model.post_layernorm",
}
_IN_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}
_BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


def load(folder: Path, dtype: torch.dtype, resize: Resize) -> Parts:
    """A model of open_clip with its tokenizer and image processor.

    Raises:
        Unusable: Its configuration is not plain, tensors are missing or too many, or the tokenizer is another model's.
    """
    content = _content(folder / OPEN_CLIP_CONFIG)
    model_cfg, preprocess = _section(content, "model_cfg"), content.get("preprocess_cfg") or {}
    vision, text = _section(model_cfg, "vision_cfg"), _section(model_cfg, "text_cfg")
    for name, settings in (("model_cfg", model_cfg), ("vision_cfg", vision), ("text_cfg", text)):
        _check_plain(name, settings)
    processor, resize = _processing(preprocess, resize)
    text_config = _text_config(model_cfg, text)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    check_tokenizer(tokenizer, text_config.vocab_size or 0, None, "Copy the tokenizer files of this very model.")
    state = _state(folder)
    if isinstance(vision.get("layers"), list):
        model = _resnet(_shape(model_cfg, vision), text_config, state, dtype)
        return Parts(model, lambda moved: ResnetTower(moved, resize), tokenizer, processor)
    config = CLIPConfig(
        text_config=text_config.to_dict(),
        vision_config=_vision_config(model_cfg, vision),
        projection_dim=text_config.projection_dim,
    )
    model = _from_state(CLIPModel, config, _converted(state), dtype)
    return Parts(model, lambda moved: ClipViT(moved, resize), tokenizer, processor)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Unusable(f"{path.name} is not valid JSON ({error})") from error
    return content if isinstance(content, dict) else {}


def _section(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = settings.get(name)
    if not isinstance(section, dict):
        raise Unusable(f"{OPEN_CLIP_CONFIG} has no {name}")
    return section


def _check_plain(section: str, settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if name not in _READ[section] and value and value != _PLAIN.get((section, name)):
            raise Unusable(f"{OPEN_CLIP_CONFIG} has {section}.{name}={value!r}, which falip does not know", _MEND)


def _whole(settings: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = settings.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Unusable(f"{OPEN_CLIP_CONFIG} has {name}={value!r}, and a whole number from 1 on is asked for")
    return value


def _side(vision: Mapping[str, Any]) -> int:
    """The side of the input; open_clip also writes it as a pair."""
    size = vision.get("image_size", 224)
    if isinstance(size, list) and len(set(map(str, size))) == 1:
        size = size[0]
    if isinstance(size, list):
        raise Unusable(f"{OPEN_CLIP_CONFIG} has image_size={size!r}, which is not square", _MEND)
    return _whole({"image_size": size}, "image_size")


def _processing(preprocess: Any, resize: Resize) -> tuple[CLIPImageProcessorPil, Resize]:
    """The image processor, and what `resize` means with it: `crop` is open_clip's own way, whatever that is."""
    settings = preprocess if isinstance(preprocess, dict) else {}
    filter_name, mode = settings.get("interpolation") or "bicubic", settings.get("resize_mode") or "shortest"
    if filter_name not in _FILTERS:
        raise Unusable(f"{OPEN_CLIP_CONFIG} has interpolation={filter_name!r}; falip has {' and '.join(_FILTERS)}")
    if resize == "crop" and mode not in ("shortest", "squash"):
        raise Unusable(f"{OPEN_CLIP_CONFIG} has resize_mode={mode!r}, which falip does not have", "Use resize=squash.")
    statistics = {name: settings.get(key) for name, key in (("image_mean", "mean"), ("image_std", "std"))}
    for name, values in statistics.items():
        if values is not None and not (isinstance(values, list) and len(values) == 3):
            raise Unusable(f"{OPEN_CLIP_CONFIG} has {name.removeprefix('image_')}={values!r}; three numbers are asked for")
    given = {name: values for name, values in statistics.items() if values is not None}  # else OpenAI's, as open_clip
    processor = CLIPImageProcessorPil(resample=_FILTERS[filter_name], **given)  # pyright: ignore[reportArgumentType]
    return processor, "squash" if mode == "squash" else resize


def _activation(model_cfg: Mapping[str, Any]) -> str:
    return "quick_gelu" if model_cfg.get("quick_gelu") else "gelu"


def _inner(settings: Mapping[str, Any], width: int) -> int:
    return int(width * settings.get("mlp_ratio", 4.0))


def _text_config(model_cfg: Mapping[str, Any], text: Mapping[str, Any]) -> CLIPTextConfig:
    width = _whole(text, "width", 512)
    return CLIPTextConfig(
        vocab_size=_whole(text, "vocab_size", 49408),
        hidden_size=width,
        intermediate_size=_inner(text, width),
        projection_dim=_whole(model_cfg, "embed_dim"),
        num_hidden_layers=_whole(text, "layers", 12),
        num_attention_heads=_whole(text, "heads", 8),
        max_position_embeddings=_whole(text, "context_length", 77),
        hidden_act=_activation(model_cfg),
        bos_token_id=None,
        pad_token_id=None,
        eos_token_id=OLD_END,  # pools at the largest token, as open_clip
    )


def _vision_config(model_cfg: Mapping[str, Any], vision: Mapping[str, Any]) -> dict[str, Any]:
    width = _whole(vision, "width", 768)
    return {
        "hidden_size": width,
        "intermediate_size": _inner(vision, width),
        "projection_dim": _whole(model_cfg, "embed_dim"),
        "num_hidden_layers": _whole(vision, "layers", 12),
        "num_attention_heads": width // _whole(vision, "head_width", 64),
        "image_size": _side(vision),
        "patch_size": _whole(vision, "patch_size", 16),
        "hidden_act": _activation(model_cfg),
    }


def _shape(model_cfg: Mapping[str, Any], vision: Mapping[str, Any]) -> Shape:
    layers = tuple(_whole({"layers": number}, "layers") for number in vision["layers"])
    if len(layers) != 4:
        raise Unusable(f"{OPEN_CLIP_CONFIG} has layers={vision['layers']}; a ResNet of CLIP has four stages")
    width = _whole(vision, "width", 64)
    heads = width * 32 // _whole(vision, "head_width", 64)
    return Shape(layers, width, heads, _side(vision), _whole(model_cfg, "embed_dim"))


def _state(folder: Path) -> dict[str, Tensor]:
    """The tensors of a folder, by open_clip's names."""
    files = weight_files(folder, OPEN_CLIP)
    if not files:
        raise Unusable("there is no file named open_clip_model.safetensors or open_clip_pytorch_model.bin")
    if files[0].suffix == ".safetensors":
        return _own(load_file(files[0]))
    try:
        state = torch.load(files[0], map_location="cpu", weights_only=True)
    except Exception as error:
        if "TorchScript" in str(error):
            raise Unusable(f"{files[0].name} is a TorchScript program", NO_ARCHIVES) from error
        raise
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    # Checkpoints of distributed training have the name of the wrapper in front.
    return _own({name.removeprefix("module."): tensor for name, tensor in state.items()})


def _own(state: dict[str, Tensor]) -> dict[str, Tensor]:
    state.pop("attn_mask", None)  # the causal mask, which some checkpoints hold
    if "logit_scale" in state:
        state["logit_scale"] = state["logit_scale"].reshape(())
    return state


def _converted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by transformers' names.

    Raises:
        Unusable: There is one that has no place in a plain CLIP.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        norm, _, kind = name.rpartition(".")
        if name in _NAMES:
            found[_NAMES[name]] = tensor
        elif name in _TRANSPOSED:
            found[_TRANSPOSED[name]] = tensor.T.contiguous()
        elif norm in _NORMS:
            found[f"{_NORMS[norm]}.{kind}"] = tensor
        else:
            found |= _of_block(name, tensor)
    return found


def _of_block(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A tensor of a transformer layer; that of queries, keys and values becomes three."""
    match = _BLOCK.fullmatch(name)
    if match:
        visual, layer, part, kind = match.groups()
        prefix = f"{'vision' if visual else 'text'}_model.encoder.layers.{layer}"
        if part in _IN_BLOCK:
            return {f"{prefix}.{_IN_BLOCK[part]}.{kind}": tensor}
        if part == "attn.in_proj" and len(tensor) % 3 == 0:
            named = zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True)
            return {f"{prefix}.self_attn.{name}.{kind}": third.contiguous() for name, third in named}
    raise Unusable(f"its weight file has the tensor {name}, which has no place in a plain CLIP", _MEND)


def _from_state(model_class: Any, config: Any, state: dict[str, Tensor], dtype: torch.dtype) -> Any:
    with quiet():
        model, report = model_class.from_pretrained(
            None,
            config=config,
            state_dict=state,
            dtype=dtype,
            attn_implementation="sdpa",
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    check_tensors(report)
    if report["unexpected_keys"]:
        extra = sorted(report["unexpected_keys"])
        raise Unusable(f"its weight file has {len(extra)} tensors that its configuration has no place for: {extra[0]}")
    return model


def _resnet(shape: Shape, text_config: CLIPTextConfig, state: Mapping[str, Tensor], dtype: torch.dtype) -> ResnetClip:
    own = {name.removeprefix("visual."): tensor for name, tensor in state.items() if name.startswith("visual.")}
    words = _converted({name: tensor for name, tensor in state.items() if not name.startswith("visual.")})
    scale = words.pop("logit_scale", None)
    if scale is None:
        raise Unusable("its weight file lacks the tensor logit_scale")
    text = _from_state(CLIPTextModelWithProjection, text_config, words, dtype)
    with torch.device("meta"):
        visual = ModifiedResnet(shape)
    expected = visual.state_dict()
    for name in expected.keys() - own.keys():
        if name.endswith("num_batches_tracked"):  # a count of training steps, which nothing reads any more
            own[name] = torch.zeros((), dtype=torch.long)
    missing = [name for name, tensor in expected.items() if name not in own or own[name].shape != tensor.shape]
    check_tensors({"missing_keys": missing, "mismatched_keys": []})
    if extra := sorted(own.keys() - expected.keys()):
        raise Unusable(f"its weight file has {len(extra)} tensors that its configuration has no place for: {extra[0]}")
    visual.load_state_dict(own, assign=True)
    return ResnetClip(visual, text, scale).to(dtype)
