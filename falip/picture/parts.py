"""The views of a prompt that has several for each region, each as a prompt of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image

from falip.geometry import Geometry
from falip.regions import Region
from falip.views import Prompt, Views, make_views


@dataclass(frozen=True, eq=False)
class Part:
    """One view of a prompt.

    Attributes:
        prompt: The prompt.
        place: Of the view among its components.
        name: Of that component.
        weight: The factor on its scores.
        text_template: That of the prompt.
    """

    prompt: Prompt
    place: int
    name: str
    weight: float = 1.0
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __call__(self, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> Views:
        """That view alone, with the pictures that it needs."""
        views = self.prompt(image, regions, geometry)
        component = views.components[self.place]
        place = {old: new for new, old in enumerate(component.pictures)}
        moved = component.moved([place.get(i, 0) for i in range(len(views.images))])
        return Views(tuple(views.images[i] for i in component.pictures), (moved,))


def parts_of(prompt: Prompt, image: Image.Image, regions: Sequence[Region], geometry: Geometry) -> list[Part]:
    """The views of a prompt in order, one for most.

    Raises:
        UserError: If the tower or the prompt cannot make them.
    """
    views = make_views(prompt, image, regions, geometry)
    weights = views.weights or (1.0,) * len(views.components)
    return [
        Part(prompt, i, component.name, weight, prompt.text_template)
        for i, (component, weight) in enumerate(zip(views.components, weights, strict=True))
    ]
