"""ImageNet-S in its official form and as a list of run-length masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as run_length

from benchmarks.data.imagenet_s import ImageNetS, class_ids
from benchmarks.data.samples import Dataset
from falip.errors import UserError

COMMAND = "falip data imagenet_s"
SYNSETS = ["n01440764", "n01484850", "n04355933"]
WIDTH, HEIGHT = 12, 8


def class_map(label: int) -> np.ndarray:
    """A mask of the official form: the class in rows 2-4, columns 3-8, others (0), and an ignored strip (1000)."""
    ids = np.zeros((HEIGHT, WIDTH), dtype=np.int64)
    ids[2:5, 3:9] = label
    ids[2, 3] = 0
    ids[7, :] = 1000
    return ids


def save_map(path: Path, ids: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = np.stack([ids % 256, ids // 256, np.zeros_like(ids)], axis=-1).astype(np.uint8)
    Image.fromarray(channels).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    base = tmp_path / "imagenet_s" / "ImageNetS919"
    # Written in another order than sorted; the labels are those of sorted synsets, from 1.
    for label, synset in reversed(list(enumerate(SYNSETS, start=1))):
        picture = base / "validation" / synset / f"ILSVRC2012_val_0000000{label}.JPEG"
        picture.parent.mkdir(parents=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(picture, format="JPEG")
        save_map(base / "validation-segmentation" / synset / f"ILSVRC2012_val_0000000{label}.png", class_map(label))
    (tmp_path / "imagenet_s" / "LOC_synset_mapping.txt").write_text(
        "n01440764 tench, Tinca tinca\nn01484850 great white shark, white shark\nn04355933 sunglass\nn99999999 other, one\n"
    )
    (tmp_path / "imagenet_s" / "clip_classes.txt").write_text(
        "n04355933 sunglasses\nn01440764 tench\nn01484850 great white shark\n"
    )
    return tmp_path


def small(root: Path, **options: Any) -> ImageNetS:
    return ImageNetS(str(root), contract=False, **options)


def expected_mask() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[2:5, 3:9] = True
    mask[2, 3] = False
    return mask


def test_classes_are_numbered_by_sorted_synset_from_one(root: Path) -> None:
    data: Dataset = small(root, region="mask")
    assert data.class_names == ("tench", "great_white_shark", "sunglass")
    for i in range(3):
        sample = data.load(i)
        query = sample.queries[0]
        assert (query.label, query.text) == (i, data.class_names[i])
        assert query.id == f"{SYNSETS[i]}/ILSVRC2012_val_0000000{i + 1}"
        np.testing.assert_array_equal(sample.pictures[0].regions[0].mask, expected_mask())


def test_new_classes_keep_the_masks_that_are_numbered_among_all(root: Path) -> None:
    base, new = (small(root, region="mask", classes=part) for part in ("base", "new"))
    assert (base.class_names, new.class_names) == (("tench", "great_white_shark"), ("sunglass",))
    assert [info.id for info in [*base.index, *new.index]] == [info.id for info in small(root).index]
    sample = new.load(0)
    assert (sample.queries[0].label, sample.queries[0].text) == (0, "sunglass")
    np.testing.assert_array_equal(sample.pictures[0].regions[0].mask, expected_mask())
    assert new.identity["classes"] == "new" and "classes" not in small(root).identity


def test_the_box_region_is_the_bounding_box_of_the_mask(root: Path) -> None:
    (region,) = small(root, region="box").load(0).pictures[0].regions
    assert region.mask is None
    assert region.boxes == ((3.0, 2.0, 9.0, 5.0),)


def test_class_ids_use_red_and_green() -> None:
    picture = Image.new("RGB", (2, 1))
    picture.putpixel((0, 0), (232, 3, 77))
    picture.putpixel((1, 0), (140, 2, 0))
    assert class_ids(picture).tolist() == [[1000, 652]]


def test_ignored_pixels_are_not_the_class_numbered_like_their_low_byte(root: Path) -> None:
    # 1000 = 232 + 3 * 256; a mask of only ignored pixels has no pixel of class 1.
    path = root / "imagenet_s/ImageNetS919/validation-segmentation" / SYNSETS[0] / "ILSVRC2012_val_00000001.png"
    save_map(path, np.full((HEIGHT, WIDTH), 1000))
    with pytest.raises(UserError, match=r"00000001\.png has no pixel of class 1 \(n01440764.*found 1000"):
        small(root).load(0)


def test_the_names_of_clip_are_read_from_their_own_file(root: Path) -> None:
    wordnet, clip = small(root), small(root, names="clip")
    assert clip.class_names == ("tench", "great white shark", "sunglasses")
    assert clip.identity != wordnet.identity


def test_a_merged_synset_counts_as_the_one_that_was_kept(root: Path) -> None:
    base = root / "imagenet_s" / "ImageNetS919"
    picture = base / "validation" / "n04356056" / "ILSVRC2012_val_00000009.JPEG"
    picture.parent.mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(picture, format="JPEG")
    save_map(base / "validation-segmentation" / "n04356056" / "ILSVRC2012_val_00000009.png", class_map(3))
    data = small(root)
    assert len(data.class_names) == 3
    assert data.load(3).queries[0].text == "sunglass"


@pytest.fixture
def listed(root: Path) -> Path:
    """The list form, grouped by class in an order that is not sorted."""
    entries = []
    for label in (3, 1, 2):
        code: Any = run_length.encode(np.asfortranarray(class_map(label) == label).astype(np.uint8))
        name = f"{SYNSETS[label - 1]}/ILSVRC2012_val_0000000{label}.JPEG"
        entries.append(
            {
                "category_word": SYNSETS[label - 1],
                "image_pth": f"imagenet_s/ImageNetS919/validation/{name}",
                "mask": {"size": list(code["size"]), "counts": code["counts"].decode()},
            }
        )
    path = root / "imagenet_919.json"
    path.write_text(json.dumps(entries))
    return path


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with NumPy 2
def test_the_list_form_numbers_classes_by_sorted_synset_too(root: Path, listed: Path) -> None:
    data = small(root, region="mask", annotations=str(listed))
    assert data.class_names == small(root).class_names
    assert [data.load(i).queries[0].label for i in range(3)] == [2, 0, 1]
    np.testing.assert_array_equal(data.load(0).pictures[0].regions[0].mask, expected_mask())
    assert data.identity != small(root, region="mask").identity


def test_a_broken_list_is_named(root: Path, listed: Path) -> None:
    entries = json.loads(listed.read_text())
    entries[1]["mask"] = "none"
    listed.write_text(json.dumps(entries))
    with pytest.raises(UserError, match=r"imagenet_919\.json, entry 1: the mask is not in COCO's compressed run lengths"):
        small(root, annotations=str(listed)).load(1)
    del entries[2]["category_word"]
    listed.write_text(json.dumps(entries))
    with pytest.raises(UserError, match=r"entry 2: the key 'category_word' is missing"):
        _ = small(root, annotations=str(listed)).index
    listed.write_text(listed.read_text()[:-5])
    with pytest.raises(UserError, match=rf"imagenet_919\.json is not valid JSON.*{COMMAND}"):
        _ = small(root, annotations=str(listed)).index


def test_the_published_numbers_are_required(root: Path) -> None:
    with pytest.raises(UserError, match=rf"has 3 samples, but 12419 are expected .*{COMMAND}"):
        _ = ImageNetS(str(root)).index


def test_a_mask_of_another_size_is_refused(root: Path) -> None:
    path = root / "imagenet_s/ImageNetS919/validation-segmentation" / SYNSETS[0] / "ILSVRC2012_val_00000001.png"
    save_map(path, class_map(1)[:, :-1])
    with pytest.raises(UserError, match=rf"00000001\.png: the mask is 11 x 8 pixels and its picture .* 12 x 8.*{COMMAND}"):
        small(root).load(0)


def test_missing_files_are_named_with_the_mend(root: Path) -> None:
    base = root / "imagenet_s"
    (base / "ImageNetS919/validation-segmentation" / SYNSETS[1] / "ILSVRC2012_val_00000002.png").unlink()
    with pytest.raises(UserError, match=rf"00000002\.png is missing.*{COMMAND}"):
        small(root).load(1)
    (base / "LOC_synset_mapping.txt").write_text("n01440764 tench\n")
    with pytest.raises(UserError, match=r"LOC_synset_mapping\.txt has no name for 2 of 3 classes, such as n01484850"):
        _ = small(root).class_names
    (base / "LOC_synset_mapping.txt").unlink()
    with pytest.raises(UserError, match=r"LOC_synset_mapping\.txt is missing. To mend it, copy"):
        _ = small(root).class_names
    with pytest.raises(UserError, match=r"task\.dataset\.region=hull\) is unknown. Choose one of: box, mask"):
        small(root, region="hull")


def test_the_identity_follows_the_masks_and_the_region(root: Path) -> None:
    before = small(root).identity
    assert small(root).identity == before
    assert small(root, region="mask").identity != before
    path = root / "imagenet_s/ImageNetS919/validation-segmentation" / SYNSETS[0] / "ILSVRC2012_val_00000001.png"
    save_map(path, np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH))
    assert small(root).identity != before
