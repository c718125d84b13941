"""COCO images: only those of the chosen splits, one by one, resumed."""

import json
from dataclasses import replace

import pytest
from small_pictures import noise

from benchmarks.acquire import coco, manifest
from benchmarks.acquire.assets import Options
from benchmarks.acquire.sources import RECIPES
from falip.errors import UserError

REFCOCO = RECIPES["refcoco"]
NAMES = [f"COCO_train2014_{i:012d}.jpg" for i in range(5)]


def jpeg(name: str) -> bytes:
    return noise(NAMES.index(name))


@pytest.fixture
def options(tmp_path, server, monkeypatch):
    """Two splits: val asks about the images 0, 1, 2 (one twice), testA about 2, 3, 4."""
    monkeypatch.setattr(coco, "COCO_IMAGES_BASE", f"{server.base}/coco/train2014")
    root = tmp_path / "data"
    (root / "reclip_data").mkdir(parents=True)
    for part, images in (("val", [0, 1, 1, 2]), ("testa", [2, 3, 4])):
        lines = (json.dumps({"file_name": NAMES[i].replace(".jpg", f"_{i}7.jpg")}) for i in images)
        (root / "reclip_data" / f"refcoco_{part}.jsonl").write_text("\n".join(lines) + "\n")
    for name in NAMES:
        server.add(f"coco/train2014/{name}", jpeg(name))
    said: list[str] = []
    made = Options(root, say=said.append)
    object.__setattr__(made, "said", said)
    return made


def there(options):
    return sorted(path.name for path in (options.root / "train2014").glob("*.jpg"))


def test_only_the_images_of_the_chosen_split_are_fetched_each_once(server, options):
    coco.acquire_images(REFCOCO, ["val"], options)
    assert there(options) == NAMES[:3]
    assert (options.root / "train2014" / NAMES[1]).read_bytes() == jpeg(NAMES[1])
    assert len(server.asked) == 3
    recorded = manifest.read(options.root / "train2014")
    assert recorded.parts == {"refcoco/val": 3} and sorted(recorded.files) == NAMES[:3]


def test_a_further_split_fetches_what_is_lacking_and_the_same_call_nothing(server, options):
    coco.acquire_images(REFCOCO, ["val"], options)
    coco.acquire_images(REFCOCO, ["testA"], options)
    assert len(server.asked) == 5
    assert manifest.read(options.root / "train2014").parts == {"refcoco/val": 3, "refcoco/testA": 3}
    coco.acquire_images(REFCOCO, ["val", "testA"], options)
    assert len(server.asked) == 5 and "nothing to do" in options.said[-1]


def test_a_dry_run_tells_the_number_and_writes_nothing(server, options):
    coco.acquire_images(REFCOCO, ["val", "testA"], replace(options, dry_run=True))
    assert "5 images for refcoco/val, refcoco/testA, 5 to download, about 825 kB" in options.said[0]
    assert "licence" in options.said[1]
    assert not server.asked and not (options.root / "train2014").exists()


def test_an_image_cut_short_is_not_taken_and_the_next_call_fetches_only_that_one(server, options):
    server.content[f"/coco/train2014/{NAMES[1]}"].cuts = [10] * 10
    with pytest.raises(UserError, match=rf"1 images could not be downloaded[\s\S]*{NAMES[1]}[\s\S]*to continue"):
        coco.acquire_images(REFCOCO, ["val"], options)
    assert there(options) == [NAMES[0], NAMES[2]]
    assert manifest.read(options.root / "train2014") is None
    server.asked.clear()
    server.content[f"/coco/train2014/{NAMES[1]}"].cuts = []
    coco.acquire_images(REFCOCO, ["val"], options)
    assert there(options) == NAMES[:3]
    assert {path for path, _ in server.asked} == {f"/coco/train2014/{NAMES[1]}"}


def test_a_dead_mirror_is_reported_once_and_passed_over(dead_base, options):
    coco.acquire_images(REFCOCO, ["val"], replace(options, mirror=dead_base))
    assert there(options) == NAMES[:3]
    assert len([line for line in options.said if line.startswith(f"passed over {dead_base}/train2014/")]) == 1


def test_a_server_that_is_down_is_given_up_early(server, options, monkeypatch):
    monkeypatch.setattr(coco, "GIVE_UP_AFTER", 2)
    monkeypatch.setattr(coco, "WORKERS", 1)
    server.content.clear()
    with pytest.raises(UserError, match=r"2 images could not be downloaded \(given up there\)"):
        coco.acquire_images(REFCOCO, ["val", "testA"], options)
    assert len(server.asked) == 2


def test_what_is_no_jpeg_is_refused(server, options):
    server.add(f"coco/train2014/{NAMES[0]}", b"GIF89a")
    with pytest.raises(UserError, match="is not a JPEG"):
        coco.acquire_images(REFCOCO, ["val"], options)
    assert NAMES[0] not in there(options)


def test_images_of_the_users_own_copy_are_kept(server, options):
    (options.root / "train2014").mkdir()
    (options.root / "train2014" / NAMES[0]).write_bytes(noise(77))
    coco.acquire_images(REFCOCO, ["val"], options)
    assert len(server.asked) == 2
    assert (options.root / "train2014" / NAMES[0]).read_bytes() == noise(77)


def test_a_damaged_image_is_fetched_again_and_must_be_the_same(server, options):
    coco.acquire_images(REFCOCO, ["val"], options)
    image = options.root / "train2014" / NAMES[2]
    image.write_bytes(b"\xff\xd8")
    coco.acquire_images(REFCOCO, ["val"], options)
    assert image.read_bytes() == jpeg(NAMES[2])
    image.unlink()
    server.add(f"coco/train2014/{NAMES[2]}", noise(78))
    with pytest.raises(UserError, match="expected"):
        coco.acquire_images(REFCOCO, ["val"], options)
    assert not image.exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"file_name": "COCO_train2014_0000', "line 2 is not one of ReCLIP's"),
        ('{"image_id": 3}', "line 2 is not one of ReCLIP's"),
        ('{"file_name": "../../etc/passwd.jpg"}', "not that of a COCO train2014 image"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(options, line, said):
    path = options.root / "reclip_data" / "refcoco_val.jsonl"
    path.write_text(json.dumps({"file_name": NAMES[0]}) + "\n" + line + "\n")
    with pytest.raises(UserError, match=said):
        coco.acquire_images(REFCOCO, ["val"], options)
