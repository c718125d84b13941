"""Small jobs and the command line, for the tests of the harness."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_jobs import Job, small_job

from falip import Backbone


@pytest.fixture
def job(tmp_path: Path, clip_folder: Callable[[str], Path]) -> Callable[..., Job]:
    """Makes a job over a few scenes; `results` names its results folder."""

    def made(*overrides: str, results: str = "results", kind: type[Job] = Job) -> Job:
        return small_job(clip_folder("small"), tmp_path / results, *overrides, kind=kind)

    return made


@pytest.fixture
def forward_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of regions of each encoding."""
    calls: list[int] = []
    encode = Backbone.features

    def counted(self, views, *args, **kwargs):
        calls.append(len(views))
        return encode(self, views, *args, **kwargs)

    monkeypatch.setattr(Backbone, "features", counted)
    return calls


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`falip run ...` in this process: exit status and all that was printed."""
    from benchmarks.__main__ import main

    handlers, level = logging.root.handlers[:], logging.root.level
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.delenv("FALIP_DATA", raising=False)

    def called(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
        capsys.readouterr()
        status = main()
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    yield called
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
