"""Which backbone looks at a picture where none is named, and what that one cannot read."""

from __future__ import annotations

from collections.abc import Sequence

from falip.backbone import Backbone
from falip.weights import TINY, TOKENIZER_FILES, Weights, cached_folder, cached_revisions

PREFERRED = (
    "openai/clip-vit-large-patch14-336",
    "openai/clip-vit-large-patch14",
    "openai/clip-vit-base-patch16",
    "openai/clip-vit-base-patch32",
)
"""OpenAI's CLIPs, the best first."""
REAL_WEIGHTS = f"Real weights: falip data weights --backbone {PREFERRED[2]}"


def best_here() -> tuple[str, str | None]:
    """Name and revision of the best of `PREFERRED` in the hub's cache, else the embedded model; no network is asked."""
    for name in PREFERRED:
        for revision in cached_revisions(name):
            folder = cached_folder(Weights(name, None, revision))
            if folder and any((folder / file).is_file() for file in TOKENIZER_FILES):
                return name, revision
    return TINY, None


def unknown_words(backbone: Backbone, texts: Sequence[str]) -> list[str]:
    """The words that a backbone's tokenizer has no tokens for, each once."""
    tokenizer = backbone.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        return []
    found: dict[str, None] = {}
    for text in texts:
        read = tokenizer(text, return_offsets_mapping=True, verbose=False)
        for token, (start, end) in zip(read["input_ids"], read["offset_mapping"], strict=True):
            if token == tokenizer.unk_token_id and end > start:
                found.setdefault(text[start:end])
    return list(found)


def warnings(backbone: Backbone, texts: Sequence[str]) -> list[str]:
    """What a person must know before they believe the scores; nothing for most backbones."""
    told, name = [], backbone.weights.name
    unknown = unknown_words(backbone, texts)
    if unknown:
        words = ", ".join(repr(word) for word in unknown)
        told.append(f"{name} does not know {words}: it reads each as {backbone.tokenizer.unk_token}.")
    if name == TINY:
        told.append(f"{TINY} is trained on drawn shapes alone; photographs mean nothing to it. {REAL_WEIGHTS}")
    return told
