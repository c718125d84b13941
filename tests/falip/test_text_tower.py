"""Text: encoded once, cut with its end, padded without effect."""

import itertools

import pytest
import torch
from random_clip import CONTEXT

from benchmarks.embedded.drawing import COLOURS, SHAPES
from falip import load_backbone


@pytest.fixture
def counted(clip_folder):
    """A fresh backbone, and the numbers of texts of each forward pass of its text tower."""
    backbone, batches = load_backbone(str(clip_folder("small"))), []
    backbone.model.text_model.register_forward_hook(
        lambda module, args, kwargs, output: batches.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    return backbone, batches


def test_each_distinct_text_is_encoded_once(counted):
    backbone, batches = counted
    first = backbone.encode_text(["a dog", "a red cat", "a dog", "x"])
    again = backbone.encode_text(["x", "a dog", "the blue dog"])
    assert sum(batches) == 4
    assert torch.equal(first[0], first[2]) and torch.equal(again[0], first[3]) and torch.equal(again[1], first[0])
    backbone.encode_text(["a dog", "x"])
    assert sum(batches) == 4


def test_embeddings_have_unit_length_and_the_order_of_the_texts(random_clip):
    texts = ["the red dog is left of a blue cat", "x", "a photo of z"]
    embedded = random_clip().encode_text(texts)
    assert embedded.shape == (3, 32) and embedded.dtype == torch.float32
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(3))
    for text, row in zip(texts, embedded, strict=True):
        torch.testing.assert_close(random_clip().encode_text([text])[0], row, rtol=0, atol=1e-6)
    assert random_clip().encode_text([]).shape == (0, 32)


def _reference(backbone, ids: list[int]) -> torch.Tensor:
    """One text in the full context, as transformers encodes it."""
    padded = torch.tensor([ids + [0] * (CONTEXT - len(ids))])
    mask = (torch.arange(CONTEXT) < len(ids)).long()[None]
    with torch.inference_mode():
        features = backbone.model.get_text_features(input_ids=padded, attention_mask=mask).pooler_output
    return torch.nn.functional.normalize(features, dim=-1)[0]


@pytest.mark.parametrize("text", ["x", "a photo of the red dog", "a a a a a a a a a a"])
def test_padding_to_the_longest_text_changes_nothing(counted, text):
    backbone, _ = counted
    (row, _) = backbone.encode_text([text, "a blue cat is left of the dog"])
    expected = _reference(backbone, backbone._text._tokenizer(text)["input_ids"])
    torch.testing.assert_close(row, expected, rtol=0, atol=1e-6)


def test_long_text_is_cut_keeps_its_end_and_is_counted_once(counted):
    backbone, _ = counted
    long = "the red dog is left of a blue cat x y z x y z"
    fits = "a a a a a a a a a a"
    (row, _) = backbone.encode_text([long, fits])
    backbone.encode_text([long])
    assert backbone.truncated_texts == 1
    ids = backbone._text._tokenizer(long, verbose=False)["input_ids"]
    assert len(ids) > CONTEXT
    torch.testing.assert_close(row, _reference(backbone, [*ids[: CONTEXT - 1], ids[-1]]), rtol=0, atol=1e-6)


def test_the_embedded_model_tells_every_colour_and_shape_apart(tiny):
    texts = [f"a photo of a {colour} {shape}" for colour, shape in itertools.product(COLOURS, SHAPES)]
    assert len(texts) > 40
    embedded = tiny.encode_text(texts)
    distance = torch.cdist(embedded, embedded) + torch.eye(len(texts))
    assert distance.min() > 1e-3  # texts pooled at the wrong token are equal
