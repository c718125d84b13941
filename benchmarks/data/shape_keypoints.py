"""The embedded benchmark's keypoints: the centre of each object that an expression singles out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.data.samples import Picture, Sample
from benchmarks.data.shapes import ReferringShapes


class ShapeKeypoints(ReferringShapes):
    """The scenes of referring expressions; a keypoint is the centre of an object's box, its name the expression.

    Args:
        scenes: Number of scenes; fewer are the first of more.
        split: "test"; training scenes are drawn by other seeds.
    """

    @property
    def identity(self) -> dict[str, Any]:
        """The generator and its version."""
        return {**super().identity, "name": "shape_keypoints"}

    def load(self, i: int) -> Sample:
        """Scene `i`, drawn."""
        scene = super().load(i)
        boxes = tuple(query.targets[0] for query in scene.queries)
        centres = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes]
        queries = tuple(
            replace(query, targets=((x, y, x, y),), label=k)
            for k, (query, (x, y)) in enumerate(zip(scene.queries, centres, strict=True))
        )
        return Sample(scene.id, (Picture(scene.pictures[0].image, ()),), queries, boxes)
