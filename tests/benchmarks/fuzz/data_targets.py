"""RefCOCO's layout with a spoiled annotation file, detections or picture: its index, identity and every sample."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

from mutators import hostile_names, spoiled_bytes, spoiled_json
from PIL import Image

from benchmarks.data.refcoco import RefCOCO

SECRET = (7, 5)
"""The size of a picture outside of the data folder: a sample that has it was read from there."""
BOXES = ([4.0, 6.0, 20.0, 18.0], [30.0, 10.0, 24.0, 30.0], [10.0, 30.0, 16.0, 12.0])
IMAGES = (9, 25)


def _referent(image: int, ann: int) -> dict[str, Any]:
    ids = [100 * image + k for k in range(len(BOXES))]
    return {
        "file_name": f"COCO_train2014_{image:012d}_{ids[ann]}.jpg",
        "image_id": image,
        "ann_id": ids[ann],
        "anns": [{"id": i, "bbox": box, "segmentation": []} for i, box in zip(ids, BOXES, strict=True)],
        "sentences": [{"raw": f"Thing {ann}", "sent": f"thing {ann}", "sent_id": ids[ann]}],
    }


def _picture(choose: random.Random, size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    mode = choose.choice(("RGB", "RGB", "L", "P", "RGBA", "CMYK", "I;16", "1", "LA"))
    form = "JPEG" if mode in ("RGB", "L", "CMYK") and choose.random() < 0.6 else "TIFF" if mode == "CMYK" else "PNG"
    Image.new(mode, size, choose.randrange(2) if mode in ("L", "P", "1", "I;16") else None).save(buffer, format=form)
    return buffer.getvalue()


class Referring:
    """The small data set; `kind` says which of its files is spoiled."""

    allowed = (0, 2)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def lay(self, folder: Path, choose: random.Random) -> tuple[str, bytes]:
        root, names = folder / "inside" / "data", hostile_names(str(folder))
        for name in ("reclip_data", "train2014"):
            (root / name).mkdir(parents=True)
        Image.new("RGB", SECRET).save(folder / "secret.jpg")
        Image.new("RGB", SECRET).save(folder / "inside" / "secret.jpg")
        lines = [json.dumps(_referent(image, ann)).encode() for image in IMAGES for ann in (0, 1)]
        detections: Any = {str(image): [list(box) for box in BOXES] for image in IMAGES}
        spoiled, told, victim = json.dumps(detections).encode(), "", choose.randrange(4)
        if self.kind == "jsonl":
            line = json.loads(lines[victim])
            if choose.random() < 0.2:
                line["file_name"] = choose.choice(names)
                lines[victim], told = json.dumps(line).encode(), "file_name"
            else:
                lines[victim], told = spoiled_json(line, choose, names)
        elif self.kind == "detections":
            spoiled, told = spoiled_json(detections, choose, names)
        (root / "reclip_data" / "refcoco_testa.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        (root / "reclip_data" / "refcoco_dets_dict.json").write_bytes(spoiled)
        bodies = [_picture(random.Random(1)) for _ in IMAGES]
        if self.kind == "pictures":
            bodies[0], told = spoiled_bytes(_picture(choose), choose)
        for image, body in zip(IMAGES, bodies, strict=True):
            (root / "train2014" / f"COCO_train2014_{image:012d}.jpg").write_bytes(body)
        return told, {"jsonl": lines[victim], "detections": spoiled, "pictures": bodies[0]}[self.kind]

    def run(self, folder: Path, choose: random.Random) -> int | None:
        proposals = "detected" if self.kind == "detections" or choose.random() < 0.2 else "gt"
        dataset = RefCOCO("refcoco", str(folder / "inside" / "data"), "testA", proposals, contract=False)
        json.dumps(dataset.identity)
        for number in range(len(dataset.index)):
            sample = dataset.load(number)
            for picture in sample.pictures:
                assert picture.image.size != SECRET, "a picture was read from outside of the data folder"
                assert picture.image.mode == "RGB", "a picture of another mode came through"
        return 0
