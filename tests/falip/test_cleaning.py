"""Texts as OpenAI's CLIP reads them."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from falip import UserError
from falip.backbone.cleaning import cleaned, has_clip_vocabulary
from falip.backbone.text import TextEncoder

# What the tokenizer of openai/CLIP makes of each.
CLEANED = {
    "man&#39;s left hand": "man's left hand",
    "the dog &amp; the cat": "the dog & the cat",
    "&amp;amp; twice": "& twice",
    "“left” guy": '"left" guy',
    "woman’s  red   bag": "woman's red bag",
    "ﬁrst ﬂag": "first flag",
    "ｆｕｌｌ width": "full width",
    "schÃ¶n": "schön",
    "\xa0left\xa0dog ": "left dog",
    "the boy\tin\nblue": "the boy in blue",
    "The RED Dog": "the red dog",
    "&lt;person&gt; on right": "<person> on right",
    "90% off — sign": "90% off — sign",
    "": "",
}


class Tokenizer:
    """One token for each word, with CLIP's first and last one where asked."""

    eos_token_id = 1

    def __init__(self, clip: bool) -> None:
        self.words = {"<|startoftext|>": 0, "<|endoftext|>": 1} if clip else {"<bos>": 0, "<eos>": 1}

    def get_vocab(self):
        return self.words

    def __call__(self, texts, **_):
        return {"input_ids": [[0, *(2 + sum(word.encode()) % 90 for word in text.split(" ")), 1] for text in texts]}


def encoder(clip: bool) -> TextEncoder:
    """A text tower that adds up random rows of its words."""
    rows = torch.randn(100, 8, generator=torch.manual_seed(0))
    config = SimpleNamespace(text_config=SimpleNamespace(max_position_embeddings=20), projection_dim=8)

    def features(input_ids):
        return SimpleNamespace(pooler_output=rows[input_ids].cumsum(1)[:, -1])

    return TextEncoder(SimpleNamespace(config=config, device="cpu", get_text_features=features), Tokenizer(clip))


@pytest.mark.parametrize("text", CLEANED)
def test_each_is_cleaned_as_openai_does_it(text):
    assert cleaned(text) == CLEANED[text]


@given(st.text())
def test_cleaning_leaves_no_capital_and_no_doubled_space(text):
    found = cleaned(text)
    assert found == found.strip() and "  " not in found and found == found.lower()


@pytest.mark.parametrize("text", ["man&#39;s hand", "Man’s  HAND"])
def test_a_tower_with_clips_vocabulary_reads_clean_texts_and_others_do_not(text):
    assert has_clip_vocabulary(Tokenizer(True)) and not has_clip_vocabulary(Tokenizer(False))
    with_clip, without = encoder(True), encoder(False)
    assert torch.equal(*with_clip([text, "man's hand"]))
    assert not torch.equal(*without([text, "man's hand"]))


def test_texts_of_the_same_tokens_have_the_same_bits_whenever_they_are_encoded():
    one = encoder(True)
    first = one(["a dog", "The  dog", "a cat & dog"])
    again = one(["the dog", "a   cat &amp; dog", "x"])
    assert torch.equal(first[1], again[0]) and torch.equal(first[2], again[1])


def test_half_a_character_is_one_message():
    with pytest.raises(UserError, match="lone surrogate"):
        encoder(True)(["a \ud800 dog"])
