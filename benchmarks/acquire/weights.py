"""Weights of every layout from the hub, at a pinned or recorded revision, in the hub's own cache."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.acquire import disk, manifest
from benchmarks.acquire.assets import Options, locked
from benchmarks.acquire.manifest import Manifest, Source
from benchmarks.acquire.sources import HUB, REVISIONS, WEIGHTS_LICENCE, human
from falip.errors import UserError
from falip.layouts import layout_named
from falip.weights import layout_of, layouts, weight_files

FOLDER = "weights"
_CONFIG_FILES = ("*.json", "merges.txt", "*.model")
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

    def fetched(patterns: Sequence[str], revision: str) -> Path:
        return Path(snapshot_download(backbone, revision=revision, allow_patterns=list(patterns)))

    try:
        snapshot = fetched(_CONFIG_FILES, revision)
        commit = snapshot.name  # what a branch means may change from one question to the next
        possible = layouts(snapshot)
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            wanted = [pattern for layout in possible for group in layout_named(layout).weights for pattern in group]
        else:
            wanted = _weights_among(HfApi().list_repo_files(backbone, revision=commit), possible)
        fetched([*_CONFIG_FILES, *wanted], commit)
    except UserError as error:
        raise UserError(f"{backbone} is of no layout that is loaded: {error}") from None
    except Exception as error:  # offline, refused, or whatever an odd answer makes the hub's client stumble over
        first = next(iter(str(error).strip().splitlines()), "")
        first = first if isinstance(error, OSError) and first else f"{type(error).__name__}: {first}"
        raise UserError(
            f"the weights of {backbone} at revision {revision} could not be downloaded: {first}. Run the command again "
            "to continue, set HF_ENDPOINT to a mirror of the hub, or unset HF_HUB_OFFLINE if it is set."
        ) from None
    if not any(weight_files(snapshot, layout) for layout in possible):
        names = " or ".join(group[0] for layout in possible for group in layout_named(layout).weights)
        raise UserError(
            f"{snapshot} has no {names}: {backbone} holds no weights in the layout that its configuration speaks of "
            f"({' or '.join(possible)}), or HF_HUB_OFFLINE is set and the cache holds a part only."
        )
    return snapshot


def _weights_among(names: Sequence[str], possible: Sequence[str]) -> list[str]:
    """Those files of a repository that are read: of the first layout that has any, and no pickle where there is better."""
    for layout in possible:
        for group in layout_named(layout).weights:
            found = [name for name in names if any(fnmatch(name, pattern) for pattern in group)]
            if found:
                return found
    return []


def _record(backbone: str, snapshot: Path, folder: Path, options: Options) -> None:
    files = manifest.record_files(snapshot)
    commit = snapshot.name
    if not _COMMIT.fullmatch(commit):
        raise UserError(f"{snapshot} is not a snapshot of the hub's cache: its name is not a commit.")
    total = sum(record.size for record in files.values())
    # For weights the source is the snapshot: its folder, its address, no hash of its own beyond those of the files.
    source = Source(str(snapshot), f"{HUB}/{backbone}/tree/{commit}", total, "")
    disk.make_folder(folder)
    manifest.write(
        folder,
        Manifest(backbone, f"weights in the layout {layout_of(snapshot)}", WEIGHTS_LICENCE, "downloaded", files, (source,)),
    )
    options.say(
        f"{backbone}: complete at revision {commit}, layout {layout_of(snapshot)}: {len(files)} files, {human(total)} "
        f"in {snapshot}"
    )
