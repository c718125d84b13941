"""Loading a backbone: the embedded one, a local folder, or a hub id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from falip.backbone.alpha import put_alpha_weights
from falip.backbone.backbone import Backbone
from falip.backbone.clip_vit import ClipViT
from falip.backbone.images import ImageProcessing
from falip.backbone.input_size import resize_input
from falip.backbone.parts import Parts, Unusable
from falip.errors import UserError
from falip.geometry import Resize
from falip.layouts import layout_named
from falip.weights import (
    RELEASED_DTYPE,
    TOKENIZER_FILES,
    BackboneSettings,
    Weights,
    find_alpha,
    find_weights,
    layout_of,
    layouts,
    weight_files,
)


def load_backbone(
    name: str,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    resize: Resize = "squash",
    precision: str | None = None,
    alpha_weights: str | None = None,
    image_size: int | None = None,
) -> Backbone:
    """Loads a CLIP, MetaCLIP 2 or SigLIP in the layout of transformers, or a CLIP in that of open_clip.

    Args:
        name: "tiny" for the embedded model, a hub id such as "openai/clip-vit-base-patch16" or "timm/resnet50_clip.openai",
            or a local folder: config.json, model.safetensors, tokenizer and preprocessor files (transformers), or
            open_clip_config.json, open_clip_model.safetensors and tokenizer files (open_clip); "~" is the home folder.
        revision: Commit or tag of a hub id; None takes the newest that is known.
        device: A torch device such as "cpu" or "cuda".
        dtype: "float32", "bfloat16" or "float16".
        resize: "squash" to a square, the reference's way for REC, or "crop": CLIP's resize and centre crop, or what
            else the resize_mode of an open_clip_config.json says; or "pad": the longer side resized, and black beside it.
            SigLIP squashes by itself.
        precision: None, or "released": weights, features and scores in half, rounded where the released programs round
            them on a GPU (see `falip.scoring.released_scores`), whatever `dtype` says; every view is encoded whole. Not
            for SigLIP, which no released program loads.
        alpha_weights: File of Alpha-CLIP's visual weights (.pth), put in the place of the vision tower; `falip.Alpha` then
            has a channel to fill.
        image_size: Side of the input in pixels, of a CLIP ViT, whose positions are resized bicubically; None for its own.

    Raises:
        UserError: If there is no such model here, it is none that falip takes, or the alpha weights do not fit it.
    """
    BackboneSettings(name, revision, device, dtype, resize, precision, alpha_weights, image_size)
    dtype = dtype if precision is None else RELEASED_DTYPE
    weights = replace(find_weights(name, revision), alpha=find_alpha(alpha_weights))
    source = name if weights.folder is None else str(weights.folder)
    parts, folder = _loaded(source, weights, revision, getattr(torch, dtype), resize)
    if precision:
        _check_released(source, parts)
    if not weights.known:
        weights = replace(weights, revision=folder.name)
    if weights.alpha:
        put_alpha_weights(parts.model, weights.alpha)
    if image_size is not None:
        resize_input(parts.model, image_size)
    model = _on_device(parts.model, device)
    tower = parts.tower(model.eval())
    preprocess = ImageProcessing(parts.processor, tower.geometry)
    return Backbone(model, tower, parts.tokenizer, preprocess, weights, precision, resize, parts.form, image_size)


def clip_backbone(
    model: Any,
    tokenizer: Any,
    processor: Any,
    weights: Weights,
    resize: Resize = "squash",
    precision: str | None = None,
) -> Backbone:
    """A backbone of parts that are loaded already: a transformers CLIPModel, its tokenizer and its PIL image processor."""
    tower = ClipViT(model.eval(), resize)
    return Backbone(model, tower, tokenizer, ImageProcessing(processor, tower.geometry), weights, precision)


def _on_device(model: Any, device: str) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={device!r} cannot be used: {error}. Try device=cpu.") from error


def _loaded(source: str, weights: Weights, revision: str | None, dtype: torch.dtype, resize: Resize) -> tuple[Parts, Path]:
    """The parts of a backbone, and the folder that they came from."""
    try:
        folder = weights.folder or _hub_folder(source, weights.revision or revision)
        return _loader(layout_of(folder))(folder, dtype, resize), folder
    except UserError:
        raise
    except Exception as error:  # also what transformers' dependencies raise of their own: of pickles, JSON, connections
        reason = next((line for line in str(error).strip().splitlines() if line), type(error).__name__)
        if "weights_only" in str(error) and not isinstance(error, Unusable):
            reason = (
                "its weights are pickled objects, which could run code and are not loaded; save them as model.safetensors"
            )
        raise _unusable(source, reason, error.mend if isinstance(error, Unusable) else "") from error


def _loader(layout: str) -> Callable[[Path, torch.dtype, Resize], Parts]:
    module, _, function = layout_named(layout).load.partition(":")
    return getattr(import_module(module), function)


def _check_released(source: str, parts: Parts) -> None:
    if not parts.released:
        raise UserError(
            "precision='released': the released programs load CLIP alone, so that there is no rounding of theirs to repeat "
            f"for {source!r}. Leave precision out, or give dtype=float16."
        )


def _hub_folder(name: str, revision: str | None) -> Path:
    """The snapshot of a hub id in the hub's cache, with the files that are needed; those that it has are not asked for."""

    def fetched(patterns: tuple[str, ...], local: bool = False) -> Path:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns), local_files_only=local))

    configs = ("*.json", "*.model", *TOKENIZER_FILES)
    try:
        folder = fetched(configs, local=True)
        if weight_files(folder, layout_of(folder)) and any((folder / file).is_file() for file in TOKENIZER_FILES):
            return folder
    except (LocalEntryNotFoundError, UserError):  # nothing, or not even its configuration, is in the cache
        pass
    folder = fetched(configs)
    for layout in layouts(folder):
        for patterns in layout_named(layout).weights:
            if weight_files(fetched(patterns), layout):
                return folder
    return folder


def _unusable(source: str, reason: str, mend: str) -> UserError:
    return UserError(
        f"The backbone {source!r} could not be loaded: {reason}\n{mend or _whole_files(source)} "
        "backbone=tiny is the embedded model and needs nothing."
    )


def _whole_files(source: str) -> str:
    parts = "configuration, weights and tokenizer files, and with config.json also preprocessor_config.json"
    if Path(source).is_dir():
        return f"Copy the whole folder again ({parts})."
    return (
        f"On a machine with network: falip data weights --backbone {source}\n"
        f"Without network: copy its folder here ({parts}) and give that folder instead of the hub id."
    )
