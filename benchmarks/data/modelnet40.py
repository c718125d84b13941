"""ModelNet40 as h5 files of 2,048 points for each object (`modelnet40_ply_hdf5_2048`)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from benchmarks.data.files import check_choice, check_contract, data_folder, existing, inside, readable, sha256
from benchmarks.data.point_clouds import PROJECTIONS, CloudFiles, PointCloudDataset
from benchmarks.data.samples import SplitContract
from falip.errors import UserError

FOLDER = "modelnet40_ply_hdf5_2048"
MEND = "falip data modelnet40"
CLASSES = 40
_SOURCE = "the h5 files of charlesq34/pointnet"
CONTRACTS = {
    "test": SplitContract(samples=2468, source=_SOURCE),
    "train": SplitContract(samples=9840, source=_SOURCE),
}


class ModelNet40(PointCloudDataset):
    """Objects of 40 classes, as PointCLIP reads them (datasets/modelnet40.py).

    Files in `<root>/modelnet40_ply_hdf5_2048/`: `<split>_files.txt` with one h5 file on each line, by a path that
    may begin with that folder's, and `shape_names.txt` with one class on each line.

    Args:
        root: The data folder.
        split: `test` or `train`.
        points: How many points of each object are used, the first ones; PointCLIP's are 1,024
            (Dassl3D/dassl/data/data_manager.py).
        projection: `v1` or `v2`, see `PointCloudDataset`.
        normalise: Whether to centre each cloud and scale it into the unit sphere; the files are so already.
        contract: Whether the split must have the published number of objects.

    Raises:
        UserError: If a value is not offered, or when read: if a file is missing, broken, or not what it should be.
    """

    def __init__(
        self,
        root: str,
        split: str = "test",
        points: int = 1024,
        projection: str = "v1",
        normalise: bool = False,
        contract: bool = True,
    ) -> None:
        check_choice(split, tuple(CONTRACTS), "The split of ModelNet40", "task.split")
        super().__init__("modelnet40", split, points, projection)
        self.root, self.normalise, self.contract = Path(root), normalise, contract

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in label order, as the data set spells them ("night_stand")."""
        path = self._file("shape_names.txt", "list of classes")
        names = tuple(line for _, line in _lines(path))
        if not names or (self.contract and len(names) != CLASSES):
            raise UserError(f"{path} names {len(names)} classes, but {CLASSES} are expected. Fetch it again: {MEND}")
        return names

    @cached_property
    def _files(self) -> CloudFiles:
        path = self._file(f"{self.split}_files.txt", "list of files")
        paths = [inside(self._folder, _below(FOLDER, line), place) for place, line in _lines(path)]
        if not paths:
            raise UserError(f"{path} lists no file. Fetch it again: {MEND}")
        unit = PROJECTIONS[self.projection].unit
        files = CloudFiles(paths, self.points, len(self.class_names), MEND, normalise=self.normalise, unit=unit)
        if self.contract:
            where = f"The split {self.split} of ModelNet40, read from the files that {path} lists,"
            check_contract(CONTRACTS[self.split], len(files), len(files), where, MEND)
        return files

    @property
    def _size(self) -> int:
        return len(self._files)

    @property
    def _sources(self) -> dict[str, Any]:
        names = sha256(self._file("shape_names.txt", "list of classes"))
        # Sample ids count through the files, so the order of their names matters too.
        files = {**self._files.hashes, "shape_names.txt": names}
        return {"normalise": self.normalise, "order": list(self._files.hashes), "files": files}

    def _cloud(self, i: int) -> tuple[np.ndarray, int]:
        return self._files.cloud(i)

    @cached_property
    def _folder(self) -> Path:
        return existing(data_folder(self.root, MEND) / FOLDER, "folder of ModelNet40", MEND)

    def _file(self, name: str, what: str) -> Path:
        return existing(self._folder / name, what, MEND)


def _lines(path: Path) -> list[tuple[str, str]]:
    """("FILE, line N", line) of the lines that are not blank."""
    with readable(path, MEND):
        lines = path.read_text(encoding="utf-8").splitlines()
    return [(f"{path}, line {number}", line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def _below(folder: str, line: str) -> str:
    """The part of a path after the folder's name; the whole path where it does not go through the folder."""
    parts = PurePosixPath(line).parts
    return str(PurePosixPath(*parts[parts.index(folder) + 1 :])) if folder in parts else line
