"""The papers' tables as sweeps: which experiment on which splits, proposals and backbones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SAM = "task.masks=sam"
OWN_BACKBONE = "vit_b16"
"""FALIP's: that of tables which fix none."""


@dataclass(frozen=True)
class Sweep:
    """One experiment on some splits of a task.

    Attributes:
        experiment: A file of configs/experiment.
        task: A file of configs/task; its last part is the data's name.
        splits: Splits of it.
        proposals: Whose candidates, gt or detected; "" for what the task has.
        backbones: Files of configs/backbone, each for a run of its own.
        overrides: What else the table's protocol sets; it goes before the user's own.
    """

    experiment: str
    task: str
    splits: tuple[str, ...]
    proposals: str = ""
    backbones: tuple[str, ...] = (OWN_BACKBONE,)
    overrides: tuple[str, ...] = ()


REC = (
    ("rec/refcoco", ("val", "testA", "testB")),
    ("rec/refcoco_plus", ("val", "testA", "testB")),
    ("rec/refcocog", ("val", "test")),
)
# The splits that FALIP's main table is known to have.
GOLD_SPLITS = (
    ("rec/refcoco", ("testA",)),
    ("rec/refcoco", ("testB",)),
    ("rec/refcoco_plus", ("testA",)),
    ("rec/refcocog", ("test",)),
)
_RECLIP, _RED_CIRCLE = "rn50x16_vit_b32", "rn50x16_vit_l14_336"
# RedCircle, table 7: five towers and all their pairs.
_TOWERS = ("rn50x16", "vit_b32", "vit_b16", "vit_l14", "vit_l14_336")
_PAIRS = tuple(f"{one}_{other.removeprefix('vit_')}" for one, other in itertools.combinations(_TOWERS[1:], 2))
_PAIRS += tuple(f"{_TOWERS[0]}_{other}" for other in _TOWERS[1:])

_VAL = (("rec/refcoco", ("val",)), ("rec/refcoco_plus", ("val",)), ("rec/refcocog", ("val",)))

# PointCLIP V2 searched sentences and weights of views for these.
_SEARCHED_TOWERS = ("rn50", "rn101", "vit_b32", "vit_b16")


def _rec(
    experiment: str,
    proposals: str = "",
    backbones: Sequence[str] = (OWN_BACKBONE,),
    overrides: Sequence[str] = (),
    places: Sequence[tuple[str, tuple[str, ...]]] = REC,
) -> Iterator[Sweep]:
    for task, splits in places:
        yield Sweep(experiment, task, splits, proposals, tuple(backbones), tuple(overrides))


def _fgvp(backbone: str, text: str, by_box: str, by_mask: str) -> Iterator[Sweep]:
    """Prompts that look at the box of a detection, and those that look at its mask."""
    for prompts, masks in ((by_box, ()), (by_mask, (_SAM,))):
        yield from _rec("table_fgvp", "detected", (backbone,), (f"prompt={prompts}", f"text={text}", *masks), _VAL)


def _clouds(backbones: Sequence[str] = (OWN_BACKBONE,), experiment: str = "table_pointcloud") -> tuple[Sweep, ...]:
    names = ("modelnet40", "scanobjectnn")
    return tuple(Sweep(experiment, f"pointcloud/{name}", ("test",), backbones=tuple(backbones)) for name in names)


def _masks(backbones: tuple[str, ...], *overrides: str) -> tuple[Sweep]:
    task = "classification/imagenet_s"
    return (Sweep("table_alphaclip_imagenet_s", task, ("val",), backbones=backbones, overrides=overrides),)


TABLES: dict[str, tuple[Sweep, ...]] = {
    # FALIP
    "rec": tuple(_rec("table_rec")),
    "classification": tuple(
        Sweep("table_classification", f"classification/{name}", (split,))
        for name, split in (("cub", "test"), ("stanford_dogs", "test"), ("waterbirds", "test"), ("imagenet_s", "val"))
    ),
    "pointcloud": _clouds(),
    "ablations": tuple(
        sweep
        for experiment in ("table_mask_form", "table_attention", "table_unleash", "sweep_alpha_sigma")
        for sweep in _rec(experiment, places=GOLD_SPLITS)
    ),
    # ReCLIP, tables 2, 5, 7 and 8: both kinds of proposals, the size prior, and crop and blur maximised
    "reclip": (
        *_rec("table_reclip", "gt", ("rn50x16", "vit_b32", _RECLIP)),
        *_rec("table_reclip", "detected", ("rn50x16", "vit_b32", _RECLIP)),
        *_rec("table_reclip", "detected", (_RECLIP,), ("task.min_area=0.05",)),
        *_rec(
            "table_reclip", "detected", (_RECLIP,), ("prompt=crop_blur", "prompt.combine=max", "text=default"),
            (("rec/refcoco_plus", ("val",)), ("rec/refcocog", ("val",))),
        ),
    ),
    # RedCircle, tables 5 and 9; table 5's rows of ReCLIP; table 10's sizes, whose backbone it does not name
    "redcircle": (
        *_rec("table_redcircle", "detected", (_RED_CIRCLE,)),
        *_rec("table_redcircle", "detected", (_RECLIP,), ("prompt=crop_blur", "text=default,relations")),
        *_rec("sweep_marker_widths", "detected", ("vit_b32", _RED_CIRCLE), ("text=this_is",)),
    ),
    # RedCircle, table 7
    "redcircle_backbones": tuple(
        sweep
        for chosen in (("prompt=crop_blur", "text=default"), ("prompt=three_circles", "text=this_is_subtract"))
        for sweep in _rec("table_redcircle_backbones", "detected", (*_TOWERS, *_PAIRS), chosen)
    ),
    # FGVP, its README's tables: relations (R), subtraction (S), both, and single prompts, by SAM's masks of detections
    "fgvp": (
        *_fgvp(_RECLIP, "relations", "crop_shade,crop_blur,fgvp_p_c1", "fgvp_p_d4"),
        *_fgvp(_RED_CIRCLE, "subtract", "fgvp_c1_c3_c4,fgvp_p_c1_c3_c4", "fgvp_d1_d3_d4,fgvp_p_d1_d3_d4"),
        *_fgvp(_RED_CIRCLE, "relations_subtract", "fgvp_p_c1_c3_c4", "fgvp_p_d1_d3_d4"),
        *_fgvp(_RECLIP, "default", "fgvp_circle", "fgvp_blur_mask"),
        *_fgvp("vit_b32", "default", "fgvp_circle", "fgvp_blur_mask"),
    ),
    # Alpha-CLIP, table 4
    "alphaclip_rec": tuple(
        _rec("table_alphaclip_rec", "detected", ("alphaclip_b16_l14",), ("prompt=alpha_blur", "text=relations", _SAM))
    ),
    # Alpha-CLIP, table 2: what looks at the exact mask, and what at its box; squashed and cropped, as its code crops
    "alphaclip_imagenet_s": (
        *_masks(("vit_b16", "vit_l14"), "prompt=plain,red_circle,red_circle_blur"),
        *_masks(("vit_b16", "vit_l14"), "prompt=plain", "backbone.resize=crop"),
        *_masks(("vit_b16", "vit_l14"), "prompt=hard_mask", "task.dataset.region=mask"),
        *_masks(("alphaclip_b16", "alphaclip_l14"), "prompt=alpha", "task.dataset.region=mask"),
        *_masks(("alphaclip_b16", "alphaclip_l14"), "prompt=alpha", "task.dataset.region=mask", "backbone.resize=crop"),
    ),
    # PointCLIP; users report the 581 objects without background too. PointCLIP V2 with what it searched for each tower
    "pointclip": (
        *_clouds(_SEARCHED_TOWERS, "table_pointclip"),
        Sweep(
            "table_pointclip", "pointcloud/scanobjectnn", ("test",), "", ("rn50", "vit_b16"),
            ("task.dataset.variant=OBJ_ONLY",),
        ),
        *(
            Sweep("table_pointclip", f"pointcloud/{name}_v2", ("test",), "", (tower,), (f"task.released={tower}",))
            for tower in _SEARCHED_TOWERS for name in ("modelnet40", "scanobjectnn")
        ),
        *(
            Sweep(
                "table_pointclip", "pointcloud/scanobjectnn_v2", ("test",), "", (tower,),
                (f"task.released={tower}", "task.dataset.variant=OBJ_ONLY"),
            )
            for tower in ("rn50", "vit_b16")
        ),
    ),
}  # fmt: skip
"""What `make reproduce` asks for, by the names that TABLES=... takes."""
