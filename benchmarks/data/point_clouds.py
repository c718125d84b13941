"""What the sets of point clouds have in common: h5 files of points and labels, and how a cloud becomes a sample."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from benchmarks.data.files import check_choice, existing, sha256
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip import Region
from falip.errors import UserError

# That of falip.depth, which brings torch along; index and identity must answer without. A test holds the two together.
PROJECTION_VERSION = 1
LARGEST_RADIUS = 1.001
"""Of a cloud that counts as inside the unit sphere: its coordinates are rounded."""


@dataclass(frozen=True)
class Projection:
    """A way to draw a cloud from several sides.

    Attributes:
        function: Of falip.depth; takes clouds (B, N, 3), gives float32 (B, views, height, width).
        views: Number of pictures.
        empty: Value of a pixel with nothing in it.
        unit: Whether clouds must lie in the unit sphere; else they are fitted to the picture.
    """

    function: str
    views: int
    empty: float
    unit: bool


PROJECTIONS = {
    "v1": Projection("depth_maps", 6, 0.0, unit=True),
    "v2": Projection("voxel_depth_maps", 10, 1.0, unit=False),
}


def cloud_sample(id: str, points: np.ndarray, label: int, name: str, projection: str) -> Sample:
    """One object as a sample: its depth maps, each with its foreground as the region.

    A map without any foreground has the whole picture as its region, and makes the sample a fallback.

    Args:
        id: Unique in the data set.
        points: float32 (N, 3).
        label: Index of its class.
        name: Name of its class.
        projection: A key of `PROJECTIONS`.
    """
    import torch

    from falip import depth

    drawing = PROJECTIONS[projection]
    maps = getattr(depth, drawing.function)(torch.from_numpy(points)[None])[0].numpy()
    pictures = tuple(Picture(Image.fromarray(view), (_foreground(view != drawing.empty),)) for view in maps)
    blank = any((view == drawing.empty).all() for view in maps)
    return Sample(id, pictures, (Query(id, name, label=label),), fallback=blank)


def _foreground(mask: np.ndarray) -> Region:
    height, width = mask.shape
    return Region.from_mask(mask) if mask.any() else Region.from_box(0, 0, width, height)


def unit_sphere(points: np.ndarray) -> np.ndarray:
    """The cloud (N, 3) moved to its mean and scaled so that the farthest point has the distance 1."""
    centred = points - points.mean(0)
    radius = np.linalg.norm(centred, axis=1).max()
    return centred / radius if radius > 0 else centred


class PointCloudDataset(ABC):
    """Objects to be recognised from depth maps; a subclass says where the clouds come from.

    Args:
        name: What identities and sample ids call it.
        split: Its part of the data set.
        points: How many points of each cloud are used, the first ones; at least 1.
        projection: `v1` (PointCLIP, six views) or `v2` (PointCLIP V2, ten views).

    Raises:
        UserError: If a value is not offered.
    """

    def __init__(self, name: str, split: str, points: int, projection: str) -> None:
        check_choice(projection, tuple(PROJECTIONS), "The projection", "task.dataset.projection")
        if points < 1:
            raise UserError(f"A cloud needs at least one point, and task.dataset.points is {points}.")
        self.name, self.split, self.points, self.projection = name, split, points, projection

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in label order, as the data set spells them."""

    @property
    @abstractmethod
    def _size(self) -> int:
        """Number of clouds."""

    @property
    @abstractmethod
    def _sources(self) -> dict[str, Any]:
        """What the clouds depend on, such as the hashes of files."""

    @abstractmethod
    def _cloud(self, i: int) -> tuple[np.ndarray, int]:
        """Points of cloud `i`, float32 (N, 3), and its label."""

    @cached_property
    def index(self) -> Sequence[SampleInfo]:
        """All clouds in the order of the files."""
        views = PROJECTIONS[self.projection].views
        return tuple(SampleInfo(self._id(i), 1, views) for i in range(self._size))

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the numbers depend on."""
        return {
            "name": self.name,
            "split": self.split,
            "points": self.points,
            "projection": self.projection,
            "projection_version": PROJECTION_VERSION,
            **self._sources,
        }

    def load(self, i: int) -> Sample:
        """The depth maps of cloud `i`.

        Raises:
            UserError: If its file is broken, or the cloud lies outside of the unit sphere where the projection needs it.
        """
        points, label = self._cloud(i)
        return cloud_sample(self._id(i), points, label, self.class_names[label], self.projection)

    def _id(self, i: int) -> str:
        return f"{self.name}_{self.split}_{i:05d}"


class CloudFiles:
    """The clouds of several h5 files, one after the other; each is read once, when a cloud of it is first needed.

    A file has the keys `data`, (N, P, 3) coordinates, and `label`, (N,) or (N, 1) whole numbers from 0.

    Args:
        paths: The files in order.
        points: How many points of each cloud are read, the first ones.
        classes: Number of classes, which every label is below.
        mend: The command that fetches the files.
        normalise: Whether to centre each cloud and scale it into the unit sphere.
        unit: Whether clouds must lie in the unit sphere then.
    """

    def __init__(self, paths: Sequence[Path], points: int, classes: int, mend: str, *, normalise: bool, unit: bool) -> None:
        self.paths, self._points, self._classes, self._mend = tuple(paths), points, classes, mend
        self._normalise, self._unit = normalise, unit
        self._loaded: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._ends[-1]

    @cached_property
    def _labels(self) -> tuple[np.ndarray, ...]:
        return tuple(self._read_labels(path) for path in self.paths)

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(len(labels) for labels in self._labels))

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file by its name.

        Raises:
            UserError: If a file is missing.
        """
        return {path.name: sha256(existing(path, "h5 file", self._mend)) for path in self.paths}

    def cloud(self, i: int) -> tuple[np.ndarray, int]:
        """The points of cloud `i`, float32 (points, 3), and its label.

        Raises:
            UserError: If its file is missing, cut off or not as described, a coordinate is not finite, or the cloud lies
                outside of the unit sphere where it must not.
        """
        file = next(k for k, end in enumerate(self._ends) if i < end)
        row = i - (self._ends[file - 1] if file else 0)
        # Worker threads come here together, and a file is to be read by the first of them only.
        with self._lock:
            if file not in self._loaded:
                self._loaded[file] = self._read_points(self.paths[file])
        return self._placed(self._loaded[file][row], f"{self.paths[file]}: cloud {row}"), int(self._labels[file][row])

    def _placed(self, points: np.ndarray, where: str) -> np.ndarray:
        with np.errstate(over="ignore"):
            if not np.isfinite(np.square(points).sum()):
                raise UserError(
                    f"{where} has coordinates that are not finite numbers, or too large for float32. Fetch the file again: "
                    f"{self._mend}"
                )
        if self._normalise:
            return unit_sphere(points)
        radius = float(np.linalg.norm(points, axis=1).max())
        if self._unit and radius > LARGEST_RADIUS:
            raise UserError(
                f"{where} reaches {radius:.3g} from the origin, and the projection sees the unit sphere alone, so its maps "
                "would be nearly blank. Centre and scale the clouds: task.dataset.normalise=true"
            )
        return points

    def _read_labels(self, path: Path) -> np.ndarray:
        """Labels (N,) of a file whose form is checked here, before anything is computed."""
        with _open_h5(path, self._mend) as file:
            shape = _h5_array(file, "data", path, self._mend).shape
            labels = np.asarray(_h5_array(file, "label", path, self._mend)[()])
        if len(shape) != 3 or shape[2] != 3 or labels.size != shape[0]:
            raise UserError(
                f"{path}: expected data of shape (clouds, points, 3) and one label for each cloud, and found data "
                f"of shape {shape} and {labels.size} labels. Fetch the file again: {self._mend}"
            )
        if shape[1] < self._points:
            raise UserError(
                f"{path}: its clouds have {shape[1]} points, and {self._points} of them are asked for "
                f"(task.dataset.points={self._points}). Ask for at most {shape[1]}."
            )
        labels = labels.reshape(-1)
        wrong = np.flatnonzero((labels < 0) | (labels >= self._classes) | (labels != labels.astype(np.int64)))
        if len(wrong):
            raise UserError(
                f"{path}: cloud {wrong[0]} has the label {labels[wrong[0]]}, but there are {self._classes} "
                f"classes, so labels run from 0 to {self._classes - 1}. Fetch the file again: {self._mend}"
            )
        return labels.astype(np.int64)

    def _read_points(self, path: Path) -> np.ndarray:
        with _open_h5(path, self._mend) as file:
            return np.asarray(_h5_array(file, "data", path, self._mend)[:, : self._points], dtype=np.float32)


@contextmanager
def _open_h5(path: Path, mend: str) -> Iterator[h5py.File]:
    existing(path, "h5 file", mend)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:  # what h5py raises for damage outside and inside the header
        raise UserError(
            f"{path} cannot be read as HDF5 ({error}); was the download cut off? Delete it and fetch it again: {mend}"
        ) from None


def _h5_array(file: h5py.File, key: str, path: Path, mend: str) -> h5py.Dataset:
    array = file.get(key)
    if not isinstance(array, h5py.Dataset) or array.dtype.kind not in "iuf":
        raise UserError(
            f"{path}: the array of numbers {key!r} is missing; found {', '.join(sorted(file)) or 'nothing'}. Fetch the "
            f"file again: {mend}"
        )
    return array
