"""A small SPair-71k in its publishers' files, and names of its keypoints."""

from __future__ import annotations

import json
from collections.abc import Callable

ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow")
# The table has a column for each category, and cells are padded here and there.
NAMES = """\
kp_id ,bird,cat,cow,dog,horse,sheep
0,crown,right ear,right ear,right ear,right ear,right ear
1,beak ,mouth,tail-tip,nose,,
"""
POINTS = {"0": [20, 12], "1": None, "2": None}
BOX = [10, 4, 50, 44]


def spair(picture: Callable[[int], bytes], categories: tuple[str, ...] = ANIMALS) -> dict[str, bytes]:
    """Its files by their paths, two pictures of each category in one pair of the test split."""
    files = {"spair_names/spair_keypoint_names.csv": NAMES.encode()}
    lines = []
    for number, category in enumerate(categories):
        one, other = f"2008_{number:06d}", f"2009_{number:06d}"
        pair = f"{number:06d}-{one}-{other}:{category}"
        lines.append(pair)
        files[f"SPair-71k/PairAnnotation/test/{pair}.json"] = json.dumps({"filename": f"{pair}.json"}).encode()
        for k, name in enumerate((one, other)):
            seen = {**POINTS, "1": [40.5, 30]} if k == 1 and category in ("bird", "cat", "cow", "dog") else POINTS
            content = {"filename": f"{name}.jpg", "category": category, "bndbox": BOX, "kps": seen}
            files[f"SPair-71k/ImageAnnotation/{category}/{name}.json"] = json.dumps(content).encode()
            files[f"SPair-71k/JPEGImages/{category}/{name}.jpg"] = picture(10 * number + k)
    for split in ("trn", "val", "test"):
        files[f"SPair-71k/Layout/large/{split}.txt"] = "".join(f"{line}\n" for line in lines).encode()
    return files
