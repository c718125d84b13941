"""gRefCOCO: expressions of one object, of several, and of none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.data.files import (
    box_from_xywh,
    check_text,
    existing,
    identifier,
    inside,
    read_json,
    required,
    required_list,
)
from benchmarks.data.referents import picture_file
from benchmarks.data.referring_sets import AskedImage, ReferringSet
from benchmarks.data.region_sets import read_object
from benchmarks.data.samples import Query
from falip.errors import UserError
from falip.reading import MEGAPIXELS
from falip.regions import Box

ONE, SEVERAL, NONE = "one target", "several targets", "no target"


class GRefCOCO(ReferringSet):
    """Splits `train`, `val`, `testA`, `testB`; files `grefcoco/grefs(unc).json` and `grefcoco/instances.json`.

    Candidates are all annotated objects of the image; pictures lie in `train2014/`. A query's slice says how many targets
    it has. Entries without a sentence, of which the authors say that they may be passed over (henghuiding/gRefCOCO,
    issue 8), have no query. No source states numbers of expressions by split.

    Args:
        root: The folder of all data sets.
        split: One of those above.
        megapixels: The largest picture that is decoded.
    """

    name = "grefcoco"
    splits = ("train", "val", "testA", "testB")

    def __init__(self, root: str, split: str = "val", megapixels: float = MEGAPIXELS) -> None:
        super().__init__(root, split, True, megapixels)

    @property
    def sources(self) -> Sequence[Path]:
        """The expressions, and the objects."""
        folder = self.data_root / self.name
        return [existing(folder / name, "annotation file", self.mend) for name in ("grefs(unc).json", "instances.json")]

    def _read(self) -> list[AskedImage]:
        refs, instances = self.sources
        objects: dict[str, dict[str, Box]] = defaultdict(dict)
        for number, one in enumerate(read_object(instances, ("annotations",), self.mend)["annotations"]):
            place = f"{instances}, annotation {number}"
            image, own = (identifier(required(one, key, place), place) for key in ("image_id", "id"))
            objects[image][own] = box_from_xywh(required(one, "bbox", place), place)
        content = read_json(refs, self.mend)
        if not isinstance(content, list):
            raise UserError(f"{refs}: expected a list of expressions. Fetch it again: {self.mend}")
        queries: dict[str, list[Query]] = defaultdict(list)
        files: dict[str, str] = {}
        for number, one in enumerate(content):
            place = f"{refs}, entry {number}"
            if required(one, "split", place) != self.split:
                continue
            image = identifier(required(one, "image_id", place), place)
            files[image] = picture_file(str(required(one, "file_name", place)))
            queries[image] += self._queries(one, objects[image], place)
        folder = self.data_root / "train2014"
        return [
            AskedImage(image, inside(folder, name, str(refs)), tuple(objects[image].values()), tuple(queries[image]))
            for image, name in files.items()
        ]

    def _queries(self, entry: dict[str, Any], objects: dict[str, Box], place: str) -> list[Query]:
        ids = [identifier(one, place) for one in required_list(entry, "ann_id", place)]
        nothing = bool(entry.get("no_target")) or ids == ["-1"]
        lost = [one for one in ids if one not in objects]
        if lost and not nothing:
            raise UserError(
                f"{place}: its target {lost[0]} is no annotated object of its image. Fetch it again: {self.mend}"
            )
        targets = () if nothing else tuple(objects[one] for one in ids)
        words = NONE if nothing else ONE if len(targets) == 1 else SEVERAL
        found = []
        for sentence in required_list(entry, "sentences", place):
            text = required(sentence, "raw", place)
            check_text(text, "an expression", place, self.mend)
            found.append(Query(identifier(required(sentence, "sent_id", place), place), text.lower(), targets, slice=words))
        return found
