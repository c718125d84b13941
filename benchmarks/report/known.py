"""The classes that a report makes objects of: this project's own, by the names that a run's identity has for them.

A results folder may come from anybody, so nothing that it names is imported or called: a name is looked up here, and its
arguments are plain values that fit the signature.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from benchmarks.settings.building import checked_arguments
from falip.errors import UserError

MOST = 1_000_000  # of anything that a data set is asked to make or hold
_NESTED = ("prompt", "prompts")


def prompts() -> Mapping[str, type]:
    """Every prompt of the library by its name."""
    from falip import prompts as library

    return {name: getattr(library, name) for name in library.__all__}


def tasks() -> Mapping[str, type]:
    """Every task by its name."""
    from benchmarks.tasks.classification import Recognition, RegionClassification
    from benchmarks.tasks.keypoint import Keypoints
    from benchmarks.tasks.none import ReferringOrNone
    from benchmarks.tasks.pointcloud import PointCloudRecognition
    from benchmarks.tasks.rec import ReferringExpressions

    known = (Keypoints, PointCloudRecognition, Recognition, ReferringExpressions, ReferringOrNone, RegionClassification)
    return {cls.__name__: cls for cls in known}


# Each data set by its task, its name and the arguments that only it takes; imported when it is needed.
_REFERRING = ("refcoco", "refcoco_plus", "refcocog")
DATA_SETS: Mapping[tuple[str, str], Sequence[str]] = {
    ("ReferringExpressions", "shapes"): ["benchmarks.data.shapes.ReferringShapes"],
    **{
        ("ReferringExpressions", name): ["benchmarks.data.refcoco.RefCOCO", "benchmarks.data.refcoco_rows.RefCOCORows"]
        for name in _REFERRING
    },
    ("ReferringExpressions", "coco"): ["benchmarks.data.own.coco.ReferringInstances"],
    ("RegionClassification", "csv"): ["benchmarks.data.own.classification_csv.LabelledTable"],
    ("RegionClassification", "coco"): ["benchmarks.data.own.coco.LabelledInstances"],
    ("RegionClassification", "hub"): ["benchmarks.data.own.hub.HubRegions"],
    ("ReferringExpressions", "csv"): ["benchmarks.data.own.rec_csv.ReferringTable"],
    ("ReferringExpressions", "ref_l4"): ["benchmarks.data.ref_l4.RefL4"],
    ("ReferringExpressions", "refcoco_m"): ["benchmarks.data.refcoco_m.RefCOCOM"],
    ("ReferringOrNone", "grefcoco"): ["benchmarks.data.grefcoco.GRefCOCO"],
    ("RegionClassification", "shapes"): ["benchmarks.data.shapes.ClassifiedShapes"],
    ("RegionClassification", "shapes_regions"): ["benchmarks.data.shapes.ShapeRegions"],
    ("RegionClassification", "shapes_shift"): ["benchmarks.data.shifted_shapes.ShiftedShapes"],
    ("RegionClassification", "cub"): ["benchmarks.data.cub.CUB"],
    ("RegionClassification", "imagenet_s"): ["benchmarks.data.imagenet_s.ImageNetS"],
    ("RegionClassification", "stanford_dogs"): ["benchmarks.data.stanford_dogs.StanfordDogs"],
    ("RegionClassification", "waterbirds"): ["benchmarks.data.waterbirds.Waterbirds"],
    ("RegionClassification", "coco_panoptic"): ["benchmarks.data.coco_panoptic.COCOPanoptic"],
    ("RegionClassification", "coco_boxes"): ["benchmarks.data.coco_boxes.COCOBoxes"],
    ("RegionClassification", "lvis_boxes"): ["benchmarks.data.lvis.LVISBoxes"],
    ("RegionClassification", "fg_ovd"): ["benchmarks.data.fg_ovd.FGOVD"],
    ("Keypoints", "cub"): ["benchmarks.data.cub_parts.CUBParts"],
    ("Keypoints", "spair"): ["benchmarks.data.spair.SPairKeypoints"],
    ("Keypoints", "shape_keypoints"): ["benchmarks.data.shape_keypoints.ShapeKeypoints"],
    ("RegionClassification", "domainbed"): ["benchmarks.data.domainbed.DomainBed"],
    ("PointCloudRecognition", "modelnet40"): ["benchmarks.data.modelnet40.ModelNet40"],
    ("PointCloudRecognition", "scanobjectnn"): ["benchmarks.data.scanobjectnn.ScanObjectNN"],
    ("PointCloudRecognition", "solids"): ["benchmarks.data.solids.Solids"],
    ("PointCloudRecognition", "folder"): ["benchmarks.data.own.cloud_folder.CloudFolder"],
}


def data_set(task: str, name: str, arguments: Collection[str]) -> type | None:
    """The data set of a name that takes some arguments; None where this project has none of that name."""
    found = None
    for path in DATA_SETS.get((task, name), ()):
        module, _, cls = path.rpartition(".")
        found = getattr(importlib.import_module(module), cls)
        if set(arguments) <= inspect.signature(found).parameters.keys():
            break
    return found


def prompt_from(described: Any) -> Any:
    """The prompt that an identity describes, those inside it included.

    Raises:
        UserError: If it is none of the library's, of another version, or has arguments that do not fit.
    """
    cls, arguments = _known(prompts, described, "prompt")
    for name, value in arguments.items():
        if name in _NESTED:
            arguments[name] = prompt_from(value) if name == "prompt" else [prompt_from(one) for one in _listed(value)]
        else:
            _plain(value, f"prompt.{name}")
    return _made(cls, arguments, "prompt")


def task_from(described: Any, dataset: Any) -> Any:
    """The task that an identity describes, over the data set that the arguments in a configuration are of.

    Args:
        described: `task` of an identity, its data set included.
        dataset: `task.dataset` of the configuration: where its files are, and what to make of them.

    Raises:
        UserError: If one of them is none of this project's, of another version, or has arguments that do not fit.
    """
    cls, rules = _known(tasks, described, "task")
    identity = rules.pop("dataset", None)
    rules.pop("sentences", None)  # texts, as a template is
    name = identity.get("name") if isinstance(identity, Mapping) else None
    if not isinstance(dataset, Mapping):
        raise UserError("run.json holds no configuration of its data set, so the pictures cannot be found again")
    # The class is known by the identity; what the configuration calls it is of no account.
    given = {key: value for key, value in dataset.items() if key != "_target_"}
    source = data_set(cls.__name__, str(name), given)
    if source is None:
        raise UserError(f"its data set {str(name)[:80]!r} is none of this project's")
    for values, where in ((rules, "task"), (given, "task.dataset")):
        for key, value in values.items():
            _plain(value, f"{where}.{key}")
    data = _made(source, given, "task.dataset")
    # How a class is phrased is the text's matter, and no picture's.
    phrase = {"template": "{}"} if "template" in inspect.signature(cls).parameters else {}
    return _made(cls, rules | phrase, "task", dataset=data)


def _known(classes: Callable[[], Mapping[str, type]], described: Any, what: str) -> tuple[type, dict[str, Any]]:
    """A class by its name, and the arguments beside it."""
    if not isinstance(described, Mapping) or not isinstance(described.get("type"), str):
        raise UserError(f"its identity does not describe a {what}")
    name, version = described["type"], described.get("version")
    cls = classes().get(name)
    if cls is None:
        raise UserError(f"its {what} {name[:80]!r} is none of this project's")
    here = getattr(cls, "version", None)
    if type(version) is not int or version != here:
        raise UserError(f"its {what} {name} is of version {version!r}, and the one here of version {here}")
    return cls, {str(key): value for key, value in described.items() if key not in ("type", "version")}


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UserError(f"its prompt holds {str(value)[:80]!r} in the place of a list of prompts")
    return value


def _plain(value: Any, where: str) -> None:
    """Refuses what is no plain value, or a list of them, and sizes that would fill the memory."""
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str | int | float | bool | None):
            raise UserError(f"its {where} is no plain value")
        if isinstance(one, int) and abs(one) > MOST:
            raise UserError(f"its {where}={one} is more than {MOST:,}")


def _made(cls: Callable[..., Any], arguments: Mapping[str, Any], where: str, **checked: Any) -> Any:
    plain = {key: value for key, value in arguments.items() if key not in _NESTED}
    nested = {key: value for key, value in arguments.items() if key in _NESTED}
    stand_ins = {key: {} for key in (*nested, *checked)}  # objects that are made already
    try:
        fitting = checked_arguments(cls, plain | stand_ins, where)
        return cls(**(fitting | nested | checked))
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"its {where} cannot be made again: {error}") from error
