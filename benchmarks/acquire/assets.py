"""Bringing one asset into the data root: downloaded and unpacked, or verified where a person put it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from benchmarks.acquire import disk, download, manifest, pictures, unpack
from benchmarks.acquire.manifest import Manifest, Source
from benchmarks.acquire.sources import MB, Archive, Asset, human, mirrors
from falip.errors import UserError

PARTIAL = ".partial"
"""Below the data root: downloads under way and folders being unpacked."""
UNPACKED = "unpacked"


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        root: The data root.
        mirror: An address to try before the declared ones, or None.
        dry_run: Say what would be done and write nothing.
        verify: Compare complete assets with the hashes in their manifests, not only with the sizes.
        say: Where messages for the user go.
    """

    root: Path
    mirror: str | None = None
    dry_run: bool = False
    verify: bool = False
    say: Callable[[str], None] = print


def acquire(asset: Asset, options: Options) -> None:
    """Make an asset complete: do nothing, verify what is there, or download and unpack; the manifest comes last.

    Raises:
        UserError: It cannot be completed; the message says what the user can do.
    """
    folder = options.root / asset.folder
    disk.require_folder(folder)
    recorded = manifest.read(folder)
    damaged = manifest.damaged(folder, recorded, thorough=options.verify) if recorded else []
    if recorded is not None and not damaged:
        how = "every hash and picture verified" if options.verify else "sizes verified"
        options.say(
            f"{asset.name}: complete since {recorded.date} in {folder} ({len(recorded.files)} files, {how}); nothing to do"
        )
        return
    if recorded is not None:
        _tell_damage(asset, folder, recorded, damaged, options)
    if options.dry_run:
        describe(asset, options)
        return
    lacking = shortfalls(asset, folder)
    if lacking and not asset.archives:
        raise UserError(by_hand(asset, folder, lacking))
    with locked(options.root, asset.name):
        if recorded is None and folder.is_dir() and any(folder.iterdir()):
            _adopt(asset, folder, lacking, options)
        else:
            _install(asset, folder, recorded, options)
    shutil.rmtree(_staging(asset, options.root), ignore_errors=True)


def describe(asset: Asset, options: Options) -> None:
    """Say what the asset is, where it would come from in which order, how large it is, under which licence."""
    say = options.say
    say(f"{asset.name}: {asset.title} -> {options.root / asset.folder}")
    say(f"  licence: {asset.licence}; see {asset.homepage}")
    for archive in asset.archives:
        say(f"  {archive.file}: {human(archive.size)}, {archive.digest or 'no checksum published'}")
        for number, url in enumerate(mirrors(archive.file, archive.urls, options.mirror), 1):
            say(f"    {number}. {url}")
    for number, step in enumerate(asset.steps, 1):
        say(f"  step {number}: {step.format(folder=options.root / asset.folder)}")


def shortfalls(asset: Asset, folder: Path) -> list[str]:
    """What the folder lacks of the files that the asset must have, one line each; empty if whole."""
    lacking = []
    for expected in asset.expected:
        found = [path for path in folder.glob(expected.pattern) if path.is_file()]
        source = f" ({expected.source})" if expected.source else ""
        if len(found) < expected.count:
            lacking.append(f"{expected.pattern}: {len(found)} of {expected.count} files{source}")
        for path in sorted(p for p in found if p.suffix == ".h5"):
            wrong = _hdf5_fault(path, expected.rows)
            if wrong:
                lacking.append(f"{path.relative_to(folder)}: {wrong}{source}")
    return lacking


def _hdf5_fault(path: Path, rows: int | None) -> str:
    """What is wrong with a file of point clouds (data (N, 2048, 3), label (N,)); "" if nothing is."""
    import h5py  # here, because nothing else of the package needs it

    try:
        with h5py.File(path, "r") as opened:
            lacking = [key for key in ("data", "label") if key not in opened]
            if lacking:
                return f"lacks the key {lacking[0]!r}, has {sorted(opened)}"
            data = opened["data"]
            found = data.shape[0] if isinstance(data, h5py.Dataset) and data.shape else 0
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        return f"is not a whole HDF5 file ({error})"
    return f"{found} objects, expected {rows}" if rows is not None and found != rows else ""


def by_hand(asset: Asset, folder: Path, lacking: list[str]) -> str:
    """The message that tells a person what to do, and what is lacking so far."""
    steps = "\n".join(f"  {n}. {step.format(folder=folder)}" for n, step in enumerate(asset.steps, 1))
    listed = "\n".join(f"  {line}" for line in lacking)
    return (
        f"{asset.title} cannot be fetched by a program ({asset.licence}). What to do:\n{steps}\n"
        f"Still lacking in {folder}:\n{listed}"
    )


@contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Hold the lock of an asset, so that two calls do not write the same files; freed by the system after a kill."""
    disk.make_folder(root / PARTIAL)
    lock = FileLock(root / PARTIAL / f"{name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"another process is fetching {name} into {root} right now. Wait for it, then run the command again."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _tell_damage(asset: Asset, folder: Path, recorded: Manifest, damaged: list[str], options: Options) -> None:
    """Say which files differ from the record; raise where they are the user's, which are never overwritten."""
    shown = ", ".join(damaged[:3]) + (", ..." if len(damaged) > 3 else "")
    told = f"{asset.name}: {len(damaged)} of {len(recorded.files)} files are missing or damaged ({shown})"
    if recorded.sources:
        options.say(told)
        return
    raise UserError(
        f"{told} in {folder}, which you put there. Put the files back as they were on {recorded.date}; or, if you have "
        f"replaced them on purpose, delete {folder / manifest.NAME} and run the command again to have them verified anew."
    )


def _adopt(asset: Asset, folder: Path, lacking: list[str], options: Options) -> None:
    """Record a folder that has no manifest: the user's own, or ours if the program was killed just before the last step."""
    broken = pictures.broken(folder, _names(asset, folder))
    lacking = lacking + [f"{name} {fault}" for name, fault in broken.items()]
    if lacking:
        listed = "\n".join(f"  {line}" for line in lacking[:20])
        raise UserError(
            f"{folder} is there, but not whole, and this program did not make it:\n{listed}\n"
            "Complete it, or move it away and run the command again to download everything."
        )
    staging = _staging(asset, options.root)
    receipts = [(archive, download.read_receipt(staging / archive.file)) for archive in asset.archives]
    sources = [_source(archive, receipt) for archive, receipt in receipts if receipt is not None]
    ours = bool(sources) and len(sources) == len(asset.archives)
    _record(asset, folder, sources if ours else [], "downloaded" if ours else "found in place", options)


def _install(asset: Asset, folder: Path, recorded: Manifest | None, options: Options) -> None:
    """Download and unpack; the unpacked folder is renamed into place, or gives the damaged files of the one there."""
    staging = _staging(asset, options.root)
    describe(asset, options)
    disk.make_folder(staging)
    _require_space(asset, staging)
    known = {source.file: source.sha256 for source in recorded.sources} if recorded else {}
    unpacked = staging / UNPACKED
    shutil.rmtree(unpacked, ignore_errors=True)
    sources = [_obtain(asset, archive, staging, known.get(archive.file, ""), options) for archive in asset.archives]
    found, lacking = _find_folder(asset, unpacked)
    if lacking:
        listed = "\n".join(f"  {line}" for line in lacking)
        raise UserError(
            f"what was downloaded for {asset.name} does not hold all that it should:\n{listed}\n"
            f"The archives are kept in {staging}. Name another copy with --mirror BASE_URL and delete that folder, "
            "or put the files into place by hand."
        )
    disk.make_folder(folder.parent)
    if recorded is None:
        found.rename(folder)
    # All hashes are compared: what is recorded anew below must not hide damage that leaves the size alone.
    for name in manifest.damaged(folder, recorded, thorough=True) if recorded else []:
        disk.move(found / name, folder / name)
    _record(asset, folder, sources, "downloaded", options)


def _obtain(asset: Asset, archive: Archive, staging: Path, known: str, options: Options) -> Source:
    """Download and unpack one archive; a damaged or unsafe copy sends us to the next address.

    `known` is the sha256 that an earlier download had, or "".
    """
    target = staging / archive.file
    left = list(mirrors(archive.file, archive.urls, options.mirror))
    digest = f"sha256:{known}" if known else archive.digest
    while True:
        try:
            receipt = download.fetch(left, target, digest=digest, most=_most(archive.size), say=options.say)
        except disk.NoDiskSpaceError:
            raise
        except UserError as error:
            raise UserError(f"{error}{_about_known(known)}") from None
        left = left[left.index(receipt.url) + 1 :] if receipt.url in left else []
        options.say(f"unpacking {archive.file} ({human(receipt.size)} from {receipt.url})")
        try:
            _unpack_beside(target, asset, archive, staging)
            if left:  # what the last address gives is kept, for a person to look at
                _require_whole(asset, archive, staging / UNPACKED)
            return _source(archive, receipt)
        except (unpack.DamagedArchiveError, unpack.UnsafeArchiveError) as error:
            options.say(f"passed over {receipt.url}: {error}")
            download.discard(target)
            if left:
                continue
            if isinstance(error, unpack.UnsafeArchiveError):
                raise
            raise UserError(
                f"{error}; it came from {receipt.url} and was thrown away. Run the command again to download it "
                f"anew, or name another copy with --mirror BASE_URL.{_about_known(known)}"
            ) from None


def _require_whole(asset: Asset, archive: Archive, unpacked: Path) -> None:
    """Raise `DamagedArchiveError` where an asset's only archive lacks files; of several none can be blamed."""
    if len(asset.archives) > 1:
        return
    _, lacking = _find_folder(asset, unpacked)
    if lacking:
        shutil.rmtree(unpacked)
        raise unpack.DamagedArchiveError(f"{archive.file} does not hold all that it should: {'; '.join(lacking)}")


def _most(stated: int | None) -> int | None:
    """Bytes that something may have of which a source says how large it is, about."""
    return None if stated is None else 2 * stated + MB


def _about_known(known: str) -> str:
    """What to add to an error where the expected hash is that of the first download."""
    return known and (
        "\nThe expected sha256 is that of the first download. If the publisher has replaced the file, "
        f"delete the folder's {manifest.NAME} and its files, and run the command again."
    )


def _unpack_beside(target: Path, asset: Asset, archive: Archive, staging: Path) -> None:
    """Unpack into a folder of its own, then move the content to that of the asset's other archives."""
    own = staging / "unpacking"
    shutil.rmtree(own, ignore_errors=True)
    try:
        if archive.plain:
            disk.make_folder(own)
            shutil.copyfile(target, own / archive.file)
        else:
            unpack.unpack(target, own, archive.only, _most(archive.unpacked))
        inner = f"**/{asset.inner}/**/*" if asset.inner and any(own.glob(f"**/{asset.inner}")) else "**/*"
        files = sorted(path.relative_to(own).as_posix() for path in own.glob(inner) if path.is_file())
        for name, fault in pictures.broken(own, files).items():
            raise unpack.DamagedArchiveError(f"{archive.file} is damaged or not what it should be: {name!r} in it {fault}")
        home = staging / UNPACKED / archive.folder
        disk.make_folder(home)
        for child in own.iterdir():
            if (home / child.name).exists():
                raise unpack.DamagedArchiveError(f"{archive.file} holds {child.name!r}, as another archive does")
            child.rename(home / child.name)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _source(archive: Archive, receipt: download.Receipt) -> Source:
    return Source(archive.file, receipt.url, receipt.size, receipt.sha256, archive.digest)


def _find_folder(asset: Asset, unpacked: Path) -> tuple[Path, list[str]]:
    """The unpacked folder that is the asset's, or comes closest, and what it lacks.

    Mirrors differ in the folders that they wrap around the content.
    """
    folders = layer = [unpacked]
    for _ in range(3):
        layer = [child for folder in layer for child in sorted(folder.iterdir()) if child.is_dir()]
        folders = folders + layer
    named = [f for f in folders if asset.inner and f.relative_to(unpacked).as_posix().endswith(asset.inner)]
    best: tuple[Path, list[str]] | None = None
    for folder in dict.fromkeys([*named, *folders]):
        lacking = shortfalls(asset, folder)
        if best is None or len(lacking) < len(best[1]):
            best = folder, lacking
        if not lacking:
            break
    assert best is not None, "the top folder is among them"
    return best


def _record(asset: Asset, folder: Path, sources: list[Source], origin: str, options: Options) -> None:
    files = manifest.record_files(folder, _names(asset, folder))
    made = Manifest(asset.name, asset.title, asset.licence, origin, files, tuple(sources))
    manifest.write(folder, made)
    total = sum(record.size for record in files.values())
    options.say(f"{asset.name}: complete, {origin}: {len(files)} files, {human(total)} in {folder}")


def _names(asset: Asset, folder: Path) -> list[str]:
    """The files to record: all, or those that the asset names of a folder in which the user may keep other things."""
    patterns = ["**/*"] if asset.archives else [expected.pattern for expected in asset.expected]
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _require_space(asset: Asset, staging: Path) -> None:
    """Check the free disk for what is still to be downloaded and for all that is to be unpacked, as far as stated."""
    needed = 0
    for archive in asset.archives:
        if download.read_receipt(staging / archive.file) is None:
            needed += archive.size or 0
        needed += archive.unpacked or archive.size or 0
    disk.require_space(staging, needed, f"{asset.name} (archives and unpacked)")


def _staging(asset: Asset, root: Path) -> Path:
    return root / PARTIAL / asset.name
