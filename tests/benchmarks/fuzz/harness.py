"""Puts one spoiled input in front of an entry point, in this process, and says what is wrong with how it ended."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from falip.errors import UserError

SEED = int(os.environ.get("FUZZ_SEED", "0"))
ONLY = os.environ.get("FUZZ_ONLY")
"""The number of the one input to try; how to see a failure again."""
LONGEST_S = 20.0
"""No input may take longer; all are small."""


class Target(Protocol):
    """An entry point and the files that it reads.

    Attributes:
        kind: What is spoiled.
        allowed: Exit statuses that are documented; an answer of 0 may be `None`, too.
    """

    kind: str
    allowed: Collection[int]

    def lay(self, folder: Path, choose: random.Random) -> tuple[str, bytes]:
        """Write the files of one input below `folder`/inside; returns what was spoiled how, and the spoiled bytes."""
        ...

    def run(self, folder: Path, choose: random.Random) -> int | None:
        """Call the entry point on them; raises AssertionError where it believed what it should not."""
        ...


@dataclass
class Failure:
    """One kind of wrong end, and the smallest input that led to it."""

    said: str
    number: int
    told: str
    body: bytes
    count: int = 1


@dataclass
class Outcome:
    """What came of all inputs of a kind: how often each exit status, and each kind of failure."""

    statuses: dict[int, int] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    def add(self, said: str, number: int, told: str, body: bytes) -> None:
        """Keep a failure, of equal ones the one with the smallest input."""
        known = self.failures.get(said)
        if known is None or len(body) < len(known.body):
            self.failures[said] = Failure(said, number, told, body, (known.count if known else 0) + 1)
        else:
            known.count += 1

    def report(self, kind: str, folder: Path) -> str:
        """All failures, for people, with the command that shows each again; their inputs are kept in the folder."""
        lines = [f"{kind}: exit statuses {self.statuses}, {len(self.failures)} kinds of failure"]
        for one in sorted(self.failures.values(), key=lambda failure: -failure.count):
            again = f"FUZZ_SEED={SEED} FUZZ_ONLY={one.number} python -m pytest -m slow tests/benchmarks/fuzz -k '{kind}'"
            kept = folder / f"{kind}-{one.number}"
            kept.write_bytes(one.body)
            lines += [f"- {one.count} x {one.said}", f"  {one.told}", f"  {kept}: {one.body[:200]!r}", f"  {again}"]
        return "\n".join(lines)


class HangError(BaseException):
    """An input took too long; no `except Exception` of the code under test may swallow it."""


@contextlib.contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise `HangError` where the block takes longer."""

    def expired(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(target: Target, folder: Path, number: int, outcome: Outcome, longest: float = LONGEST_S) -> None:
    """Lay and run one input, and keep what is wrong with its end."""
    choose = random.Random(f"{SEED}/{target.kind}/{number}")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "inside").mkdir(parents=True)
    told, body = target.lay(folder, choose)
    before = _listing(folder)
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        said, status = _called(lambda: target.run(folder, choose), longest)
    if status is not None:
        outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
        said = said or _complaint(status, target.allowed, errors.getvalue())
    outside = sorted(_listing(folder) ^ before)
    if outside:
        said = f"a file outside of its folder: {outside[:3]}"
    if said:
        outcome.add(said, number, told, body)


def _listing(folder: Path) -> set[str]:
    """All below the folder but for what lies in `inside`."""
    found: set[str] = set()
    for top, folders, files in os.walk(folder):
        if Path(top) == folder:
            folders.remove("inside")
        found |= {str(Path(top, name).relative_to(folder)) for name in (*folders, *files)}
    return found


def _called(run: Callable[[], int | None], longest: float) -> tuple[str, int | None]:
    """What is wrong ("" if nothing), and the exit status."""
    try:
        with bounded(longest):
            return "", run() or 0
    except SystemExit as left:
        return "", left.code if isinstance(left.code, int) else 1
    except UserError:  # of a class that is no command: its command prints the message and exits with 2
        return "", 2
    except HangError:
        return f"a hang of more than {longest} s", None
    except BaseException as error:
        frames = traceback.extract_tb(sys.exc_info()[2])
        ours = next((f for f in reversed(frames) if "/falip/" in f.filename or "/benchmarks/" in f.filename), frames[-1])
        last = " ".join(traceback.format_exception_only(error)[-1].split())
        where = f"{'/'.join(Path(ours.filename).parts[-3:])}:{ours.lineno} in {ours.name}"
        return f"{type(error).__name__} at {where}: {last[:60]}", None


def _complaint(status: int, allowed: Collection[int], errors: str) -> str:
    if status not in allowed:
        return f"exit status {status}"
    if "Traceback" in errors:
        return f"a traceback on stderr: {errors.strip().splitlines()[-1][:100]}"
    if status == 2 and errors and sum(line.startswith("error: ") for line in errors.splitlines()) != 1:
        return f"status 2 without one message: {errors[:100]!r}"
    return ""
