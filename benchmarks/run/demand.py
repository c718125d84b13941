"""What jobs ask for: pictures, encodings, texts and room on disk, known without a model and without decoding a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.run.extent import extent
from benchmarks.settings.building import build
from benchmarks.settings.sweep import Asked
from benchmarks.tasks import Task
from falip.prompts import Ensemble, Plain
from falip.views import Prompt

# Parquet as runs write it, about: a record's own fields, and a float32 score.
_RECORD_BYTES, _SCORE_BYTES = 150, 4


@dataclass(frozen=True)
class Demand:
    """What some jobs on one split ask for in one pass.

    Attributes:
        pictures: To decode; depth maps count one by one.
        queries: Decisions of each job.
        views: Views that each tower encodes: of every region one for each distinct view of the prompts, of plain pictures
            one for all their regions.
        texts: To embed, at most: equal texts are embedded once, and the entities of relations come on top.
        towers: For each model how often it is asked: once, or once for each sum of models that it is in.
        disk: Bytes of records, about.
        counted: Whether the data are here; else all is about, from what is published of the split.
    """

    pictures: int
    queries: int
    views: int
    texts: int
    towers: Mapping[str, int]
    disk: int
    counted: bool = True


def demand(jobs: Sequence[Asked], tasks: dict[str, Task] | None = None) -> Demand:
    """What the jobs of one command ask for, which are on one split under one backbone.

    Args:
        jobs: At least one.
        tasks: Those that were built before, by their settings; a new one is added.

    Raises:
        UserError: If the data are not here, and nothing is published of the split.
    """
    settings = jobs[0].settings
    known = {} if tasks is None else tasks
    task = known.setdefault(repr(settings["task"]), build(settings["task"], "task"))
    size = extent(task, settings["task"])
    prompts = [build(job.settings["prompt"], "prompt") for job in jobs]
    parts: list[Prompt] = []
    for part in (part for prompt in prompts for part in _parts(prompt)):
        if part not in parts:
            parts.append(part)
    phrases = {prompt.text_template or job.settings["text"]["template"] for prompt, job in zip(prompts, jobs, strict=True)}
    candidates = size.classes or size.regions / max(size.pictures, 1)
    scores = sum(1 + sum(1 for _ in _parts(prompt)) for prompt in prompts) * candidates
    return Demand(
        pictures=size.pictures,
        queries=size.queries,
        views=sum(size.pictures if _leaves_pictures_alone(part) else size.regions for part in parts),
        texts=len(phrases) * (size.classes or size.queries),
        towers=Counter(member["name"] for member in _members(settings)),
        disk=round(size.queries * (len(jobs) * _RECORD_BYTES + scores * _SCORE_BYTES)),
        counted=size.counted,
    )


def _members(settings: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return settings["backbone"].get("members", [settings["backbone"]])


def _leaves_pictures_alone(prompt: Prompt) -> bool:
    """Whether a picture is encoded once for all its regions: plain, or read out in several places."""
    return isinstance(prompt, Plain) or hasattr(prompt, "takes_changed_attention")


def _parts(prompt: Prompt) -> Iterator[Prompt]:
    """The prompts of an ensemble, those inside its ensembles included; or the prompt itself."""
    if not isinstance(prompt, Ensemble):
        yield prompt
        return
    for inner in prompt.prompts:
        yield from _parts(inner)
