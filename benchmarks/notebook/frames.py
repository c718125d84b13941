"""Runs and records as tidy data frames, with a column for each parameter of the prompt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.records.run import Run, read_run
from benchmarks.records.runs import discover, run_folders
from benchmarks.settings.identity import leaves
from falip.errors import UserError

_LABELS = ("task", "split", "proposals", "backbone", "prompt", "text")
_METRICS = ("accuracy", "chance", "oracle", "tie_accuracy", "top1", "top5", "class_mean_top1", "class_mean_top5")

RUNS = Path("results/runs")

Source = str | Path | pd.DataFrame | pd.Series | Iterable[str | Path]
"""Runs: a run's id, a folder of one or of many, several of these, or what `runs` or `evaluate` returned, or a row."""


def runs(folder: str | Path = "results/runs") -> pd.DataFrame:
    """All runs under a folder, a row for each.

    Args:
        folder: Of runs, or one run's own, or its id.

    Returns:
        A frame with the columns task, split, proposals, backbone, prompt, text; `prompt.alpha` and so on, one for each
        parameter that a prompt has; state, accuracy with its 95 % interval (low, high) and other metrics as shares, None
        where unfinished; counts; run_id and path.

    Raises:
        UserError: If there is no such folder.
    """
    return frame_of(_found(folder))


def frame_of(found: Iterable[Run]) -> pd.DataFrame:
    """A row for each of some runs; see `runs`."""
    return pd.DataFrame([_row(run) for run in found])


def records(source: Source = "results/runs") -> pd.DataFrame:
    """All decisions of finished runs, a row for each query and run.

    Args:
        source: A run's id, a folder of one or of many, several of these, or what `runs` or `evaluate` returned, or a row.

    Returns:
        The fields of `benchmarks.records.record.Record`, and for each run its labels (that of its text as run_text), the
        parameters of its prompt, and run_id.

    Raises:
        UserError: If there is no such folder, or a run is not finished or damaged.
    """
    parts = []
    for run in selected(source):
        if not run.finished:
            raise UserError(
                f"{run.path} is not finished. Evaluate it again, which does the rest; runs() has the state of each."
            )
        frame = run.records()
        for name, value in {**_labels(run), **parameters(run), "run_id": run.run_id}.items():
            frame[name if name not in frame else f"run_{name}"] = [value] * len(frame)
        parts.append(frame)
    if not parts:
        raise UserError("There is no run to read records of.")
    return pd.concat(parts, ignore_index=True)


def selected(source: Source) -> list[Run]:
    """The runs that a person means.

    Raises:
        UserError: If there is no such folder, or a frame has no column `path`.
    """
    if isinstance(source, str | Path):
        return _found(source)
    if isinstance(source, pd.DataFrame | pd.Series):
        if "path" not in source:
            raise UserError(
                "This frame has no column `path`. Give what falip.runs() or falip.evaluate() returned, or rows of it."
            )
        rows = source.to_frame().T if isinstance(source, pd.Series) else source
        return [read_run(Path(str(path))) for path in rows["path"]]
    if not isinstance(source, Iterable):
        raise UserError(f"{source!r} names no run. Give its folder or id, or rows of what falip.runs() returned.")
    return [run for one in source for run in _found(one)]


def parameters(run: Run) -> dict[str, Any]:
    """The parameters of a run's prompt, by dotted names ("prompt.alpha", "prompt.prompts.0.sigma")."""
    described = run.identity.get("prompt")
    tree = _plain(described) if isinstance(described, Mapping) else {}
    return {f"prompt.{name}": value for name, value in leaves(tree) if name.rpartition(".")[2] not in ("type", "version")}


def _plain(value: Any) -> Any:
    """Lists of prompts as mappings by their place, so that each parameter has a name."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        return {str(i): _plain(one) for i, one in enumerate(value)}
    return value


def folder_of(named: str | Path) -> Path:
    """The folder that is named, or that of the run under results/runs whose id it is, as `falip status` lists them.

    Raises:
        UserError: If there is neither.
    """
    if not isinstance(named, str | Path):
        raise UserError(f"{named!r} names no run. Give its folder or id, or rows of what falip.runs() returned.")
    path = Path(named).expanduser()
    if path.is_dir():
        return path
    with_id = [folder for folder in run_folders(RUNS) if folder.name == str(named)]
    if not with_id:
        raise UserError(
            f"There is no folder {path.absolute()}, and no run of that id under {RUNS}. Runs lie in results/runs of the "
            "folder where they were made; `falip status` lists them."
        )
    return with_id[0]


def _found(folder: str | Path) -> list[Run]:
    return discover(folder_of(folder))


def _labels(run: Run) -> dict[str, str]:
    return {name: str(run.labels.get(name) or "") for name in _LABELS}


def _row(run: Run) -> dict[str, Any]:
    metrics = run.metrics if run.finished else {}
    interval = metrics.get("interval") or {}
    return {
        **_labels(run),
        "state": run.state,
        **{name: metrics.get(name) for name in _METRICS if name in metrics or name in _METRICS[:4]},
        "low": interval.get("low"),
        "high": interval.get("high"),
        "queries": (metrics.get("counts") or {}).get("n"),
        "samples": (metrics.get("counts") or {}).get("samples"),
        **parameters(run),
        "subset": run.subset,
        "run_id": run.run_id,
        "path": str(run.path),
    }
