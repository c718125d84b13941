"""Runs in the formats that results are shared in: lm-eval's, Every Eval Ever's, and the hub's `.eval_results`."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records.run import Run
from falip.errors import UserError

EEE_VERSION = "0.3.0"
_RECORD = (
    "id",
    "group",
    "text",
    "slice",
    "candidates",
    "target",
    "prediction",
    "correct",
    "margin",
    "rank",
    "status",
    "scores",
)


@dataclass(frozen=True)
class Source:
    """What a run does not know of itself.

    Attributes:
        organization: Who evaluated.
        dataset: Hub id of the benchmark that the hub's format is about.
        task: Its task, as the benchmark's own eval.yaml has it.
    """

    organization: str = "unknown"
    dataset: str | None = None
    task: str = "default"


def lm_eval(run: Run, source: Source) -> dict[Path, str]:
    """Files as lm-evaluation-harness writes them: results of a task, and a line for each sample."""
    del source
    task, moment = _named(run.labels["task"]), _moment(run).strftime("%Y-%m-%dT%H-%M-%S")
    accuracy, interval = _accuracy(run), run.metrics["interval"] or {}
    count, error = run.metrics["counts"]["n"], _number(interval.get("se"))
    results = {
        "results": {task: {"alias": task, "acc,none": accuracy, "acc_stderr,none": "N/A" if error is None else error}},
        "configs": {task: {"task": task, "test_split": run.labels["split"], "metadata": {"run_id": run.run_id}}},
        "versions": {task: (run.identity.get("task") or {}).get("version", 0)},
        "n-shot": {task: 0},
        "higher_is_better": {task: {"acc": True}},
        "n-samples": {task: {"original": count, "effective": count}},
        "config": {"model": "falip", "model_args": {"backbone": _model(run), "prompt": run.method}},
        "git_hash": (run.info.get("git") or {}).get("commit"),
        "date": run.finished_at,
        "model_source": "falip",
        "model_name": _model(run),
        "model_name_sanitized": _named(_model(run)),
        "identity": run.identity,
    }
    folder = Path("lm_eval") / _named(_model(run)) / run.run_id
    lines = [
        {
            "doc_id": number,
            "doc": {key: row[key] for key in ("id", "group", "slice", "candidates")} | {"text": row["text"]},
            "target": str(row["target"]),
            "arguments": {},
            "resps": [[[score, i == row["prediction"]]] for i, score in enumerate(row["scores"])],
            "filtered_resps": [[score, i == row["prediction"]] for i, score in enumerate(row["scores"])],
            "filter": "none",
            "metrics": ["acc"],
            "doc_hash": _hash(row["id"]),
            "target_hash": _hash(str(row["target"])),
            "acc": float(row["correct"]),
        }
        for number, row in enumerate(_rows(run))
    ]
    return {
        folder / f"results_{moment}.json": _json(results),
        folder / f"samples_{task}_{moment}.jsonl": "".join(map(_line, lines)),
    }


def every_eval_ever(run: Run, source: Source) -> dict[Path, str]:
    """Files as Every Eval Ever's schema 0.3 has them: an aggregate, and a line for each query beside it."""
    developer, model = _developer(run)
    folder = Path("data") / f"falip_{_named(run.labels['task'])}" / developer / model
    name = uuid.UUID(bytes=hashlib.sha256(run.run_id.encode()).digest()[:16], version=4)
    when = str(int(run.finished_at))
    evaluation = f"{run.labels['task']} {run.labels['split']}"
    common = {"schema_version": EEE_VERSION, "evaluation_id": f"{folder.parts[1]}/{developer}_{model}/{run.run_id}/{when}"}
    lines = [
        common
        | {
            "model_id": f"{developer}/{model}",
            "evaluation_name": evaluation,
            "evaluation_result_id": f"{run.run_id}-accuracy",
        }
        | _eee_sample(row, run.kind)
        for row in _rows(run)
    ]
    samples = "".join(map(_line, lines))
    aggregate = common | {
        "retrieved_timestamp": when,
        "evaluation_timestamp": when,
        "source_metadata": {
            "source_name": "falip",
            "source_type": "evaluation_run",
            "source_organization_name": source.organization,
            "evaluator_relationship": "third_party",
        },
        "eval_library": {"name": "falip", "version": str((run.info.get("versions") or {}).get("falip", "unknown"))},
        "model_info": {
            "name": model,
            "id": f"{developer}/{model}",
            "developer": developer,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "open_weights"
                if "/" in _model(run) and not Path(_model(run)).is_absolute()
                else "unknown",
            },
        },
        "evaluation_results": [_eee_result(run, evaluation, when)],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": (folder / f"{name}_samples.jsonl").as_posix(),
            "hash_algorithm": "sha256",
            "checksum": _hash(samples),
            "total_rows": len(lines),
        },
    }
    return {folder / f"{name}.json": _json(aggregate), folder / f"{name}_samples.jsonl": samples}


def _eee_result(run: Run, evaluation: str, when: str) -> dict[str, Any]:
    interval = run.metrics["interval"] or {}
    uncertainty: dict[str, Any] = {"num_samples": run.metrics["counts"]["n"]}
    low, high, error = (_number(interval.get(key)) for key in ("low", "high", "se"))
    if low is not None and high is not None:
        how = "clustered by image"
        uncertainty["confidence_interval"] = {"lower": low, "upper": high, "confidence_level": 0.95, "method": how}
    if error is not None:
        uncertainty["standard_error"] = {"value": error, "method": "clustered by image"}
    settings = {key: json.dumps(run.identity[key], sort_keys=True) for key in ("prompt", "text") if key in run.identity}
    return {
        "evaluation_result_id": f"{run.run_id}-accuracy",
        "evaluation_name": evaluation,
        "evaluation_timestamp": when,
        "source_data": {"dataset_name": run.labels["task"], "source_type": "other"},
        "metric_config": {
            "metric_id": "accuracy",
            "metric_name": "Accuracy",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
        },
        "score_details": {
            "score": _accuracy(run),
            "details": {"chance": str(run.metrics["chance"]), "run_id": run.run_id},
            "uncertainty": uncertainty,
        },
        "generation_config": {"additional_details": {"method": run.method, **settings}},
    }


def _eee_sample(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    # Of recognition the stored text is the answer, which a question must not hold.
    asked = row["text"] if kind == "rec" else f"Which of {row['candidates']} texts fits {row['id']}?"
    chosen = str(row["prediction"])
    details = {"sample": row["group"], "slice": row["slice"], "margin": f"{row['margin']:.6g}", "rank": str(row["rank"])}
    return {
        "sample_id": row["id"],
        "interaction_type": "single_turn",
        "input": {"raw": asked, "reference": [str(row["target"])], "choices": [str(i) for i in range(row["candidates"])]},
        "output": {"raw": [chosen]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": chosen,
                "extraction_method": "index of the highest score",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(row["correct"]), "is_correct": bool(row["correct"])},
        "metadata": details,
    }


def hub(run: Run, source: Source) -> dict[Path, str]:
    """A file for the folder `.eval_results` of a model's repository on the hub; the value is in per cent.

    Raises:
        UserError: If it was not said which benchmark of the hub the numbers are of.
    """
    import yaml
    from huggingface_hub import EvalResultEntry
    from huggingface_hub._eval_results import eval_result_entries_to_yaml

    if source.dataset is None:
        raise UserError("The hub's format names a benchmark of the hub: give its id with --hub-dataset, or leave out hub.")
    entry = EvalResultEntry(
        dataset_id=source.dataset,
        task_id=source.task,
        value=round(100 * _accuracy(run), 2),
        date=_moment(run).strftime("%Y-%m-%dT%H:%M:%SZ"),
        notes=f"falip {run.labels['task']} {run.labels['split']}, prompt {run.method}, run {run.run_id}",
    )
    path = Path("hub") / _named(_model(run)) / ".eval_results" / f"{_named(source.dataset)}_{run.run_id}.yaml"
    return {path: yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True)}


FORMATS = {"lm_eval": lm_eval, "eee": every_eval_ever, "hub": hub}


def _rows(run: Run) -> Iterator[dict[str, Any]]:
    """The scored records as plain values; what is not finite is None."""
    frame = run.records(_RECORD)
    for row in frame.loc[frame["status"] == "scored", :].to_dict(orient="records"):
        yield {str(k): v.item() if isinstance(v, np.generic) else v for k, v in row.items()} | {
            "scores": [_number(score) for score in row["scores"]]
        }


def _accuracy(run: Run) -> float:
    if run.metrics["accuracy"] is None:
        raise UserError(f"{run.name} has no scored query, so there is no result to share")
    return float(run.metrics["accuracy"])


def _number(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _model(run: Run) -> str:
    settings = (run.info.get("config") or {}).get("backbone") or {}
    return str(settings.get("name") or run.labels["backbone"])


def _developer(run: Run) -> tuple[str, str]:
    """Developer and name of a model; of what is no hub id, falip and the backbone's label."""
    first, slash, rest = _model(run).partition("/")
    known = (first, rest) if slash and first and "/" not in rest else ("falip", run.labels["backbone"])
    return _named(known[0]), _named(known[1])


def _moment(run: Run) -> datetime:
    return datetime.fromtimestamp(run.finished_at, UTC)


def _named(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text).strip("._") or "unnamed"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _line(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"
