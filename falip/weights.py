"""Which weights a backbone has, and what of it a run's identity holds; known without loading a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from falip.errors import UserError, check_choice
from falip.geometry import Resize
from falip.layouts import OPEN_CLIP, kinds, layout_named

TINY = "tiny"
DTYPES = ("float32", "bfloat16", "float16")
PRECISIONS = ("released",)
RELEASED_DTYPE = "float16"  # on a GPU: FALIP clip/clip.py, lines 138 to 142
TINY_FOLDER = Path(__file__).parent / "tiny"
IMAGE_PROCESSOR = "CLIPImageProcessorPil"
"""Named, since transformers otherwise picks a backend by what is installed, and pixels change."""

OPEN_CLIP_CONFIG = "open_clip_config.json"
NO_ARCHIVES = (
    "OpenAI's own .pt archives are TorchScript programs, which could run code and are not loaded: give the same weights "
    "from the hub, such as openai/clip-vit-base-patch32 or timm/resnet50_clip.openai, or a folder with them."
)
TRAINING = "training.json"
"""What fine-tuning by the harness leaves in a folder: data, losses, seed."""
TOKENIZER_FILES = ("merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json")
REFUSED: Mapping[str, str] = {
    "siglip2": "a NaFlex model of SigLIP 2 takes lists of patches and no square picture. Give one of a fixed resolution, "
    "such as google/siglip2-base-patch16-224.",
}
"""Kinds of models that are near to one of these, and what to give in their place."""


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
    def training(self) -> dict[str, Any] | None:
        """What a folder says of the fine-tuning that made it; None where it says nothing."""
        path = self.folder and self.folder / TRAINING
        return _content(path) if path and path.is_file() else None

    @cached_property
    def tower(self) -> str | None:
        """Name and version of the package that brings its vision tower; None where falip does."""
        folder = cached_folder(self)
        return (folder and layout_named(layout_of(folder)).package) or None

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
    if not isinstance(name, str | Path):
        raise UserError(f"{name!r} names no backbone. Give tiny, a folder or a hub id, as text.")
    name = str(name)
    folder = TINY_FOLDER if name == TINY else Path(name).expanduser()
    if folder.is_dir():
        layouts(folder)
        return Weights(name, folder, hash_file=hash_file)
    if folder.is_file():
        raise UserError(f"{name} is a file, and a backbone is a folder. {NO_ARCHIVES}")
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise UserError(
            f"There is no backbone {name!r}: no such folder, and not a hub id. Give tiny (the embedded model), a "
            f"folder with config.json and model.safetensors, or {OPEN_CLIP_CONFIG} and open_clip_model.safetensors, or a "
            "hub id such as openai/clip-vit-base-patch16 or timm/resnet50_clip.openai; `falip backbones` has the hub id of "
            "each configuration."
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
    image_size: int | None = None

    def __post_init__(self) -> None:
        """Rejects what no backbone takes."""
        if self.precision is not None:
            check_choice("The backbone", "precision", self.precision, PRECISIONS)
        check_choice("The backbone", "dtype", self.dtype, DTYPES)
        check_choice("The backbone", "resize", self.resize, get_args(Resize))
        if self.image_size is not None and (not isinstance(self.image_size, int) or self.image_size < 1):
            raise UserError(f"The backbone has image_size={self.image_size!r}: give the side of its input in pixels.")

    def identity(self, weights: Weights) -> dict[str, Any]:
        """What the numbers of the backbone depend on, its weights found."""
        dtype = self.dtype if self.precision is None else RELEASED_DTYPE
        weights = replace(weights, alpha=find_alpha(self.alpha_weights))
        return backbone_identity(weights, dtype, self.resize, self.precision, self.image_size)


def backbone_identity(
    weights: Weights, dtype: str, resize: str, precision: str | None = None, image_size: int | None = None
) -> dict[str, Any]:
    """What the numbers of a backbone depend on: weights, arithmetic and image handling."""
    identity = {"weights": weights.identity, "dtype": dtype, "resize": resize, "image_processor": IMAGE_PROCESSOR}
    alpha = weights.alpha_identity
    chosen = {
        "precision": precision, "alpha_weights": alpha, "image_size": image_size, "training": weights.training,
        "tower": weights.tower,
    }  # fmt: skip
    return identity | {name: value for name, value in chosen.items() if value}


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
            "(https://github.com/SunzeY/AlphaCLIP) or by falip data alphaclip: "
            "clip_b16_grit+mim_fultune_4xe.pth for ViT-B/16, clip_l14_grit+mim_fultune_6xe.pth for ViT-L/14."
        )
    return path


def weights_hash(folder: Path, hash_file: Callable[[Path], str] = file_sha256) -> str:
    """sha256 over the files of a folder that its numbers depend on: weights, configuration, tokenizer, image processor."""
    layout = layout_of(folder)
    beside = sorted(folder / name for name in (*layout_named(layout).settings, *TOKENIZER_FILES))
    digest = hashlib.sha256()
    for path in [*weight_files(folder, layout), *(path for path in beside if path.is_file())]:
        digest.update(path.name.encode() + bytes.fromhex(hash_file(path)))
    return digest.hexdigest()


def weight_files(folder: Path, layout: str) -> list[Path]:
    """The weight files that are read from a folder, sorted; none where they are not there."""
    found = ([path for pattern in group for path in folder.glob(pattern)] for group in layout_named(layout).weights)
    return sorted(next((group for group in found if group), []))


def layout_of(folder: Path) -> str:
    """The layout in which a folder is read: of those that it may be in, the first whose weights are there.

    Raises:
        UserError: As `layouts`.
    """
    possible = layouts(folder)
    return next((layout for layout in possible if weight_files(folder, layout)), possible[0])


def layouts(folder: Path) -> list[str]:
    """The layouts that a folder's configurations speak of, transformers' before open_clip's; repositories may have both.

    Raises:
        UserError: If it is in no layout that falip loads.
    """
    config, possible = folder / "config.json", []
    content = _content(config) if config.is_file() else {}
    kind = content.get("model_type") if isinstance(content.get("model_type"), str) else None
    if kind in kinds() and kind != OPEN_CLIP:
        possible.append(kind)
    if (folder / OPEN_CLIP_CONFIG).is_file():
        possible.append(OPEN_CLIP)
    if possible:
        return possible
    if why := REFUSED.get(kind or ""):
        raise UserError(f"{config} says model_type {kind!r}: {why}")
    if "architecture" in content and kind is None:
        raise UserError(
            f"{config} is that of a model of timm, a vision tower without text; falip takes timm's models with an "
            f"{OPEN_CLIP_CONFIG}, such as timm/resnet50_clip.openai."
        )
    if config.is_file():
        raise UserError(
            f"{config} says model_type {kind!r}; falip takes {', '.join(kind for kind in kinds() if kind != OPEN_CLIP)}, "
            f"and models of open_clip, which have an {OPEN_CLIP_CONFIG}."
        )
    raise UserError(
        f"{folder} has no config.json and no {OPEN_CLIP_CONFIG}, so it is not a model folder in the layout of transformers "
        f"or open_clip.{_archives(folder)}"
    )


def _content(config: Path) -> dict[str, Any]:
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{config} is not valid JSON ({error}). Copy the model folder again.") from error
    return content if isinstance(content, dict) else {}


def _archives(folder: Path) -> str:
    archives = sorted(folder.glob("*.pt"))
    return f" {archives[0].name}: {NO_ARCHIVES}" if archives else ""


def cached_folder(weights: Weights) -> Path | None:
    """The folder that weights can be loaded from without asking the hub, or None."""
    folder = weights.folder or _cache(weights.name) / "snapshots" / (weights.revision or "-")
    try:
        return folder if weight_files(folder, layout_of(folder)) else None
    except UserError:  # not even its configuration is there
        return None


def cached_revisions(name: str) -> list[str]:
    """The commits of a hub id that the hub's cache has files of, the one that its main branch means first."""
    main = _commit(name, None)
    found = sorted(path.name for path in (_cache(name) / "snapshots").glob("*"))
    return sorted(found, key=lambda commit: commit != main)


def _commit(name: str, revision: str | None) -> str:
    """The commit that a revision of a hub id means in the hub's cache, or "" where it is not there."""
    if revision and len(revision) == 40 and set(revision) <= set("0123456789abcdef"):
        return revision
    reference = _cache(name) / "refs" / (revision or "main")
    try:
        return reference.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _cache(name: str) -> Path:
    """Where the hub's cache keeps a hub id."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
