"""Scores of regions under texts: scaled cosines, summed over views and backbones, less those of other texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from falip.backbone import Backbone, Sharing
from falip.errors import UserError
from falip.regions import Region
from falip.views import Combine, Prompt, make_views


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


def combine_components(scores: Tensor, combine: Combine) -> Tensor:
    """(regions, texts) from (components, regions, texts)."""
    return scores.amax(0) if combine == "max" else scores.sum(0)


def sample_texts(pool: Sequence[str], count: int, seed: int) -> list[str]:
    """Texts to subtract: min(count, size of the pool) of the pool, drawn without replacement from a seed."""
    chosen = np.random.default_rng(seed).choice(len(pool), min(count, len(pool)), replace=False)
    return [pool[int(i)] for i in sorted(chosen)]


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
        backbone: A backbone, or several whose scores are summed, before those of an ensemble's views are summed or
            maximised (ReCLIP executor.py, lines 151 to 157, and interpreter.py, lines 160 to 169).
        image: An RGB picture, or a depth map of mode "F".
        regions: At least one region of it.
        prompt: Any prompt, ensembles included.
        texts: What to score; put in the prompt's own template if it has one (shade), else in `template`.
        template: For instance "a photo of {}"; "{}" takes the texts as they are.
        subtract: Other texts whose mean score is subtracted (RedCircle, section 3.3); none by default.
        sharing: See `Backbone.encode_views`.

    Returns:
        float32 (regions, texts).

    Raises:
        UserError: If there is no region, the image is neither RGB nor a depth map, or a template has no place for the text.
    """
    backbones = [backbone] if isinstance(backbone, Backbone) else list(backbone)
    parts, combine = [], "sum"
    for one in backbones:
        views = make_views(prompt, image, regions, one.geometry)
        combine = views.combine
        others = one.encode_text(phrase(subtract, template, prompt)).mean(0) if subtract else None
        embedded = one.encode_text(phrase(texts, template, prompt))
        parts.append(component_scores(one.encode_views(views, sharing), embedded, one.logit_scale, others))
    return combine_components(torch.stack(parts).sum(0), combine)
