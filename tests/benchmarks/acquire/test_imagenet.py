"""ImageNet-S images: copied from the user's ImageNet where a mask asks for them."""

import pytest
from small_pictures import noise

from benchmarks.acquire import imagenet, manifest
from benchmarks.acquire.assets import Options, acquire
from falip.errors import UserError

TOP = "imagenet_s/ImageNetS919"


@pytest.fixture
def options(tmp_path):
    root = tmp_path / "data"
    for place in ("n01440764/ILSVRC2012_val_00000293", "n01443537/ILSVRC2012_val_00000236"):
        mask = root / TOP / "validation-segmentation" / f"{place}.png"
        mask.parent.mkdir(parents=True)
        mask.write_bytes(b"mask")
    return Options(root, say=lambda _: None)


def test_the_image_of_each_mask_is_copied_from_wherever_it_lies(tmp_path, options):
    source = tmp_path / "ILSVRC2012"
    (source / "val").mkdir(parents=True)
    for number in (236, 293, 500):
        (source / "val" / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(noise(number))
    (source / "LOC_synset_mapping.txt").write_text("n01440764 tench, Tinca tinca\n")
    imagenet.copy_images(source, options)
    assert (options.root / "imagenet_s" / "LOC_synset_mapping.txt").is_file()
    images = options.root / TOP / "validation"
    assert {p.relative_to(images).as_posix(): p.read_bytes() for p in images.rglob("*.*")} == {
        "n01440764/ILSVRC2012_val_00000293.JPEG": noise(293),
        "n01443537/ILSVRC2012_val_00000236.JPEG": noise(236),
    }


def test_the_copied_images_are_recorded_and_nothing_else_of_the_folder_is(tmp_path, options, small):
    source = tmp_path / "ILSVRC2012"
    source.mkdir()
    for number in (236, 293):
        (source / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(noise(number))
    images = small("imagenet_s_images")
    imagenet.copy_images(source, options)
    with pytest.raises(UserError, match=r"LOC_synset_mapping.txt: 0 of 1 files"):
        acquire(images, options)
    (options.root / "imagenet_s" / "LOC_synset_mapping.txt").write_text("n01440764 tench, Tinca tinca\n")
    acquire(images, options)
    assert len(manifest.read(options.root / "imagenet_s").files) == 3


def test_what_is_lacking_is_named_and_nothing_is_copied(tmp_path, options):
    source = tmp_path / "ILSVRC2012"
    source.mkdir()
    (source / "ILSVRC2012_val_00000236.JPEG").write_bytes(b"236")
    with pytest.raises(UserError, match=r"lacks 1 of the 2 images that have a mask, such as ILSVRC2012_val_00000293"):
        imagenet.copy_images(source, options)
    assert not (options.root / TOP / "validation").exists()


def test_a_folder_that_is_not_there_is_an_error(tmp_path, options):
    with pytest.raises(UserError, match="no such folder"):
        imagenet.copy_images(tmp_path / "absent", options)
