"""What a family of backbones loads from a folder, and what it checks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.utils import logging

from falip.backbone.text import TextForm
from falip.backbone.tower import VisionTower

OLD_END = 2
"""The end token that old CLIP configurations name whatever their tokenizer; transformers then pools at the largest id."""


class Unusable(Exception):
    """Why the files of a model make no backbone; `load_backbone` says whose they are.

    Attributes:
        mend: What to do about it, a sentence; "" where whole files would do.
    """

    def __init__(self, reason: str, mend: str = "") -> None:
        super().__init__(reason)
        self.mend = mend


@dataclass(frozen=True, eq=False)
class Parts:
    """A loaded model, still on the CPU.

    Attributes:
        model: It has `get_text_features`, `logit_scale`, `config.text_config` and `config.projection_dim` as transformers'
            CLIPModel has them, and where its scores have one a `logit_bias`.
        tower: Makes the vision tower, once the model is on its device.
        tokenizer: That of the text tower.
        processor: From pictures to pixels.
        form: How texts become token sequences; None for CLIP's way.
        released: Whether it is of the kind that the released programs load, so that their rounding has a meaning.
    """

    model: Any
    tower: Callable[[Any], VisionTower]
    tokenizer: Any
    processor: CLIPImageProcessorPil
    form: TextForm | None = None
    released: bool = True


def check_tensors(report: Mapping[str, Any]) -> None:
    """Raises `Unusable` where the weight files lack tensors; `report` is the loading info of transformers."""
    missing = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
    if missing:
        # transformers would go on with random numbers in their place.
        raise Unusable(
            f"its weight files lack {len(missing)} of the tensors of its configuration, or have them in other sizes: "
            f"{min(missing)}"
        )


def check_tokenizer(tokenizer: Any, words: int, end: int | None, mend: str) -> None:
    """Raises `Unusable` where a tokenizer does not belong to a text tower.

    Args:
        tokenizer: That of transformers.
        words: Size of the tower's vocabulary.
        end: The end token at which the tower pools; None where it pools at the largest id.
        mend: What to do about words above the end token, a sentence.
    """
    if len(tokenizer) > words:
        raise Unusable(f"its tokenizer has {len(tokenizer)} words and its model only {words}")
    if len(tokenizer) <= 2 or tokenizer.eos_token_id is None or end not in (None, tokenizer.eos_token_id):
        # Without tokenizer files transformers makes an empty vocabulary, to which all texts are alike.
        raise Unusable(
            f"its tokenizer has {len(tokenizer)} words and the end token {tokenizer.eos_token_id}, the model "
            f"{'any' if end is None else end}"
        )
    above = sorted(set(tokenizer.get_vocab().values()) - set(range(tokenizer.eos_token_id + 1)))
    if end is None and above:
        raise Unusable(
            f"its tokenizer has {len(above)} words above the end token {tokenizer.eos_token_id}, while its text tower "
            f"pools at the largest token: texts would be read at such a word.",
            mend,
        )


@contextmanager
def quiet() -> Iterator[None]:
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
