"""Two thousand spoiled inputs: each ends with a documented status and one message, in time, within its folder.

Deterministic: `FUZZ_SEED` chooses other inputs, `FUZZ_ONLY` one of them by its number. A failure prints both.
"""

from __future__ import annotations

import io
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from data_targets import Referring
from fetch_targets import Fetching
from harness import ONLY, HangError, Outcome, Target, attempt
from layout_targets import Layouts
from raw_server import raw_serving
from run_targets import spoiled_records, spoiled_run_json
from small_jobs import Job, composed
from small_sources import filling, picture
from stand_in import isolate, shrink

from benchmarks.acquire import coco, connection, download, sources, unpack
from benchmarks.settings.sweep import Labels
from falip import UserError

INPUTS = {
    "run.json": 400,
    "records": 300,
    "jsonl": 300,
    "detections": 250,
    "pictures": 250,
    "layouts": 500,
    "archives": 300,
    "answers": 200,
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


def fuzzed(target: Target, folder: Path) -> None:
    outcome = Outcome()
    for number in [int(ONLY)] if ONLY else range(INPUTS[target.kind]):
        attempt(target, folder / "case", number, outcome)
    if outcome.failures:
        pytest.fail(outcome.report(target.kind, folder), pytrace=False)
    assert ONLY or len(outcome.statuses) > 1, "inputs that all end alike try nothing"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, clip_folder: Callable[[str], Path]) -> Path:
    """Runs of two prompts on the same few scenes, as the runner makes them."""
    results = tmp_path_factory.mktemp("runs")
    for prompt in ("plain", "blur"):
        given = [f"prompt={prompt}", f"backbone.name={clip_folder('small')}", f"results_root={results}"]
        given += ["task.dataset.scenes=4", "runtime.progress=false"]
        Job(composed(given), Labels("small", prompt, "default"), given).execute()
    return results


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Fetching]]:
    """Makes a target whose assets come from a server of raw bytes; it answers in no time, and patience is short."""
    isolate(monkeypatch)
    real = socket.getaddrinfo

    def guarded(host: object, *arguments: object, **options: object) -> object:
        if host != "127.0.0.1":
            raise socket.gaierror(f"a spoiled address named {host!r}")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)
    monkeypatch.setattr(connection, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(download, "TRIES", 2)
    monkeypatch.setattr(unpack, "GB", 10**7)
    cloud = io.BytesIO()
    with h5py.File(cloud, "w") as file:
        file["data"], file["label"] = np.zeros((2, 4, 3), np.float32), np.zeros(2, np.int64)
    with raw_serving() as server:
        for name in ("cub", "modelnet40", "reclip_data"):
            archives = sources.ASSETS[name].archives
            shrink(name, f"{server.base}/good", monkeypatch)
            assert len(archives) == 1
        monkeypatch.setattr(coco, "COCO_IMAGES_BASE", f"{server.base}/good/train2014")
        yield lambda kind: Fetching(kind, server, picture(1), cloud.getvalue())


@pytest.mark.slow
@pytest.mark.timeout(0)  # each input has its own bound, by the same timer
@pytest.mark.parametrize("make", [spoiled_run_json, spoiled_records], ids=["run.json", "records"])
def test_commands_on_spoiled_runs(made: Path, tmp_path: Path, make: Callable[[Path], Target]) -> None:
    fuzzed(make(made), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", ["jsonl", "detections", "pictures"])
def test_a_spoiled_data_set(tmp_path: Path, kind: str) -> None:
    fuzzed(Referring(kind), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_spoiled_file_of_any_data_set(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    made = tmp_path_factory.mktemp("layouts")
    with filling(made, tmp_path_factory.mktemp("imagenet")):
        pass
    fuzzed(Layouts(made), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", ["archives", "answers"])
def test_a_spoiled_mirror(tmp_path: Path, fetching: Callable[[str], Fetching], kind: str) -> None:
    fuzzed(fetching(kind), tmp_path)


class Planted:
    """A target that ends as it is told."""

    kind, allowed = "planted", (0, 2)

    def __init__(self, end: Callable[[Path], int | None]) -> None:
        self._end = end

    def lay(self, folder, choose):
        return "planted", choose.randbytes(choose.randrange(10, 20))

    def run(self, folder, choose):
        return self._end(folder)


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda folder: 0, ""),
        (lambda folder: _raise(UserError("mend it")), ""),
        (lambda folder: _raise(SystemExit(2)), ""),
        (lambda folder: (folder / "inside" / "mine").write_text("x") and 0, ""),
        (lambda folder: 1, "exit status 1"),
        (lambda folder: _raise(SystemExit("no")), "exit status 1"),
        (lambda folder: _raise(ValueError("no")), "ValueError at"),
        (lambda folder: (folder / "escaped").write_text("x") and 0, "outside of its folder"),
        (lambda folder: time.sleep(5), "a hang"),
    ],
)
def test_the_harness_sees_what_is_planted_and_names_it_the_same_each_time(tmp_path, end, said):
    reports = []
    for _ in range(2):
        outcome = Outcome()
        attempt(Planted(end), tmp_path / "case", 3, outcome, longest=0.2)
        reports.append(outcome.report("planted", tmp_path))
        assert (said in "".join(outcome.failures)) if said else not outcome.failures
    assert reports[0] == reports[1] and ("FUZZ_ONLY=3" in reports[0]) == bool(said)
    assert not issubclass(HangError, Exception)
