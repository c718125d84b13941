"""`scripts.data` with a mirror whose archive, picture or answer is spoiled; a whole copy stands second, or none does."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path

from mutators import hostile_names, spoiled_answer, spoiled_bytes, spoiled_tar, spoiled_zip, zipped_up
from raw_server import RawServer, answer
from stand_in import make_tar

from scripts import data

PICTURE = "COCO_train2014_000000000009.jpg"


def _zip(members: dict[str, bytes]) -> bytes:
    """A zip archive of files, without the time of day."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in members.items():
            archive.writestr(zipfile.ZipInfo(name), body, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


class Fetching:
    """Assets made small and served by `server`: CUB (compressed tar), dogs (tar), ModelNet40 (zip), one image of COCO."""

    allowed = (0, 2)

    def __init__(self, kind: str, server: RawServer, picture: bytes, cloud: bytes) -> None:
        self.kind, self._server, self._picture = kind, server, picture
        texts = ("images", "image_class_labels", "train_test_split", "bounding_boxes", "classes")
        self._cub = {f"CUB_200_2011/{name}.txt": b"1 x\n" for name in texts}
        self._cub |= {f"CUB_200_2011/images/{name}.jpg": picture for name in ("001.A/a", "002.B/b")}
        folder = "modelnet40_ply_hdf5_2048"
        self._clouds = {f"{folder}/{name}.txt": b"x" for name in ("shape_names", "test_files")}
        self._clouds |= {f"{folder}/ply_data_test{number}.h5": cloud for number in (0, 1)}
        line = json.dumps({"file_name": PICTURE}).encode()
        parts = {"refcoco": ("val", "testa", "testb"), "refcoco+": ("val", "testa", "testb"), "refcocog": ("val", "test")}
        self._reclip = {f"reclip_data/{name}_{part}.jsonl": line for name, found in parts.items() for part in found}
        self._reclip |= {f"reclip_data/{name}_dets_dict.json": b"{}" for name in parts}
        self._whole = {
            "CUB_200_2011.tgz": zipped_up(make_tar(self._cub, "w")),
            "modelnet40_ply_hdf5_2048.zip": _zip(self._clouds),
            "reclip_data.tar.gz": zipped_up(make_tar(self._reclip, "w")),
            f"train2014/{PICTURE}": picture,
        }

    def lay(self, folder: Path, choose: random.Random) -> tuple[str, bytes]:
        self._server.answers.clear()
        for name, body in self._whole.items():
            for place in ("good", "mirror"):
                self._server.add(f"{place}/{name}", answer(body, f"Content-Length: {len(body)}"))
        command, file = choose.choice(
            (
                ("cub", "CUB_200_2011.tgz"),
                ("modelnet40", "modelnet40_ply_hdf5_2048.zip"),
                ("refcoco", "reclip_data.tar.gz"),
                ("refcoco", f"train2014/{PICTURE}"),
            )
        )
        given, body, told = self._spoiled(file, choose, hostile_names(str(folder)))
        self._server.add(f"mirror/{file}", given)
        self._second = choose.random() < 0.5
        if not self._second:
            del self._server.answers[f"/good/{file}"]
        self._command = [command, *(["--splits", "val"] if command == "refcoco" else [])]
        return f"{told} of {file}, {'with' if self._second else 'without'} a second address", body

    def _spoiled(self, file: str, choose: random.Random, names: tuple[str, ...]) -> tuple[bytes, bytes, str]:
        whole = self._whole[file]
        if self.kind == "answers":
            given, told = spoiled_answer(whole, choose)
            return given, given, told
        if file.endswith(PICTURE) or choose.random() < 0.3:
            body, told = spoiled_bytes(whole, choose)
        elif file.endswith(".zip"):
            body, told = spoiled_zip(whole, choose)
            if choose.random() < 0.5:
                victim = choose.choice(list(self._clouds))
                name = choose.choice([name for name in names if name and not any("\ud800" <= c <= "\udfff" for c in name)])
                body, told = _zip({name if each == victim else each: b for each, b in self._clouds.items()}), repr(name)
        else:
            members = self._cub if file.startswith("CUB") else self._reclip
            body, told = spoiled_tar(members, choose, names)
        length = f"Content-Length: {len(body)}"
        return answer(body, *([length] if choose.random() < 0.5 else [])), body, told

    def run(self, folder: Path, choose: random.Random) -> int | None:
        root = str(folder / "inside" / "data")
        command = [*self._command, "--root", root, "--mirror", f"{self._server.base}/mirror"]
        status = data.main(command)
        assert status == 0 or not self._second, "the second address, which is whole, was not taken"
        if status == 0:
            assert data.main([*command, "--verify"]) == 0, "what was called complete does not stand its own check"
        assert data.main(["check", "--root", root]) in (0, 2)
        return status
