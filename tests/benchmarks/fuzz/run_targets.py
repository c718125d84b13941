"""Commands that read run folders, on runs of which run.json or a part of the records is spoiled."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from mutators import hostile_names, spoiled_json, spoiled_part

from benchmarks import recombine, status
from benchmarks.report import __main__ as report
from benchmarks.tables import __main__ as tables


class _RunFolders:
    """Runs that were really made, one file of one of them spoiled."""

    allowed = (0, 2)

    def __init__(self, kind: str, pattern: str, made: Path) -> None:
        self.kind, self._pattern, self._made = kind, pattern, made

    def lay(self, folder: Path, choose: random.Random) -> tuple[str, bytes]:
        runs = folder / "inside" / "runs"
        shutil.copytree(self._made, runs)
        victim = choose.choice(sorted(runs.rglob(self._pattern)))
        names = hostile_names(str(folder))
        if victim.suffix == ".json":
            body, told = spoiled_json(json.loads(victim.read_bytes()), choose, names)
        else:
            body, told = spoiled_part(victim.read_bytes(), choose, names)
        victim.write_bytes(body)
        if choose.random() < 0.03:
            victim.unlink()
            victim.mkdir()
            told = "a folder in its place"
        return f"{told} of {victim.relative_to(runs)}", body

    def run(self, folder: Path, choose: random.Random) -> int | None:
        runs, out = folder / "inside" / "runs", folder / "inside" / "out"
        commands: tuple[tuple[int, Callable[[], int | None]], ...] = (
            (3, lambda: status.main(["--runs", str(runs)])),
            (3, lambda: tables.main(["--runs", str(runs), "--out", str(out), "--formats", "csv,md,latex"])),
            (3, lambda: recombine.main([str(path.parent) for path in sorted(runs.rglob("run.json"))])),
            (2, lambda: report.main([str(runs), "--out", str(out / "index.html"), "--max-samples", "2"])),
        )
        weights = [weight for weight, _ in commands]
        return choose.choices([command for _, command in commands], weights)[0]()


def spoiled_run_json(made: Path) -> _RunFolders:
    """run.json of one of the runs below a folder."""
    return _RunFolders("run.json", "run.json", made)


def spoiled_records(made: Path) -> _RunFolders:
    """A part of the records of one of the runs below a folder."""
    return _RunFolders("records", "*.parquet", made)
