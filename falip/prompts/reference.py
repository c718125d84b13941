"""Views that are held against an independent plain pass over the unprompted picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from falip.errors import UserError
from falip.geometry import Geometry
from falip.regions import Region
from falip.surgery import AttentionChange
from falip.views import Intervention, Prompt, Views


def against_plain(
    name: str,
    change: AttentionChange,
    prompt: Prompt,
    layers: int | Sequence[int],
    image: Image.Image,
    regions: Sequence[Region],
    geometry: Geometry,
) -> Views:
    """The views of a prompt under an intervention whose reference is the picture as it is.

    Args:
        name: What records call it; each component is named "name(component)".
        change: What is done inside the attention.
        prompt: The prompt whose views these are.
        layers: The last so many, or a list of layers counted from 0.
        image: The unprompted picture.
        regions: Its regions.
        geometry: Of the backbone.

    Raises:
        UserError: If the prompt has an intervention of its own.
    """
    views = prompt(image, regions, geometry)
    if any(component.intervention for component in views.components):
        raise UserError(f"{name} wraps a prompt that has an intervention already; a view takes at most one.")
    known = [i for i, picture in enumerate(views.images) if picture is image]
    images, plain = (views.images, known[0]) if known else ((*views.images, image), len(views.images))
    intervention = Intervention(change, geometry.last_layers(layers), reference=(plain,) * len(regions))
    components = tuple(
        replace(component, name=f"{name}({component.name})", intervention=intervention) for component in views.components
    )
    return replace(views, images=images, components=components)
