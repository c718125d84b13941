"""One picture under any prompt of the configurations: `falip look photo.jpg --box 40,60,220,300 --text "a cup"`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.settings.building import build
from benchmarks.settings.choices import options, weights_of
from benchmarks.settings.expansion import expanded
from benchmarks.settings.folders import check_own, config_roots
from falip.__main__ import main as look
from falip.picture.inputs import MorePrompts
from falip.views import Prompt


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 if the user must mend something."""
    return look(argv, "falip look", _configured)


def _configured(folder: Path | None) -> MorePrompts:
    """The prompts of the configurations, and of those in a folder, and their backbones.

    Raises:
        UserError: If there is no such folder.
    """
    if folder:
        check_own(folder)
    given = ["--config-dir", str(folder)] if folder else []

    def made(name: str) -> Prompt:
        ((job,),) = expanded([[*given, f"prompt={name}"]])
        return build(job.settings["prompt"], "prompt")

    return MorePrompts(options("prompt", [*config_roots(), *([folder] if folder else [])]), made, weights_of)


if __name__ == "__main__":
    sys.exit(main())
