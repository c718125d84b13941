"""From a picture, its regions and prompts to what a page shows: scores and blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image

from falip.backbone import Backbone
from falip.picture.block import Block, block_title
from falip.picture.page import Content
from falip.picture.parts import parts_of
from falip.picture.study import Study, studies
from falip.picture.table import Scored
from falip.prompts import Foveal, Plain
from falip.regions import Region
from falip.scoring import score
from falip.views import Prompt


def scores_of(
    backbone: Backbone,
    name: str,
    image: Image.Image,
    regions: Mapping[str, Region],
    prompts: Mapping[str, Prompt],
    texts: Sequence[str],
    file: str,
) -> Scored:
    """Scores of texts for regions under plain CLIP and each prompt.

    Args:
        backbone: A backbone.
        name: What it is called.
        image: A picture.
        regions: Its regions by name.
        prompts: Prompts by name.
        texts: What to score.
        file: What the picture is called.

    Raises:
        UserError: As `falip.score`.
    """
    scores = {
        one: score(backbone, image, list(regions.values()), prompt, texts).tolist()
        for one, prompt in ({"plain": Plain()} | dict(prompts)).items()
    }
    return Scored(file, name, list(regions), texts, scores)


def content_of(
    backbone: Backbone,
    image: Image.Image,
    regions: Sequence[Region],
    prompts: Mapping[str, Prompt],
    scored: Scored,
    heading: str,
    heads: bool | None = None,
) -> Content:
    """What a page shows.

    Args:
        backbone: A backbone.
        image: A picture.
        regions: Its regions.
        prompts: Prompts by name; each view of one that has several is drawn by itself.
        scored: Their scores; of no text, for a page without a summary.
        heading: Of the page.
        heads: Whether each head is drawn; None for a page of a single block alone.

    Raises:
        UserError: If a tower cannot do what a prompt asks for.
    """
    found: list[tuple[str, Region, Study]] = []
    for name, prompt in prompts.items():
        parts = parts_of(prompt, image, regions, backbone.geometry)
        for part in parts:
            label = f"{name}, part {part.place + 1} of {len(parts)} ({part.name})" if len(parts) > 1 else name
            label += f", counted {part.weight:g} times".replace("-", "−") if part.weight != 1 else ""
            named = {"alpha": prompt.alpha, "sigma": f"{prompt.sigma:g} tokens"} if isinstance(prompt, Foveal) else {}
            for i, study in enumerate(studies(backbone, image, regions, part if len(parts) > 1 else prompt)):
                found.append((block_title(f"region {i + 1}: {scored.regions[i]}", label, study, named), regions[i], study))
    single = len(found) == 1 if heads is None else heads
    blocks = [Block(title, image, region, study, single) for title, region, study in found]
    return Content(heading, image, regions, blocks, scored if scored.texts else None)
