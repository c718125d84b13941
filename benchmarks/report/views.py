"""The pictures of one sample: its own, and for each method the view of what it decided for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmarks.data.samples import Picture, Query
from benchmarks.report.groups import Group
from benchmarks.report.restore import NOMINAL, RunSetting
from benchmarks.report.thumbnails import heat, thumbnails
from falip.errors import UserError
from falip.geometry import Geometry

if TYPE_CHECKING:  # torch, which a page without views does not need
    from falip.regions import Region
    from falip.views import Component, Views

Slots = dict[int, tuple[Picture, int]]
# What prompts raise for parameters that no picture or backbone takes, as an edited run.json may have them.
_UNDRAWABLE = (UserError, ValueError, OverflowError, MemoryError)
log = logging.getLogger(__name__)
BIAS_COLOURS, ATTENTION_COLOURS, DIFFERENCE_COLOURS = "cividis", "viridis", "coolwarm"


@dataclass(frozen=True)
class SamplePictures:
    """What the page shows of one sample.

    Attributes:
        content: For the page's script: pictures, boxes, views.
        queries: What was asked, by id.
    """

    content: dict[str, Any]
    queries: dict[str, Query] = field(default_factory=dict)


def sample_pictures(
    group: Group, name: str, rows: Sequence[Sequence[Any]], budget: int, attention: Mapping[tuple[str, str], Any]
) -> SamplePictures:
    """Draws a sample.

    Args:
        group: Where it belongs, its data restored.
        name: The sample's id.
        rows: For each method its records of this sample.
        budget: Bytes for its pictures.
        attention: For (run id, sample id) attention maps by slot.
    """
    if group.data is None:
        return SamplePictures({"error": ""})
    try:
        sample = group.data.load(name)
    except UserError as error:
        return SamplePictures({"error": str(error)})
    own = [picture.image for picture in sample.pictures]
    drawer = _Drawer(own)
    places = group.data.region_of(sample)
    views = []
    for setting, run, records in zip(group.settings, group.runs.values(), rows, strict=True):
        wanted = slots(group.kind, group.data.pictures(sample), places, records)
        views.append(drawer.views(setting, wanted, attention.get((run.run_id, name)) or {}))
    uris = thumbnails(own, drawer.edited, budget, group.level)
    group.level = uris.next_level
    size = sample.pictures[0].image.size
    content = {"images": uris.uris, "own": len(own), "size": size, "boxes": _rounded(sample.boxes), "views": views}
    if group.kind == "keypoint":
        content["boxes"] = _rounded([region.box for region in group.data.pictures(sample)[0].regions])
    if group.kind == "classification":
        content["regions"] = [_rounded(region.boxes) for picture in sample.pictures for region in picture.regions]
    return SamplePictures(content, {query.id: query for query in sample.queries})


def slots(kind: str, pictures: Sequence[Picture], places: Mapping[int, int], records: Sequence[Any]) -> Slots:
    """Which views answers need: for REC and keypoints those of the candidates chosen, else that of each region."""
    if kind not in ("rec", "keypoint"):
        regions = [(picture, place) for picture in pictures for place in range(len(picture.regions))]
        return dict(enumerate(regions))
    chosen = sorted({int(row.prediction) for row in records if row.prediction in places})
    return {candidate: (pictures[0], places[candidate]) for candidate in chosen}


class _Drawer:
    """Collects the distinct pictures of a sample and describes views by their number."""

    def __init__(self, own: Sequence[Image.Image]) -> None:
        self._known = list(own)
        self._own = len(own)

    @property
    def edited(self) -> list[Image.Image]:
        """Pictures that are not the sample's own."""
        return self._known[self._own :]

    def views(self, setting: RunSetting | None, wanted: Slots, maps: Mapping[int, Any]) -> dict[str, list[dict[str, Any]]]:
        """The views that a method made for each slot, one for each component."""
        found: dict[str, list[dict[str, Any]]] = {}
        if setting is None or setting.prompt is None:
            return found
        # All regions of a picture at once, so that a blur of the whole picture is done once.
        for picture in {id(picture): picture for picture, _ in wanted.values()}.values():
            places = {slot: place for slot, (own, place) in wanted.items() if own is picture}
            regions = [picture.regions[place] for place in places.values()]
            try:
                views = setting.prompt(picture.image, regions, setting.geometry or NOMINAL)
            except _UNDRAWABLE as error:  # layers that this backbone, or the stand-in for an unknown one, lacks
                log.warning("a view is not shown: %s", error)
                return {}
            for i, (slot, region) in enumerate(zip(places, regions, strict=True)):
                parts = [self._view(views, c, i, region, picture, setting.geometry) for c in views.components]
                if slot in maps and setting.geometry is not None:
                    first = views.components[0]
                    images, read = (picture.image, views.images[first.image_index[i]]), first.reading is not None
                    parts[0]["attention"] = _attention(maps[slot], setting.geometry, images, read)
                found[str(slot)] = parts
        return found

    def _view(
        self, views: Views, component: Component, i: int, region: Region, picture: Picture, geometry: Geometry | None
    ) -> dict[str, Any]:
        image = views.images[component.image_index[i]]
        view: dict[str, Any] = {"image": self._number(image)}
        if image.size == picture.image.size or component.scaled:
            size = picture.image.size  # a box lies in the same share of a picture of another size
            view |= {"box": _rounded([region.clipped(size).box])[0], "size": size}
        rows = component.bias_map
        if geometry is not None and rows is not None:
            grid = rows[i, 1:].reshape(geometry.rows, geometry.cols).numpy()
            view |= {"mask": _mask(grid), "window": window(geometry, image)}
        return view

    def _number(self, image: Image.Image) -> int:
        for i, known in enumerate(self._known):
            if known is image:
                return i
        self._known.append(image)
        return len(self._known) - 1


def _mask(grid: np.ndarray) -> str:
    """The bias as an overlay, transparent where nothing is added."""
    finite = np.where(np.isfinite(grid), grid, 0.0)
    return heat(finite, (0.0, float(finite.max()) or 1.0), BIAS_COLOURS, hide_low=True)


def _attention(
    maps: tuple[np.ndarray, np.ndarray], geometry: Geometry, images: tuple[Image.Image, Image.Image], read: bool
) -> dict[str, Any]:
    """CLS attention before, in the picture, and after, in the view, on one scale; similarities where it is read out."""
    grids = [(1 if read else 100) * row[1:].reshape(geometry.rows, geometry.cols) for row in maps]
    difference: dict[str, Any] = {}
    if not read and images[0].size == images[1].size:  # of a cut-out no token lies where it lay
        change = grids[1] - grids[0]
        most = float(np.abs(change).max())
        difference = {"difference": heat(change, (-most, most), DIFFERENCE_COLOURS), "most": round(most, 2)} if most else {}
    limits = (float(min(g.min() for g in grids)), float(max(g.max() for g in grids)))
    before, after = (heat(grid, limits, ATTENTION_COLOURS) for grid in grids)
    return difference | {
        "before": before,
        "after": after,
        "limits": [round(v, 2) for v in limits],
        "words": ["similarity to the picture", "similarity to the region"]
        if read
        else ["attention before", "attention after"],
        "unit": "" if read else " %",
        "windows": [window(geometry, image) for image in images],
    }


def window(geometry: Geometry, image: Image.Image) -> list[float]:
    """Left, top, width and height of the token grid in per cent of the picture."""
    size, (left, top) = geometry.resized(image.size)
    side = geometry.image_size
    values = (left / size[0], top / size[1], side / size[0], side / size[1])
    return [round(100 * value, 2) for value in values]


def _rounded(boxes: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[round(float(v), 1) for v in box] for box in boxes]
