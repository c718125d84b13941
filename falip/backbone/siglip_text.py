"""How SigLIP and SigLIP 2 read texts: cleaned, cut into tokens by a tokenizer of their own, padded to the whole context."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from falip.backbone.parts import Unusable
from falip.backbone.text import TextForm

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_MEND = "Copy tokenizer.json and tokenizer_config.json of this very model into its folder."


def load_text(folder: Path, text_config: Any) -> tuple[Any, TextForm]:
    """The tokenizer of a folder, and how its texts are prepared.

    Args:
        folder: With tokenizer.json, or with a model of sentencepiece where that is installed; tokenizer_config.json.
        text_config: Of a transformers SiglipModel.

    Raises:
        Unusable: There is no tokenizer, or it is another model's.
    """
    settings = _settings(folder)
    tokenizer = _tokenizer(folder, settings)
    if len(tokenizer) > text_config.vocab_size:
        raise Unusable(f"its tokenizer has {len(tokenizer)} words and its model only {text_config.vocab_size}", _MEND)
    if tokenizer.eos_token_id is None or tokenizer.pad_token_id is None:
        raise Unusable(f"its tokenizer has no {'end' if tokenizer.eos_token_id is None else 'padding'} token", _MEND)
    if tokenizer("a")["input_ids"][-1:] != [tokenizer.eos_token_id]:
        raise Unusable(f"its tokenizer does not put its end token {tokenizer.eos_token!r} behind a text", _MEND)
    context = text_config.max_position_embeddings
    form = TextForm(context, text_config.projection_size, _cleaning(settings), tokenizer.pad_token_id, whole=True)
    return tokenizer, form


def canonical(text: str, lower: bool = True) -> str:
    """Lower case, ASCII punctuation taken out, white space collapsed.

    Source: transformers, SiglipTokenizer.canonicalize_text; big_vision, prompt_engineering.py, `canonicalize_text`.
    """
    text = (text.lower() if lower else text).translate(_PUNCTUATION)
    return re.sub(r"\s+", " ", text).strip()


def _cleaning(settings: dict[str, Any]) -> Callable[[str], str]:
    """What is done to a text before the tokenizer gets it, by the class of the tokenizer (transformers' sources)."""
    name = str(settings.get("tokenizer_class", "SiglipTokenizer")).removesuffix("Fast")
    if name == "SiglipTokenizer":
        lower = bool(settings.get("do_lower_case", True))
        return lambda text: canonical(text, lower)
    if name == "Siglip2Tokenizer" or settings.get("do_lower_case"):
        return str.lower
    return str


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        raise Unusable("it has no tokenizer_config.json", _MEND)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Unusable(f"{path.name} is not valid JSON ({error})", _MEND) from error
    return content if isinstance(content, dict) else {}


def _tokenizer(folder: Path, settings: dict[str, Any]) -> Any:
    if (folder / "tokenizer.json").is_file():
        # Read as it stands: transformers' class for SigLIP asks for sentencepiece, whatever files there are.
        special = {name: _content(settings.get(name)) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
        given: dict[str, Any] = {name: token for name, token in special.items() if token is not None}
        # What is put around a text, where the configuration says it too.
        given |= {name: settings[name] for name in ("add_bos_token", "add_eos_token") if name in settings}
        return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **given)
    try:
        return AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # a missing package, or what a file that is no vocabulary makes of it
        raise Unusable(
            "it has no tokenizer.json, and transformers reads no other tokenizer of it here "
            f"({next(iter(str(error).strip().splitlines()), type(error).__name__)})",
            f"{_MEND} A spiece.model alone needs the package sentencepiece: pip install sentencepiece.",
        ) from error


def _content(token: Any) -> str | None:
    """A special token, which a configuration writes as text or with its options."""
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None
