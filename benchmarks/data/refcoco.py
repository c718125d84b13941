"""RefCOCO, RefCOCO+ and RefCOCOg from the files of ReCLIP (one JSON object on each line)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.data.expressions import FILE_NAMES, ReferringDataset
from benchmarks.data.files import box_from_xywh, identifier, read_json_lines, required, required_list, sha256, shown
from benchmarks.data.referents import Referent, referent
from falip.errors import UserError
from falip.regions import Box


class RefCOCO(ReferringDataset):
    """The data that ReCLIP, FGVP and FALIP report on; see `ReferringDataset` for the arguments.

    Files: `<root>/reclip_data/{refcoco,refcoco+,refcocog}_<split in lower case>.jsonl` and
    `..._dets_dict.json` (both may lie in `<root>` itself), pictures in `<root>/train2014/`
    (R:README.md:9-24).
    """

    @property
    def _annotations_file(self) -> Path:
        return self.file(f"{FILE_NAMES[self.name]}_{self.split.lower()}.jsonl", "annotation file")

    @property
    def _sources(self) -> dict[str, str]:
        return {self._annotations_file.name: sha256(self._annotations_file)}

    def _referents(self) -> Iterator[Referent]:
        for place, line in read_json_lines(self._annotations_file, self.mend):
            image_id, file_name, gold, annotations, sentences = (
                required(line, key, place) for key in ("image_id", "file_name", "ann_id", "anns", "sentences")
            )
            yield referent(place, image_id, file_name, gold, _annotations(annotations, place), sentences, self.mend)

    def _outlines(self) -> dict[str, list[Any]]:
        outlines: dict[str, list[Any]] = {}
        for place, line in read_json_lines(self._annotations_file, self.mend):
            image_id = identifier(required(line, "image_id", place), place)
            if image_id not in outlines:
                outlines[image_id] = [required(one, "segmentation", place) for one in required_list(line, "anns", place)]
        return outlines


def _annotations(annotations: Any, place: str) -> list[tuple[str, Box]]:
    if not isinstance(annotations, list):
        raise UserError(f"{place}: 'anns' must be a list of annotated objects, and is {shown(annotations)}.")
    return [
        (identifier(required(one, "id", place), place), box_from_xywh(required(one, "bbox", place), place))
        for one in annotations
    ]
