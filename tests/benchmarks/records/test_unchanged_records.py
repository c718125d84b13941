"""The embedded benchmark's records are the same however fast they are made."""

import numpy as np
import pytest
from small_jobs import assert_same_decisions, small_job

PACES = (
    ["runtime.sharing=none", "runtime.workers=0", "runtime.batch_views=5"],
    ["runtime.workers=2", "runtime.batch_views=64"],
    ["runtime.memory_gb=0.02"],
)


@pytest.mark.parametrize("prompt", ["foveal", "plain", "crop_blur_foveal"])
def test_sharing_workers_and_batches_move_no_record(prompt, tmp_path):
    def frame(name: str, *pace: str):
        job = small_job("tiny", tmp_path / name, f"prompt={prompt}", "task.dataset.scenes=12", *pace)  # pyright: ignore[reportArgumentType]
        job.execute()
        return job.folder.frame()

    reference = frame("reference")
    for i, pace in enumerate(PACES):
        found = frame(f"pace-{i}", *pace)
        if prompt == "plain":  # all candidates tie, up to rounding
            assert list(found["id"]) == list(reference["id"])
            for mine, theirs in zip(found["scores"], reference["scores"], strict=True):
                np.testing.assert_allclose(mine, theirs, atol=2e-4, rtol=0)
            assert (found["ties"] == found["candidates"]).all(), "equal pictures must give equal bits"
        else:
            assert_same_decisions(found, reference)
