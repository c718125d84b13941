"""Words of a data set that a backbone cannot read, said before anything is encoded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import islice
from typing import Any

from benchmarks.data.samples import Dataset
from falip.backbone import Backbone
from falip.picture.backbones import unknown_words

log = logging.getLogger(__name__)

TEXTS, NAMED = 2000, 8  # looked at, and words that are named


def warn_of_unknown_words(backbones: Sequence[Backbone], dataset: Dataset) -> None:
    """Logs a warning where class names or expressions have words that a tokenizer has no tokens for.

    CLIP's own reads any word; a small vocabulary, such as that of the embedded model, gives all unknown words one token, so
    that texts which differ in them alone score alike.
    """
    source: Any = dataset
    texts = dataset.class_names or (source.expressions() if hasattr(source, "expressions") else ())
    looked = list(islice(dict.fromkeys(texts), TEXTS))
    for backbone in backbones:
        words = unknown_words(backbone, looked)
        if words:
            more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
            log.warning(
                "%s does not know %s%s: it reads each as %s, and cannot tell texts apart that differ in such words alone.",
                backbone.weights.name,
                ", ".join(map(repr, words[:NAMED])),
                more,
                backbone.tokenizer.unk_token,
            )
