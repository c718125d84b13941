"""Loading a backbone: the embedded one, a local folder, or a hub id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.utils import logging

from falip.backbone.backbone import Backbone, Provenance
from falip.errors import UserError
from falip.geometry import Resize

TINY = "tiny"
TINY_FOLDER = Path(__file__).parent.parent / "tiny"
_OLD_END = 2  # the end token that old CLIP configurations name whatever their tokenizer; transformers pools accordingly
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# What moves numbers beside the weights; the configuration of text generation and the like does not.
_NUMBER_FILES = (
    "config.json",
    "merges.txt",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
)


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
            transformers layout (config.json, model.safetensors, tokenizer and preprocessor files); "~" is the home folder.
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
    source = TINY_FOLDER if name == TINY else Path(name).expanduser()
    if source.is_dir():
        _check_folder(source)
        model, tokenizer, processor = _from_pretrained(str(source), None, dtype)
        provenance = Provenance(name, weights=weights_hash(source))
    elif _looks_like_path(name):
        raise UserError(
            f"There is no backbone {name!r}: no such folder, and not a hub id. Give tiny (the embedded model), a "
            "folder with config.json and model.safetensors, or a hub id such as openai/clip-vit-base-patch16."
        )
    else:
        model, tokenizer, processor = _from_pretrained(name, revision, dtype)
        provenance = Provenance(name, revision=getattr(model.config, "_commit_hash", None) or revision or "")
    try:
        model = model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={device!r} cannot be used: {error}. Try device=cpu.") from error
    return Backbone(model, tokenizer, processor, provenance, resize)


def weights_hash(folder: Path) -> str:
    """sha256 over the files of a folder that its numbers depend on: weights, configuration, tokenizer, image processor."""
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    digest = hashlib.sha256()
    for path in [*weights, *(folder / name for name in _NUMBER_FILES if (folder / name).is_file())]:
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _from_pretrained(source: str, revision: str | None, dtype: str) -> tuple[Any, Any, Any]:
    options: dict[str, Any] = {} if revision is None else {"revision": revision}
    try:
        with _quiet():
            loaded: Any = CLIPModel.from_pretrained(
                source,
                dtype=DTYPES[dtype],
                attn_implementation="sdpa",
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
            )
        model, report = loaded
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        processor = CLIPImageProcessorPil.from_pretrained(source, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = next((line for line in str(error).strip().splitlines() if line), type(error).__name__)
        raise _unusable(source, reason) from error
    missing = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
    if missing:
        # transformers would go on with random numbers in their place.
        reason = f"its weight files lack {len(missing)} of the tensors of its config.json, or have them in other sizes"
        raise _unusable(source, f"{reason}: {min(missing)}")
    end = model.config.text_config.eos_token_id
    if len(tokenizer) <= 2 or tokenizer.eos_token_id is None or (end != _OLD_END and end != tokenizer.eos_token_id):
        # Without tokenizer files transformers makes an empty vocabulary, to which all texts are alike.
        raise _unusable(
            source, f"its tokenizer has {len(tokenizer)} words and the end token {tokenizer.eos_token_id}, the model {end}"
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


def _check_folder(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise UserError(f"{folder} has no config.json, so it is not a model folder in the transformers layout.")
    try:
        content = json.loads(config.read_text())
    except ValueError as error:
        raise UserError(f"{config} is not valid JSON ({error}). Copy the model folder again.") from error
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind != "clip":
        raise UserError(f"{config} says model_type {kind!r}; falip takes a CLIP with a ViT tower, model_type 'clip'.")


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") != 1
