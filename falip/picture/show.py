"""One picture under one prompt, from Python: `falip.show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from falip.backbone import Backbone, load_backbone
from falip.errors import UserError
from falip.picture.backbones import best_here
from falip.picture.content import content_of, scores_of
from falip.picture.inputs import read_prompts
from falip.picture.page import figures
from falip.prompts import Foveal
from falip.reading import as_picture, as_rgb
from falip.regions import Region, as_regions
from falip.views import Prompt


def show(
    image: Any,
    regions: Any,
    prompt: str | Prompt | Mapping[str, Prompt] = "foveal",
    backbone: str | Path | Backbone | None = None,
    texts: Sequence[str] = (),
    *,
    heads: bool | None = None,
) -> Figure:
    """Draws what a prompt does with regions of a picture: what the model sees, and its attention before and after.

    Args:
        image: A picture of Pillow, the path of a file, or a uint8 array (height, width, 3).
        regions: Regions, boxes (x0, y0, x1, y1) in pixels and masks (height, width), in a list or one alone; or a mapping
            from names to these.
        prompt: A prompt, names as on the command line ("foveal,red_circle"), or a mapping from names of your own to
            prompts.
        backbone: A backbone, or what `falip.load_backbone` takes; None for the best CLIP of OpenAI in the hub's cache, else
            the embedded one.
        texts: Texts, whose scores under plain CLIP and the prompt are drawn too.
        heads: Whether each head is drawn; None for a single region under a single view alone.

    Returns:
        A figure of matplotlib, which notebooks show; `figure.savefig("out.png")` keeps it.

    Raises:
        UserError: If the picture, a region, prompt or text is not what it must be, or the tower cannot do what is asked.
    """
    picture = as_picture(image)
    picture = picture if picture.mode == "F" else as_rgb(picture)
    named = _regions(regions, picture.size)
    prompts = _prompts(prompt)
    if isinstance(texts, str):
        raise UserError(f"Texts come as a list, and got the string {texts!r}: write [{texts!r}].")
    model = _backbone(backbone)
    name, file = model.weights.name, Path(image).name if isinstance(image, str | Path) else "A picture"
    scored = scores_of(model, name, picture, named, prompts, list(texts), file)
    content = content_of(model, picture, list(named.values()), prompts, scored, f"{file} seen by {name}", heads)
    return figures(content, tallest=float("inf"))[0]


def _regions(given: Any, size: tuple[int, int]) -> dict[str, Region]:
    """Regions that lie in the picture, by what they are called."""
    if isinstance(given, Mapping):
        named = {str(name): as_regions(one, size) for name, one in given.items()}
        several = [name for name, found in named.items() if len(found) != 1]
        if several:
            raise UserError(
                f"{several[0]!r} names {len(named[several[0]])} regions; give one box, mask or region for each name."
            )
        found = {name: one[0] for name, one in named.items()}
    else:
        found = {}
        for i, region in enumerate(as_regions(given, size)):
            name = _words(region)
            found[f"{name} ({i + 1})" if name in found else name] = region
    if not found:
        raise UserError("There is no region to look at: give at least one box, mask or falip.Region.")
    for region in found.values():
        region.clipped(size)
    return found


def _words(region: Region) -> str:
    kind = "box" if region.mask is None else "mask in"
    return f"{kind} {','.join(f'{value:g}' for value in region.box)}"


def _prompts(given: str | Prompt | Mapping[str, Prompt]) -> dict[str, Prompt]:
    if isinstance(given, str):
        return read_prompts(given, Foveal())
    if isinstance(given, Mapping):
        return dict(given)
    return {str(getattr(given, "name", None) or type(given).__name__.lower()): given}


def _backbone(given: str | Path | Backbone | None) -> Backbone:
    if isinstance(given, Backbone):
        return given
    if given is None:
        name, revision = best_here()
        return load_backbone(name, revision=revision)
    if not isinstance(given, str | Path):
        raise UserError(
            f"backbone={type(given).__name__}: give what falip.load_backbone() returned, or a name, hub id or folder."
        )
    return load_backbone(str(given))
