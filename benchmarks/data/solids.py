"""Clouds of solids drawn by code: the point clouds of the embedded benchmark."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.data.files import check_choice
from benchmarks.data.point_clouds import PointCloudDataset
from benchmarks.embedded.clouds import CLOUDS_VERSION, SOLID_CLOUDS, SOLIDS, solid_cloud
from falip.errors import UserError

POINTS = 1024


class Solids(PointCloudDataset):
    """Solids of ten classes, each cloud drawn from its own seed, so that fewer samples are the first of more.

    Args:
        samples: Number of clouds, at least 1.
        split: `test`; the embedded model is trained on other code's pictures.
        projection: `v1` or `v2`, see `PointCloudDataset`.

    Raises:
        UserError: If a value is not offered.
    """

    def __init__(self, samples: int = SOLID_CLOUDS, split: str = "test", projection: str = "v1") -> None:
        check_choice(split, ("test",), "The split of the solids", "task.split")
        if samples < 1:
            raise UserError(f"There must be at least one solid, and task.dataset.samples is {samples}.")
        super().__init__("solids", split, POINTS, projection)
        self.samples = samples

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in label order."""
        return SOLIDS

    @property
    def _size(self) -> int:
        return self.samples

    @property
    def _sources(self) -> dict[str, Any]:
        return {"samples": self.samples, "generator_version": CLOUDS_VERSION}

    def _cloud(self, i: int) -> tuple[np.ndarray, int]:
        return solid_cloud(i)
