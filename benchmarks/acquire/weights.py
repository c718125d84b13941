"""CLIP's weights from the hub, at a pinned or recorded revision, in the hub's own cache."""

from __future__ import annotations

import os
import re
from pathlib import Path

from benchmarks.acquire import disk, manifest
from benchmarks.acquire.assets import Options, locked
from benchmarks.acquire.manifest import Manifest, Source
from benchmarks.acquire.sources import HUB, REVISIONS, WEIGHTS_LICENCE, human
from falip.errors import UserError

FOLDER = "weights"
_CONFIG_FILES = ("*.json", "merges.txt", "*.model")
_SAFE, _PICKLED = "model.safetensors", "pytorch_model.bin"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def weights_folder(backbone: str, root: Path) -> Path:
    """Where the manifest of a backbone's weights lies; the weights themselves are in the hub's cache."""
    return root / FOLDER / backbone.replace("/", "--")


def pinned_revision(backbone: str, root: Path) -> str | None:
    """The revision to use: the declared one, else the one that an earlier call recorded, else None."""
    if backbone in REVISIONS:
        return REVISIONS[backbone]
    recorded = recorded_weights(backbone, root)
    return revision_of(recorded) if recorded else None


def recorded_weights(backbone: str, root: Path) -> Manifest | None:
    """The manifest of a backbone's weights, or None where they were not fetched.

    Raises:
        UserError: It cannot be understood, or says nothing of where the weights are.
    """
    folder = weights_folder(backbone, root)
    recorded = manifest.read(folder)
    if recorded is not None and not recorded.sources:
        raise UserError(f"{folder / manifest.NAME} is not a manifest of weights. Delete it and run the command again.")
    return recorded


def acquire_weights(backbone: str, revision: str | None, options: Options) -> None:
    """Download a backbone's weights, configuration and tokenizer, and record revision and files.

    HF_HUB_OFFLINE, HF_ENDPOINT and HF_HOME hold as everywhere with the hub.

    Args:
        backbone: The repository on the hub, such as "openai/clip-vit-base-patch16".
        revision: A commit, branch or tag; None for the pinned or recorded commit, else "main".
        options: The user's options; `mirror` does not apply.

    Raises:
        UserError: The weights cannot be had.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", backbone):
        raise UserError(f"--backbone {backbone!r} is not a repository of the hub, such as openai/clip-vit-base-patch16.")
    folder = weights_folder(backbone, options.root)
    disk.require_folder(folder)
    recorded = recorded_weights(backbone, options.root)
    asked = revision or pinned_revision(backbone, options.root) or "main"
    if recorded and asked in (revision_of(recorded), "main" if revision is None else ""):
        damaged = manifest.damaged(snapshot_of(recorded), recorded, thorough=options.verify)
        if not damaged:
            options.say(
                f"{backbone}: complete since {recorded.date} at revision {revision_of(recorded)} "
                f"in {snapshot_of(recorded)}; nothing to do"
            )
            return
        options.say(f"{backbone}: {len(damaged)} files are missing or damaged ({', '.join(damaged[:3])})")
    endpoint = os.environ.get("HF_ENDPOINT", HUB)
    options.say(f"{backbone} at revision {asked} from {endpoint} -> the hub's cache")
    options.say(f"  licence: {WEIGHTS_LICENCE}; size not stated (ViT-B/16: about 600 MB)")
    if options.dry_run:
        return
    with locked(options.root, FOLDER):
        snapshot = _download(backbone, asked)
        _record(backbone, snapshot, folder, options)


def revision_of(recorded: Manifest) -> str:
    """The commit that a manifest of weights records."""
    return recorded.sources[0].url.rsplit("/", 1)[-1]


def snapshot_of(recorded: Manifest) -> Path:
    """The folder of the hub's cache that a manifest of weights records."""
    return Path(recorded.sources[0].file)


def _download(backbone: str, revision: str) -> Path:
    """The snapshot's folder in the hub's cache, complete."""
    # Here, because the check of the data must answer at once.
    from huggingface_hub import HfApi, snapshot_download

    weights: tuple[str, ...] = (_SAFE, _PICKLED)
    try:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() not in ("1", "ON", "YES", "TRUE"):
            names = HfApi().list_repo_files(backbone, revision=revision)
            weights = (_SAFE,) if _SAFE in names else (_PICKLED,)
        snapshot = Path(snapshot_download(backbone, revision=revision, allow_patterns=[*_CONFIG_FILES, *weights]))
    except Exception as error:  # offline, refused, or whatever an odd answer makes the hub's client stumble over
        first = next(iter(str(error).strip().splitlines()), "")
        first = first if isinstance(error, OSError) and first else f"{type(error).__name__}: {first}"
        raise UserError(
            f"the weights of {backbone} at revision {revision} could not be downloaded: {first}. Run the command again "
            "to continue, set HF_ENDPOINT to a mirror of the hub, or unset HF_HUB_OFFLINE if it is set."
        ) from None
    if not any((snapshot / name).is_file() for name in weights) or not (snapshot / "config.json").is_file():
        raise UserError(
            f"{snapshot} has no {' or '.join(weights)} with a config.json: {backbone} is not a CLIP of transformers, or "
            "HF_HUB_OFFLINE is set and the cache holds a part only."
        )
    return snapshot


def _record(backbone: str, snapshot: Path, folder: Path, options: Options) -> None:
    files = manifest.record_files(snapshot)
    commit = snapshot.name
    if not _COMMIT.fullmatch(commit):
        raise UserError(f"{snapshot} is not a snapshot of the hub's cache: its name is not a commit.")
    total = sum(record.size for record in files.values())
    # For weights the source is the snapshot: its folder, its address, no hash of its own beyond those of the files.
    source = Source(str(snapshot), f"{HUB}/{backbone}/tree/{commit}", total, "")
    disk.make_folder(folder)
    manifest.write(folder, Manifest(backbone, "CLIP weights", WEIGHTS_LICENCE, "downloaded", files, (source,)))
    options.say(f"{backbone}: complete at revision {commit}: {len(files)} files, {human(total)} in {snapshot}")
