"""Texts as a model reads them: phrased by a template, and drawn to be subtracted. No model is needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from falip.errors import UserError
from falip.views import Prompt


def phrase(texts: Sequence[str], template: str, prompt: Prompt) -> list[str]:
    """The texts as the model reads them: in the prompt's template if it brings one, else in the task's.

    Raises:
        UserError: If the template has no place for the text, or `texts` is one string and not a list of them.
    """
    chosen = prompt.text_template or template
    if "{}" not in chosen:
        raise UserError(f'The text template {chosen!r} has no place for the text: write it as "a photo of {{}}".')
    if isinstance(texts, str):
        raise UserError(f"Texts come as a list, and got the string {texts!r}: write [{texts!r}].")
    return [chosen.replace("{}", text) for text in texts]


def sample_texts(pool: Sequence[str], count: int, seed: int) -> list[str]:
    """Texts to subtract: min(count, size of the pool) of the pool, drawn without replacement from a seed."""
    chosen = np.random.default_rng(seed).choice(len(pool), min(count, len(pool)), replace=False)
    return [pool[int(i)] for i in sorted(chosen)]
