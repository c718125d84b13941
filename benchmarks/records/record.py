"""The record of one decision, the only thing that metrics, tables and reports are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from falip.errors import UserError

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Record:
    """What was decided for one query.

    Attributes:
        id: Query id, unique in the run.
        group: Sample id (image or object); the cluster for intervals.
        text: The expression, or the name of the right class.
        slice: What tables may break down by, or "".
        candidates: Number of candidate boxes, or of classes.
        target: Index of the right candidate or class: for REC the one with the largest IoU above the threshold, or -1.
        prediction: Index of the decision; -1 if unscored.
        correct: Whether the decision is right.
        score: Score of the decision.
        margin: Score of the decision less that of the runner-up (inf with a single candidate).
        rank: 1-based rank of the best right candidate (number of candidates that score strictly higher, plus 1); 0 if none.
        iou: For REC the IoU of the decision with the referent; NaN otherwise.
        oracle: Whether any candidate is right.
        chance: Probability that a uniform choice is right.
        ties: Number of candidates that share the highest score (1 = no tie).
        tie_accuracy: Expected correctness when ties are broken at random.
        scores: Score of every candidate or class; NaN for a dropped candidate.
        component_scores: The same for each component (rows are named by `components` in run.json); for depth maps one
            row for each component and view.
        dropped: Candidates left out because they have no area.
        candidate_correct: For REC whether each candidate is right, so that stored runs can be combined; empty otherwise.
        outside: Regions that fall outside CLIP's centre crop, so that the plain view stood in.
        fallback: Whether the whole image stood in for missing proposals.
        status: "scored" or "unscored".
        error: Why it is unscored, or "".
    """

    id: str
    group: str
    text: str
    slice: str
    candidates: int
    target: int
    prediction: int
    correct: bool
    score: float
    margin: float
    rank: int
    iou: float
    oracle: bool
    chance: float
    ties: int
    tie_accuracy: float
    scores: tuple[float, ...]
    component_scores: tuple[tuple[float, ...], ...]
    dropped: int = 0
    candidate_correct: tuple[bool, ...] = ()
    outside: int = 0
    fallback: bool = False
    status: str = "scored"
    error: str = ""


def unscored(sample: str, queries: int, regions: int, error: str) -> list[Record]:
    """Records of a sample that could not be loaded; they are counted and never part of an accuracy."""
    return [
        Record(
            id=f"{sample}/unscored-{q}",
            group=sample,
            text="",
            slice="",
            candidates=regions,
            target=-1,
            prediction=-1,
            correct=False,
            score=float("nan"),
            margin=float("nan"),
            rank=0,
            iou=float("nan"),
            oracle=False,
            chance=float("nan"),
            ties=0,
            tie_accuracy=float("nan"),
            scores=(),
            component_scores=(),
            dropped=0,
            candidate_correct=(),
            status="unscored",
            error=error,
        )
        for q in range(queries)
    ]


RECORD_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("group", pa.string()),
        ("text", pa.string()),
        ("slice", pa.string()),
        ("candidates", pa.int32()),
        ("target", pa.int32()),
        ("prediction", pa.int32()),
        ("correct", pa.bool_()),
        ("score", pa.float32()),
        ("margin", pa.float32()),
        ("rank", pa.int32()),
        ("iou", pa.float32()),
        ("oracle", pa.bool_()),
        ("chance", pa.float64()),
        ("ties", pa.int32()),
        ("tie_accuracy", pa.float64()),
        ("scores", pa.list_(pa.float32())),
        ("component_scores", pa.list_(pa.list_(pa.float32()))),
        ("dropped", pa.int32()),
        ("candidate_correct", pa.list_(pa.bool_())),
        ("outside", pa.int32()),
        ("fallback", pa.bool_()),
        ("status", pa.string()),
        ("error", pa.string()),
    ],
    metadata={"schema_version": str(SCHEMA_VERSION)},
)
assert RECORD_SCHEMA.names == [field.name for field in fields(Record)]


def write_part(records: Sequence[Record], path: Path) -> None:
    """Writes one part file; the caller makes it atomic."""
    pq.write_table(pa.Table.from_pylist([asdict(record) for record in records], schema=RECORD_SCHEMA), path)


def read_parts(paths: Iterable[Path]) -> pd.DataFrame:
    """All records of some part files, sorted by id; one row for each query, columns as in `Record`."""
    tables = [_read_part(path) for path in sorted(paths)]
    table = pa.concat_tables(tables) if tables else RECORD_SCHEMA.empty_table()
    frame = table.to_pandas().drop_duplicates("id")
    return frame.sort_values("id", ignore_index=True)


def _read_part(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, schema=RECORD_SCHEMA)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{path} cannot be read: {error}. Delete it and give the command of its run again, which does the rest."
        ) from error
