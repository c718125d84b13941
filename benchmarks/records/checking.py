"""Whether the decisions of a part of records follow from the scores stored beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.measure.decisions import decide_all
from falip.errors import UserError

_DECIDED = ("prediction", "correct", "score", "margin", "rank", "oracle", "chance", "ties", "tie_accuracy", "dropped")
# What is needed to work decisions out again, and what is compared then.
CHECKED = ("id", "group", "candidates", "target", *_DECIDED, "scores", "candidate_correct", "status")
_ROUNDING = 1e-4  # of a sum of float32 weights
# What relations can be worked out again from; the decision itself follows from the scores beside it, without a parser.
RELATED = ("texts", "text_scores", "boxes", "image_size")
# How much of the attention lies on the answer's region, where that was measured.
ATTENDED = ("attention_on_target", "attention_by_head", "region_share")

# How large the right answer is in its picture.
SIZED = "target_share"


def check_decisions(records: pa.Table, paths: NDArray[np.object_]) -> None:
    """Works every decision out again.

    Args:
        records: With the columns `CHECKED`.
        paths: The file of each record, for the message.

    Raises:
        UserError: If a decision does not follow from its scores; it names the file and the query.
    """
    scored = is_scored(records)
    _first(paths, records, ~scored & (texts(records["status"]) != "unscored"), "its status is neither scored nor unscored")
    rows = records if scored.all() else records.filter(pa.array(scored)).combine_chunks()
    if not len(rows):
        return
    path = paths[scored]
    scores, starts = ragged(rows["scores"])
    flags, ends = ragged(rows["candidate_correct"])
    target, candidates = (rows[name].to_numpy().astype(np.int64) for name in ("target", "candidates"))
    boxes = np.diff(ends) > 0  # of classes only the index of the right one is stored
    _first(path, rows, np.diff(starts) == 0, "it has no scores")
    _first(path, rows, np.diff(starts) != candidates, "it has not one score for each candidate")
    _first(path, rows, boxes & (np.diff(ends) != candidates), "it does not say of each candidate whether it is right")
    _first(path, rows, ~boxes & ((target < 0) | (target >= candidates)), "its target is none of the classes")
    right = _right(starts, target, boxes, flags)
    finite = np.isfinite(scores) | (np.isnan(scores) & np.repeat(boxes, candidates))  # NaN is a box without area
    _first(path, rows, ~np.logical_and.reduceat(finite, starts[:-1]), "it has scores that are not finite")
    kept = np.add.reduceat(~np.isnan(scores), starts[:-1], dtype=np.int64)
    _first(path, rows, kept == 0, "none of its candidates has a score")
    _compare(path, rows, decide_all(scores, starts, right))
    any_right = np.logical_or.reduceat(right, starts[:-1])
    aimed = np.where(target >= 0, right[starts[:-1] + np.clip(target, 0, candidates - 1)], ~any_right)
    _first(path, rows, ~aimed | (target >= candidates), "its target is not a right candidate")


def check_relations(records: pa.Table, paths: NDArray[np.object_]) -> None:
    """Looks whether what relations are worked out from is whole: a score of each candidate under each text, and its box.

    Args:
        records: With the columns `RELATED`, and those that say which query it is.
        paths: The file of each record, for the message.

    Raises:
        UserError: If something is lacking or no number; it names the file and the query.
    """
    if not len(records):
        return
    candidates = records["candidates"].to_numpy().astype(np.int64)
    asked = np.diff(ragged(records["texts"])[1])
    scores, boxes, size = _table(records["text_scores"]), _table(records["boxes"]), ragged(records["image_size"])[1]
    wrong = scores.misfits(asked, candidates)
    _first(paths, records, wrong, "it has not a score of each candidate under each text that relations ask for")
    wrong = boxes.misfits(np.where(asked > 0, candidates, 0), np.full(len(records), 4))
    _first(paths, records, wrong | (np.diff(size) != np.where(asked > 0, 2, 0)), "it has not the box of each candidate")


def check_attention(records: pa.Table, paths: NDArray[np.object_]) -> None:
    """Looks whether what is said of attention are shares, all there or none.

    Args:
        records: With the columns `ATTENDED`, and the id.
        paths: The file of each record, for the message.

    Raises:
        UserError: If something is lacking or no share; it names the file and the query.
    """
    if not len(records):
        return
    on_target, share = (records[name].to_numpy().astype(np.float64) for name in ("attention_on_target", "region_share"))
    heads, starts = ragged(records["attention_by_head"])
    strange = np.repeat(np.arange(len(records)), np.diff(starts))[~((heads >= 0) & (heads <= 1 + _ROUNDING))]
    wrong = np.zeros(len(records), bool)
    wrong[strange] = True
    measured = ~np.isnan(on_target)
    wrong |= (np.isnan(share) == measured) | ((np.diff(starts) > 0) != measured)
    wrong |= measured & ~((on_target >= 0) & (on_target <= 1 + _ROUNDING) & (share > 0) & (share <= 1))
    _first(paths, records, wrong, "what it says of attention are no shares")


def check_sizes(records: pa.Table, paths: NDArray[np.object_]) -> None:
    """Looks whether the sizes of targets are shares, or unknown.

    Args:
        records: With the column `SIZED`, and the id.
        paths: The file of each record, for the message.

    Raises:
        UserError: If one is no share; it names the file and the query.
    """
    share = records[SIZED].to_numpy()
    _first(paths, records, ~(np.isnan(share) | ((share >= 0) & (share <= 1))), f"its {SIZED} is no share")


@dataclass(frozen=True)
class _Tables:
    """A table of numbers for each record: its rows, the columns of each row, and which have numbers that are not finite."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    broken: NDArray[np.bool_]

    def misfits(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which records have not so many rows of so many columns of finite numbers."""
        owner = np.repeat(np.arange(len(self.rows)), self.rows)
        wrong = self.rows != rows
        wrong[owner[(self.columns != columns[owner]) | self.broken]] = True
        return wrong


def _table(column: pa.ChunkedArray) -> _Tables:
    starts = ragged(column)[1]
    inner = pa.chunked_array([chunk.flatten() for chunk in column.chunks], type=column.type.value_type)
    numbers, ends = ragged(inner)
    broken = np.zeros(len(ends) - 1, bool)
    broken[np.repeat(np.arange(len(broken)), np.diff(ends))[~np.isfinite(numbers)]] = True
    return _Tables(np.diff(starts), np.diff(ends), broken)


def _right(
    starts: NDArray[np.int64], target: NDArray[np.int64], boxes: NDArray[np.bool_], flags: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    sizes = np.diff(starts)
    place = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
    right = place == np.repeat(target, sizes)
    right[np.repeat(boxes, sizes)] = flags
    return right


def _compare(path: NDArray[np.object_], rows: pa.Table, found: object) -> None:
    for name in _DECIDED:
        stored, expected = rows[name].to_numpy(zero_copy_only=False), getattr(found, name)
        wrong = stored != expected
        if wrong.any():
            k = int(np.argmax(wrong))
            words = f"its {name} is {stored[k]}, and from its scores follows {expected[k]}"
            raise _refused(path, rows, k, words)


def texts(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """A column of texts as an array of objects."""
    return np.asarray(column.to_numpy(), dtype=object)


def is_scored(records: pa.Table) -> NDArray[np.bool_]:
    """Which records have a decision."""
    return texts(records["status"]) == "scored"


def ragged(column: pa.ChunkedArray) -> tuple[NDArray, NDArray[np.int64]]:
    """The values of a column of lists, one list after the other, and where each begins, with the end at last."""
    lists = column.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):  # where there are no rows at all
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], column.type)
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    return lists.flatten().to_numpy(zero_copy_only=False), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _first(path: NDArray[np.object_], rows: pa.Table, wrong: NDArray[np.bool_], why: str) -> None:
    if wrong.any():
        raise _refused(path, rows, int(np.argmax(wrong)), why)


def _refused(path: NDArray[np.object_], rows: pa.Table, k: int, why: str) -> UserError:
    return UserError(
        f"{path[k]} was edited or is damaged: of the query {rows['id'][k].as_py()!r}, {why}. Delete it and give the "
        "command of its run again, which does the rest."
    )
