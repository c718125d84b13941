"""RefCOCO, RefCOCO+ and RefCOCOg from the files of ReCLIP (one JSON object on each line)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.data.expressions import (
    FILE_NAMES,
    Referent,
    ReferringDataset,
    picture_file,
    read_sentences,
)
from benchmarks.data.files import box_from_xywh, read_json_lines, required, sha256
from falip.errors import UserError
from falip.regions import Box


class RefCOCO(ReferringDataset):
    """The data that ReCLIP, FGVP and FALIP report on; see `ReferringDataset` for the arguments.

    Files: `<root>/reclip_data/{refcoco,refcoco+,refcocog}_<split in lower case>.jsonl` and
    `..._dets_dict.json` (both may lie in `<root>` itself), pictures in `<root>/train2014/`
    (R:README.md:9-24).
    """

    @property
    def _annotation_file(self) -> Path:
        return self.file(f"{FILE_NAMES[self.name]}_{self.split.lower()}.jsonl", "annotation file")

    @property
    def _sources(self) -> dict[str, str]:
        return {self._annotation_file.name: sha256(self._annotation_file)}

    def _referents(self) -> Iterator[Referent]:
        for place, line in read_json_lines(self._annotation_file, self.mend):
            annotations = _annotations(required(line, "anns", place), place, self.mend)
            yield Referent(
                place=place,
                image_id=str(required(line, "image_id", place)),
                file_name=picture_file(required(line, "file_name", place)),
                ids=_gold_ids(required(line, "ann_id", place), annotations, place, self.mend),
                annotations=annotations,
                sentences=read_sentences(required(line, "sentences", place), place, self.mend),
            )


def _annotations(annotations: Any, place: str, mend: str) -> dict[str, Box]:
    if not isinstance(annotations, list):
        raise UserError(f"{place}: 'anns' must be a list of annotated objects, and is {annotations!r:.200}.")
    boxes = {
        str(required(annotation, "id", place)): box_from_xywh(required(annotation, "bbox", place), place)
        for annotation in annotations
    }
    if len(boxes) != len(annotations):
        raise UserError(f"{place}: two annotated objects ('anns') have the same id. Fetch the file again: {mend}")
    return boxes


def _gold_ids(value: Any, annotations: dict[str, Box], place: str, mend: str) -> tuple[str, ...]:
    # A number, a text or a list of these (ReCLIP main.py:129-132); several ids are several gold boxes.
    ids = tuple(str(annotation) for annotation in (value if isinstance(value, list) else [value]))
    unknown = [annotation for annotation in ids if annotation not in annotations]
    if unknown or not ids:
        raise UserError(
            f"{place}: the referent (ann_id {value!r}) is not among the annotated objects of its image: "
            f"{', '.join(annotations) or 'none'}. Fetch the file again: {mend}"
        )
    return ids
