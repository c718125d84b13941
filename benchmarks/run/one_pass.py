"""Several runs in one pass over their samples, each of which fails alone."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from benchmarks.records.folder import UNIDENTIFIED, RunFolder
from benchmarks.records.record import SCHEMA_VERSION
from benchmarks.records.run import method
from benchmarks.run.job import Job, described, now
from benchmarks.run.text import RunTexts
from benchmarks.settings.sweep import Asked, grouped
from benchmarks.tasks import Task
from falip.errors import UserError

log = logging.getLogger(__name__)

Outcome = Exception | None
"""Why a run failed, or None."""


def evaluate(jobs: Sequence[Asked]) -> list[Outcome]:
    """Runs what is missing of some jobs, those that differ in prompt and text alone in one pass.

    Each run's folder holds what it would hold if it had been made alone, but for the time, which is that of all. A run that
    fails says so in its folder; the others go on.

    Args:
        jobs: In any order; equal ones are run once.
    """
    outcomes: list[Outcome] = [None] * len(jobs)
    tasks: dict[str, Task] = {}
    for places in grouped(jobs):
        ready: dict[int, Job] = {}
        for place in places:
            try:
                job = _wanted(jobs[place], tasks)
            except Exception as error:
                outcomes[place] = error
                continue
            if job:
                ready[place] = job
        distinct = {job.folder.path: job for job in reversed(ready.values())}
        failed = execute([job for job in ready.values() if distinct[job.folder.path] is job])
        for place, job in ready.items():
            outcomes[place] = failed.get(distinct[job.folder.path])
            if distinct[job.folder.path] is not job:
                job.claim()
        if len(jobs) > 1:  # the error of one alone is the caller's to tell
            _tell({jobs[place]: error for place in places if (error := outcomes[place])})
    return outcomes


def _wanted(asked: Asked, tasks: dict[str, Task]) -> Job | None:
    """The job if it lacks something; what keeps it from being known is recorded, but not over a run that is there."""
    job = None
    try:
        job = Job(asked, tasks)
        wanted = job.wants_running()
    except Exception as error:
        if job is None or "folder" not in vars(job) or not job.folder.exists:
            record_failure(asked, error)
        raise
    forget_failure(asked)
    return job if wanted else None


def _tell(failed: Mapping[Asked, Exception]) -> None:
    """Says what failed where it happens, each reason once: the rest of a sweep goes on, and may take hours."""
    reasons: dict[str, tuple[list[str], Exception]] = {}
    for job, error in failed.items():
        reasons.setdefault(f"{type(error).__name__}: {error}", ([], error))[0].append(method(vars(job.labels)))
    for titles, error in reasons.values():
        if isinstance(error, UserError):
            log.error("%s failed: %s", ", ".join(titles), error)
        else:
            log.error("%s failed, by a fault of the program and not of your data", ", ".join(titles), exc_info=error)


def execute(jobs: Sequence[Job]) -> dict[Job, Exception]:
    """Runs what is missing of jobs that differ in prompt and text alone; returns those that failed, and why."""
    failed: dict[Job, Exception] = {}
    pending, begun = list(jobs), set[Job]()
    while pending:
        blamed = _pass(pending, begun)
        failed |= blamed
        pending = [job for job in pending if blamed and job not in blamed]
    return failed


def _pass(jobs: Sequence[Job], begun: set[Job]) -> dict[Job, Exception]:
    """One pass over what all jobs lack; those to blame where it ended early, or nothing.

    Args:
        jobs: Equal in all but prompt and text.
        begun: Jobs of an earlier pass, whose records are not to be deleted again; these ones are added.
    """
    started: dict[Job, tuple[RunTexts, frozenset[str], list[int]]] = {}
    with ExitStack() as locks:
        for job in jobs:
            try:
                locks.enter_context(job.folder.locked(job.runtime.part))
                if job.runtime.overwrite == "always" and job not in begun:
                    job.folder.clear()
                started[job] = job.start()
            except Exception as error:
                return {job: error}
            begun.add(job)
        try:
            blamed = _evaluated(started)
        except BaseException as error:  # an interrupt too is said in every folder
            for job in jobs:
                job.fail(error)
            if not isinstance(error, Exception):
                raise
            return dict.fromkeys(jobs, error)
        for job, error in blamed.items():
            job.fail(error)
        return blamed


def _evaluated(started: Mapping[Job, tuple[RunTexts, frozenset[str], list[int]]]) -> dict[Job, Exception]:
    """Evaluates jobs that have been started and finishes each; those that could not go on, and why."""
    from benchmarks.run.evaluation import Evaluation, Variant, VariantsFailedError
    from benchmarks.run.numerics import settle
    from benchmarks.run.words import warn_of_unknown_words

    jobs = list(started)
    first = jobs[0]
    settle()
    warn_of_unknown_words(first.backbones, first.task.dataset)
    variants = [Variant(job.prompt, texts, job.save, done, job.related) for job, (texts, done, _) in started.items()]
    todo = sorted({i for _, _, lacking in started.values() for i in lacking})
    approximation, attention = first.resolved["approximation"], first.measures.attention
    evaluation = Evaluation(first.task, first.backbones, variants, first.runtime, approximation, attention)
    try:
        evaluation.run(todo, first.title if len(jobs) == 1 else f"{len(jobs)} runs")
    except VariantsFailedError as error:
        return {jobs[v]: error.reason for v in error.variants}
    together = {"runs_together": len(jobs)} if len(jobs) > 1 else {}
    failed: dict[Job, Exception] = {}
    for job, (texts, _, _) in started.items():
        try:
            job.finish(texts, evaluation.seconds | together)
        except Exception as error:
            failed[job] = error
    return failed


def record_failure(job: Asked, error: Exception) -> None:
    """Says in the results that a job failed before its identity was known: a setting, data or weights are missing."""
    folder = _unidentified(job)
    if folder is None or (job.settings.get("runtime") or {}).get("dry_run"):
        return
    info = {
        "schema": SCHEMA_VERSION,
        "run_id": folder.path.name,
        "status": "failed",
        "finished": now(),
        "labels": _labels(job),
        "identity": None,
        "overrides": list(job.overrides),
        "experiments": [job.labels.experiment] if job.labels.experiment else [],
        "error": described(error),
    }
    with suppress(UserError):  # where results cannot be written, the message on the screen says it all
        folder.write_info(info)


def forget_failure(job: Asked) -> None:
    """Deletes what `record_failure` wrote of this job, whose identity is known now."""
    folder = _unidentified(job)
    if folder and folder.path.is_dir():
        folder.clear()
        with suppress(OSError):
            folder.path.rmdir()


def _unidentified(job: Asked) -> RunFolder | None:
    """Where a job without identity is recorded; None where not even its labels are known."""
    labels, root = _labels(job), job.settings.get("results_root")
    if not labels["task"] or not labels["split"] or not root:
        return None
    digest = hashlib.sha256(json.dumps([job.settings, labels], sort_keys=True, default=str).encode()).hexdigest()
    return RunFolder.of(Path(str(root)), labels, f"{UNIDENTIFIED}{digest[:12]}")


def _labels(job: Asked) -> dict[str, Any]:
    task = job.settings.get("task") or {}
    names = {"backbone": job.labels.backbone, "prompt": job.labels.prompt, "text": job.labels.text}
    return {"task": str(task.get("name") or ""), "split": str(task.get("split") or ""), **names}
