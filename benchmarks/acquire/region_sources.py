"""Where the data sets of regions and of reviewed or other referring expressions come from."""

from __future__ import annotations

from benchmarks.acquire.declared import GB, HUB, MB, Archive, Asset, Expected

_REF_L4 = f"{HUB}/datasets/JierunChen/Ref-L4/resolve/main"
_COCO_2017 = "http://images.cocodataset.org"
_COCO_LICENCE = "CC BY 4.0 (annotations)"
_COCO_PAGE = "https://cocodataset.org"
_FLICKR = "Flickr's terms of use, each image by its owner's licence (cocodataset.org)"


def _coco_images(split: str, count: int, size: int) -> Asset:
    return Asset(
        name=f"coco_{split}",
        title=f"COCO {split[-4:]} images, {split[:-4]}",
        folder=split,
        inner=split,
        expected=(Expected("*.jpg", count, "cocodataset.org"),),
        archives=(Archive(f"{split}.zip", (f"{_COCO_2017}/zips/{split}.zip",), size=size, unpacked=size),),
        licence=_FLICKR,
        homepage=_COCO_PAGE,
    )


REGION_ASSETS = (
    _coco_images("val2017", 5_000, GB),
    _coco_images("train2017", 118_287, 18 * GB),
    Asset(
        name="coco_2017_instances",
        title="COCO 2017 instance annotations of the validation images",
        folder="coco_2017",
        inner="annotations",
        expected=(Expected("instances_val2017.json", 1),),
        archives=(
            Archive(
                "annotations_trainval2017.zip",
                (f"{_COCO_2017}/annotations/annotations_trainval2017.zip",),
                size=241 * MB,
                only=("annotations/instances_val2017.json",),
            ),
        ),
        licence=_COCO_LICENCE,
        homepage=_COCO_PAGE,
    ),
    Asset(
        name="coco_panoptic",
        title="COCO 2017 panoptic segments of the validation images",
        folder="coco_panoptic",
        inner="annotations",
        expected=(Expected("panoptic_val2017.json", 1), Expected("panoptic_val2017.zip", 1)),
        archives=(
            Archive(
                "panoptic_annotations_trainval2017.zip",
                (f"{_COCO_2017}/annotations/panoptic_annotations_trainval2017.zip",),
                size=821 * MB,
                only=("annotations/panoptic_val2017.json", "annotations/panoptic_val2017.zip"),
            ),
        ),
        licence=_COCO_LICENCE,
        homepage=_COCO_PAGE,
    ),
    Asset(
        name="lvis",
        title="LVIS v1 annotations, validation",
        folder="lvis",
        expected=(Expected("lvis_v1_val.json", 1),),
        archives=(Archive("lvis_v1_val.json.zip", ("https://dl.fbaipublicfiles.com/LVIS/lvis_v1_val.json.zip",)),),
        homepage="https://www.lvisdataset.org",
    ),
    Asset(
        name="fg_ovd",
        title="FG-OVD's captions of boxes, as FG-CLIP evaluates them",
        folder="fg_ovd",
        expected=(Expected("*_llava.jsonl", 4, "360CVGroup/FG-CLIP v1.0, data/fgovd"),),
        homepage="https://github.com/360CVGroup/FG-CLIP",
        steps=(
            "Copy the four files data/fgovd/*_llava.jsonl of https://github.com/360CVGroup/FG-CLIP (version 1.0) into "
            "{folder}; for FG-OVD's own files also benchmarks/*.json of https://github.com/lorebianchi98/FG-OVD.",
            "Run `falip data fg_ovd` again, and `falip data coco_train2017` for other pictures.",
        ),
    ),
    Asset(
        name="ref_l4",
        title="Ref-L4: expressions and pictures",
        folder="ref_l4",
        expected=(Expected("ref-l4-*.parquet", 2), Expected("images/*", 1)),
        archives=(
            *(
                Archive(f"ref-l4-{split}.parquet", (f"{_REF_L4}/ref-l4-{split}.parquet",), plain=True)
                for split in ("val", "test")
            ),
            Archive("images.tar.gz", (f"{_REF_L4}/images.tar.gz",), folder="images"),
        ),
        licence="CC BY-NC 4.0",
        homepage=f"{HUB}/datasets/JierunChen/Ref-L4",
    ),
    Asset(
        name="ref_l4_reviewed",
        title="The verdicts of Ref-L4's authors on RefCOCO, RefCOCO+ and RefCOCOg",
        folder="ref_l4_reviewed",
        expected=(Expected("*_reviewed.json", 8),),
        archives=tuple(
            Archive(f"{name}_reviewed.json", (f"{_REF_L4}/refcocos_annotation_reviewed/{name}_reviewed.json",), plain=True)
            for name in (
                *(f"{data}_{split}" for data in ("refcoco", "refcoco+") for split in ("val", "testA", "testB")),
                *(f"refcocog_{split}" for split in ("val", "test")),
            )
        ),
        licence="CC BY-NC 4.0",
        homepage=f"{HUB}/datasets/JierunChen/Ref-L4",
    ),
    Asset(
        name="refcoco_m",
        title="RefCOCO-M: RefCOCO's validation split with finer masks",
        folder="refcoco_m",
        expected=(Expected("**/validation-*.parquet", 1),),
        licence="MIT",
        homepage=f"{HUB}/datasets/moondream/refcoco-m",
        steps=(
            "Download its files (610 MB): hf download moondream/refcoco-m --repo-type dataset --local-dir {folder}",
            "Run `falip data refcoco_m` again: it records the files.",
        ),
    ),
    Asset(
        name="grefcoco",
        title="gRefCOCO: expressions of one object, several, or none",
        folder="grefcoco",
        expected=(Expected("grefs(unc).json", 1), Expected("instances.json", 1)),
        homepage="https://github.com/henghuiding/gRefCOCO",
        steps=(
            "Download grefs(unc).json and instances.json from the addresses in https://github.com/henghuiding/gRefCOCO.",
            "Put them into {folder}, and the pictures of COCO's train2014 beside it.",
            "Run `falip data grefcoco` again: it records the files.",
        ),
    ),
)
