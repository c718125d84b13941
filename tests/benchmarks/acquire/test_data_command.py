"""The command line: what it accepts, refuses and costs."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_pictures import noise

from benchmarks.acquire.sources import RECIPES
from scripts import data

REPOSITORY = Path(__file__).parents[3]


def test_the_check_loads_no_torch_and_answers_at_once(tmp_path):
    code = (
        "import sys; from scripts.data import main\n"
        "status = main(['check'])\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else status)"
    )
    environment = os.environ | {"FALIP_DATA": str(tmp_path)}
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stderr, done.stderr
    assert str(tmp_path) in done.stdout and time.monotonic() - begun < 5


def test_the_module_runs_and_explains_itself():
    command = [sys.executable, "-m", "scripts.data", "--help"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in (*RECIPES, "weights", "check", "--mirror", "HF_HUB_OFFLINE"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["refcocoo"], "there is no data set 'refcocoo'. The names are: refcoco, refcoco_plus"),
        (["refcocog", "--splits", "testA"], "--splits testA: refcocog has the splits val, test."),
        (["cub", "--splits", "test"], "--splits does not apply to cub"),
        (["cub", "--backbone", "x/y"], "--backbone does not apply to cub"),
        (["weights", "--mirror", "http://127.0.0.1"], "--mirror does not apply to weights"),
        (["scanobjectnn"], "1. Ask the authors"),
    ],
)
def test_what_a_user_can_mend_is_one_message_and_status_2(tmp_path, capsys, arguments, said):
    assert data.main([*arguments, "--root", str(tmp_path / "data")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and said in captured.err and "Traceback" not in captured.err
    assert not (tmp_path / "data").exists()


def test_a_root_that_is_a_file_is_an_error(tmp_path, capsys):
    (tmp_path / "data").write_text("")
    assert data.main(["cub", "--root", str(tmp_path / "data")]) == 2
    assert "is not a folder" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_that_may_not_be_written_is_an_error(tmp_path, small, capsys):
    small("cub")
    tmp_path.chmod(0o500)
    assert data.main(["cub", "--root", str(tmp_path / "data")]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_every_declared_name_has_a_dry_run_that_writes_nothing(tmp_path, capsys):
    root = tmp_path / "data"
    for name in (*RECIPES, "coco_instances", "weights"):
        assert data.main([name, "--dry-run", "--root", str(root)]) == 0
        said = capsys.readouterr().out
        assert "licence" in said, name
    assert not root.exists()


def test_refcoco_from_nothing_to_images(server, small, tar_of, tmp_path, capsys):
    reclip = small("reclip_data")
    members = {f"reclip_data/{expected.pattern}": b"{}" for expected in reclip.expected}
    line = {"file_name": "COCO_train2014_000000000009_1.jpg"}
    members["reclip_data/refcoco+_testb.jsonl"] = json.dumps(line).encode()
    server.add("reclip_data.tar.gz", tar_of(members))
    server.add("coco/train2014/COCO_train2014_000000000009.jpg", noise(9))
    arguments = ["refcoco_plus", "--splits", "testB", "--root", str(tmp_path)]
    assert data.main(arguments) == 0
    assert (tmp_path / "train2014" / "COCO_train2014_000000000009.jpg").is_file()
    assert (tmp_path / "reclip_data" / "refcoco+_dets_dict.json").is_file()
    capsys.readouterr()
    assert data.main(arguments) == 0
    assert capsys.readouterr().out.count("nothing to do") == 2 and len(server.asked) == 2
