"""Parts of birds: the keypoints of CUB-200-2011."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.data.cub import CUB, FOLDER, IMAGES, read_column
from benchmarks.data.files import box_from_xywh, existing, read_lines, sha256
from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box

PARTS, LOCATIONS = "parts/parts.txt", "parts/part_locs.txt"


class CUBParts:
    """The visible parts of the bird in each picture, with their names and places.

    Files in `<root>/CUB_200_2011/`, as its README says: `parts/parts.txt` (part id, name) and `parts/part_locs.txt` (image
    id, part id, x, y, 1 if it is visible), beside those that `CUB` reads. A picture without a visible part is left out.

    Args:
        root: The folder of all data sets.
        split: `test` or `train`.
        contract: Whether the published number of pictures is required.
        accept_outside: Whether boxes are taken of which most end outside of their pictures.
        megapixels: The largest picture that is decoded.

    Raises:
        UserError: As `CUB`, or if a file of the parts is missing, broken, or not as described.
    """

    class_names = ()

    def __init__(
        self,
        root: str,
        split: str,
        contract: bool = True,
        accept_outside: bool = False,
        megapixels: float = MEGAPIXELS,
    ) -> None:
        self.split = split
        self._birds = CUB(root, split, contract, accept_outside, megapixels)

    @cached_property
    def index(self) -> Sequence[SampleInfo]:
        """All pictures with visible parts, in the order of the files."""
        return [SampleInfo(id, len(self._visible[id]), len(self._visible[id])) for id in self._kept]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """That of the pictures, and the hashes of the files of parts."""
        return {**self._birds.identity, "parts": {name: sha256(self._file(name)) for name in (PARTS, LOCATIONS)}}

    def expressions(self) -> list[str]:
        """The name of each visible part, for the pool of those that are subtracted."""
        return [name for id in self._kept for name, _ in self._visible[id]]

    def load(self, i: int) -> Sample:
        """One picture with a query for each visible part.

        Raises:
            UserError: If the picture is missing or broken, or a part lies outside of it.
        """
        id = self._kept[i]
        bird = self._birds.load(self._order[id])
        image, box = bird.pictures[0].image, bird.pictures[0].regions[0].box
        queries = []
        for k, (name, point) in enumerate(self._visible[id]):
            x, y, _, _ = point
            if not (0 <= x <= image.width and 0 <= y <= image.height):
                raise UserError(
                    f"{self._file(LOCATIONS)}: the {name} of {id} is at ({x}, {y}), outside of its picture of "
                    f"{image.width} x {image.height} pixels. Fetch the data again: {self._birds.mend}"
                )
            queries.append(Query(f"{id}/{name.replace(' ', '_')}", name, (point,), k, slice=name))
        return Sample(id, (Picture(image, ()),), tuple(queries), (box,) * len(queries))

    def _file(self, name: str) -> Path:
        return existing(self._birds.data_root / FOLDER / name, "annotation file", self._birds.mend)

    @cached_property
    def _order(self) -> dict[str, int]:
        return {info.id: i for i, info in enumerate(self._birds.index)}

    @cached_property
    def _kept(self) -> list[str]:
        return [id for id in self._order if self._visible.get(id)]

    @cached_property
    def _visible(self) -> dict[str, list[tuple[str, Box]]]:
        """The visible parts of each picture: names, and places as boxes without area."""
        mend = self._birds.mend
        pictures = read_column(self._file(IMAGES), mend)
        ids = {key: str(PurePosixPath(path).with_suffix("")) for key, path in pictures.items()}
        names = read_column(self._file(PARTS), mend)
        found: dict[str, dict[str, tuple[str, Box]]] = {}
        for place, (image, part, x, y, visible) in read_lines(self._file(LOCATIONS), 5, mend):
            if image not in ids or part not in names:
                raise UserError(f"{place}: there is no image {image} or no part {part}. Fetch the file again: {mend}")
            if visible == "1":
                found.setdefault(ids[image], {})[part] = (names[part], box_from_xywh([x, y, 0, 0], place))
        return {id: list(parts.values()) for id, parts in found.items()}
