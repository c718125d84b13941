"""Many jobs from lists of settings, in one pass where they can share their work: `falip sweep prompt=plain,foveal`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.__main__ import main as run


def main(argv: Sequence[str] | None = None) -> int:
    """What `falip run --multirun` does."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    flags = ("-m", "--multirun")
    return run([*(argument for argument in arguments if argument not in flags), "--multirun"], "falip sweep")


if __name__ == "__main__":
    sys.exit(main())
