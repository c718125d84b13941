"""COCO's train2014 images, one by one: only those that the chosen splits of the RefCOCO family ask about."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from benchmarks.acquire import disk, download, manifest, pictures
from benchmarks.acquire.assets import Options, locked
from benchmarks.acquire.manifest import FileRecord, Manifest
from benchmarks.acquire.sources import (
    ASSETS,
    COCO_IMAGE_SIZE,
    COCO_IMAGES_BASE,
    COCO_IMAGES_FOLDER,
    COCO_IMAGES_LICENCE,
    MB,
    Recipe,
    human,
)
from falip.errors import UserError

WORKERS = 8
LARGEST = 50 * MB
"""Bytes that no image of COCO comes near."""
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
            except (ValueError, KeyError, TypeError, RecursionError) as error:
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
    disk.require_folder(folder)
    lacking = _lacking(folder, names, known, thorough=options.verify)
    parts = {f"{recipe.name}/{split}": len(images) for split, images in wanted.items()}
    covered = recorded is not None and all(recorded.parts.get(part) == count for part, count in parts.items())
    if covered and not lacking:
        how = ", every hash and picture verified" if options.verify else ""
        options.say(f"{COCO_IMAGES_FOLDER}: all {len(names)} images of {', '.join(parts)} are there{how}; nothing to do")
        return
    options.say(
        f"{COCO_IMAGES_FOLDER}: {len(names)} images for {', '.join(parts)}, {len(lacking)} to download, "
        f"about {human(len(lacking) * COCO_IMAGE_SIZE)}"
    )
    _say_sources(options)
    if options.dry_run:
        return
    with locked(options.root, COCO_IMAGES_FOLDER):
        disk.make_folder(folder)
        disk.require_space(folder, len(lacking) * COCO_IMAGE_SIZE, f"{len(lacking)} images")
        _fetch_all(lacking, folder, options)
        _record(folder, recorded, names, lacking, parts)
    options.say(f"{COCO_IMAGES_FOLDER}: complete for {', '.join(parts)}")


def _wanted(recipe: Recipe, splits: Sequence[str], options: Options) -> dict[str, list[str]] | None:
    """Images by split; None in a dry run before the annotations are there."""
    files = dict(recipe.annotations)
    wanted = {}
    for split in splits:
        path = options.root / ASSETS["reclip_data"].folder / files[split]
        if not path.is_file():
            if not options.dry_run:
                raise UserError(f"{path} is missing. Run `falip data {recipe.name}` to fetch it.")
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


def _lacking(folder: Path, names: Sequence[str], known: dict[str, FileRecord], *, thorough: bool) -> dict[str, str]:
    """The images that are missing or damaged, each with the sha256 that it must have when it comes, or "".

    What is recorded was whole when it came, so its size is compared, and with `thorough` its hash; what is not recorded,
    such as the user's own copies, is decoded, and with `thorough` everything is.
    """
    lacking: dict[str, str] = {}
    decode: list[str] = []
    for name in names:
        record = known.get(name)
        if record is None:
            decode.append(name)
        elif manifest.differs(folder / name, record, thorough=thorough):
            lacking[name] = record.sha256
        elif thorough:
            decode.append(name)
    # A broken picture with its recorded hash was recorded as it came: a whole one has another.
    lacking |= dict.fromkeys((name for name in decode if not (folder / name).is_file()), "")
    return lacking | dict.fromkeys(pictures.broken(folder, (name for name in decode if name not in lacking)), "")


def _fetch_all(lacking: Mapping[str, str], folder: Path, options: Options) -> None:
    staging = folder.parent / ".partial" / COCO_IMAGES_FOLDER
    bases = _Bases(_bases(options), options)
    failures: list[str] = []
    bar = tqdm(total=len(lacking), unit="image", desc=COCO_IMAGES_FOLDER, disable=None, leave=False)

    def fetched(name: str, sha256: str) -> None:
        if len(failures) < GIVE_UP_AFTER:
            try:
                _fetch_one(name, sha256, folder, staging, bases)
            except _ImageFailedError as error:
                failures.append(str(error))

    with ThreadPoolExecutor(WORKERS) as pool, bar:
        futures = [pool.submit(fetched, name, sha256) for name, sha256 in lacking.items()]
        try:
            for future in as_completed(futures):
                future.result()
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
            if base not in self._bases:
                return  # it came by an address of an earlier call
            index = self._bases.index(base)
            for failed in self._bases[:index]:
                self._say(f"passed over {failed}/: {base}/ served what it did not")
            self._bases = self._bases[index:] + self._bases[:index]


def _fetch_one(name: str, sha256: str, folder: Path, staging: Path, bases: _Bases) -> None:
    """Fetch one image; it appears in the folder when it is whole."""
    target = staging / name
    urls = [f"{base}/{name}" for base in bases.ordered()]
    try:
        digest = f"sha256:{sha256}" if sha256 else ""
        receipt = download.fetch(
            urls, target, digest=digest, most=LARGEST, check=pictures.jpeg_fault, bar=False, say=lambda _: None
        )
    except UserError as error:
        if isinstance(error, disk.NoDiskSpaceError):
            raise
        mend = f". The expected hash is that of {folder / manifest.NAME}: delete that file if it is wrong" if sha256 else ""
        raise _ImageFailedError(f"{name}: " + "; ".join(str(error).splitlines()[1:-1]) + mend) from None
    bases.served(receipt.url.removesuffix(f"/{name}"))
    disk.move(target, folder / name)
    download.discard(target)


def _record(
    folder: Path, recorded: Manifest | None, names: Sequence[str], fetched: Collection[str], parts: dict[str, int]
) -> None:
    old = recorded.files if recorded else {}
    files = old | manifest.record_files(folder, [name for name in names if name not in old or name in fetched])
    done = (recorded.parts if recorded else {}) | parts
    made = Manifest(COCO_IMAGES_FOLDER, _TITLE, COCO_IMAGES_LICENCE, "downloaded", files, parts=done)
    manifest.write(folder, made)
