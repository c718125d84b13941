"""Checks a configuration and its data before a run: `falip validate task=rec/refcoco task.split=testA prompt=foveal`."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.data.survey import Survey, survey
from benchmarks.run.job import Job
from benchmarks.settings.expansion import expanded
from benchmarks.tasks import Task
from falip.errors import UserError

_DESCRIPTION = """\
Composes the jobs of a command line as `falip run` and `falip sweep` do, builds their prompts and tasks, and reads the
data: counts, boxes outside of pictures, doubled ids, pictures that cannot be read, classes that no sample has. Nine
samples are drawn with their regions. No model is loaded.

  falip validate task=classification/csv task.dataset.file=birds.csv
  falip validate task=rec/refcoco task.split=testA prompt=foveal,crop --samples 200
"""
_SHOWN, _LISTED = 9, 5


def main(argv: Sequence[str] | None = None) -> int:
    """0 if all is well; 1 if a sample would not be scored; 2 if the user must mend something before anything can run."""
    parser = argparse.ArgumentParser(
        prog="falip validate", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", help="settings, as for falip run and falip sweep")
    parser.add_argument("--config-dir", help="a folder of your own with prompt/, task/ and so on")
    parser.add_argument("--samples", type=int, help="look at so many samples, chosen by a seed (all)")
    parser.add_argument("--out", type=Path, help="the picture of nine samples (results/validate/TASK.png)")
    arguments = parser.parse_intermixed_args(argv)
    own = ["--config-dir", arguments.config_dir] if arguments.config_dir else []
    try:
        if arguments.samples is not None and arguments.samples < 1:
            raise UserError(f"--samples {arguments.samples}: give a number from 1 on.")
        (asked,) = expanded([[*own, *arguments.overrides]])
        tasks: dict[str, Task] = {}
        jobs = [Job(job, tasks) for job in asked]
        if arguments.out and len(tasks) > 1:
            raise UserError(f"--out {arguments.out}: there are {len(tasks)} tasks. Leave it away, or choose one task.")
        sys.stdout.write(f"the settings are sound: {_counted(len(jobs), 'run')}\n")
        return max(_examined(task, arguments.samples, arguments.out) for task in tasks.values())
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _examined(task: Task, samples: int | None, out: Path | None) -> int:
    """Prints what one task's data hold; 1 if a sample would not be scored."""
    places = _places(len(task.dataset.index), samples)
    found = survey(task.dataset, task.pictures, places)
    sys.stdout.write("\n".join(_report(task, found)) + "\n")
    path = out or Path("results/validate") / f"{task.name.replace('/', '_')}.png"
    readable = [i for i in places if task.dataset.index[i].id not in found.unread]
    if readable:
        _draw(task, _places(len(readable), _SHOWN, readable), path)
        sys.stdout.write(f"  some samples as a picture: {path}\n")
    return 0 if found.sound else 1


def _places(count: int, wanted: int | None, among: Sequence[int] | None = None) -> list[int]:
    """Places of the samples to look at, in order: all, or so many drawn by a fixed seed."""
    every = list(range(count)) if among is None else list(among)
    return every if wanted is None or wanted >= count else sorted(random.Random(0).sample(every, wanted))


def _report(task: Task, found: Survey) -> Iterator[str]:
    every = len(task.dataset.index)
    part = f" (of {every})" if found.samples < every else ""
    counts = f"{_counted(found.samples, 'sample')}{part}, {_queries(found.queries)}, {_counted(found.regions, 'region')}"
    yield f"{task.name}, split {task.split}: {counts}"
    if found.labels:
        rare, common = min(found.labels.values()), max(found.labels.values())
        each = _queries(common) if rare == common else f"{rare} to {_queries(common)}"
        yield f"  {len(found.labels)} of {_counted(len(task.dataset.class_names), 'class', 'classes')} have {each} each"
    for name, ids in (
        ("classes without a query", found.unused),
        ("ids that are there twice", found.doubled),
        ("samples with a box that ends outside of its picture", found.outside),
    ):
        if ids:
            yield f"  {name}: {len(ids)} ({_some(ids)})"
    if found.unread:
        yield f"  samples that cannot be used: {len(found.unread)}"
        yield from (f"    {name}: {reason}" for name, reason in list(found.unread.items())[:_LISTED])
        if len(found.unread) > _LISTED:
            yield f"    and {len(found.unread) - _LISTED} more"


def _counted(count: int, word: str, words: str | None = None) -> str:
    return f"{count} {word if count == 1 else words or word + 's'}"


def _queries(count: int) -> str:
    return _counted(count, "query", "queries")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")


def _draw(task: Task, places: Sequence[int], path: Path) -> None:
    from benchmarks.figures.samples import draw

    samples = [task.dataset.load(i) for i in places]
    figure = draw([(sample, task.pictures(sample)) for sample in samples])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise UserError(
            f"--out {path}: {error}. Choose a file such as samples.png in a folder that you can write."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
