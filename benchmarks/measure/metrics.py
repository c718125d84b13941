"""Metrics: pure functions of a run's records.

Every function returns a dictionary that `json.dumps` takes as it is; what cannot be given is None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.measure.decisions import NEAR_TIE
from benchmarks.measure.statistics import Interval, cluster_interval
from falip.errors import UserError


def metrics_for(kind: str, frame: pd.DataFrame, group_shares: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Metrics of a run.

    Args:
        kind: "rec", "classification", "pointcloud" or "keypoint": the part of the task's label before the slash.
        frame: Records as `read_parts` gives them, or with `top5` in the place of scores.
        group_shares: For classification with groups (Waterbirds): the share of each slice in the training
            set.

    Raises:
        UserError: If the kind is unknown.
    """
    if kind == "rec":
        return rec_metrics(frame)
    if kind == "classification":
        return classification_metrics(frame, group_shares)
    if kind == "pointcloud":
        return pointcloud_metrics(frame)
    if kind == "keypoint":
        return _common(frame)
    raise UserError(f"unknown kind of task {kind!r}: there are rec, classification, pointcloud and keypoint")


def rec_metrics(frame: pd.DataFrame) -> dict[str, Any]:
    """Accuracy over expressions (IoU above 0.5), with the chance level and the proposals' oracle.

    `accuracy_exact` counts only the candidate that overlaps the referent most, which with gold proposals is the referent
    itself, and not another one with an IoU above 0.5.
    """
    rows = scored(frame)
    exact = np.asarray(rows["prediction"]) == np.asarray(rows["target"])
    return {**_common(frame), "accuracy_exact": _mean(exact.astype(np.float64))}


def pointcloud_metrics(frame: pd.DataFrame) -> dict[str, Any]:
    """Accuracy over objects with the views as the run summed them; top 5 and class means as for images."""
    return {**_common(frame), **_class_figures(frame)}


def classification_metrics(frame: pd.DataFrame, group_shares: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Top 1, top 5, their means over classes, and by groups where training shares are given.

    Args:
        frame: Records.
        group_shares: Share of each group (`Record.slice`) in the training set. The mean that they weight is
            the one that the group-DRO literature calls average accuracy (kohpangwei/group_DRO README).

    Raises:
        UserError: If a group of the records has no share.
    """
    figures = {**_common(frame), **_class_figures(frame)}
    means = class_means(frame)
    if means:
        figures["class_means"] = means
    if group_shares is not None:
        figures["groups"] = _group_figures(figures["slices"], group_shares)
    return figures


def scored(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with a decision."""
    return frame.loc[np.asarray(frame["status"]) == "scored"]


def _common(frame: pd.DataFrame) -> dict[str, Any]:
    rows = scored(frame)
    figures: dict[str, Any] = {"accuracy": None, "interval": None}
    if len(rows):
        interval = cluster_interval(rows["correct"], rows["group"])
        figures = {"accuracy": interval.mean, "interval": interval_json(interval)}
    figures |= {name: _mean(np.asarray(rows[name], dtype=np.float64)) for name in ("chance", "oracle", "tie_accuracy")}
    return {**figures, "counts": _counts(frame, rows), "slices": _slices(rows)}


def interval_json(interval: Interval) -> dict[str, Any]:
    """An interval with None in place of NaN, which JSON does not know."""
    return {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in vars(interval).items()}


def _mean(column: NDArray[np.float64]) -> float | None:
    return float(column.mean()) if len(column) else None


def _counts(frame: pd.DataFrame, rows: pd.DataFrame) -> dict[str, int]:
    margin = np.asarray(rows["margin"], dtype=np.float64)
    samples = frame.drop_duplicates("group")  # these two are the same for all queries of an image
    return {
        "n": len(rows),
        "samples": len(samples),
        "unscored": len(frame) - len(rows),
        "fallback": _sum(frame, "fallback"),
        "ties": int((np.asarray(rows["ties"]) > 1).sum()),
        "near_ties": int(((margin > 0) & (margin < NEAR_TIE)).sum()),
        "dropped": _sum(samples, "dropped"),
        "outside": _sum(samples, "outside"),
    }


def _sum(frame: pd.DataFrame, name: str) -> int:
    return int(np.asarray(frame[name], dtype=np.int64).sum())


def _slices(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    names = np.asarray(rows["slice"].astype(object).fillna(""), dtype=object)
    correct = np.asarray(rows["correct"], dtype=np.float64)
    chance = np.asarray(rows["chance"], dtype=np.float64)
    found = {str(name): names == name for name in sorted(set(names) - {""})}
    return {
        name: {
            "accuracy": float(correct[part].mean()),
            "n": int(part.sum()),
            "chance": float(chance[part].mean()),
        }
        for name, part in found.items()
    }


def _class_figures(frame: pd.DataFrame) -> dict[str, float | None]:
    rows = scored(frame)
    if not len(rows):
        return dict.fromkeys(("top1", "top5", "class_mean_top1", "class_mean_top5"))
    if _own_candidates(rows):
        return dict.fromkeys(("top5", "class_mean_top1", "class_mean_top5")) | {"top1": float(_right(rows, 1).mean())}
    top1, top5 = _right(rows, 1), _right(rows, 5)
    return {
        "top1": float(top1.mean()),
        "top5": float(top5.mean()),
        "class_mean_top1": _mean_of(per_class_accuracy(rows, 1)),
        "class_mean_top5": _mean_of(per_class_accuracy(rows, 5)),
    }


def per_class_accuracy(records: pd.DataFrame, k: int) -> dict[int, float]:
    """For each class that is present, the share of its queries whose right class is among the k best.

    Args:
        records: Of recognition with one list of classes; only scored ones count. The column `top5` of a run on disk
            stands in for scores where k is 5.
        k: 1 for accuracy; ties go to the lowest index.
    """
    rows = scored(records)
    labels, right = rows["target"].to_numpy(dtype=np.int64), _right(rows, k)
    return {int(label): float(right[labels == label].mean()) for label in np.unique(labels)}


def class_means(records: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Top 1 and top 5 over queries and their means over classes (macc), for each slice of the classes ("thing", "stuff").

    CLIPSelf rounds the accuracy of each class to half precision before it takes the mean (src/training/zero_shot.py, lines
    140 to 174): `macc1_float16` and `macc5_float16`.

    Args:
        records: Of recognition.

    Returns:
        For each slice its number of classes and its figures; {} where slices do not part the classes, that is where
        there are none, or a class has queries in two of them.
    """
    rows = scored(records)
    names = np.asarray(rows["slice"].astype(object).fillna(""), dtype=object)
    slices = sorted(set(names) - {""})
    if not slices or _own_candidates(rows):
        return {}
    labels = rows["target"].to_numpy(dtype=np.int64)
    if len(set(zip(labels, names, strict=True))) > len(np.unique(labels)):
        return {}
    return {name: _class_mean_figures(rows.loc[names == name]) for name in slices}


def _class_mean_figures(rows: pd.DataFrame) -> dict[str, Any]:
    figures: dict[str, Any] = {"n": len(rows)}
    for k in (1, 5):
        classes = per_class_accuracy(rows, k)
        rounded = {label: float(np.float16(value)) for label, value in classes.items()}
        figures |= {
            "classes": len(classes),
            f"top{k}": float(_right(rows, k).mean()),
            f"macc{k}": _mean_of(classes),
            f"macc{k}_float16": _mean_of(rounded),
        }
    return figures


def _right(rows: pd.DataFrame, k: int) -> NDArray[np.float64]:
    """Whether the right class is among the k best."""
    if k == 1:
        return rows["correct"].to_numpy(dtype=np.float64)
    if k == 5 and "top5" in rows:  # of a run on disk, whose scores are not kept in memory
        return np.asarray(rows["top5"], dtype=np.float64)
    return within_top(score_matrix(rows), rows["target"].to_numpy(dtype=np.int64), k).astype(np.float64)


def _own_candidates(rows: pd.DataFrame) -> bool:
    """Whether queries have texts of their own, so that an index is no class."""
    return "candidate_correct" in rows and any(len(flags) for flags in rows["candidate_correct"])


def _mean_of(classes: Mapping[int, float]) -> float:
    return float(np.mean(list(classes.values())))


def score_matrix(rows: pd.DataFrame) -> NDArray[np.float32]:
    """Scores of all classes, shape (N, C).

    Raises:
        UserError: If the rows have different numbers of classes.
    """
    sizes = {len(scores) for scores in rows["scores"]}
    if len(sizes) != 1:
        raise UserError(
            f"records of one task have from {min(sizes)} to {max(sizes)} classes; their parts do not belong together"
        )
    return np.stack([np.asarray(scores, dtype=np.float32) for scores in rows["scores"]])


def within_top(scores: NDArray[np.float32], labels: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Whether the right class is among the k best, ties going to the lowest index; (N, C), (N,) -> (N,)."""
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
    ahead = (scores > own) | ((scores == own) & earlier)
    return ahead.sum(axis=1) < k


def _group_figures(slices: Mapping[str, Mapping[str, Any]], shares: Mapping[str, float]) -> dict[str, Any]:
    if not set(slices) <= set(shares):
        raise UserError(
            f"the records have the groups {sorted(slices)} but training shares are given for "
            f"{sorted(shares)}: a weighted mean needs both for every group"
        )
    total = sum(shares.values())
    accuracy = {name: values["accuracy"] for name, values in slices.items()}
    worst = min(accuracy, key=lambda name: (accuracy[name], name))
    return {
        "mean": sum(values["accuracy"] * values["n"] for values in slices.values())
        / sum(values["n"] for values in slices.values()),
        "weighted_mean": sum(accuracy[name] * share for name, share in shares.items()) / total
        if set(slices) == set(shares)
        else None,  # a small subset may lack a group
        "worst": accuracy[worst],
        "worst_group": worst,
        "shares": {name: share / total for name, share in shares.items()},
    }
