"""Which expressions of RefCOCO, RefCOCO+ and RefCOCOg the authors of Ref-L4 found wrong when they reviewed them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.data.files import identifier, read_json, required, shown
from benchmarks.data.referents import ImageReferents
from benchmarks.data.samples import Query
from falip.errors import UserError

ROWS = ("all", "reviewed", "flagged")
RIGHT, WRONG, UNSEEN = "reviewed: right", "reviewed: wrong", "not reviewed"
_TEXTS = ("caption", "raw_caption", "sent", "raw", "sentence")
_WRONG = 0  # of caption_quality (the card of JierunChen/Ref-L4); other values are not documented


@dataclass(frozen=True)
class Review:
    """The verdicts on a split.

    Attributes:
        verdicts: For each query that was reviewed whether it is right.
        rows: Number of queries without a verdict.
        flags: Number of verdicts without a query.
    """

    verdicts: Mapping[str, bool]
    rows: int
    flags: int

    @property
    def identity(self) -> dict[str, int]:
        """Counts that tell how well file and split belong together."""
        wrong = sum(not right for right in self.verdicts.values())
        return {"wrong": wrong, "unjoined_rows": self.rows, "unjoined_flags": self.flags}


def reviewed(images: Sequence[ImageReferents], review: Review, rows: str) -> tuple[ImageReferents, ...]:
    """The images with the queries that are asked.

    Args:
        images: With all queries.
        review: The verdicts on them.
        rows: `reviewed` for those that were found right alone; or `flagged` for all of them, the slice of each its verdict.
    """
    words = {True: RIGHT, False: WRONG, None: UNSEEN}

    def asked(queries: Sequence[Query]) -> Iterator[Query]:
        for query in queries:
            verdict = review.verdicts.get(query.id)
            if rows == "flagged":
                yield replace(query, slice=words[verdict])
            elif verdict:
                yield query

    kept = (replace(image, queries=tuple(asked(image.queries))) for image in images)
    return tuple(image for image in kept if image.queries or image.error)


def read_review(path: Path, images: Sequence[ImageReferents], mend: str) -> Review:
    """Joins a file of verdicts with the queries of a split.

    A verdict belongs to a sentence by its `sent_id`, else to the expression of that text in its image; of several to the
    one whose box is the verdict's.

    Args:
        path: `refcoco_val_reviewed.json` and so on, an object with the list `annotation` (or `annotations`).
        images: All images of the split.
        mend: The command that fetches the file.

    Raises:
        UserError: If it is no such file, or none of its verdicts is of this split.
    """
    entries = _entries(path, mend)
    queries = {query.id: query for image in images for query in image.queries}
    texts: dict[tuple[str, str], list[Query]] = defaultdict(list)
    for image in images:
        for query in image.queries:
            texts[image.image_id, _plain(query.text)].append(query)
    verdicts: dict[str, bool] = {}
    lost = 0
    for number, entry in enumerate(entries):
        place = f"{path}, annotation {number}"
        quality = required(entry, "caption_quality", place)
        found = _query(entry, place, queries, texts)
        if found is None:
            lost += 1
        else:
            verdicts[found.id] = verdicts.get(found.id, True) and quality != _WRONG
    if not verdicts:
        raise UserError(
            f"{path}: none of its {len(entries)} verdicts is of an expression of this split. Fetch it again: {mend}"
        )
    return Review(verdicts, len(queries) - len(verdicts), lost)


def _entries(path: Path, mend: str) -> list[Any]:
    content = read_json(path, mend)
    found = content.get("annotation", content.get("annotations")) if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise UserError(
            f"{path}: expected an object with the list 'annotation', and found {shown(content)}. Fetch it: {mend}"
        )
    return found


def _query(
    entry: Any, place: str, queries: Mapping[str, Query], texts: Mapping[tuple[str, str], Sequence[Query]]
) -> Query | None:
    text = next((entry[key] for key in _TEXTS if isinstance(entry.get(key), str)), None)
    if "sent_id" in entry or text is None:
        return queries.get(str(entry.get("sent_id", entry.get("id"))))
    same = texts.get((_image(entry, place), _plain(text)), ())
    box = entry.get("bbox")
    if len(same) > 1 and isinstance(box, list) and len(box) == 4:
        x, y, width, height = box
        corners = (x, y, x + width, y + height)
        return min(same, key=lambda one: sum(abs(a - b) for a, b in zip(one.targets[0], corners, strict=True)))
    return same[0] if same else None


def _image(entry: Mapping[str, Any], place: str) -> str:
    """COCO's id of the image, which its file's name has too: COCO_train2014_000000000025.jpg."""
    if "image_id" in entry:
        return identifier(entry["image_id"], place)
    name = str(required(entry, "file_name", place)).rpartition("/")[2].partition(".")[0]
    return next((identifier(part, place) for part in name.split("_") if len(part) == 12 and part.isdigit()), "")


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
