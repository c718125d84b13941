"""DomainBed's layout: domains as slices, held-out pictures, base and new classes."""

import pytest
from PIL import Image
from small_jobs import small_job

from benchmarks.data.domainbed import DomainBed
from falip.errors import UserError

CLASSES = ("cat", "dog", "red_dog")


@pytest.fixture
def root(tmp_path):
    for domain in ("art", "photo", "sketch"):
        for name in CLASSES:
            folder = tmp_path / "data" / "PACS" / domain / name
            folder.mkdir(parents=True)
            for i in range(5):
                Image.new("RGB", (20, 12), (i * 40, 0, 0)).save(folder / f"{i}.png")
    return tmp_path / "data"


def _ids(root, **settings):
    return [info.id for info in DomainBed(str(root), **settings).index]


def test_target_and_sources_part_the_pictures(root):
    target = _ids(root, split="target", target="photo")
    train, held = (_ids(root, split=split, target="photo") for split in ("train", "held_out"))
    assert {name.split("/")[0] for name in target} == {"photo"}
    assert len(target) == 15 and len(train) == 24 and len(held) == 6
    assert sorted([*target, *train, *held]) == sorted(_ids(root))
    assert held != _ids(root, split="held_out", target="photo", seed=1)


def test_base_and_new_classes_part_the_classes(root):
    base, new = (DomainBed(str(root), classes=part) for part in ("base", "new"))
    assert base.class_names == ("cat", "dog") and new.class_names == ("red_dog",)
    assert len(base.index) == 30 and {new.load(i).queries[0].label for i in range(15)} == {0}


def test_a_run_counts_each_target_and_their_mean(root, clip_folder, tmp_path):
    job = small_job(clip_folder("small"), tmp_path / "runs", "task=classification/domainbed", f"data_root={root}")
    job.execute()
    metrics = job.folder.path.joinpath("metrics.json").read_text()
    assert all(f'"{domain}"' in metrics for domain in ("art", "photo", "sketch"))
    assert job.identity["task"]["dataset"]["group_shares"]["art"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "target"}, "needs the domain"),
        ({"split": "train", "target": "cartoon"}, "cartoon"),
        ({"collection": "vlcs"}, "VLCS"),
        ({"open_ratio": 1.0}, "open_ratio"),
    ],
)
def test_what_is_not_there_is_said(root, settings, message):
    with pytest.raises(UserError, match=message):
        _ids(root, **settings)
