"""ScanObjectNN: scans of real objects, in several variants of background and perturbation."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data.files import check_choice, check_contract, data_folder, first_existing
from benchmarks.data.point_clouds import PROJECTIONS, CloudFiles, PointCloudDataset
from benchmarks.data.samples import SplitContract

FOLDER = "scanobjectnn"
MEND = "falip data scanobjectnn"

# Label order: hkust-vgd/scanobjectnn training_data/shape_names_ext.txt.
CLASS_NAMES = (
    "bag",
    "bin",
    "box",
    "cabinet",
    "chair",
    "desk",
    "display",
    "door",
    "shelf",
    "table",
    "bed",
    "pillow",
    "sink",
    "sofa",
    "toilet",
)

# Folder and end of the file's name: hkust-vgd/scanobjectnn README.md.
VARIANTS = {
    "OBJ_ONLY": ("main_split_nobg", ""),
    "OBJ_BG": ("main_split", ""),
    "PB_T25": ("main_split", "_augmented25_norot"),
    "PB_T25_R": ("main_split", "_augmented25rot"),
    "PB_T50_R": ("main_split", "_augmentedrot"),
    "PB_T50_RS": ("main_split", "_augmentedrot_scale75"),
}
_PREFIXES = {"test": "test", "train": "training"}
_SOURCE = "the data set card of jxie/scanobjectnn"
CONTRACTS = {
    ("OBJ_ONLY", "test"): SplitContract(samples=581, source=_SOURCE),
    ("OBJ_BG", "test"): SplitContract(samples=581, source=_SOURCE),
    ("PB_T50_RS", "test"): SplitContract(samples=2882, source=_SOURCE),
}


class ScanObjectNN(PointCloudDataset):
    """Scanned objects of 15 classes.

    Files: `<root>/scanobjectnn/{main_split,main_split_nobg}/{test,training}_objectdataset<variant>.h5`; the folder
    `h5_files` that the authors' archive puts around them may stay.

    Args:
        root: The data folder.
        variant: A key of `VARIANTS`; `PB_T50_RS` is the hardest.
        split: `test` or `train`.
        points: How many of the 2,048 points of each object are used, the first ones.
        projection: `v1` or `v2`, see `PointCloudDataset`.
        normalise: Whether to centre each cloud and scale it into the unit sphere, without which figures are known
            to be low (salesforce/ULIP issue 21).
        contract: Whether the split must have the published number of objects, where one is known.

    Raises:
        UserError: If a value is not offered, or when read: if a file is missing, broken, or not what it should be.
    """

    def __init__(
        self,
        root: str,
        variant: str = "PB_T50_RS",
        split: str = "test",
        points: int = 1024,
        projection: str = "v1",
        normalise: bool = True,
        contract: bool = True,
    ) -> None:
        check_choice(variant, tuple(VARIANTS), "The variant of ScanObjectNN", "task.dataset.variant")
        check_choice(split, tuple(_PREFIXES), "The split of ScanObjectNN", "task.split")
        super().__init__("scanobjectnn", split, points, projection)
        self.root, self.variant, self.normalise, self.contract = Path(root), variant, normalise, contract

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in label order."""
        return CLASS_NAMES

    @cached_property
    def _files(self) -> CloudFiles:
        folder, suffix = VARIANTS[self.variant]
        name = f"{_PREFIXES[self.split]}_objectdataset{suffix}.h5"
        top = data_folder(self.root, MEND) / FOLDER
        path = first_existing([top / folder / name, top / "h5_files" / folder / name], "h5 file", MEND)
        unit = PROJECTIONS[self.projection].unit
        files = CloudFiles([path], self.points, len(CLASS_NAMES), MEND, normalise=self.normalise, unit=unit)
        contract = CONTRACTS.get((self.variant, self.split))
        if self.contract and contract:
            check_contract(contract, len(files), len(files), f"The variant {self.variant}, {path},", MEND)
        return files

    @property
    def _size(self) -> int:
        return len(self._files)

    @property
    def _sources(self) -> dict[str, Any]:
        return {"variant": self.variant, "normalise": self.normalise, "files": self._files.hashes}

    def _cloud(self, i: int) -> tuple[np.ndarray, int]:
        return self._files.cloud(i)
