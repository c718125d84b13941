"""Loading a backbone: the embedded one, a local folder, or a hub id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.utils import logging

from falip.backbone.alpha import put_alpha_weights
from falip.backbone.backbone import Backbone
from falip.backbone.clip_vit import ClipViT
from falip.backbone.images import ImageProcessing
from falip.errors import UserError
from falip.geometry import Resize
from falip.weights import RELEASED_DTYPE, BackboneSettings, Weights, find_alpha, find_weights

_OLD_END = 2  # the end token that old CLIP configurations name whatever their tokenizer; transformers pools accordingly


def load_backbone(
    name: str,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    resize: Resize = "squash",
    precision: str | None = None,
    alpha_weights: str | None = None,
) -> Backbone:
    """Loads any transformers CLIP with a ViT vision tower.

    Args:
        name: "tiny" for the embedded model, a hub id such as "openai/clip-vit-base-patch16", or a local folder in the
            transformers layout (config.json, model.safetensors, tokenizer and preprocessor files); "~" is the home folder.
        revision: Commit or tag of a hub id; None takes the newest that is known.
        device: A torch device such as "cpu" or "cuda".
        dtype: "float32", "bfloat16" or "float16".
        resize: "squash" to a square, the reference's way for REC, or "crop": CLIP's resize and centre crop.
        precision: None, or "released": weights, features and scores in half, rounded where the released programs round
            them on a GPU (see `falip.scoring.released_scores`), whatever `dtype` says; every view is encoded whole.
        alpha_weights: File of Alpha-CLIP's visual weights (.pth), put in the place of the vision tower; `falip.Alpha` then
            has a channel to fill.

    Raises:
        UserError: If there is no such model here, or it is not a CLIP with a ViT tower, or the alpha weights do not fit it.
    """
    BackboneSettings(name, revision, device, dtype, resize, precision, alpha_weights)
    dtype = dtype if precision is None else RELEASED_DTYPE
    weights = replace(find_weights(name, revision), alpha=find_alpha(alpha_weights))
    source = name if weights.folder is None else str(weights.folder)
    model, tokenizer, processor = _from_pretrained(source, weights.revision or revision, dtype)
    if not weights.known:
        weights = replace(weights, revision=getattr(model.config, "_commit_hash", None) or revision or "")
    if weights.alpha:
        put_alpha_weights(model, weights.alpha)
    try:
        model = model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={device!r} cannot be used: {error}. Try device=cpu.") from error
    return clip_backbone(model, tokenizer, processor, weights, resize, precision)


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


def _from_pretrained(source: str, revision: str | None, dtype: str) -> tuple[Any, Any, Any]:
    options: dict[str, Any] = {} if revision is None else {"revision": revision}
    try:
        with _quiet():
            loaded: Any = CLIPModel.from_pretrained(
                source,
                dtype=getattr(torch, dtype),
                attn_implementation="sdpa",
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
            )
        model, report = loaded
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        processor = CLIPImageProcessorPil.from_pretrained(source, **options)
    except Exception as error:  # also what transformers' dependencies raise of their own: of pickles, JSON, connections
        reason = next((line for line in str(error).strip().splitlines() if line), type(error).__name__)
        if "weights_only" in str(error):
            reason = (
                "its weights are pickled objects, which could run code and are not loaded; save them as model.safetensors"
            )
        raise _unusable(source, reason) from error
    missing = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
    if missing:
        # transformers would go on with random numbers in their place.
        reason = f"its weight files lack {len(missing)} of the tensors of its config.json, or have them in other sizes"
        raise _unusable(source, f"{reason}: {min(missing)}")
    words = model.text_model.embeddings.token_embedding.num_embeddings
    if len(tokenizer) > words:
        raise _unusable(source, f"its tokenizer has {len(tokenizer)} words and its model only {words}")
    end = model.config.text_config.eos_token_id
    if len(tokenizer) <= 2 or tokenizer.eos_token_id is None or (end != _OLD_END and end != tokenizer.eos_token_id):
        # Without tokenizer files transformers makes an empty vocabulary, to which all texts are alike.
        raise _unusable(
            source, f"its tokenizer has {len(tokenizer)} words and the end token {tokenizer.eos_token_id}, the model {end}"
        )
    above = sorted(set(tokenizer.get_vocab().values()) - set(range(tokenizer.eos_token_id + 1)))
    if end == _OLD_END and above:
        # transformers then pools at the largest token of a text, which such a word would be.
        raise _unusable(
            source,
            f"its tokenizer has {len(above)} words above the end token {tokenizer.eos_token_id}, while the eos_token_id "
            f"of its text configuration is {_OLD_END}: texts would be read at such a word. Set eos_token_id to "
            f"{tokenizer.eos_token_id} in config.json.",
        )
    return model, tokenizer, processor


def _unusable(source: str, reason: str) -> UserError:
    parts = "config.json, model.safetensors, tokenizer and preprocessor files"
    if Path(source).is_dir():
        mend = f"Copy the whole folder again ({parts})."
    else:
        mend = (
            f"On a machine with network: python -m scripts.data weights --backbone {source}\n"
            f"Without network: copy its folder here ({parts}) and give that folder instead of the hub id."
        )
    return UserError(
        f"The backbone {source!r} could not be loaded: {reason}\n{mend} "
        "backbone=tiny is the embedded model and needs nothing."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bar over the weights, which take less than a second, and its table of what it did not find."""
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
