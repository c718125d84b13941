"""The table of a measurement, as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from benchmarks.run.provenance import git_state
from benchmarks.speed.measure import Measurement

HEAD = (
    "model", "regions", "way", "seconds", "vs none", "vs released", "regions/s", "GFLOP/s", "% of peak", "peak MB",
    "difference (embedding)", "difference (score)", "changed decisions",
)  # fmt: skip


def rows(model: str, measured: Sequence[Measurement]) -> list[list[str]]:
    """One row of text for each way, in the columns of `HEAD`."""
    seconds = {one.way: one.seconds for one in measured}
    return [
        [
            model, str(one.regions), one.way, f"{one.seconds:.1f}", f"{seconds['none'] / one.seconds:.2f}",
            f"{seconds['released'] / one.seconds:.1f}", f"{one.views / one.seconds:.1f}",
            f"{one.flops / one.seconds / 1e9:.0f}", f"{100 * one.flops / one.seconds / one.peak:.0f}",
            f"{one.memory_mb:.0f}", f"{one.embedding_difference:.0e}", f"{one.score_difference:.0e}",
            f"{100 * one.changed:.2f} %",
        ]
        for one in measured
    ]  # fmt: skip


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def as_csv(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """The rows under a head."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([head, *body])
    return file.getvalue()


def shares_table(shares: Mapping[str, Mapping[str, float]]) -> str:
    """Where the time goes, for each way: products, attention and the costliest of the rest."""
    body = []
    for way, found in shares.items():
        first, others = list(found.items())[:2], list(found.items())[2:6]
        rest = ", ".join(f"{name.removeprefix('aten::')} {100 * share:.1f} %" for name, share in others)
        body.append([way, *(f"{100 * share:.1f} %" for _, share in first), rest])
    return markdown(("way", "matrix products", "attention kernels", "most of the rest"), body)


def commit() -> str:
    """The commit of the code, for people."""
    git = git_state()
    return f"{(git['commit'] or 'unknown')[:10]}{' with changes' if git['dirty'] else ''}"
