"""The records of a run do not depend on how it was carried out."""

import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_jobs import Job, assert_same_decisions, small_job

from benchmarks.run.evaluation import Evaluation


class Killed(Exception):
    """Stands for a kill."""


def killed_after(batches: int) -> type[Job]:
    """A job that ends when it is about to save one batch more."""

    class KilledJob(Job):
        saved = 0

        def save(self, records, components):
            if self.saved == batches:
                raise Killed
            self.saved += 1
            super().save(records, components)

    return KilledJob


@contextlib.contextmanager
def deciding_behind(behind: bool):
    """Decides in a thread behind the model, or not, whatever the device."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Evaluation, "_waits_for_device", behind)
        yield


@pytest.fixture(scope="module")
def reference(tmp_path_factory, clip_folder):
    """One run in one go, for each prompt."""
    root = tmp_path_factory.mktemp("reference")
    runs = {}
    for prompt in ("foveal", "crop_blur"):
        runs[prompt] = small_job(clip_folder("small"), root, f"prompt={prompt}", "runtime.workers=0")
        runs[prompt].execute()
    return runs


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_shards_batches_workers_kills_and_order_move_no_decision(data, reference, clip_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    prompt = data.draw(st.sampled_from(sorted(reference)), "prompt")
    count = data.draw(st.integers(1, 4), "shards")
    for shard in data.draw(st.permutations(range(count)), "order"):
        options = [
            f"prompt={prompt}",
            f"runtime.shard={shard}/{count}",
            f"runtime.batch_views={data.draw(st.integers(1, 40), 'batch')}",
            f"runtime.workers={data.draw(st.integers(0, 3), 'workers')}",
            f"runtime.sharing={data.draw(st.sampled_from(['exact', 'none']), 'sharing')}",
        ]
        kill = data.draw(st.none() | st.integers(0, 3), "killed after")
        with deciding_behind(data.draw(st.booleans(), "decided behind the model, as on a GPU")):
            if kill is not None:
                with contextlib.suppress(Killed):
                    small_job(clip_folder("small"), root, *options, kind=killed_after(kill)).execute()
            small_job(clip_folder("small"), root, *options).execute()
    one = small_job(clip_folder("small"), root, f"prompt={prompt}")
    assert one.folder.path.name == reference[prompt].folder.path.name
    info, expected = one.folder.info, reference[prompt].folder.info
    assert info["status"] == "complete"
    same = ("expected", "scored", "unscored", "fallback", "dropped", "outside", "samples")
    assert {k: info["counts"][k] for k in same} == {k: expected["counts"][k] for k in same}
    assert_same_decisions(one.folder.frame(), reference[prompt].folder.frame())


@pytest.mark.parametrize("behind", [True, False])
def test_the_same_batch_plan_gives_the_same_bytes(clip_folder, tmp_path, behind):
    runs = [
        small_job(clip_folder("small"), tmp_path / f"workers-{n}", "runtime.batch_views=6", f"runtime.workers={n}")
        for n in (0, 3)
    ]
    runs[0].execute()
    with deciding_behind(behind):
        runs[1].execute()
    first, second = ([part.read_bytes() for part in run.folder.parts()] for run in runs)
    assert len(first) == 1 and first == second, "a finished shard has its records in one part"
    assert runs[0].folder.frame().equals(runs[1].folder.frame())


KILLING = """
import os, random, signal, sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
from small_jobs import Job, small_job

class SlowJob(Job):
    def save(self, records, components):
        time.sleep(0.01)
        super().save(records, components)

backbone, results, seed = Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
random.seed(seed)
make = lambda: small_job(backbone, results, "runtime.batch_views=1", "runtime.workers=1", kind=SlowJob)
make().samples, make().backbones  # loaded once, before the forks
kills = 0
while True:
    child = os.fork()
    if child == 0:
        try:
            make().execute()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    time.sleep(random.uniform(0.05, 0.3 * (1 + kills)))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        break
    kills += 1
print("kills", kills)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_end(reference, clip_folder, tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    script = [sys.executable, "-c", KILLING, str(Path(__file__).parents[1]), str(clip_folder("small")), str(tmp_path)]
    done = subprocess.run(
        [*script, str(random.randrange(1000))], capture_output=True, text=True, env=environment, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split("kills ")[1]) > 0, "a run that is never killed shows nothing"
    one = small_job(clip_folder("small"), tmp_path)
    assert one.folder.info["status"] == "complete"
    assert not list((one.folder.path / "records").glob("*.tmp"))
    assert_same_decisions(one.folder.frame(), reference["foveal"].folder.frame())
