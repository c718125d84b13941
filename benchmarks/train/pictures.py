"""The pictures of a recognition task as batches in an order that a seed and the step alone decide."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from benchmarks.data.samples import Dataset
from falip.backbone.images import ImageProcessing
from falip.errors import UserError

_KEPT_BYTES = 1_000_000_000


class TrainingPictures:
    """Whole pictures with one class each; regions are not looked at.

    Args:
        dataset: Recognition, one query for each sample.
        preprocess: From pictures to pixels, as the backbone does it; there is no augmentation.
        workers: Threads that decode.
    """

    def __init__(self, dataset: Dataset, preprocess: ImageProcessing, workers: int = 4) -> None:
        if not dataset.class_names:
            raise UserError("Fine-tuning needs a task with classes, such as task=classification/domainbed.")
        self._dataset, self._preprocess = dataset, preprocess
        self._pool = ThreadPoolExecutor(workers)
        self._kept: dict[int, tuple[Tensor, int]] = {}
        self._room = _KEPT_BYTES

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._dataset.index)

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Pixels (batch, 3, side, side) and right classes (batch,).

        Raises:
            UserError: If a picture is missing or broken, or has no single class.
        """
        pixels, labels = zip(*self._pool.map(self._one, indices), strict=True)
        return torch.stack(pixels), torch.tensor(labels)

    def _one(self, index: int) -> tuple[Tensor, int]:
        if index in self._kept:
            return self._kept[index]
        sample = self._dataset.load(index)
        if len(sample.queries) != 1 or len(sample.pictures) != 1 or sample.queries[0].label < 0:
            raise UserError(f"{sample.id}: fine-tuning needs samples of one picture with one class.")
        found = self._preprocess([sample.pictures[0].image])[0], sample.queries[0].label
        size = found[0].numel() * found[0].element_size()
        if size <= self._room:  # several threads may pass here at once, by a few pictures too many
            self._room -= size
            self._kept[index] = found
        return found


def chosen(step: int, batch: int, pictures: int, seed: int) -> list[int]:
    """The pictures of a step: epochs follow each other, each in an order of its own, for resumed runs too."""
    places = range(step * batch, (step + 1) * batch)
    orders = {
        epoch: np.random.default_rng([seed, epoch]).permutation(pictures)
        for epoch in range(places[0] // pictures, places[-1] // pictures + 1)
    }
    return [int(orders[place // pictures][place % pictures]) for place in places]
