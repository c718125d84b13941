"""Scores of regions under texts: scaled cosines, summed over views and backbones, less those of other texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from falip.backbone import Backbone
from falip.errors import UserError
from falip.regions import Region
from falip.texts import phrase
from falip.views import Combine, Prompt, Scorer, Sharing, make_views


def component_scores(images: Tensor, texts: Tensor, logit_scale: float, subtract: Tensor | None = None) -> Tensor:
    """Scaled cosines; each distinct pair is scored once, so that equal rows have equal scores to the bit.

    Args:
        images: Unit-length embeddings (components, regions, D).
        texts: Unit-length embeddings (texts, D).
        logit_scale: Factor on the cosines.
        subtract: Mean embedding (D,) of other texts. Scores are linear in it, so what is subtracted is the mean score of
            those texts for each region and component (RedCircle, section 3.3), before components are summed or maximised.

    Returns:
        float32 (components, regions, texts).
    """
    texts, text_places = distinct_rows(texts)
    wanted = (texts if subtract is None else texts - subtract).T
    found = []
    for component in images:
        rows, places = distinct_rows(component)
        found.append((logit_scale * rows @ wanted)[places][:, text_places])
    return torch.stack(found)


def released_scores(images: Tensor, texts: Tensor, logit_scale: float) -> Tensor:
    """Scores in half precision, rounded where the released programs round them on a GPU.

    Features are divided by their norm in half, then multiplied by the scale, itself rounded to half first, then by the
    texts (FALIP executor.py, lines 332 and 342 to 347). A GPU adds up products in float32 and rounds the sum; so does this.

    Args:
        images: Features as they leave the model, float16 (components, regions, D).
        texts: The same, float16 (texts, D).
        logit_scale: Factor on the cosines.

    Returns:
        float16 (components, regions, texts). Summing over models and components is the caller's.
    """
    scale = torch.tensor(logit_scale, dtype=torch.float16)
    texts, text_places = distinct_rows(_unit_in_half(texts))
    found = []
    for component in images:
        rows, places = distinct_rows(_unit_in_half(component))
        products = (scale * rows).float() @ texts.float().T
        found.append(products.half()[places][:, text_places])
    return torch.stack(found)


def _unit_in_half(features: Tensor) -> Tensor:
    norm = features.float().square().sum(-1, keepdim=True).sqrt().half()
    return features.half() / norm


def feature_scores(
    backbone: Backbone,
    images: Tensor,
    texts: Tensor,
    subtract: Tensor | None = None,
    scorers: Sequence[Scorer | None] = (),
) -> Tensor:
    """Scores as the precision of a backbone has them, (components, regions, texts).

    Where a backbone has a `logit_bias`, it is in the score of each component; in a difference of scores it cancels.

    Args:
        backbone: Where the features come from.
        images: `Backbone.features`, (components, regions, D).
        texts: `Backbone.text_features`, (texts, D).
        subtract: Features of other texts (others, D), whose mean score is subtracted; None for none.
        scorers: That of each component (`Component.scorer`), or None; empty where none has one.

    Returns:
        float32, or float16 where the precision is "released".

    Raises:
        UserError: If a component has a scorer, and the precision is "released".
    """
    if any(scorers):
        found = [
            _own_scores(scorer, backbone, rows, texts, subtract)
            if scorer
            else feature_scores(backbone, rows[None], texts, subtract)[0]
            for scorer, rows in zip(scorers, images, strict=True)
        ]
        return torch.stack(found)
    images = images[..., : texts.shape[1]].contiguous()  # longer where a component beside them has a scorer
    if backbone.precision == "released":
        scores = released_scores(images, texts, backbone.logit_scale)
        if subtract is None:
            return scores
        return scores - released_scores(images, subtract, backbone.logit_scale).mean(-1, keepdim=True)
    mean = None if subtract is None else normalize(subtract.float(), dim=-1).mean(0)
    unit = normalize(images.float(), dim=-1), normalize(texts.float(), dim=-1)
    scores = component_scores(*unit, backbone.logit_scale, mean)
    return scores + backbone.logit_bias if backbone.logit_bias and subtract is None else scores


def _own_scores(scorer: Scorer, backbone: Backbone, rows: Tensor, texts: Tensor, subtract: Tensor | None) -> Tensor:
    """(regions, texts) of a component that scores in its own way; equal rows and texts have equal scores to the bit."""
    if backbone.precision:
        raise UserError(f"{type(scorer).__name__} has no {backbone.precision} precision: set backbone.precision=null.")
    rows, row_places = distinct_rows(rows)
    texts, text_places = distinct_rows(normalize(texts.float(), dim=-1))
    found = scorer.scores(rows, texts, backbone.logit_scale)
    if subtract is not None:
        others = normalize(subtract.float(), dim=-1)
        found = found - scorer.scores(rows, others, backbone.logit_scale).mean(-1, keepdim=True)
    return found[row_places][:, text_places]


def distinct_rows(rows: Tensor) -> tuple[Tensor, list[int]]:
    """The distinct rows of (n, D) in order of appearance, and for each row its place among them."""
    if len(rows[:, 0].unique()) == len(rows):
        return rows, list(range(len(rows)))
    first: dict[bytes, int] = {}
    places = [first.setdefault(row.numpy().tobytes(), len(first)) for row in rows.contiguous()]
    return rows[[places.index(i) for i in range(len(first))]], places


def combine_components(scores: Tensor, combine: Combine, weights: Sequence[float] | None = None) -> Tensor:
    """(regions, texts) from (components, regions, texts), each component times its weight."""
    if weights is not None:
        scores = scores * torch.tensor(weights, dtype=scores.dtype)[:, None, None]
    return scores.amax(0) if combine == "max" else scores.sum(0)


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
    parts, combine, weights = [], "sum", None
    for one in backbones:
        views = make_views(prompt, image, regions, one.geometry)
        combine, weights = views.combine, views.weights
        others = one.text_features(phrase(subtract, template, prompt)) if subtract else None
        features = one.text_features(phrase(texts, template, prompt))
        scorers = [component.scorer for component in views.components]
        parts.append(feature_scores(one, one.features(views, sharing), features, others, scorers))
    return combine_components(reduce(torch.add, parts), combine, weights).float()
