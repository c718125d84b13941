"""Which weights a backbone has, and what of it a run's identity holds; known without loading a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from falip.errors import UserError, check_choice
from falip.geometry import Resize

TINY = "tiny"
DTYPES = ("float32", "bfloat16", "float16")
PRECISIONS = ("released",)
RELEASED_DTYPE = "float16"  # on a GPU: FALIP clip/clip.py, lines 138 to 142
TINY_FOLDER = Path(__file__).parent / "tiny"
IMAGE_PROCESSOR = "CLIPImageProcessorPil"
"""Named, since transformers otherwise picks a backend by what is installed, and pixels change."""

# What moves numbers beside the weights; the configuration of text generation and the like does not.
_NUMBER_FILES = (
    "config.json",
    "merges.txt",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
)


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Weights:
    """Where a backbone comes from.

    Attributes:
        name: "tiny", a hub id, or the folder as the user named it.
        folder: The folder, or None for a hub id.
        revision: Commit of the hub repository; "" for a folder, or where it is not known before the weights are here.
        hash_file: sha256 of a file; a harness gives one that remembers.
        alpha: File of Alpha-CLIP's visual weights that stand in for the vision tower, or None.
    """

    name: str
    folder: Path | None
    revision: str = ""
    hash_file: Callable[[Path], str] = file_sha256
    alpha: Path | None = None

    @property
    def known(self) -> bool:
        """Whether the identity is known before anything is loaded."""
        return self.folder is not None or bool(self.revision)

    @cached_property
    def identity(self) -> str:
        """sha256 over the files of a folder that its numbers depend on, or "hub id@commit"."""
        return f"{self.name}@{self.revision}" if self.folder is None else weights_hash(self.folder, self.hash_file)

    @cached_property
    def alpha_identity(self) -> str | None:
        """sha256 of the alpha weights; None without any."""
        return self.alpha and self.hash_file(self.alpha)


def find_weights(name: str, revision: str | None = None, hash_file: Callable[[Path], str] = file_sha256) -> Weights:
    """The weights that a name means on this machine.

    Args:
        name: "tiny" for the embedded model, a hub id, or a local folder; "~" is the home folder.
        revision: Commit or tag of a hub id; None takes the newest that is known here.
        hash_file: sha256 of a file.

    Raises:
        UserError: If it looks like a path and there is no such folder, or the folder holds no model.
    """
    folder = TINY_FOLDER if name == TINY else Path(name).expanduser()
    if folder.is_dir():
        _check_folder(folder)
        return Weights(name, folder, hash_file=hash_file)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise UserError(
            f"There is no backbone {name!r}: no such folder, and not a hub id. Give tiny (the embedded model), a "
            "folder with config.json and model.safetensors, or a hub id such as openai/clip-vit-base-patch16."
        )
    return Weights(name, None, _commit(name, revision))


@dataclass(frozen=True)
class BackboneSettings:
    """The arguments of `falip.load_backbone`, which says what they mean; known without loading a model."""

    name: str
    revision: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    resize: str = "squash"
    precision: str | None = None
    alpha_weights: str | None = None

    def __post_init__(self) -> None:
        """Rejects what no backbone takes."""
        if self.precision is not None:
            check_choice("The backbone", "precision", self.precision, PRECISIONS)
        check_choice("The backbone", "dtype", self.dtype, DTYPES)
        check_choice("The backbone", "resize", self.resize, get_args(Resize))

    def identity(self, weights: Weights) -> dict[str, Any]:
        """What the numbers of the backbone depend on, its weights found."""
        dtype = self.dtype if self.precision is None else RELEASED_DTYPE
        weights = replace(weights, alpha=find_alpha(self.alpha_weights))
        return backbone_identity(weights, dtype, self.resize, self.precision)


def backbone_identity(weights: Weights, dtype: str, resize: str, precision: str | None = None) -> dict[str, Any]:
    """What the numbers of a backbone depend on: weights, arithmetic and image handling."""
    identity = {"weights": weights.identity, "dtype": dtype, "resize": resize, "image_processor": IMAGE_PROCESSOR}
    alpha = weights.alpha_identity
    return identity | ({"precision": precision} if precision else {}) | ({"alpha_weights": alpha} if alpha else {})


def find_alpha(name: str | None) -> Path | None:
    """The file of Alpha-CLIP's visual weights that a path names; "~" is the home folder.

    Raises:
        UserError: If there is no such file.
    """
    if name is None:
        return None
    path = Path(name).expanduser()
    if not path.is_file():
        raise UserError(
            f"There is no file alpha_weights={str(name)!r}. Take it from the model zoo of Alpha-CLIP "
            "(https://github.com/SunzeY/AlphaCLIP): clip_b16_grit+mim_fultune_4xe.pth for ViT-B/16, "
            "clip_l14_grit+mim_fultune_6xe.pth for ViT-L/14."
        )
    return path


def weights_hash(folder: Path, hash_file: Callable[[Path], str] = file_sha256) -> str:
    """sha256 over the files of a folder that its numbers depend on: weights, configuration, tokenizer, image processor."""
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    digest = hashlib.sha256()
    for path in [*weights, *(folder / name for name in _NUMBER_FILES if (folder / name).is_file())]:
        digest.update(path.name.encode() + bytes.fromhex(hash_file(path)))
    return digest.hexdigest()


def _commit(name: str, revision: str | None) -> str:
    """The commit that a revision of a hub id means in the hub's cache, or "" where it is not there."""
    if revision and len(revision) == 40 and set(revision) <= set("0123456789abcdef"):
        return revision
    from huggingface_hub.constants import HF_HUB_CACHE

    reference = Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "refs" / (revision or "main")
    try:
        return reference.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _check_folder(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise UserError(f"{folder} has no config.json, so it is not a model folder in the transformers layout.")
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{config} is not valid JSON ({error}). Copy the model folder again.") from error
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind != "clip":
        raise UserError(f"{config} says model_type {kind!r}; falip takes a CLIP with a ViT tower, model_type 'clip'.")
