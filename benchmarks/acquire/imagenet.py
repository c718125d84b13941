"""The images of ImageNet-S that have a mask, and the names, from the user's own copy of ImageNet-1k."""

from __future__ import annotations

from pathlib import Path

from benchmarks.acquire.assets import Options, locked
from benchmarks.acquire.disk import copy, make_folder, require_space
from benchmarks.acquire.sources import ASSETS, IMAGENET_NAMES, IMAGENET_S_IMAGES
from falip.errors import UserError


def copy_images(source: Path, options: Options) -> None:
    """Copy the image of every mask from a folder (searched with all its subfolders) to where ImageNet-S has it.

    A mask <class>/<name>.png belongs to the image <name>.JPEG; images that are there already are kept.
    LOC_synset_mapping.txt is copied, too, where the folder has it.

    Raises:
        UserError: The folder or some images are missing.
    """
    masks = options.root / ASSETS["imagenet_s_masks"].folder
    top = options.root / ASSETS["imagenet_s_images"].folder
    images = top / IMAGENET_S_IMAGES
    if not source.is_dir():
        raise UserError(f"--imagenet {source}: there is no such folder.")
    wanted = {f"{m.parent.name}/{m.stem}.JPEG": m.stem for m in masks.glob("n*/*.png")}
    left = {place: stem for place, stem in wanted.items() if not (images / place).is_file()}
    have = {path.stem: path for path in source.rglob("*.JPEG")}
    lacking = sorted(stem for stem in left.values() if stem not in have)
    if lacking:
        raise UserError(
            f"--imagenet {source} lacks {len(lacking)} of the {len(wanted)} images that have a mask, such as "
            f"{lacking[0]}.JPEG. It must hold all of ILSVRC2012's validation images."
        )
    options.say(f"imagenet_s_images: {len(left)} of {len(wanted)} images to copy from {source}")
    if options.dry_run:
        return
    with locked(options.root, "imagenet_s_images"):
        make_folder(images)
        require_space(images, sum(have[stem].stat().st_size for stem in left.values()), "copying the images")
        for place, stem in left.items():
            copy(have[stem], images / place)
        names = next(source.rglob(IMAGENET_NAMES), None)
        if names is not None and not (top / IMAGENET_NAMES).is_file():
            copy(names, top / IMAGENET_NAMES)
