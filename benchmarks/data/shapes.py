"""The embedded benchmark's pictures: scenes of shapes, drawn on demand from their number."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from benchmarks.data.files import check_choice
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from benchmarks.embedded import shapes
from falip import Region


class ReferringShapes:
    """Scenes of 3 to 6 objects, each of them queried once by an expression that singles it out.

    Args:
        scenes: Number of scenes; fewer are the first of more.
        split: "test"; training scenes are drawn by other seeds.
    """

    def __init__(self, scenes: int = shapes.REC_SCENES, split: str = "test") -> None:
        check_choice(split, ("test",), "The split of the shapes", "task.split")
        self.scenes = scenes

    @cached_property
    def index(self) -> list[SampleInfo]:
        """All scenes, without drawing them."""
        counts = [len(shapes.rec_queries(i)) for i in range(self.scenes)]
        return [SampleInfo(_scene_id(i), count, count) for i, count in enumerate(counts)]

    @property
    def class_names(self) -> tuple[str, ...]:
        """There are no classes."""
        return ()

    @property
    def identity(self) -> dict[str, Any]:
        """The generator and its version."""
        return {"name": "shapes", "split": "test", "scenes": self.scenes, "generator_version": shapes.VERSION}

    def expressions(self) -> list[str]:
        """All expressions, for the pool of those that are subtracted."""
        return [query.text for i in range(self.scenes) for query in shapes.rec_queries(i)]

    def load(self, i: int) -> Sample:
        """Scene `i`, drawn."""
        drawn = shapes.rec_scene(i)
        boxes = tuple(thing.box for thing in drawn.scene.objects)
        queries = tuple(
            Query(f"{_scene_id(i)}/{q}", query.text, (boxes[query.target],), slice=query.slice)
            for q, query in enumerate(drawn.queries)
        )
        regions = tuple(Region.from_box(*box) for box in boxes)
        return Sample(_scene_id(i), (Picture(drawn.scene.image, regions),), queries, boxes)


class ClassifiedShapes:
    """Scenes with one target, whose region is given, among objects of other classes.

    Args:
        scenes: Number of scenes; fewer are the first of more.
        split: "test"; training scenes are drawn by other seeds.
        region: The target's box, or its exact mask.
    """

    def __init__(
        self,
        scenes: int = shapes.CLASSIFICATION_SCENES,
        split: str = "test",
        region: Literal["box", "mask"] = "box",
    ) -> None:
        check_choice(split, ("test",), "The split of the shapes", "task.split")
        check_choice(region, ("box", "mask"), "The form of the region", "task.dataset.region")
        self.scenes, self.region = scenes, region

    @property
    def index(self) -> list[SampleInfo]:
        """All scenes, without drawing them."""
        return [SampleInfo(_scene_id(i), 1, 1) for i in range(self.scenes)]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Texture, colour and shape, in label order."""
        return tuple(shapes.CLASS_NAMES)

    @property
    def identity(self) -> dict[str, Any]:
        """The generator and its version, and the form of the region."""
        version = shapes.VERSION
        return {
            "name": "shapes",
            "split": "test",
            "scenes": self.scenes,
            "region": self.region,
            "generator_version": version,
        }

    def load(self, i: int) -> Sample:
        """Scene `i`, drawn; its slice says whether training has seen the target's colour and shape together."""
        scene, target, name = shapes.classification_scene(i)
        mask = scene.masks[target]
        region = Region.from_mask(mask) if self.region == "mask" else Region.from_box(*scene.objects[target].box)
        query = Query(_scene_id(i), name, label=shapes.CLASS_NAMES.index(name), slice=_pair(name))
        return Sample(query.id, (Picture(scene.image, (region,)),), (query,))


class ShapeRegions(ClassifiedShapes):
    """The same scenes with a question about each of their objects, so that one picture has many regions.

    Args:
        scenes: Number of scenes; fewer are the first of more.
        split: "test"; training scenes are drawn by other seeds.
        region: The objects' boxes, or their exact masks.
    """

    def __init__(
        self, scenes: int = shapes.REGION_SCENES, split: str = "test", region: Literal["box", "mask"] = "box"
    ) -> None:
        super().__init__(scenes, split, region)

    @cached_property
    def index(self) -> list[SampleInfo]:
        """All scenes, without drawing them."""
        counts = [len(shapes.classification_labels(i)) for i in range(self.scenes)]
        return [SampleInfo(_scene_id(i), count, count) for i, count in enumerate(counts)]

    @property
    def identity(self) -> dict[str, Any]:
        """The generator and its version, and the form of the regions."""
        return {**super().identity, "name": "shapes_regions"}

    def load(self, i: int) -> Sample:
        """Scene `i`, drawn, with the class of each of its objects."""
        scene = shapes.classification_scene(i)[0]
        queries = []
        for place, label in enumerate(shapes.classification_labels(i)):
            name = shapes.CLASS_NAMES[label]
            queries.append(Query(f"{_scene_id(i)}/{place}", name, label=label, slice=_pair(name), region=place))
        if self.region == "mask":
            regions = tuple(Region.from_mask(mask) for mask in scene.masks)
        else:
            regions = tuple(Region.from_box(*thing.box) for thing in scene.objects)
        return Sample(_scene_id(i), (Picture(scene.image, regions),), tuple(queries))


def _pair(name: str) -> str:
    return "held-out pair" if name in shapes.HELD_OUT_CLASSES else "seen pair"


def _scene_id(i: int) -> str:
    return f"scene-{i:05d}"
