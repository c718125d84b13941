"""Referents as the files of RefCOCO give them, grouped by image; what is wrong with a line is its image's fault alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data.boxes import check_unit
from benchmarks.data.files import box_from_xywh, check_text, identifier, inside, read_json, required, shown
from benchmarks.data.samples import Query
from falip.errors import UserError
from falip.regions import Box

_PICTURES = Path("train2014")


@dataclass(frozen=True)
class Referent:
    """One referred object, or several at once, with its expressions, as one line of a file gives it.

    Attributes:
        place: "FILE, line N", for messages.
        image_id: COCO's id of the image.
        file_name: Name of the picture's file in train2014.
        ids: Ids of the annotations that are the gold answer; those that are there, where something is wrong.
        annotations: Box (x0, y0, x1, y1) of every annotated object of the image by id, in the file's order.
        sentences: (sentence id or "", expression in lower case).
        error: What is wrong with it, so that its image cannot be evaluated, or "".
    """

    place: str
    image_id: str
    file_name: str
    ids: tuple[str, ...]
    annotations: Mapping[str, Box]
    sentences: tuple[tuple[str, str], ...]
    error: str = ""


@dataclass(frozen=True)
class ImageReferents:
    """Everything that is asked about one image.

    Attributes:
        image_id: COCO's id of the image.
        file_name: Name of the picture's file in train2014.
        boxes: The candidates; none where the detector found nothing.
        annotated: The boxes of all annotated objects.
        queries: All expressions of the image.
        error: Why it cannot be evaluated, or "".
    """

    image_id: str
    file_name: str
    boxes: tuple[Box, ...]
    annotated: tuple[Box, ...]
    queries: tuple[Query, ...]
    error: str = ""


def referent(
    place: str, image_id: Any, file_name: Any, gold: Any, annotations: Sequence[tuple[str, Box]], sentences: Any, mend: str
) -> Referent:
    """One line of a file, checked.

    What is wrong with the line alone (an empty expression, gold objects that are not annotated, a name that is no file's)
    is kept in `error`, so that its image can be counted as bad and the others evaluated.

    Args:
        place: "FILE, line N", for messages.
        image_id: COCO's id of the image.
        file_name: Of the picture, with or without the annotation's id.
        gold: The id of the annotation that is meant, or a list of ids (ReCLIP main.py:129-132).
        annotations: (Id, box) of every annotated object of the image.
        sentences: A list of objects with the expression as `raw`.
        mend: The command that fetches the file again.

    Raises:
        UserError: If the image or the number of its expressions is not known.
    """
    if not isinstance(sentences, list) or not all(isinstance(sentence, dict) for sentence in sentences):
        raise UserError(f"{place}: 'sentences' must be a list of objects with the key 'raw', and is {shown(sentences)}.")
    image, by_id = identifier(image_id, place), dict(annotations)
    # In this order: the first that fails is the line's error.
    checks = (
        lambda: inside(_PICTURES, file_name, place),
        lambda: _check_gold(gold, annotations, place, mend),
        lambda: [check_text(required(line, "raw", place), "an expression", place, mend) for line in sentences],
    )
    error = next((found for found in map(_error_of, checks) if found), "")
    ids = tuple(one for one in _ids(gold) if one in by_id)
    texts = tuple((_sentence_id(sentence), _lower(sentence.get("raw"))) for sentence in sentences)
    return Referent(place, image, "" if error else picture_file(file_name), ids, by_id, texts, error)


def picture_file(file_name: str) -> str:
    """COCO_train2014_<12 digits>_<annotation id>.jpg without the last part, which is the picture's file.

    ReCLIP main.py:122-126. A name that ends with the 12 digits is a picture's already.
    """
    stem, _, last = file_name.rpartition("_")
    if "coco" not in file_name.lower() or len(last.partition(".")[0]) == 12:
        return file_name
    return f"{stem}.jpg"


def _error_of(check: Callable[[], object]) -> str:
    try:
        check()
    except UserError as error:
        return str(error)
    return ""


def _check_gold(gold: Any, annotations: Sequence[tuple[str, Box]], place: str, mend: str) -> None:
    names = [name for name, _ in annotations]
    if len(set(names)) != len(names):
        raise UserError(f"{place}: two annotated objects ('anns') have the same id. Fetch the file again: {mend}")
    ids = [identifier(one, place) for one in (gold if isinstance(gold, list) else [gold])]
    if not ids or any(one not in names for one in ids):
        raise UserError(
            f"{place}: the referent (ann_id {shown(gold)}) is not among the annotated objects of its image: "
            f"{', '.join(names) or 'none'}. Fetch the file again: {mend}"
        )


def _ids(gold: Any) -> Iterator[str]:
    # A number, a text or a list of these; several ids are several gold boxes.
    for one in gold if isinstance(gold, list) else [gold]:
        with suppress(UserError):
            yield identifier(one, "")


def _sentence_id(sentence: Mapping[str, Any]) -> str:
    found = sentence.get("sent_id")
    return "" if found is None else str(found)


def _lower(raw: Any) -> str:
    return raw.lower() if isinstance(raw, str) else ""


def read_detections(path: Path, mend: str) -> dict[str, tuple[Box, ...]]:
    """The detected boxes of each image id, as corners.

    Both forms of ReCLIP main.py:102-107 are read: {image id: [[x, y, w, h], ...]} and [{"image_id": ...,
    "box": [x, y, w, h]}].

    Raises:
        UserError: If the file is broken, has another form, has one id in two spellings, or boxes that are not in pixels.
    """
    content = read_json(path, mend)
    if isinstance(content, dict):
        detections = _by_key(content, path, mend)
    elif isinstance(content, list):
        detections = defaultdict(list)
        for number, entry in enumerate(content):
            place = f"{path}, entry {number}"
            image_id = identifier(required(entry, "image_id", place), place)
            detections[image_id].append(box_from_xywh(required(entry, "box", place), place))
    else:
        raise UserError(
            f"{path}: expected an object or a list, and found a {type(content).__name__}. Fetch it again: {mend}"
        )
    check_unit((box for boxes in detections.values() for box in boxes), str(path))
    return {image_id: tuple(boxes) for image_id, boxes in detections.items()}


def _by_key(content: Mapping[str, Any], path: Path, mend: str) -> dict[str, list[Box]]:
    detections: dict[str, list[Box]] = {}
    for key, boxes in content.items():
        place = f"{path}, image id {shown(key)}"
        if not isinstance(boxes, list):
            raise UserError(f"{place}: expected a list of boxes, and found {shown(boxes)}. Fetch the file again: {mend}")
        image_id = identifier(key, place)
        if image_id in detections:
            raise UserError(f"{place}: the file has this image a second time, by another spelling. Fetch it again: {mend}")
        detections[image_id] = [box_from_xywh(box, place) for box in boxes]
    return detections


def group_by_image(
    referents: Iterable[Referent], detections: Mapping[str, tuple[Box, ...]] | None, mend: str
) -> tuple[ImageReferents, ...]:
    """Puts all expressions of an image together.

    Images come in the order of their ids and expressions in the order of their annotations, so that the
    result does not depend on the order of a file's lines. An image with a bad line, or of which two lines disagree, is
    kept with its error.

    Args:
        referents: In any order.
        detections: Boxes of each image id, or None where all annotated objects are the candidates.
        mend: The command that fetches the file again.
    """
    by_image: dict[str, list[Referent]] = defaultdict(list)
    for referent in referents:
        by_image[referent.image_id].append(referent)
    sentence_ids = [s_id for group in by_image.values() for referent in group for s_id, _ in referent.sentences]
    unique = all(sentence_ids) and len(set(sentence_ids)) == len(sentence_ids)
    return tuple(
        _image_referents(by_image[image_id], detections, unique, mend)
        for image_id in sorted(by_image, key=lambda image_id: (len(image_id), image_id))
    )


def _image_referents(
    group: Sequence[Referent], detections: Mapping[str, tuple[Box, ...]] | None, unique: bool, mend: str
) -> ImageReferents:
    first = group[0]
    error = next((referent.error for referent in group if referent.error), "") or _disagreement(group, mend)
    order = {annotation: position for position, annotation in enumerate(first.annotations)}
    if not error:
        group = sorted(group, key=lambda referent: [order[annotation] for annotation in referent.ids])
    annotated = tuple(first.annotations.values())
    boxes = annotated if detections is None else detections.get(first.image_id, ())
    return ImageReferents(first.image_id, first.file_name, boxes, annotated, tuple(_queries(group, unique)), error)


def _disagreement(group: Sequence[Referent], mend: str) -> str:
    """What two lines about one image say differently, or ""."""
    first = group[0]
    for other in group[1:]:
        if other.annotations != first.annotations:
            return (
                f"{other.place}: the annotated objects ('anns') of image {other.image_id} differ from "
                f"those at {first.place}, and one image has one set of candidates. Fetch the file again: {mend}"
            )
        if other.file_name != first.file_name:
            return (
                f"{other.place}: the picture of image {other.image_id} is {other.file_name}, and at {first.place} it is "
                f"{first.file_name}. Fetch the file again: {mend}"
            )
    return ""


def _queries(group: Sequence[Referent], unique: bool) -> Iterator[Query]:
    seen: dict[str, int] = defaultdict(int)
    for referent in group:
        targets = tuple(referent.annotations[annotation] for annotation in referent.ids)
        key = f"{referent.image_id}/{'+'.join(referent.ids)}"
        for sentence_id, text in referent.sentences:
            yield Query(sentence_id if unique else f"{key}/{seen[key]}", text, targets)
            seen[key] += 1
