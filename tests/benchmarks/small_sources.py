"""Every data set of the paper in its publisher's layout, with two or three samples for each split."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image
from small_spair import spair
from stand_in import StandIn, isolate, make_tar, make_zip, serving, shrink

from benchmarks.acquire.sources import ASSETS, RECIPES
from benchmarks.settings.tables import TABLES
from scripts import data

FAMILY = {"refcoco": ("val", "testa", "testb"), "refcoco+": ("val", "testa", "testb"), "refcocog": ("val", "test")}
IMAGES = (9, 25)
BOXES = ([4.0, 6.0, 20.0, 18.0], [30.0, 10.0, 24.0, 30.0], [10.0, 30.0, 16.0, 12.0])
SYNSETS = ("n01440764", "n01484850", "n04355933")


def picture(seed: int, size: tuple[int, int] = (64, 48), form: str = "JPEG") -> bytes:
    """A picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=form)
    return buffer.getvalue()


@contextmanager
def filling(root: Path, imagenet: Path) -> Iterator[None]:
    """Fills a data root from a stand-in server, which stays there; `imagenet` takes ImageNet's own pictures."""
    with pytest.MonkeyPatch.context() as monkeypatch, serving() as server:
        isolate(monkeypatch)
        for name in ASSETS:
            shrink(name, server.base, monkeypatch)
        serve_all(server)
        put_by_hand(root, imagenet)
        asked = {sweep.task.rpartition("/")[2] for sweeps in TABLES.values() for sweep in sweeps}
        for name in sorted(asked & set(RECIPES) | {"alphaclip"}):
            given = ["--imagenet", str(imagenet)] if name == "imagenet_s" else []
            assert data.main([name, "--root", str(root), "--mirror", server.base, *given]) == 0, name
        yield


def serve_all(server: StandIn) -> None:
    """Put the archives of all data sets that can be downloaded onto the server."""
    for image in IMAGES:
        server.add(f"coco/train2014/COCO_train2014_{image:012d}.jpg", picture(image))
    server.add("reclip_data.tar.gz", make_tar(_reclip()))
    server.add("CUB_200_2011.tgz", make_tar(_cub()))
    keypoints = spair(picture)
    server.add("SPair-71k.tar.gz", make_tar({name: body for name, body in keypoints.items() if name.startswith("SPair")}))
    server.add("spair_keypoint_names.csv", keypoints["spair_names/spair_keypoint_names.csv"])
    server.add("lists.tar", make_tar(_dog_lists(), "w"))
    server.add("annotation.tar", make_tar(_dog_annotations(), "w"))
    server.add("images.tar", make_tar({f"Images/{name}.jpg": picture(i) for i, name in enumerate(DOGS)}, "w"))
    server.add("waterbird_complete95_forest2water2.tar.gz", make_tar(_waterbirds()))
    server.add(ASSETS["imagenet_s_masks"].archives[0].file, make_zip(_masks()))
    server.add("modelnet40_ply_hdf5_2048.zip", make_zip(_modelnet40()))
    for archive in ASSETS["alphaclip"].archives:
        server.add(archive.file, b"weights of a tower")


def put_by_hand(root: Path, imagenet: Path) -> None:
    """What a user has to ask for: ScanObjectNN's files and PointCLIP V2's sentences, and ImageNet's images in a folder."""
    lines = ["best = {}"]
    for name, classes in (("modelnet40", 3), ("scanobjectnn", 15)):
        for tower in ("rn50", "rn101", "vit_b32", "vit_b16"):
            lines.append(f"best['{name}_{tower}_test_prompts'] = {[f'Map {k}.' for k in range(classes)]}")
            lines.append(f"best['{name}_{tower}_test_weights'] = {[1.0] * 9 + [0.5]}")
    (root / "pointclip_v2").mkdir()
    (root / "pointclip_v2" / "best_param.py").write_text("\n".join(lines))
    names = ("main_split_nobg/test_objectdataset", "main_split/test_objectdataset")
    for name in (*names, "main_split/test_objectdataset_augmentedrot_scale75"):
        path = root / "scanobjectnn" / f"{name}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_clouds((14, 4), np.int32))
    _put_masks(root)
    for i, synset in enumerate(SYNSETS, 1):
        (imagenet / synset).mkdir(parents=True)
        (imagenet / synset / f"ILSVRC2012_val_0000000{i}.JPEG").write_bytes(picture(i))
    names = "\n".join(f"{synset} thing {i}, other name" for i, synset in enumerate(SYNSETS))
    (imagenet / "LOC_synset_mapping.txt").write_text(names + "\n")


def _put_masks(root: Path) -> None:
    """Masks of all detections, as outlines of their boxes."""
    outlines = [[[x, y, x + w, y, x + w, y + h, x, y + h]] for x, y, w, h in BOXES]
    line = {"boxes": [list(box) for box in BOXES], "masks": outlines}
    text = "".join(json.dumps({"image_id": image, **line}) + "\n" for image in IMAGES)
    (root / "masks").mkdir(parents=True, exist_ok=True)
    for name in ("refcoco", "refcoco_plus", "refcocog"):
        for split in ("val", "testA", "testB", "test"):
            (root / "masks" / f"{name}_{split}_detected.jsonl").write_text(text)


def _reclip() -> dict[str, bytes]:
    files = {}
    for name, parts in FAMILY.items():
        detections = {str(image): [list(box) for box in BOXES] for image in IMAGES}
        files[f"reclip_data/{name}_dets_dict.json"] = json.dumps(detections).encode()
        for part in parts:
            lines = [_referent(image, ann) for image in IMAGES for ann in (0, 1)]
            files[f"reclip_data/{name}_{part}.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return files


def _referent(image: int, ann: int) -> dict[str, object]:
    ids = [100 * image + k for k in range(len(BOXES))]
    sentence = {"raw": f"Thing {ann}", "sent": f"thing {ann}", "sent_id": ids[ann]}
    return {
        "file_name": f"COCO_train2014_{image:012d}_{ids[ann]}.jpg",
        "image_id": image,
        "ann_id": ids[ann],
        "anns": [{"id": i, "bbox": box, "segmentation": []} for i, box in zip(ids, BOXES, strict=True)],
        "sentences": [sentence],
    }


# id, file, label from 1, 1 = training, box x y w h
CUB = (
    ("1", "001.Albatross/Albatross_0001_1.jpg", "1", "0", "6.0 7.0 32.0 30.0"),
    ("2", "001.Albatross/Albatross_0002_2.jpg", "1", "1", "1.0 2.0 30.0 40.0"),
    ("3", "002.Auklet/Auklet_0003_3.jpg", "2", "0", "10.5 0.0 25.0 26.0"),
)


def _cub() -> dict[str, bytes]:
    columns = {"images": 1, "image_class_labels": 2, "train_test_split": 3, "bounding_boxes": 4}
    files = {"CUB_200_2011/classes.txt": b"1 001.Albatross\n2 002.Auklet\n"}
    files["CUB_200_2011/parts/parts.txt"] = b"1 back\n2 beak\n7 left eye\n"
    places = ("20.0 12.5 1", "0.0 0.0 0", "31.5 8.0 1")
    parts = [f"{row[0]} {part} {place}\n" for row in CUB for part, place in zip((1, 2, 7), places, strict=True)]
    files["CUB_200_2011/parts/part_locs.txt"] = "".join(parts).encode()
    for name, column in columns.items():
        files[f"CUB_200_2011/{name}.txt"] = "".join(f"{row[0]} {row[column]}\n" for row in CUB).encode()
    return files | {f"CUB_200_2011/images/{row[1]}": picture(int(row[0])) for row in CUB}


def _waterbirds() -> dict[str, bytes]:
    folder = "waterbird_complete95_forest2water2"
    rows = [(*row[:2], y, 1 if row[3] == "1" else 0) for row, y in zip(CUB, (1, 1, 0), strict=True)]
    lines = ["img_id,img_filename,y,split,place,place_filename"]
    lines += [f"{number},{name},{y},{0 if train else 2},{y},/o/ocean/1.jpg" for number, name, y, train in rows]
    files = {f"{folder}/{row[1]}": picture(int(row[0])) for row in CUB}
    return files | {f"{folder}/metadata.csv": "\n".join(lines).encode()}


DOGS = ("n02085620-Chihuahua/n02085620_7", "n02086240-Shih-Tzu/n02086240_11")


def _dog_lists() -> dict[str, bytes]:
    def cells(values: list[str]) -> np.ndarray:
        array = np.empty((len(values), 1), dtype=object)
        array[:, 0] = values
        return array

    buffer = io.BytesIO()
    labels = np.array([[1], [2]], dtype=np.uint8)
    content = {"file_list": cells([f"{n}.jpg" for n in DOGS]), "annotation_list": cells(list(DOGS)), "labels": labels}
    scipy.io.savemat(buffer, content)
    return {"test_list.mat": buffer.getvalue(), "train_list.mat": buffer.getvalue()}


def _dog_annotations() -> dict[str, bytes]:
    box = "<object><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>40</xmax><ymax>30</ymax></bndbox></object>"
    size = "<size><width>64</width><height>48</height></size>"
    return {f"Annotation/{name}": f"<annotation>{size}{box}</annotation>".encode() for name in DOGS}


def _masks() -> dict[str, bytes]:
    files = {}
    for label, synset in enumerate(SYNSETS, 1):
        ids = np.zeros((48, 64, 3), dtype=np.uint8)
        ids[10:30, 20:50, 0] = label
        buffer = io.BytesIO()
        Image.fromarray(ids).save(buffer, format="PNG")
        files[f"ImageNetS919/validation-segmentation/{synset}/ILSVRC2012_val_0000000{label}.png"] = buffer.getvalue()
    return files


def _modelnet40() -> dict[str, bytes]:
    folder = "modelnet40_ply_hdf5_2048"
    listed = "\n".join(f"data/{folder}/ply_data_test{i}.h5" for i in (0, 1))
    files = {f"{folder}/test_files.txt": listed.encode(), f"{folder}/shape_names.txt": b"airplane\nbathtub\nnight_stand\n"}
    return files | {f"{folder}/ply_data_test{i}.h5": _clouds((i, 2), np.uint8) for i in (0, 1)}


def _clouds(labels: tuple[int, ...], kind: type) -> bytes:
    buffer = io.BytesIO()
    points = np.random.default_rng(len(labels)).uniform(-0.5, 0.5, (len(labels), 2048, 3)).astype(np.float32)
    label = np.array(labels, dtype=kind)
    with h5py.File(buffer, "w") as file:
        file["data"] = points
        file["label"] = label[:, None] if kind is np.uint8 else label
        file["mask"] = np.full(points.shape[:2], -1, dtype=np.int32)
    return buffer.getvalue()
