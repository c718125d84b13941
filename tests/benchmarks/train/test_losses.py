"""The losses of fine-tuning against plain lines of their formulas, gradients too."""

import math

import pytest
import torch
from scipy.stats import beta as beta_distribution

from benchmarks.train.average import beta_average
from benchmarks.train.losses import attention_loss, margin_logits, similarity_loss, smooth_labels, soft_cross_entropy

BATCH, CLASSES, PATCHES, WIDTH, MAPS = 4, 5, 9, 8, 6


def _unit(*shape):
    values = torch.randn(*shape, dtype=torch.float64)
    return (values / values.norm(dim=-1, keepdim=True)).requires_grad_()


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(3)


@pytest.fixture
def labels():
    return torch.tensor([4, 0, 2, 2])


def _assert_same(ours, plain, *inputs):
    torch.testing.assert_close(ours, plain, atol=1e-6, rtol=0)
    for mine, theirs in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(plain, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0)


def test_the_margin_adds_to_wrong_classes_what_their_texts_differ_by(labels):
    features, texts = _unit(BATCH, WIDTH), _unit(CLASSES, WIDTH)
    ours = torch.nn.functional.cross_entropy(margin_logits(features, texts, labels, 20.0, 0.3), labels)
    plain = torch.zeros((), dtype=torch.float64)
    for feature, label in zip(features, labels.tolist(), strict=True):
        terms = [20 * (feature @ text + 0.3 * (1 - text @ texts[label])) for text in texts]
        plain = plain - (20 * feature @ texts[label] - torch.logsumexp(torch.stack(terms), 0)) / BATCH
    # Of unit length a text is its own cosine of 1; as a function of free texts the two differ, so theirs is not compared.
    _assert_same(ours, plain, features)


def test_smoothed_labels_are_those_of_an_example_by_hand():
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    rows = smooth_labels(texts, torch.tensor([2, 0]), temperature=2.0)
    third = [math.exp(1.2), math.exp(1.6), math.exp(2.0)]
    first = [math.exp(2.0), 1.0, math.exp(1.2)]
    expected = [[third[0] / sum(third), third[1] / sum(third), 0.9], [0.9, 1 / sum(first), first[2] / sum(first)]]
    torch.testing.assert_close(rows, torch.tensor(expected), atol=1e-6, rtol=0)
    assert rows[0].sum() > 1, "the rows are not made to sum to 1"


def test_the_temperature_is_35_and_nine_tenths_are_kept():
    texts = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    (row,) = smooth_labels(texts, torch.tensor([0]))
    torch.testing.assert_close(row, torch.tensor([0.9, 1 / (1 + math.exp(7.0))]), atol=1e-6, rtol=0)


def test_cross_entropy_with_smoothed_labels(labels):
    logits, targets = torch.randn(BATCH, CLASSES, dtype=torch.float64, requires_grad=True), torch.rand(BATCH, CLASSES)
    plain = sum(
        -targets[b, c] * (logits[b, c] - torch.log(torch.exp(logits[b]).sum()))
        for b in range(BATCH)
        for c in range(CLASSES)
    )
    _assert_same(soft_cross_entropy(logits, targets), plain / BATCH, logits)


def test_the_attention_loss(labels):
    attention = torch.rand(MAPS, BATCH, PATCHES, dtype=torch.float64, requires_grad=True)
    diagonal, texts = _unit(BATCH, PATCHES, WIDTH), _unit(CLASSES, WIDTH)
    plain = torch.zeros((), dtype=torch.float64)
    for b, label in enumerate(labels.tolist()):
        mean = sum(attention[m, b] / attention[m, b].sum() for m in range(MAPS)) / MAPS
        exponents = torch.exp(diagonal[b] @ texts[label])
        target = exponents / exponents.sum()
        plain = plain + (target * (target.log() - mean.log())).sum() / BATCH
    _assert_same(attention_loss(attention, diagonal, texts, labels), plain, attention, diagonal, texts)


@pytest.mark.parametrize("form", ["paper", "code"])
def test_the_similarity_loss_of_the_right_class_or_of_all(labels, form):
    patches, diagonal, texts = _unit(BATCH, PATCHES, WIDTH), _unit(BATCH, PATCHES, WIDTH), _unit(CLASSES, WIDTH)
    plain = torch.zeros((), dtype=torch.float64)
    for b, label in enumerate(labels.tolist()):
        for c in [label] if form == "paper" else range(CLASSES):
            ours, target = torch.exp(patches[b] @ texts[c]), torch.exp(diagonal[b] @ texts[c])
            ours, target = ours / ours.sum(), target / target.sum()
            plain = plain + (target * (target.log() - ours.log())).sum() / BATCH
    _assert_same(similarity_loss(patches, diagonal, texts, labels, form), plain, patches, diagonal, texts)


def test_the_beta_average_is_the_weighted_mean_of_all_weights_on_the_way():
    steps, model = 7, torch.nn.Linear(3, 2)
    average = beta_average(model, steps, 0.5)
    passed = [model.weight.detach().clone()]
    for _ in range(steps):
        with torch.no_grad():
            model.weight += torch.randn(2, 3)
        average.update_parameters(model)
        passed.append(model.weight.detach().clone())
    shares = [beta_distribution.pdf((k + 0.5) / (steps + 1), 0.5, 0.5) for k in range(steps + 1)]
    plain = sum(share * weight for share, weight in zip(shares, passed, strict=True)) / sum(shares)
    torch.testing.assert_close(average.module.weight.detach(), plain, atol=1e-6, rtol=0)
    assert shares[0] > 1.5 * shares[steps // 2], "the ends count more than the middle"
