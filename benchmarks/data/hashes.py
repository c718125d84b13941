"""SHA-256 of files, remembered between runs by path, size and time of change, so that large ones are read once."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

SETTLED_AFTER = 2.0
"""Seconds: a file that changed later than this ago may change again without its time saying so, and is not remembered."""
_MOST = 2000  # files remembered; the oldest entries go first
_lock = threading.Lock()


def remembered_sha256(path: Path) -> str:
    """The SHA-256 of a file in hex, from memory where the file is as it was."""
    state, key = path.stat(), str(path.absolute())
    stamp = [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
    settled = time.time() - state.st_mtime > SETTLED_AFTER
    with _lock:
        known = _remembered() if settled else {}
        if key in known and known[key][:-1] == stamp:
            return known[key][-1]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if settled and path.stat().st_mtime_ns == state.st_mtime_ns:
            known.pop(key, None)
            _remember({**known, key: [*stamp, found]})
        return found


def cache_file() -> Path:
    """Where hashes are remembered: falip/hashes.json in the user's cache folder."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(folder) if Path(folder).is_absolute() else Path.home() / ".cache") / "falip" / "hashes.json"


def _remembered() -> dict[str, list]:
    """For each path its stamp and hash; empty where the file is missing or damaged in whole or part."""
    try:
        content = json.loads(cache_file().read_bytes())
        return {key: value for key, value in content.items() if _is_entry(value)}
    except (OSError, ValueError, RuntimeError, AttributeError):  # RuntimeError: no home, or nested without end
        return {}


def _is_entry(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(isinstance(part, int) for part in value[:3])
        and isinstance(value[3], str)
        and len(value[3]) == 64
    )


def _remember(known: dict[str, list]) -> None:
    """Writes the cache by a temporary file and a rename; where it cannot be written, nothing is remembered."""
    with suppress(OSError, ValueError, RuntimeError):
        path = cache_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123  (the descriptor is open)
                json.dump(dict(list(known.items())[-_MOST:]), file)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
