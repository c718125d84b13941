"""Loading a backbone: the embedded one, a local folder, or a hub id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.utils import logging

from falip.backbone.backbone import Backbone, Provenance
from falip.errors import UserError
from falip.geometry import Resize

TINY = "tiny"
TINY_FOLDER = Path(__file__).parent.parent / "tiny"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_backbone(
    name: str,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    resize: Resize = "squash",
) -> Backbone:
    """Loads any transformers CLIP with a ViT vision tower.

    Args:
        name: "tiny" for the embedded model, a hub id such as "openai/clip-vit-base-patch16", or a local folder in the
            transformers layout (config.json, model.safetensors, tokenizer and preprocessor files).
        revision: Commit or tag of a hub id; None takes the newest that is known.
        device: A torch device such as "cpu" or "cuda".
        dtype: "float32", "bfloat16" or "float16".
        resize: "squash" to a square, the reference's way for REC, or "crop": CLIP's resize and centre crop.

    Raises:
        UserError: If there is no such model here, or it is not a CLIP with a ViT tower.
    """
    if dtype not in DTYPES:
        raise UserError(f"dtype={dtype!r}: choose from {', '.join(DTYPES)}.")
    if resize not in ("squash", "crop"):
        raise UserError(f"resize={resize!r}: choose from squash, crop.")
    source = TINY_FOLDER if name == TINY else Path(name)
    if source.is_dir():
        _check_folder(source)
        model, tokenizer, processor = _from_pretrained(str(source), None, dtype)
        provenance = Provenance(name, weights=weights_hash(source))
    elif _looks_like_path(name):
        raise UserError(f"There is no folder {name}. Give a folder with config.json and model.safetensors, or a hub id.")
    else:
        model, tokenizer, processor = _from_pretrained(name, revision, dtype)
        provenance = Provenance(name, revision=getattr(model.config, "_commit_hash", None) or revision or "")
    try:
        model = model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={device!r} cannot be used: {error}. Try device=cpu.") from error
    return Backbone(model, tokenizer, processor, provenance, resize)


def weights_hash(folder: Path) -> str:
    """sha256 over the weight files of a folder, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _from_pretrained(source: str, revision: str | None, dtype: str) -> tuple[Any, Any, Any]:
    options: dict[str, Any] = {} if revision is None else {"revision": revision}
    try:
        with _no_progress_bar():
            model = CLIPModel.from_pretrained(source, dtype=DTYPES[dtype], attn_implementation="sdpa", **options)
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        processor = CLIPImageProcessorPil.from_pretrained(source, **options)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"The backbone {source!r} could not be loaded: {reason}\n"
            f"On a machine with network: python -m scripts.data weights --backbone {source}\n"
            "Without network: copy its folder here (config.json, model.safetensors, tokenizer and preprocessor files) and "
            "give that folder instead of the hub id. backbone=tiny is the embedded model and needs nothing."
        ) from error
    return model, tokenizer, processor


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Without transformers' bar over the weights, which take less than a second."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _check_folder(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise UserError(f"{folder} has no config.json, so it is not a model folder in the transformers layout.")
    try:
        kind = json.loads(config.read_text()).get("model_type")
    except json.JSONDecodeError as error:
        raise UserError(f"{config} is not valid JSON ({error}). Copy the model folder again.") from error
    if kind != "clip":
        raise UserError(f"{config} says model_type {kind!r}; falip takes a CLIP with a ViT tower, model_type 'clip'.")


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") != 1
