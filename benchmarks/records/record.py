"""The record of one decision, which metrics, tables and reports are computed from, and the files of records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.records.checking import (
    ATTENDED,
    CHECKED,
    RELATED,
    SIZED,
    check_attention,
    check_decisions,
    check_relations,
    check_sizes,
    is_scored,
    texts,
)
from falip.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 4  # since 2 each part says whose it is, since 3 it has relations and attention, since 4 target sizes
_RUN_ID = b"run_id"
_STAND_IN = "/unscored-"  # in the id of a record that stands for a query of a sample that could not be loaded
_AGAIN = "give the command of its run again, which does the rest"
_MEND = f"Delete it and {_AGAIN}."
# What pyarrow raises for files that are cut, edited or claim absurd sizes.
_UNREADABLE = (pa.ArrowException, OSError, MemoryError, OverflowError, ValueError)


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
        scores: Score of every candidate or class; NaN for a dropped candidate. With relations log(p / the largest p) of
            the distribution over candidates.
        component_scores: The same for each component (rows are named by `components` in run.json); for depth maps one
            row for each component and view.
        dropped: Candidates left out because they have no area.
        candidate_correct: For REC whether each candidate is right, so that stored runs can be combined; empty otherwise.
        outside: Regions that fall outside CLIP's centre crop, so that the plain view stood in.
        fallback: Whether the whole image stood in for missing proposals.
        status: "scored" or "unscored".
        error: Why it is unscored, or "".
        texts: With relations the texts that were asked for, the whole expression first; empty otherwise, as what follows.
        text_scores: For each of them the score of every candidate, components and backbones combined, dropped or not.
        boxes: The candidates (x0, y0, x1, y1) in pixels.
        image_size: (width, height) in pixels.
        attention_on_target: With `metrics.attention` the share of the pooled token's attention that lies on the answer's
            region, 0 to 1: mean over the last four layers, their heads, components and backbones; of a read-out that of its
            likeness (`Backbone.attended_features`). NaN where it was not measured or the answer has no region.
        attention_by_head: The same for each head, of several backbones one after the other; empty without it.
        region_share: The region's share of the patches, 0 to 1; 1 where a view shows the region alone; NaN without it.
        target_share: The right answer's share of its picture's area, 0 to 1: that of the largest gold box, or of the region
            that is asked about; NaN where there is none, as for depth maps and keypoints.
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
    texts: tuple[str, ...] = ()
    text_scores: tuple[tuple[float, ...], ...] = ()
    boxes: tuple[tuple[float, ...], ...] = ()
    image_size: tuple[int, ...] = ()
    attention_on_target: float = float("nan")
    attention_by_head: tuple[float, ...] = ()
    region_share: float = float("nan")
    target_share: float = float("nan")


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
        ("texts", pa.list_(pa.string())),
        ("text_scores", pa.list_(pa.list_(pa.float32()))),
        ("boxes", pa.list_(pa.list_(pa.float64()))),
        ("image_size", pa.list_(pa.int32())),
        ("attention_on_target", pa.float32()),
        ("attention_by_head", pa.list_(pa.float32())),
        ("region_share", pa.float32()),
        ("target_share", pa.float32()),
    ],
)
# Parts of earlier schema versions lack some columns: there what belongs to them is empty, or NaN.
EARLIER_SCHEMAS = {
    version: pa.schema([field for field in RECORD_SCHEMA if field.name not in lacking])
    for version, lacking in {1: (*RELATED, *ATTENDED, SIZED), 2: (*RELATED, *ATTENDED, SIZED), 3: (SIZED,)}.items()
}
assert RECORD_SCHEMA.names == [field.name for field in fields(Record)]


def write_part(records: Sequence[Record], path: Path, run_id: str) -> None:
    """Writes one part file, which says whose it is; the caller makes it atomic."""
    write_table(pa.Table.from_pylist([vars(record) for record in records], schema=RECORD_SCHEMA), path, run_id)


def write_table(records: pa.Table, path: Path, run_id: str) -> None:
    """Writes a table of records as one part file; the caller makes it atomic."""
    pq.write_table(records.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION), _RUN_ID: run_id}), path)


@dataclass(frozen=True)
class Owner:
    """The run that some parts must be of.

    Attributes:
        run_id: Its id.
        schema: The schema version of its run.json: parts of version 1 may lack the id.
        hashed: Whether the id is the hash of the run's identity, as that of a run whose parts say whose they are must be.
    """

    run_id: str
    schema: int = SCHEMA_VERSION
    hashed: bool = True


def read_parts(paths: Iterable[Path], owner: Owner | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """All records of some part files, sorted by id; one row for each query.

    See `read_table`.
    """
    return read_table(paths, owner, columns).to_pandas()


def read_table(paths: Iterable[Path], owner: Owner | None = None, columns: Sequence[str] | None = None) -> pa.Table:
    """All records of some part files, sorted by id; one row for each query.

    Decisions are worked out again from the stored scores, so that what is read follows from them. A query that two
    parts hold counts once, and an unscored sample that was scored in the end counts as scored.

    Args:
        paths: The files, in any order.
        owner: Whose they must be; None where that does not matter.
        columns: Some of the fields of `Record`; None for all.

    Raises:
        UserError: If a part cannot be read, is of another run, or was edited; it names the file.
    """
    wanted = RECORD_SCHEMA.names if columns is None else list(columns)
    needed = [name for name in RECORD_SCHEMA.names if name in {*wanted, *CHECKED}]
    paths = sorted(paths)
    if not paths:
        return RECORD_SCHEMA.empty_table().select(wanted)
    parts = [_read(path, owner, needed) for path in paths]
    table = pa.concat_tables(parts).combine_chunks()
    files = np.repeat(np.array(paths, dtype=object), [len(part) for part in parts])
    check_decisions(table, files)
    if set(RELATED) <= set(wanted):
        check_relations(table, files)
    if set(ATTENDED) <= set(wanted):
        check_attention(table, files)
    if SIZED in wanted:
        check_sizes(table, files)
    kept = wanted + [name for name in ("id", "group", "status") if name not in wanted]
    return _distinct(table.select(kept)).select(wanted).combine_chunks()


@dataclass(frozen=True)
class Counts:
    """How many distinct queries are recorded: with a decision, and without."""

    scored: int
    unscored: int


def count_records(paths: Iterable[Path], owner: Owner | None = None) -> Counts:
    """Counts what some part files hold, looking at no more of the scores than that the best ones are numbers.

    Raises:
        UserError: If a part cannot be read or is of another run; it names the file.
    """
    paths = sorted(paths)
    if not paths:
        return Counts(0, 0)
    parts = [_read(path, owner, ["id", "group", "status", "score"]) for path in paths]
    for part, path in zip(parts, paths, strict=True):
        lost = ~np.isfinite(part["score"].to_numpy())
        if (lost & is_scored(part)).any():
            raise UserError(f"{path} is damaged: it has scores that are no finite numbers. {_MEND}")
    table = pa.concat_tables(parts)
    if table["status"].unique().to_pylist() == ["scored"]:
        return Counts(len(table["id"].unique()), 0)
    scored = int(is_scored(table := _distinct(table)).sum())
    return Counts(scored, len(table) - scored)


def _distinct(table: pa.Table) -> pa.Table:
    """Sorted by id, each query once; of samples that were scored in the end their earlier unscored records are gone."""
    scored = is_scored(table)
    if not scored.all():
        # A sample that cannot be loaded has no texts, so its records have other ids than its queries.
        ids, groups = texts(table["id"]), texts(table["group"])
        mended = set(groups[scored])
        stale = np.array([_STAND_IN in name and group in mended for name, group in zip(ids, groups, strict=True)]) & ~scored
        table, scored = table.filter(pa.array(~stale)), scored[~stale]
    place = np.arange(len(table)) + len(table) * ~scored  # of two records of a query the scored one counts
    table = table.append_column("_place", pa.array(place))
    table = table.sort_by([("id", "ascending"), ("_place", "ascending")]).drop_columns(["_place"])
    ids = texts(table["id"])
    fresh = np.append(np.ones(min(1, len(ids)), bool), ids[1:] != ids[:-1])
    return table if fresh.all() else table.filter(pa.array(fresh))


def _read(path: Path, owner: Owner | None, columns: Sequence[str]) -> pa.Table:
    with _opened(path) as file:
        schema = file.schema_arrow
        if not any(schema.equals(known) for known in (RECORD_SCHEMA, *EARLIER_SCHEMAS.values())):
            raise UserError(f"{path} has other columns than a part of records. {_MEND}")
        _check_owner(path, (schema.metadata or {}).get(_RUN_ID), owner)
        try:
            table = file.read([name for name in columns if name in schema.names], use_threads=False)
            table.validate(full=True)
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error
    for name in (name for name in columns if name not in schema.names):
        field = RECORD_SCHEMA.field(name)
        empty: Any = [] if pa.types.is_list(field.type) else float("nan")
        table = table.append_column(field, pa.array([empty] * len(table), field.type))
    table = table.select(list(columns))
    holes = [name for name in columns if _has_holes(table[name])]
    if holes:
        raise UserError(f"{path} lacks values of {', '.join(holes)}. {_MEND}")
    return table.replace_schema_metadata()


def _has_holes(column: pa.ChunkedArray) -> bool:
    if column.null_count or not pa.types.is_list(column.type):
        return column.null_count > 0
    return any(_has_holes(pa.chunked_array([chunk.flatten()])) for chunk in column.chunks)


def _opened(path: Path) -> pq.ParquetFile:
    if not path.is_file():
        raise UserError(f"{path} is no file, and a part of records belongs there. Move it away, and {_AGAIN}.")
    try:
        return pq.ParquetFile(path, pre_buffer=False)  # reading ahead makes small parts slower
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _check_owner(path: Path, found: bytes | None, owner: Owner | None) -> None:
    if owner is None or (found is None and owner.schema == 1):
        return
    if found == owner.run_id.encode():
        if not owner.hashed:
            raise UserError(
                f"the run.json beside {path} was edited: its run_id {owner.run_id} is not the hash of its identity. Put "
                "back what was there, or delete the folder and run again"
            )
        return
    whose = "does not say of which run it is" if found is None else f"is of run {found.decode(errors='replace')}"
    raise UserError(f"{path} {whose}, and lies in the folder of run {owner.run_id}. {_MEND}")


def _unreadable(path: Path, error: BaseException) -> UserError:
    return UserError(f"{path} cannot be read: {' '.join(str(error).split())[:300]}. {_MEND}")
