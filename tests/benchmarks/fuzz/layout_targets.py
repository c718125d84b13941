"""Every data set in its publisher's layout with one spoiled file: its index, identity and every sample."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

from data_targets import SECRET
from mutators import hostile_names, spoiled_bytes, spoiled_json, spoiled_words
from omegaconf import OmegaConf
from PIL import Image
from small_jobs import composed

from benchmarks.settings.building import build

# What each task reads below the data root.
TASKS: dict[str, tuple[str, ...]] = {
    "task=classification/cub": ("CUB_200_2011",),
    "task=classification/waterbirds": ("waterbird_complete95_forest2water2", "CUB_200_2011"),
    "task=classification/stanford_dogs": ("stanford_dogs",),
    "task=classification/imagenet_s": ("imagenet_s",),
    "task=keypoint/cub": ("CUB_200_2011",),
    "task=keypoint/spair": ("SPair-71k", "spair_names"),
    "task=pointcloud/modelnet40": ("modelnet40_ply_hdf5_2048",),
    "task=pointcloud/modelnet40_v2": ("modelnet40_ply_hdf5_2048", "pointclip_v2"),
    "task=pointcloud/scanobjectnn": ("scanobjectnn",),
    "task=rec/refcoco task.split=testA task.proposals=detected": ("reclip_data", "train2014"),
    "task=rec/refcocog task.split=test": ("reclip_data", "train2014"),
}
MANY = (".jpg", ".png", ".JPEG", ".json")  # of which a data set has one for each picture


class Layouts:
    """The small data sets below `made`; one file of one of them is spoiled."""

    kind, allowed = "layouts", (0, 2)

    def __init__(self, made: Path) -> None:
        self.made, self.task = made, ""

    def lay(self, folder: Path, choose: random.Random) -> tuple[str, bytes]:
        root = folder / "inside" / "data"
        self.task = choose.choice(list(TASKS))
        for name in TASKS[self.task]:
            shutil.copytree(self.made / name, root / name)
        for place in (folder, folder / "inside"):
            Image.new("RGB", SECRET).save(place / "secret.jpg")
        kinds: dict[str, list[Path]] = {}
        for path in sorted(path for path in root.rglob("*") if path.is_file() and path.name != "manifest.json"):
            kinds.setdefault(path.suffix if path.suffix in (".jpg", ".png", ".JPEG", ".json") else path.name, []).append(
                path
            )
        victim = choose.choice(kinds[choose.choice(sorted(kinds))])
        body, told = _spoiled(victim, choose, hostile_names(str(folder)))
        victim.write_bytes(body)
        return f"{self.task}, {victim.relative_to(root)}: {told}", body

    def run(self, folder: Path, choose: random.Random) -> int | None:
        root = folder / "inside" / "data"
        settings: Any = OmegaConf.to_container(
            composed([*self.task.split(), f"data_root={root}", "task.dataset.contract=false"]), resolve=True
        )
        task = build(settings["task"], "task")
        json.dumps(task.dataset.identity)
        for number in range(len(task.dataset.index)):
            sample = task.dataset.load(number)
            task.pictures(sample), task.texts(sample)
            assert all(one.image.size != SECRET for one in sample.pictures), "read from outside of the data folder"
        return 0


def _spoiled(path: Path, choose: random.Random, names: tuple[str, ...]) -> tuple[bytes, str]:
    body, deep = path.read_bytes(), choose.random() < 0.7
    if deep and path.suffix == ".json":
        return spoiled_json(json.loads(body), choose, names)
    if deep and path.suffix == ".jsonl":
        lines = body.splitlines()
        at = choose.randrange(len(lines))
        lines[at], told = spoiled_json(json.loads(lines[at]), choose, names)
        return b"\n".join(lines) + b"\n", f"line {at + 1}: {told}"
    if deep and path.suffix in (".txt", ".csv"):
        return spoiled_words(body.decode(), "," if path.suffix == ".csv" else " ", choose, names)
    return spoiled_bytes(body, choose)
