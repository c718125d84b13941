"""Packages of others, and the program run beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def distribution(root: Path, name: str, entries: str, files: dict[str, str]) -> None:
    """A package as an installer leaves it."""
    about = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", "entry_points.txt": entries}
    write(root, files | {f"{name}-1.2.dist-info/{file}": text for file, text in about.items()})


def program(site: Path, folder: Path) -> Callable[..., tuple[int, str]]:
    """Calls the program in a folder beside packages; its exit status and all that it printed."""

    def called(*words: str) -> tuple[int, str]:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.console", *words]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return called
