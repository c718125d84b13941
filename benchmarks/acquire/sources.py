"""Where every data set and every set of weights comes from: the one declaration that the rest of the package reads.

Sizes are approximate and serve the plan and the check of free disk only; None means that no source states one.
"""

from __future__ import annotations

import os

from benchmarks.acquire.declared import GB, HUB, MB, Archive, Asset, Expected, Recipe
from benchmarks.acquire.region_sources import REGION_ASSETS

_RECLIP = Asset(
    name="reclip_data",
    title="ReCLIP's annotations of RefCOCO, RefCOCO+, RefCOCOg and MAttNet's detections",
    folder="reclip_data",
    inner="reclip_data",
    # File names: allenai/reclip README.md and ylingfeng/FGVP fgvp-reclip/cmds.
    expected=(
        *(Expected(f"{name}_{part}.jsonl", 1) for name in ("refcoco", "refcoco+") for part in ("val", "testa", "testb")),
        *(Expected(f"refcocog_{part}.jsonl", 1) for part in ("val", "test")),
        *(Expected(f"{name}_dets_dict.json", 1) for name in ("refcoco", "refcoco+", "refcocog")),
    ),
    archives=(
        Archive(
            "reclip_data.tar.gz",
            (
                # The authors' bucket (allenai/reclip README.md) is reported gone: allenai/reclip issues 10 and 12.
                "https://storage.googleapis.com/reclip-sanjays/reclip_data.tar.gz",
                # A copy named by users: Show-han/Zeroshot_REC issue 5.
                f"{HUB}/datasets/CresCat01/RefCOCO-Triplets/resolve/main/reclip_data.tar.gz",
            ),
        ),
    ),
    homepage="https://github.com/allenai/reclip",
)

_COCO_INSTANCES = Asset(
    name="coco_instances",
    title="COCO 2014 instance annotations of the training images",
    folder="annotations",
    inner="annotations",
    expected=(Expected("instances_train2014.json", 1),),
    archives=(
        Archive(
            "annotations_trainval2014.zip",
            ("http://images.cocodataset.org/annotations/annotations_trainval2014.zip",),
            size=252 * MB,
            unpacked=340 * MB,
            only=("annotations/instances_train2014.json",),
        ),
    ),
    licence="CC BY 4.0 (annotations)",
    homepage="https://cocodataset.org",
)

_CUB = Asset(
    name="cub",
    title="CUB-200-2011",
    folder="CUB_200_2011",
    inner="CUB_200_2011",
    expected=(
        *(
            Expected(f"{name}.txt", 1)
            for name in ("images", "image_class_labels", "train_test_split", "bounding_boxes", "classes")
        ),
        Expected("images/*/*.jpg", 11_788, "official page"),
    ),
    archives=(
        Archive(
            "CUB_200_2011.tgz",
            ("https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz?download=1",),
            size=1_150 * MB,
            unpacked=1_200 * MB,
            # Stated by several public loaders of the official file, such as TDeVries/cub2011_dataset.
            digest="md5:97eceeb196236b17998738112f37df78",
        ),
    ),
    homepage="https://www.vision.caltech.edu/datasets/cub_200_2011",
)

_SPAIR = Asset(
    name="spair",
    title="SPair-71k: keypoints of 18 kinds of objects",
    folder="SPair-71k",
    inner="SPair-71k",
    # Numbers of images and of pairs: the data set's README.
    expected=(
        *(Expected(f"Layout/large/{split}.txt", 1) for split in ("trn", "val", "test")),
        Expected("ImageAnnotation/*/*.json", 1_800, "SPair-71k's README"),
        Expected("JPEGImages/*/*.jpg", 1_800, "SPair-71k's README"),
    ),
    archives=(Archive("SPair-71k.tar.gz", ("https://cvlab.postech.ac.kr/research/SPair-71k/data/SPair-71k.tar.gz",)),),
    homepage="https://cvlab.postech.ac.kr/research/SPair-71k/",
)

_PROBE3D = "https://raw.githubusercontent.com/mbanani/probe3d/1fff822de8b46a91cc63ef94925929c0395ef6ac/data_processing"
_SPAIR_NAMES = Asset(
    name="spair_names",
    title="Names of SPair-71k's keypoints, as the authors of probe3d annotated them",
    folder="spair_names",
    expected=(Expected("spair_keypoint_names.csv", 1),),
    archives=(Archive("spair_keypoint_names.csv", (f"{_PROBE3D}/spair_keypoint_names.csv",), plain=True),),
    licence="MIT",
    homepage="https://github.com/mbanani/probe3d",
)

_DOGS_BASE = "http://vision.stanford.edu/aditya86/ImageNetDogs"
_DOGS = Asset(
    name="stanford_dogs",
    title="Stanford Dogs",
    folder="stanford_dogs",
    expected=(
        Expected("lists/train_list.mat", 1),
        Expected("lists/test_list.mat", 1),
        Expected("Images/*/*.jpg", 20_580, "official page"),
        Expected("Annotation/*/*", 20_580, "one for each image"),
    ),
    archives=(
        Archive("lists.tar", (f"{_DOGS_BASE}/lists.tar",), folder="lists", size=MB // 2),
        Archive("annotation.tar", (f"{_DOGS_BASE}/annotation.tar",), size=22 * MB, unpacked=90 * MB),
        Archive("images.tar", (f"{_DOGS_BASE}/images.tar",), size=794 * MB, unpacked=800 * MB),
    ),
    homepage=f"{_DOGS_BASE}/",
)

_WATERBIRDS = Asset(
    name="waterbirds",
    title="Waterbirds (95 % of the birds on their own background)",
    folder="waterbird_complete95_forest2water2",
    inner="waterbird_complete95_forest2water2",
    expected=(Expected("metadata.csv", 1), Expected("*/*.jpg", 11_788, "the pictures of CUB-200-2011")),
    archives=(
        Archive(
            "waterbird_complete95_forest2water2.tar.gz",
            # kohpangwei/group_DRO README.md
            ("https://nlp.stanford.edu/data/dro/waterbird_complete95_forest2water2.tar.gz",),
        ),
    ),
    homepage="https://github.com/kohpangwei/group_DRO",
)

_IMAGENET_S_FILE = "ImageNetS919-5f7f58ae1003d21da9409a8576bf7680.zip"
_IMAGENET_S_MASKS = Asset(
    name="imagenet_s_masks",
    title="ImageNet-S (919 classes): masks of the validation images",
    folder="imagenet_s/ImageNetS919/validation-segmentation",
    inner="validation-segmentation",
    expected=(Expected("n*/*.png", 12_419, "LUSSeg/ImageNet-S README.md"),),
    archives=(
        Archive(
            _IMAGENET_S_FILE,
            # LUSSeg/ImageNet-S datapreparation/datapreparation_anno.sh
            (f"https://github.com/LUSSeg/ImageNet-S/releases/download/ImageNet-S/{_IMAGENET_S_FILE}",),
        ),
    ),
    homepage="https://github.com/LUSSeg/ImageNet-S",
)

IMAGENET_S_IMAGES = "ImageNetS919/validation"
"""Below the folder of `imagenet_s_images`."""
IMAGENET_NAMES = "LOC_synset_mapping.txt"
"""ImageNet-1k's own list of synsets and their lemmas, from which classes are named."""

_IMAGENET_S_IMAGES = Asset(
    name="imagenet_s_images",
    title="ImageNet-S (919 classes): the validation images and the names, a part of ImageNet-1k",
    folder="imagenet_s",
    expected=(
        Expected(f"{IMAGENET_S_IMAGES}/n*/*.JPEG", 12_419, "LUSSeg/ImageNet-S README.md"),
        Expected(IMAGENET_NAMES, 1),
    ),
    licence="ImageNet's terms of access: non-commercial research and education",
    homepage="https://image-net.org/download.php",
    steps=(
        "Ask for access to ILSVRC2012 at https://image-net.org/download.php (or at Kaggle, competition "
        "imagenet-object-localization-challenge) and accept the terms.",
        "Download and unpack the validation images (6.3 GB) into any folder DIR, with LOC_synset_mapping.txt, which comes "
        "with Kaggle's copy.",
        "Run `falip data imagenet_s --imagenet DIR`: it copies the names and the images that have a mask. Or "
        "prepare {folder} with datapreparation/data_preparation.sh of LUSSeg/ImageNet-S, put LOC_synset_mapping.txt into "
        "it, and run `falip data imagenet_s`.",
    ),
)

_MODELNET40 = Asset(
    name="modelnet40",
    title="ModelNet40, 2,048 points for each object",
    folder="modelnet40_ply_hdf5_2048",
    inner="modelnet40_ply_hdf5_2048",
    expected=(
        Expected("shape_names.txt", 1),
        Expected("test_files.txt", 1),
        Expected("ply_data_test*.h5", 2, "charlesq34/pointnet"),
    ),
    archives=(
        Archive(
            "modelnet40_ply_hdf5_2048.zip",
            (
                # Its certificate has expired, which is not overridden here: charlesq34/pointnet issue 308.
                "https://shapenet.cs.stanford.edu/media/modelnet40_ply_hdf5_2048.zip",
                f"{HUB}/datasets/Msun/modelnet40/resolve/main/modelnet40_ply_hdf5_2048.zip",
            ),
            size=435 * MB,
            unpacked=500 * MB,
        ),
    ),
    homepage="https://modelnet.cs.princeton.edu",
)

_SCANOBJECTNN = Asset(
    name="scanobjectnn",
    title="ScanObjectNN, processed h5 files",
    folder="scanobjectnn",
    # Names of the variants: hkust-vgd/scanobjectnn README.md; numbers of objects: the card of jxie/scanobjectnn.
    expected=(
        Expected("**/main_split/test_objectdataset.h5", 1, rows=581),
        Expected("**/main_split/test_objectdataset_augmentedrot_scale75.h5", 1, rows=2_882),
        Expected("**/main_split_nobg/test_objectdataset.h5", 1, rows=581),
        Expected("**/main_split*/*.h5", 3),
    ),
    licence="by request; the authors' terms of use",
    homepage="https://hkust-vgd.github.io/scanobjectnn/",
    steps=(
        "Ask the authors for the data with the form at https://hkust-vgd.github.io/scanobjectnn/ and accept its terms.",
        "Download and unpack h5_files.zip.",
        "Put its folders main_split and main_split_nobg into {folder}.",
        "Run `falip data scanobjectnn` again: it verifies the files and writes the manifest.",
    ),
)

_ALPHA_FILES = ("clip_b16_grit+mim_fultune_4xe.pth", "clip_l14_grit+mim_fultune_6xe.pth")
_ALPHACLIP = Asset(
    name="alphaclip",
    title="Alpha-CLIP's vision towers of ViT-B/16 and ViT-L/14, trained on GRIT-1M and MIM",
    folder="alphaclip",
    expected=tuple(Expected(file, 1) for file in _ALPHA_FILES),
    # SunzeY/AlphaCLIP model-zoo.md, which has them on Google Drive too.
    archives=tuple(
        Archive(file, (f"https://download.openxlab.org.cn/models/SunzeY/AlphaCLIP/weight/{file}",), plain=True)
        for file in _ALPHA_FILES
    ),
    licence="research only, and as CLIP's own (the repository's README; its code: Apache 2.0)",
    homepage="https://github.com/SunzeY/AlphaCLIP/blob/main/model-zoo.md",
    steps=(
        "Where the address does not answer, take both files from the Google Drive links of the homepage, put them into "
        "{folder} and run the command again: it verifies them and writes the manifest.",
    ),
)

ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        *REGION_ASSETS,
        _RECLIP,
        _COCO_INSTANCES,
        _CUB,
        _SPAIR,
        _SPAIR_NAMES,
        _DOGS,
        _WATERBIRDS,
        _IMAGENET_S_MASKS,
        _IMAGENET_S_IMAGES,
        _MODELNET40,
        _SCANOBJECTNN,
        _ALPHACLIP,
    )
}

_VAL_A_B = ("val", "testA", "testB")
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("refcoco", ("reclip_data",), tuple((s, f"refcoco_{s.lower()}.jsonl") for s in _VAL_A_B)),
        Recipe("refcoco_plus", ("reclip_data",), tuple((s, f"refcoco+_{s.lower()}.jsonl") for s in _VAL_A_B)),
        Recipe("refcocog", ("reclip_data",), tuple((s, f"refcocog_{s}.jsonl") for s in ("val", "test"))),
        Recipe("cub", ("cub",)),
        Recipe("spair", ("spair", "spair_names")),
        Recipe("stanford_dogs", ("stanford_dogs",)),
        # The boxes of Waterbirds are those of CUB: its birds are CUB's, pasted in place.
        Recipe("waterbirds", ("waterbirds", "cub")),
        Recipe("imagenet_s", ("imagenet_s_masks", "imagenet_s_images")),
        Recipe("coco_panoptic", ("coco_panoptic", "coco_val2017")),
        Recipe("coco_boxes", ("coco_2017_instances", "coco_val2017")),
        Recipe("lvis_boxes", ("lvis", "coco_val2017")),
        Recipe("fg_ovd", ("fg_ovd", "coco_val2017")),
        Recipe("coco_train2017", ("coco_train2017",)),
        Recipe("ref_l4", ("ref_l4",)),
        Recipe("ref_l4_reviewed", ("ref_l4_reviewed",)),
        Recipe("refcoco_m", ("refcoco_m",)),
        Recipe("grefcoco", ("grefcoco",)),
        Recipe("modelnet40", ("modelnet40",)),
        Recipe("scanobjectnn", ("scanobjectnn",)),
        Recipe("alphaclip", ("alphaclip",)),
    )
}

COCO_IMAGES_FOLDER = "train2014"
COCO_IMAGES_BASE = "http://images.cocodataset.org/train2014"
COCO_IMAGES_LICENCE = "Flickr's terms of use, each image by its owner's licence (cocodataset.org)"
COCO_IMAGE_SIZE = 165_000
"""Bytes of one image, about: train2014.zip is 13 GB for 82,783 images."""

WEIGHTS_LICENCE = "that of the repository on the hub (OpenAI's CLIP states none there; its code: MIT)"
REVISIONS: dict[str, str] = {
    "openai/clip-vit-base-patch32": "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268",
    "openai/clip-vit-base-patch16": "57c216476eefef5ab752ec549e440a49ae4ae5f3",
    "openai/clip-vit-large-patch14": "32bd64288804d66eefd0ccbe215aa642df71cc41",
    "openai/clip-vit-large-patch14-336": "ce19dc912ca5cd21c8a653c79e251e808ccabcd1",
}
"""The hub revision that each set of weights is pinned to; any other repository's first revision is recorded."""


def mirrors(file: str, urls: tuple[str, ...], mirror: str | None) -> tuple[str, ...]:
    """All addresses of a file in the order of trying: the user's mirror, then the declared ones.

    The environment variable HF_ENDPOINT replaces the hub's address, as it does for huggingface_hub.
    """
    hub = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    declared = tuple(hub + url.removeprefix(HUB) if url.startswith(f"{HUB}/") else url for url in urls)
    return (f"{mirror.rstrip('/')}/{file}", *declared) if mirror else declared


def human(size: int | None) -> str:
    """A number of bytes for people, such as "1.15 GB"; "size not stated" for None."""
    if size is None:
        return "size not stated"
    for unit, divisor in (("GB", GB), ("MB", MB), ("kB", 1_000)):
        if size >= divisor:
            return f"{size / divisor:.3g} {unit}"
    return f"{size} B"
