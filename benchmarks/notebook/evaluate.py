"""An evaluation from Python, by the same engine as the command line."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.notebook.frames import frame_of
from benchmarks.records.run import read_run
from benchmarks.settings.choices import options
from benchmarks.settings.expansion import expanded
from benchmarks.settings.identity import kind_of
from benchmarks.settings.sweep import Asked
from falip.errors import UserError
from falip.views import Prompt

if TYPE_CHECKING:
    import pandas as pd

Prompts = str | Prompt | Sequence[str | Prompt] | Mapping[str, str | Prompt]
Data = str | Path | tuple[str | Path, str | Path]


def evaluate(
    backbone: str | Path = "tiny",
    dataset: Data = "rec/shapes",
    prompts: Prompts = "foveal",
    *,
    text: str = "default",
    settings: Sequence[str] | Mapping[str, Any] = (),
    results: str | Path = "results",
) -> pd.DataFrame:
    """Evaluates prompts on a data set in one pass; what is complete already is not done again.

    Args:
        backbone: A name of `falip list backbones`, a hub id, or a folder of weights.
        dataset: A name of `falip list tasks`; a CSV file of labelled boxes; or two, of candidates and of expressions.
        prompts: Names of `falip list prompts`, prompts such as `falip.Foveal(alpha=0.5)`, or a mapping from names of
            your own to either.
        text: A name of `falip list texts`.
        settings: More settings as on the command line, ["task.split=testA"] or {"task.split": "testA"}.
        results: Where runs are kept.

    Returns:
        A row for each prompt, in the order given; with the columns of `falip.runs`.

    Raises:
        UserError: If a name or setting has no meaning, or a run failed; the others are kept all the same.
    """
    from benchmarks.run.job import Job
    from benchmarks.run.one_pass import evaluate as execute

    given = [f"{key}={_value(value)}" for key, value in settings.items()] if isinstance(settings, Mapping) else [*settings]
    common = [*_backbone(backbone), *_task(dataset), f"text={text}", f"results_root={_value(str(results))}", *given]
    jobs = [_asked(common, name, prompt) for name, prompt in _named(prompts).items()]
    failed = [error for error in execute(jobs) if error]
    if failed:
        raise failed[0]
    tasks: dict[str, Any] = {}
    return frame_of(read_run(Job(job, tasks).folder.path) for job in jobs)


def configuration(prompt: Any) -> Any:
    """A prompt as a configuration has it, those inside it included.

    Raises:
        UserError: If it is no dataclass, so that its parameters are not known.
    """
    if isinstance(prompt, list | tuple):
        return [configuration(one) for one in prompt]
    if not callable(prompt):
        return prompt
    if not dataclasses.is_dataclass(prompt) or isinstance(prompt, type):
        raise UserError(
            f"{prompt!r} is no prompt. Give a name such as 'foveal', or an object such as falip.Foveal(alpha=0.5)."
        )
    fields = {field.name: configuration(getattr(prompt, field.name)) for field in dataclasses.fields(prompt) if field.init}
    return {"_target_": f"{type(prompt).__module__}.{type(prompt).__qualname__}", **fields}


def _asked(common: Sequence[str], name: str, prompt: str | Prompt) -> Asked:
    if isinstance(prompt, str):
        option, *values = prompt.split(",")
        ((job,),) = expanded([[*common, f"prompt={option}", *(f"prompt.{value}" for value in values)]])
    else:
        ((job,),) = expanded([[*common, "prompt=plain"]])
        job = dataclasses.replace(job, settings=job.settings | {"prompt": configuration(prompt)})
    return dataclasses.replace(job, labels=dataclasses.replace(job.labels, prompt=name))


def _named(prompts: Prompts) -> dict[str, str | Prompt]:
    """Each prompt by what tables call it."""
    if isinstance(prompts, Mapping) and prompts:
        return {str(name): prompt for name, prompt in prompts.items()}
    listed = [prompts] if isinstance(prompts, str) or callable(prompts) else prompts
    if not isinstance(listed, Iterable):
        raise UserError(f"prompts={prompts!r}: give prompts='foveal', a list of prompts, or a mapping from names to them.")
    named: dict[str, str | Prompt] = {}
    for prompt in listed:
        name = prompt if isinstance(prompt, str) else str(getattr(prompt, "name", None) or kind_of(prompt)).lower()
        if name in named:
            raise UserError(f"Two prompts are called {name!r}. Give a mapping: prompts={{'one': ..., 'other': ...}}.")
        named[name] = prompt
    if not named:
        raise UserError("There is no prompt to evaluate: give prompts='foveal', or a list of prompts.")
    return named


def _backbone(backbone: str | Path) -> list[str]:
    if not isinstance(backbone, str | Path):
        raise UserError(
            f"backbone={type(backbone).__name__}: give its name, hub id or folder, so that the run can record what it was."
        )
    name = str(backbone)
    return (
        [f"backbone={name}"]
        if name in options("backbone")
        else ["backbone=vit_b16", f"backbone.name={_value(name)}", "backbone.revision=null"]
    )


def _task(dataset: Data) -> list[str]:
    if isinstance(dataset, str) and dataset in options("task"):
        return [f"task={dataset}"]
    if isinstance(dataset, str | Path) and str(dataset).lower().endswith((".csv", ".tsv")):
        return ["task=classification/csv", f"task.dataset.file={_value(str(dataset))}"]
    if isinstance(dataset, tuple) and len(dataset) == 2:
        candidates, expressions = (_value(str(file)) for file in dataset)
        return ["task=rec/csv", f"task.dataset.candidates={candidates}", f"task.dataset.expressions={expressions}"]
    near = difflib.get_close_matches(str(dataset), options("task"), 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UserError(
        f"dataset={dataset!r} is no data set.{hint} Give a CSV file, two (candidates, expressions), or one of "
        f"{', '.join(options('task'))}."
    )


def _value(value: Any) -> str:
    """A value as an override has it, quoted where it is a text with signs that Hydra would read."""
    if isinstance(value, str) and not all(sign.isalnum() or sign in "_-./:@" for sign in value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
