"""Scores of regions under texts: scaled cosines, summed over views and backbones, less those of other texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from falip.backbone import Backbone, Sharing
from falip.regions import Region
from falip.views import Prompt


def phrase(texts: Sequence[str], template: str, prompt: Prompt) -> list[str]:
    """The texts as the model reads them: in the prompt's template if it brings one, else in the task's."""
    chosen = prompt.text_template or template
    return [str(text).join(chosen.split("{}")) for text in texts]


def component_scores(images: Tensor, texts: Tensor, logit_scale: float, subtract: Tensor | None = None) -> Tensor:
    """Scaled cosines.

    Args:
        images: Unit-length embeddings (components, regions, D).
        texts: Unit-length embeddings (texts, D).
        logit_scale: Factor on the cosines.
        subtract: Mean embedding (D,) of other texts. Scores are linear in it, so what is subtracted is the mean score of
            those texts for each region and component (RedCircle, section 3.3), before components are summed or maximised.

    Returns:
        float32 (components, regions, texts).
    """
    return logit_scale * images @ (texts if subtract is None else texts - subtract).T


def combine_components(scores: Tensor, combine: Literal["sum", "max"]) -> Tensor:
    """(regions, texts) from (components, regions, texts)."""
    return scores.amax(0) if combine == "max" else scores.sum(0)


def sample_texts(pool: Sequence[str], count: int, seed: int) -> list[str]:
    """Texts to subtract: min(count, size of the pool) of the pool, drawn without replacement from a seed."""
    chosen = np.random.default_rng(seed).choice(len(pool), min(count, len(pool)), replace=False)
    return [pool[i] for i in sorted(chosen)]


@torch.inference_mode()
def score(
    backbone: Backbone | Sequence[Backbone],
    image: Image.Image,
    regions: Sequence[Region],
    prompt: Prompt,
    texts: Sequence[str],
    *,
    template: str = "{}",
    subtract: Sequence[str] = (),
    sharing: Sharing = "exact",
) -> Tensor:
    """Score of every region under every text, for any prompt.

    Args:
        backbone: A backbone, or several whose scores are summed (ReCLIP executor.py, lines 151 to 157).
        image: An RGB picture, or a depth map of mode "F".
        regions: At least one region of it.
        prompt: Any prompt, ensembles included.
        texts: What to score; put in the prompt's own template if it has one (shade), else in `template`.
        template: For instance "a photo of {}"; "{}" takes the texts as they are.
        subtract: Other texts whose mean score is subtracted (RedCircle, section 3.3); none by default.
        sharing: See `Backbone.encode_views`.

    Returns:
        float32 (regions, texts).
    """
    backbones = [backbone] if isinstance(backbone, Backbone) else list(backbone)
    total = torch.zeros(len(regions), len(texts))
    for one in backbones:
        views = prompt(image, regions, one.geometry)
        others = one.encode_text(phrase(subtract, template, prompt)).mean(0) if subtract else None
        scores = component_scores(
            one.encode_views(views, sharing), one.encode_text(phrase(texts, template, prompt)), one.logit_scale, others
        )
        total += combine_components(scores, views.combine)
    return total
