"""How large a split is: counted where its data are here, else about, from what is published of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.data.class_split import ClassSplit
from benchmarks.data.expressions import CONTRACTS
from benchmarks.settings.subset import subset
from benchmarks.tasks import Task, looked_at
from falip.errors import UserError


@dataclass(frozen=True)
class Extent:
    """What a split holds.

    Attributes:
        pictures: To decode; depth maps count one by one.
        queries: Decisions of a run.
        regions: Over all pictures.
        classes: To choose from; 0 where candidates are regions.
        counted: Whether the data are here.
    """

    pictures: int
    queries: int
    regions: int
    classes: int = 0
    counted: bool = True


# Pictures of RefCOCO's splits (REFER's README and, for RefCOCOg, its umd split), and candidates in each, about: one over
# chance in ReCLIP's tables 7 and 8, gold and detected.
_PICTURES = {("val", 3): 1500, ("testA", 3): 750, ("testB", 3): 750, ("val", 2): 1300, ("test", 2): 2600}
_CANDIDATES = {"gt": {"testA": 8, "testB": 5}, "detected": {"testA": 7, "testB": 5}}
_USUAL = {"gt": 6, "detected": 6}
# One picture a sample, six depth maps for each object; the sizes that the loaders hold their files to.
_RECOGNITION = {
    ("classification/cub", "test"): (5794, 200),
    ("classification/stanford_dogs", "test"): (8580, 120),
    ("classification/waterbirds", "test"): (5794, 2),
    ("classification/imagenet_s", "val"): (12419, 919),
    ("pointcloud/modelnet40", "test"): (2468, 40),
    ("pointcloud/scanobjectnn", "test"): (2882, 15),
    ("pointcloud/modelnet40_v2", "test"): (2468, 40),
    ("pointcloud/scanobjectnn_v2", "test"): (2882, 15),
}
# CUB's pictures and its parts that are visible in one, about: one over chance in RedCircle's table 1.
_PARTS = {("keypoint/cub", "test"): (5794, 12)}
_VIEWS = {"v1": 6, "v2": 10}
_PART = ("classes", "open_ratio")  # of the classes; their pictures are taken to be as many for each


def extent(task: Task, settings: Mapping[str, Any]) -> Extent:
    """The extent of a task's split, or of the subset that it is limited to.

    Args:
        task: The task.
        settings: Of the task.

    Raises:
        UserError: If the data are not here, and nothing is published of the split.
    """
    try:
        index = task.dataset.index
        classes = len(task.dataset.class_names)
    except UserError:
        known = _published(settings)
        if known is None:
            raise
        return known
    chosen = [index[i] for i in subset(index, task.limit)]
    regions = sum(looked_at(task, info) for info in chosen)
    pictures = regions if classes else len(chosen)  # recognition has one region for each picture
    return Extent(pictures, sum(info.queries for info in chosen), regions, classes)


def _published(settings: Mapping[str, Any]) -> Extent | None:
    task, split, limit = settings["name"], settings["split"], settings["limit"]
    kind, _, name = task.partition("/")
    if kind == "rec" and (name, split) in CONTRACTS:
        splits = sum(one == name for one, _ in CONTRACTS)
        pictures, queries = _PICTURES[split, splits], CONTRACTS[name, split].queries or 0
        candidates = _CANDIDATES[settings["proposals"]].get(split, _USUAL[settings["proposals"]])
        share = min(limit / pictures, 1.0) if limit else 1.0
        pictures = round(share * pictures)
        return Extent(pictures, round(share * queries), candidates * pictures, 0, False)
    if (task, split) in _PARTS:
        pictures, parts = _PARTS[task, split]
        pictures = min(limit or pictures, pictures)
        places = settings["grid"] ** 2 if settings["ask"] == "localise" else parts
        return Extent(pictures, parts * pictures, places * pictures, 0, False)
    if (task, split) not in _RECOGNITION:
        return None
    samples, classes = _RECOGNITION[task, split]
    samples = 581 if settings["dataset"].get("variant") in ("OBJ_ONLY", "OBJ_BG") else samples
    part = ClassSplit(**{name: settings["dataset"][name] for name in _PART if name in settings["dataset"]}).kept(classes)
    samples, classes = round(samples * len(part) / classes), len(part)
    samples = min(limit or samples, samples)
    views = _VIEWS[settings["dataset"]["projection"]] if kind == "pointcloud" else 1
    return Extent(samples * views, samples, samples * views, classes, False)
