"""COCO's train2014 images, one by one: only those that the chosen splits of the RefCOCO family ask about."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from benchmarks.acquire import download, manifest
from benchmarks.acquire.assets import Options, locked
from benchmarks.acquire.manifest import FileRecord, Manifest
from benchmarks.acquire.sources import (
    ASSETS,
    COCO_IMAGE_SIZE,
    COCO_IMAGES_BASE,
    COCO_IMAGES_FOLDER,
    COCO_IMAGES_LICENCE,
    Recipe,
    human,
)
from falip.errors import UserError

WORKERS = 8
GIVE_UP_AFTER = 20
"""Images that may fail before the rest is left alone: the address is then down, not the images."""
_TITLE = "COCO train2014 images, those that were asked for"
# "COCO_train2014_<12 digits>_<annotation id>.jpg": the last part is not of the image (allenai/reclip main.py:122-126).
_NAME = re.compile(r"(COCO_train2014_\d{12})(?:_\d+)?\.jpg")


def image_names(annotations: Path) -> list[str]:
    """Names of the images that an annotation file in ReCLIP's format asks about, each once, sorted.

    Raises:
        UserError: A line cannot be understood.
    """
    names: set[str] = set()
    with annotations.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                match = _NAME.fullmatch(json.loads(line)["file_name"])
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"{annotations}, line {number} is not one of ReCLIP's ({type(error).__name__}: {error}). Move the "
                    "folder away and run the command again to download it anew."
                ) from None
            if match is None:
                raise UserError(f"{annotations}, line {number}: file_name is not that of a COCO train2014 image.")
            names.add(f"{match[1]}.jpg")
    return sorted(names)


def acquire_images(recipe: Recipe, splits: Sequence[str], options: Options) -> None:
    """Fetch the images of the chosen splits into train2014/ below the data root and record them.

    Images that are there, from an interrupted call or the user's own copy of train2014, are kept as they are.

    Raises:
        UserError: Some images could not be had (the others are kept), or the annotations are not there.
    """
    folder = options.root / COCO_IMAGES_FOLDER
    wanted = _wanted(recipe, splits, options)
    if wanted is None:
        return
    recorded = manifest.read(folder)
    known = dict(recorded.files) if recorded else {}
    names = sorted(set().union(*wanted.values()))
    lacking = [name for name in names if not _there(folder / name, known.get(name), thorough=options.verify)]
    parts = {f"{recipe.name}/{split}": len(images) for split, images in wanted.items()}
    covered = recorded is not None and all(recorded.parts.get(part) == count for part, count in parts.items())
    if covered and not lacking:
        options.say(f"{COCO_IMAGES_FOLDER}: all {len(names)} images of {', '.join(parts)} are there; nothing to do")
        return
    options.say(
        f"{COCO_IMAGES_FOLDER}: {len(names)} images for {', '.join(parts)}, {len(lacking)} to download, "
        f"about {human(len(lacking) * COCO_IMAGE_SIZE)}"
    )
    _say_sources(options)
    if options.dry_run:
        return
    with locked(options.root, COCO_IMAGES_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        download.require_space(folder, len(lacking) * COCO_IMAGE_SIZE, f"{len(lacking)} images")
        _fetch_all(lacking, folder, known, options)
        _record(folder, recorded, names, parts)
    options.say(f"{COCO_IMAGES_FOLDER}: complete for {', '.join(parts)}")


def _wanted(recipe: Recipe, splits: Sequence[str], options: Options) -> dict[str, list[str]] | None:
    """Images by split; None in a dry run before the annotations are there."""
    files = dict(recipe.annotations)
    wanted = {}
    for split in splits:
        path = options.root / ASSETS["reclip_data"].folder / files[split]
        if not path.is_file():
            if not options.dry_run:
                raise UserError(f"{path} is missing. Run `python -m scripts.data {recipe.name}` to fetch it.")
            options.say(f"{COCO_IMAGES_FOLDER}: the images of {', '.join(splits)}; how many, the annotations will tell")
            _say_sources(options)
            return None
        wanted[split] = image_names(path)
    return wanted


def _say_sources(options: Options) -> None:
    options.say(f"  licence: {COCO_IMAGES_LICENCE}")
    for number, base in enumerate(_bases(options), 1):
        options.say(f"    {number}. {base}/")


def _bases(options: Options) -> list[str]:
    mirror = [f"{options.mirror.rstrip('/')}/{COCO_IMAGES_FOLDER}"] if options.mirror else []
    return [*mirror, COCO_IMAGES_BASE]


def _there(path: Path, record: FileRecord | None, *, thorough: bool) -> bool:
    """Whether an image is there: as recorded, or, without a record, at all (it is renamed into place when whole)."""
    try:
        size = path.stat().st_size
    except OSError:
        return False
    if record is None:
        return size > 0
    return size == record.size and (not thorough or download.hash_file(path, "sha256")[0] == record.sha256)


def _fetch_all(names: Sequence[str], folder: Path, known: dict[str, FileRecord], options: Options) -> None:
    staging = folder.parent / ".partial" / COCO_IMAGES_FOLDER
    bases = _Bases(_bases(options), options)
    failures: list[str] = []
    bar = tqdm(total=len(names), unit="image", desc=COCO_IMAGES_FOLDER, disable=None, leave=False)
    with ThreadPoolExecutor(WORKERS) as pool, bar:
        futures = [pool.submit(_fetch_one, name, folder, staging, known.get(name), bases) for name in names]
        try:
            for future in as_completed(futures):
                try:
                    future.result()
                except _ImageFailedError as error:
                    failures.append(str(error))
                    if len(failures) >= GIVE_UP_AFTER:
                        break
                bar.update()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    if failures:
        listed = "\n".join(f"  {line}" for line in failures[:5])
        raise UserError(
            f"{len(failures)} images could not be downloaded"
            f"{' (given up there)' if len(failures) >= GIVE_UP_AFTER else ''}, such as:\n{listed}\n"
            "The others are kept: run the command again to continue, or name another copy with --mirror BASE_URL "
            f"(it must serve {COCO_IMAGES_FOLDER}/<name>.jpg below that address)."
        )


class _ImageFailedError(Exception):
    """No address served an image."""


class _Bases:
    """The addresses in the order of trying; one that fails while another serves goes to the end, and is reported once."""

    def __init__(self, bases: Iterable[str], options: Options) -> None:
        self._bases = list(bases)
        self._say = options.say
        self._lock = threading.Lock()

    def ordered(self) -> list[str]:
        with self._lock:
            return list(self._bases)

    def served(self, base: str) -> None:
        with self._lock:
            index = self._bases.index(base)
            for failed in self._bases[:index]:
                self._say(f"passed over {failed}/: {base}/ served what it did not")
            self._bases = self._bases[index:] + self._bases[:index]


def _fetch_one(name: str, folder: Path, staging: Path, record: FileRecord | None, bases: _Bases) -> None:
    """Fetch one image; it appears in the folder when it is whole."""
    target = staging / name
    urls = [f"{base}/{name}" for base in bases.ordered()]
    try:
        digest = f"sha256:{record.sha256}" if record else ""
        receipt = download.fetch(urls, target, digest=digest, bar=False, say=lambda _: None)
    except UserError as error:
        if isinstance(error, download.NoDiskSpaceError):
            raise
        raise _ImageFailedError(f"{name}: " + "; ".join(str(error).splitlines()[1:-1])) from None
    if target.read_bytes()[:2] != b"\xff\xd8":
        download.discard(target)
        raise _ImageFailedError(f"{receipt.url}: is not a JPEG image")
    bases.served(receipt.url.removesuffix(f"/{name}"))
    target.replace(folder / name)
    download.discard(target)


def _record(folder: Path, recorded: Manifest | None, names: Sequence[str], parts: dict[str, int]) -> None:
    old = recorded.files if recorded else {}
    files = old | manifest.record_files(folder, [name for name in names if name not in old])
    done = (recorded.parts if recorded else {}) | parts
    made = Manifest(COCO_IMAGES_FOLDER, _TITLE, COCO_IMAGES_LICENCE, "downloaded", files, parts=done)
    manifest.write(folder, made)
