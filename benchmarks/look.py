"""One picture under any prompt of the configurations: `falip look photo.jpg --box 40,60,220,300 --text "a cup"`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.settings.building import build
from benchmarks.settings.choices import options
from benchmarks.settings.expansion import expanded
from falip.__main__ import main as look
from falip.picture.inputs import MorePrompts
from falip.views import Prompt


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 if the user must mend something."""
    return look(argv, "falip look", _configured)


def _configured() -> MorePrompts:
    return MorePrompts(options("prompt"), _prompt)


def _prompt(name: str) -> Prompt:
    ((job,),) = expanded([[f"prompt={name}"]])
    return build(job.settings["prompt"], "prompt")


if __name__ == "__main__":
    sys.exit(main())
