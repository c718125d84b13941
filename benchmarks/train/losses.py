"""What fine-tuning minimises; pure functions of features, attention and logits.

The margin is CLIPood's (Shu et al., ICML 2023, equation 3), the rest AlignCLIP's (Machine Learning 114(3):58, 2025), as the
released code of either computes it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TEMPERATURE = 35.0  # AlignCLIP engine.py, lines 128 to 134
KEPT = 0.9  # AlignCLIP main.py, lines 150 and 151
SIMILARITIES = ("paper", "code")
_TINY = 1e-12  # below it F.normalize divides by it too


def margin_logits(features: Tensor, texts: Tensor, labels: Tensor, scale: Tensor | float, margin: float) -> Tensor:
    """Logits under CLIPood's adaptive margin: `margin * text of the label` is taken from the feature.

    Up to what is equal for all classes, every wrong class gains margin * (1 - its text's cosine with the right one), so
    that near classes are held apart less (AlignCLIP engine.py, lines 191 to 199).

    Args:
        features: (batch, width) image features of unit length.
        texts: (classes, width) text features of unit length.
        labels: (batch,) right classes.
        scale: What cosines are multiplied by, CLIP's exp(logit_scale).
        margin: 0 for none; 0.3 there, 0.1 for DomainNet.

    Returns:
        (batch, classes).
    """
    return scale * (features - margin * texts[labels]) @ texts.T


def smooth_labels(texts: Tensor, labels: Tensor, temperature: float = TEMPERATURE, kept: float = KEPT) -> Tensor:
    """Labels smoothed by meaning: `kept` for the right class, and for another its softmax share among all texts.

    A row is not made to sum to 1 (AlignCLIP engine.py, lines 128 to 134 and 269 to 294).

    Args:
        texts: (classes, width) text features of unit length.
        labels: (batch,) right classes.
        temperature: What the texts' cosines are multiplied by.
        kept: The right class's share.

    Returns:
        (batch, classes).
    """
    right = F.one_hot(labels, len(texts)).to(texts.dtype)
    shares = (temperature * texts @ texts.T).softmax(1)
    return kept * right + (1 - right) * shares[labels]


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with a share for each class, (batch, classes) both; the mean of the batch."""
    return -(targets * logits.log_softmax(1)).sum(1).mean()


def attention_loss(attention: Tensor, diagonal: Tensor, texts: Tensor, labels: Tensor) -> Tensor:
    """How far the CLS attention is from the patches that speak for the right class (AlignCLIP engine.py, lines 247 to 267).

    KL(target || attention), the mean of the batch. The target is the softmax, over the patches, of the products of the
    diagonal branch's patch features and the right text; the attention is the mean of all maps, each made to sum to 1.

    Args:
        attention: (maps, batch, patches) attention of CLS to the patches, a map for each layer and head.
        diagonal: (batch, patches, width) patch features of the diagonal branch, of unit length.
        texts: (classes, width) text features of unit length.
        labels: (batch,) right classes.
    """
    mean = F.normalize(attention, p=1, dim=2).mean(0)
    target = torch.einsum("bpd,bd->bp", diagonal, texts[labels]).softmax(1)
    return F.kl_div(mean.clamp_min(_TINY).log(), target, reduction="batchmean")


def similarity_loss(patches: Tensor, diagonal: Tensor, texts: Tensor, labels: Tensor, form: str = "paper") -> Tensor:
    """How far the two branches' patches are from each other in what they say of texts, KL(diagonal || attending).

    Args:
        patches: (batch, patches, width) patch features of the attending branch, of unit length.
        diagonal: The same of the diagonal branch.
        texts: (classes, width) text features of unit length.
        labels: (batch,) right classes.
        form: "paper": of the right class alone, a softmax over the patches. "code": of every class, summed, since the
            released code selects the right class's columns and then does not use them (engine.py, lines 296 to 312).

    Returns:
        The sum over patches (and classes), its mean over the batch.
    """
    ours, target = patches @ texts.T, diagonal @ texts.T
    if form == "paper":
        own = labels[:, None, None].expand(-1, ours.shape[1], 1)
        ours, target = ours.gather(2, own), target.gather(2, own)
    return F.kl_div(ours.log_softmax(1), target.softmax(1), reduction="batchmean")
