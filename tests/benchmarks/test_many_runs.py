"""Three hundred runs of 2,651 expressions are listed, tabled and shown in seconds and within 500 MB."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fake_runs import rec_records, write_new_run

from benchmarks.records.record import write_table
from benchmarks.settings.identity import run_id

ROOT = Path(__file__).resolve().parents[2]
RUNS = 300
MEASURED = """
import re, runpy, sys
from pathlib import Path
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    high_water = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    print(int(high_water[1]) // 1024, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A hundred runs each of three records that differ, under other strengths."""
    root = tmp_path_factory.mktemp("many")
    for seed in range(3):
        records = rec_records(images=600, expressions=5, candidates=5, skill=seed, seed=seed)[:2651]
        first = write_new_run(root / "first" / str(seed), records, labels={"prompt": "plain"})
        info, table = json.loads((first / "run.json").read_text()), pq.read_table(next((first / "records").iterdir()))
        for k in range(seed, RUNS, 3):
            identity = info["identity"] | {"prompt": {"type": "Foveal", "version": 1, "alpha": k / 100}}
            labels = info["labels"] | ({} if k == 0 else {"prompt": f"foveal,alpha={k / 100}"})
            name = run_id(identity)
            (root / "runs" / name / "records").mkdir(parents=True)
            new = info | {"identity": identity, "labels": labels, "run_id": name}
            (root / "runs" / name / "run.json").write_text(json.dumps(new))
            write_table(table, root / "runs" / name / "records" / "0of1-000000.parquet", name)
    shutil.rmtree(root / "first")
    return root / "runs"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the most memory that was used")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (["benchmarks.status", "--runs", "RUNS"], 10),
        (["benchmarks.tables", "--runs", "RUNS", "--out", "OUT"], 60),
        (["benchmarks.report", "RUNS", "--out", "OUT/index.html"], 120),
    ],
)
def test_many_runs_take_seconds_and_little_memory(words, seconds, runs, tmp_path):
    command = [word.replace("RUNS", str(runs)).replace("OUT", str(tmp_path)) for word in words]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    # Several times what an idle machine of two cores takes, which runs of tests seldom have.
    assert time.monotonic() - started < seconds
    assert int(done.stderr.split()[-1]) < 500
