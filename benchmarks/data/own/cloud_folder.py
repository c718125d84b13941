"""One's own point clouds: a folder for each class, a file for each object."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data.files import fingerprint
from benchmarks.data.own.table import Faults
from benchmarks.data.point_clouds import LARGEST_RADIUS, PROJECTIONS, PointCloudDataset, unit_sphere
from falip.errors import UserError

MESHES = (".ply", ".off", ".obj", ".stl")
ENDINGS = (".npy", *MESHES)


class CloudFolder(PointCloudDataset):
    """Objects in `folder/CLASS/FILE`: points (.npy of shape (N, 3 or more), .ply) or a mesh (.ply, .off, .obj, .stl).

    Of points the first are taken; of a mesh, points on its surface are drawn, evenly by area.

    Args:
        folder: Has a folder for each class, named as the class.
        split: What tables call this part of the data.
        points: How many points of each object are used.
        projection: `v1` or `v2`, see `PointCloudDataset`.
        normalise: Whether to centre each cloud and scale it into the unit sphere.
        seed: Draws the points of meshes.

    Raises:
        UserError: If a value is not offered, or when read: if the folder has no object, or a file is broken.
    """

    def __init__(
        self,
        folder: str,
        split: str = "all",
        points: int = 1024,
        projection: str = "v1",
        normalise: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__("folder", split, points, projection)
        self.folder, self.normalise, self.seed = Path(folder).expanduser(), normalise, seed

    @cached_property
    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            raise UserError(f"There is no folder {self.folder.absolute()}. It holds a folder for each class.")
        faults = Faults()
        files = []
        for path in sorted(self.folder.glob("*/*")):
            if path.suffix.lower() in ENDINGS:
                files.append(path)
            elif not path.name.startswith("."):
                faults.found.append(f"{path}: objects end in {', '.join(ENDINGS)}.")
        faults.raise_any(str(self.folder))
        if not files:
            raise UserError(
                f"{self.folder} has no object: they lie in a folder for each class, and end in {', '.join(ENDINGS)}."
            )
        return files

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the folders, sorted."""
        return tuple(sorted({path.parent.name for path in self._files}))

    @property
    def _size(self) -> int:
        return len(self._files)

    @property
    def _sources(self) -> dict[str, Any]:
        files = fingerprint((path.relative_to(self.folder).as_posix(), path) for path in self._files)
        meshes = any(path.suffix.lower() in MESHES for path in self._files)
        reader = {"trimesh": version("trimesh"), "seed": self.seed} if meshes else {}
        return {"version": 1, "normalise": self.normalise, "files": files, "classes": list(self.class_names), **reader}

    def _id(self, i: int) -> str:
        return self._files[i].relative_to(self.folder).as_posix()

    def _cloud(self, i: int) -> tuple[np.ndarray, int]:
        path = self._files[i]
        points = _points(path, self.points, self.seed)
        if points.ndim != 2 or points.shape[1] < 3:
            raise UserError(f"{path}: points are an array of shape (N, 3), and this has the shape {points.shape}.")
        if len(points) < self.points:
            raise UserError(
                f"{path} has {len(points)} points, and task.dataset.points={self.points} are asked for. Add "
                f"task.dataset.points={len(points)}, which takes as many from every object, or give a denser cloud."
            )
        cloud = points[: self.points, :3].astype(np.float32)
        if not np.isfinite(cloud).all():
            raise UserError(f"{path} has coordinates that are not finite numbers.")
        cloud = unit_sphere(cloud) if self.normalise else cloud
        radius = float(np.linalg.norm(cloud, axis=1).max())
        if PROJECTIONS[self.projection].unit and radius > LARGEST_RADIUS:
            raise UserError(
                f"{path} reaches {radius:.3g} from the origin, and the projection sees the unit sphere alone. Leave "
                "task.dataset.normalise=true."
            )
        return cloud, self.class_names.index(path.parent.name)


def _points(path: Path, count: int, seed: int) -> np.ndarray:
    """Points (N, 3) of a file; of a mesh `count` on its surface."""
    try:
        return np.load(path, allow_pickle=False) if path.suffix.lower() == ".npy" else _from_mesh(path, count, seed)
    except UserError:
        raise
    except Exception as error:  # whatever the readers raise for damage
        raise UserError(
            f"{path} cannot be read: {' '.join(str(error).split())[:200]}. Put a sound file in its place."
        ) from error


def _from_mesh(path: Path, count: int, seed: int) -> np.ndarray:
    load, sample_surface = _reader()
    found = load(path, process=False)
    if len(getattr(found, "faces", ())):
        return np.asarray(sample_surface(found, count, seed=seed)[0])
    return np.asarray(getattr(found, "vertices", np.empty((0, 3))))


def _reader() -> tuple[Callable[..., Any], Callable[..., Any]]:
    try:
        import trimesh
        from trimesh.sample import sample_surface
    except ImportError:
        raise UserError("Files of meshes need trimesh: pip install 'falip[meshes]'. Arrays (.npy) need nothing.") from None
    return trimesh.load, sample_surface
