"""`falip export`: what is written holds to each format's schema, and says what the records say."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from fake_runs import class_records, rec_records, write_run
from huggingface_hub._eval_results import parse_eval_result_entries
from jsonschema import Draft7Validator

from benchmarks.export import main
from benchmarks.records.runs import find

SCHEMAS = Path(__file__).parent / "schemas"


def schema(name: str) -> Draft7Validator:
    return Draft7Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text()))


@pytest.fixture(params=["rec/refcoco", "classification/cub"])
def run(request, tmp_path):
    records = rec_records() if request.param.startswith("rec") else class_records()
    write_run(tmp_path / "runs", "aaaa", records, labels={"task": request.param})
    (found,) = find(tmp_path / "runs").runs
    return found


def test_every_eval_evers_files_hold_to_its_schema(run, tmp_path):
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--formats", "eee", "--organization", "me"]) == 0
    (samples,) = (tmp_path / "out").rglob("*_samples.jsonl")
    aggregate = json.loads(samples.with_name(samples.name.replace("_samples.jsonl", ".json")).read_text())
    schema("eval").validate(aggregate)
    detailed = aggregate["detailed_evaluation_results"]
    assert (tmp_path / "out" / detailed["file_path"]).samefile(samples)
    assert detailed["checksum"] == hashlib.sha256(samples.read_bytes()).hexdigest()
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    for line in lines:
        schema("instance_level_eval").validate(line)
        assert line["evaluation_id"] == aggregate["evaluation_id"] and line["model_id"] == aggregate["model_info"]["id"]
    (result,) = aggregate["evaluation_results"]
    right = [line["evaluation"]["is_correct"] for line in lines]
    assert len(right) == detailed["total_rows"] == len(run.frame)
    assert result["score_details"]["score"] == pytest.approx(sum(right) / len(right))


def test_lm_evals_files_have_results_and_samples(run, tmp_path):
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--formats", "lm_eval"]) == 0
    (results,) = (tmp_path / "out").rglob("results_*.json")
    (samples,) = (tmp_path / "out").rglob("samples_*.jsonl")
    found, lines = json.loads(results.read_text()), [json.loads(line) for line in samples.read_text().splitlines()]
    ((task, figures),) = found["results"].items()
    assert figures["acc,none"] == pytest.approx(sum(line["acc"] for line in lines) / len(lines))
    assert found["n-samples"][task]["effective"] == len(lines) == len(run.frame)
    assert samples.name.startswith(f"samples_{task}_")
    for line in lines:
        chosen = [i for i, (_, greedy) in enumerate(line["filtered_resps"]) if greedy]
        assert len(chosen) == 1 and (line["acc"] == 1.0) == (str(chosen[0]) == line["target"])


def test_the_hubs_file_is_read_by_its_own_library(run, tmp_path, capsys):
    command = [str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--formats", "hub"]
    assert main(command) == 2
    assert "--hub-dataset" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, "--hub-dataset", "someone/benchmark", "--hub-task", "val"]) == 0
    (path,) = (tmp_path / "out").rglob(".eval_results/*.yaml")
    content = yaml.safe_load(path.read_text())
    schema("hub_eval_results").validate(content)
    (entry,) = parse_eval_result_entries(content)
    assert (entry.dataset_id, entry.task_id) == ("someone/benchmark", "val")
    assert entry.value == pytest.approx(100 * run.metrics["accuracy"], abs=0.005)


def test_what_cannot_be_exported_is_one_message(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 2
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path), "--formats", "toml"]) == 2
    assert main(["--runs", str(tmp_path / "none")]) == 2
    assert main([str(tmp_path), "--runs", str(tmp_path)]) == 2
    assert [line.startswith("error: ") for line in capsys.readouterr().err.splitlines()] == [True] * 5
