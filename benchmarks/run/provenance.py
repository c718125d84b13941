"""Where a run was made: commit, package versions, machine, numerics."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from PIL import features

from falip.errors import UserError

PACKAGES = (
    "falip", "torch", "transformers", "tokenizers", "ftfy", "numpy", "pillow", "pandas", "pyarrow", "hydra-core",
    "datasets", "spacy", "opencv-python-headless",
)  # fmt: skip


def git_state() -> dict[str, Any]:
    """Commit of the source tree and whether code or configurations differ from it; nulls outside of a checkout."""
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--", ":/falip", ":/benchmarks", ":/configs")
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def versions() -> dict[str, str]:
    """Versions of Python, of the JPEG decoder and of the packages that can move a number."""
    turbo = features.version_feature("libjpeg_turbo")
    decoder = {"libjpeg-turbo": turbo} if turbo else {"libjpeg": str(features.version_codec("jpg"))}
    found = {"python": platform.python_version(), **decoder}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine(device: str) -> str:
    """The device in words.

    Raises:
        UserError: If torch has no such device here.
    """
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        found = ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if torch.mps.is_available() else [])]
        reason = str(error).splitlines()[0]
        raise UserError(
            f"runtime.device={device}: torch cannot use it here ({reason}). What it can use: {', '.join(found)}."
        ) from error
    if device.startswith("cuda"):
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"{device}: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
