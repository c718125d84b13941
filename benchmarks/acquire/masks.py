"""Where the masks of candidate boxes lie that `falip data masks` makes with SAM."""

from __future__ import annotations

from pathlib import Path

SAM = "sam"
"""The value of `task.masks` that stands for that file."""


def masks_file(root: Path, data_set: str, split: str, proposals: str) -> Path:
    """The file of a split's masks below the data root."""
    return root / "masks" / f"{data_set}_{split}_{proposals}.jsonl"
