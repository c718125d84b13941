"""How our numbers stand beside published ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.data.class_split import part_of
from benchmarks.published.figures import ANY, Expectation
from benchmarks.records.run import Run

CLOSE = 0.5
MATCH, NEAR, DIFFERS = "match", "close", "differs"
NOT_RUN, NOT_COMPARABLE = "not run", "not comparable"


@dataclass(frozen=True)
class Verdict:
    """An expectation beside what was measured; `ours` and `difference` in points, or None."""

    expectation: Expectation
    run: Run | None
    ours: float | None
    difference: float | None
    verdict: str
    reason: str = ""


def lookup(
    expectations: Iterable[Expectation],
    task: str,
    split: str,
    backbone: str,
    prompt: str,
    metric: str = "accuracy",
) -> list[Expectation]:
    """Published numbers for a cell of ours, whatever their proposals and text."""
    wanted = {"task": task, "split": split, "metric": metric}
    loose = {"backbone": backbone, "prompt": prompt}
    return [
        expectation
        for expectation in expectations
        if all(getattr(expectation, key) == value for key, value in wanted.items())
        and all(getattr(expectation, key) in (value, ANY) for key, value in loose.items())
    ]


def judge(ours: float, printed: str) -> tuple[float, str]:
    """Difference in points, and the verdict.

    Args:
        ours: In per cent.
        printed: As in the paper; "match" means equal to its decimals.
    """
    decimals = len(printed.partition(".")[2])
    difference = ours - float(printed)
    if abs(difference) <= 0.5 * 10**-decimals + 1e-9:
        return difference, MATCH
    return difference, NEAR if abs(difference) <= CLOSE + 1e-9 else DIFFERS


def comparability(run: Run, expectation: Expectation) -> str:
    """Why a run's number may not stand beside a published one; "" if it may."""
    labels = run.labels
    reasons = []
    if run.embedded:
        reasons.append("embedded data")
    if run.subset:
        reasons.append("subset")
    if run.unchecked:
        reasons.append("the split's counts were not checked")
    part = part_of(run.identity)
    if part != "all":
        reasons.append(f"{part} classes alone")
    if expectation.proposals and labels.get("proposals") != expectation.proposals:
        reasons.append(f"proposals {labels.get('proposals')}, published {expectation.proposals}")
    if expectation.backbone not in (ANY, _weights(labels["backbone"])):
        reasons.append(f"backbone {labels['backbone']}, published {expectation.backbone}")
    if expectation.text not in (ANY, labels.get("text")):
        reasons.append(f"text {labels.get('text')}, published {expectation.text}")
    if run.approximation != "none":
        reasons.append(f"approximation {run.approximation}")
    return "; ".join([*reasons, *_other_protocol(run, expectation)])


def _other_protocol(run: Run, expectation: Expectation) -> list[str]:
    """What a run sets of the task that the figure's protocol does not, and the other way round."""
    others = [rule for rule in run.rules if rule not in expectation.rules]
    lacking = [rule for rule in expectation.rules if not run.follows(rule)]
    told = [f"overrides {', '.join(others)}"] if others else []
    return [*told, f"published with {', '.join(lacking)}"] if lacking else told


def _weights(backbone: str) -> str:
    """A backbone's label without the place that its weights were read from (backbone.name=/a/folder) and its precision.

    What was published was computed in either precision; ours says which it is.
    """
    choice, *overrides = backbone.split(",")
    return ",".join([choice, *(o for o in overrides if not o.startswith(("name=", "precision=")))])


def verdicts(runs: Iterable[Run], expectations: Iterable[Expectation]) -> list[Verdict]:
    """Every expectation beside the runs that answer to it, in the order of the expectations."""
    runs = [run for run in runs if not run.embedded]
    results = []
    for expectation in expectations:
        candidates = [run for run in runs if _answers(run, expectation)]
        candidates = [run for run in candidates if not _other_protocol(run, expectation)] or candidates
        fitting = [run for run in candidates if not comparability(run, expectation)]
        if expectation.prompt == ANY:
            fitting, candidates = fitting[:1], candidates[:1]  # the same for every prompt
        if not candidates:
            results.append(Verdict(expectation, None, None, None, NOT_RUN))
        for run in fitting:
            ours = points(run.metrics, expectation.metric)
            if ours is None:
                results.append(Verdict(expectation, run, None, None, NOT_COMPARABLE, f"no {expectation.metric}"))
                continue
            difference, verdict = judge(ours, expectation.figure.value)
            place = run.labels["backbone"].partition("name=")[2]
            reason = f"weights from {place}" if place else ""
            results.append(Verdict(expectation, run, ours, difference, verdict, reason))
        if not fitting:
            results.extend(
                Verdict(
                    expectation,
                    run,
                    points(run.metrics, expectation.metric),
                    None,
                    NOT_COMPARABLE,
                    comparability(run, expectation),
                )
                for run in candidates
            )
    return results


def contradicted(found: Iterable[Verdict]) -> list[Verdict]:
    """Results that differ from a figure that no other result of ours reproduces."""
    found = list(found)
    reproduced = {v.expectation.figure for v in found if v.verdict in (MATCH, NEAR)}
    return [v for v in found if v.verdict == DIFFERS and v.expectation.figure not in reproduced]


def _answers(run: Run, expectation: Expectation) -> bool:
    same = run.labels["task"] == expectation.task and run.labels["split"] == expectation.split
    return same and expectation.prompt in (ANY, run.labels["prompt"])


def points(metrics: Mapping[str, Any], metric: str) -> float | None:
    """A metric in per cent."""
    value = metrics.get(metric)
    return None if value is None else 100.0 * float(value)
