"""Text as the tokenizer of OpenAI's CLIP cleans it before it cuts it into tokens; transformers' tokenizer does not."""

from __future__ import annotations

import html
import re
from typing import Any

import ftfy

# The first and last token of OpenAI's vocabulary, which LAION's, DataComp's, DFN's and MetaCLIP 1's towers share.
_START, _END = "<|startoftext|>", "<|endoftext|>"


def has_clip_vocabulary(tokenizer: Any) -> bool:
    """Whether a tokenizer of transformers has the vocabulary of OpenAI's CLIP, whose users clean texts first."""
    vocabulary = tokenizer.get_vocab()
    return _START in vocabulary and _END in vocabulary


def cleaned(text: str) -> str:
    """Mojibake and typographic characters mended, HTML unescaped twice, white space collapsed, lower case.

    Source: openai/CLIP, clip/simple_tokenizer.py, `basic_clean`, `whitespace_clean` and `encode`.
    """
    mended = html.unescape(html.unescape(ftfy.fix_text(text)))
    return re.sub(r"\s+", " ", mended.strip()).strip().lower()
