"""What the page of measurements says of a GPU, and that the way it is measured runs in bfloat16."""

import pytest
import torch

from benchmarks.speed import gpu
from benchmarks.speed.amounts import LARGE, RANDOM
from benchmarks.speed.load import backbone_of


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_page_says_that_nothing_was_measured():
    assert "Not measured" in gpu.section(1, 2, 1)


@pytest.mark.slow
def test_the_measurement_runs_in_bfloat16_on_any_device():
    text = gpu.measured("cpu", (RANDOM,), 1, 2, 1, 1, "a processor", size=256)
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith(f"| {RANDOM}")]
    assert [row[1].strip() for row in rows] == [*gpu.WAYS, "foveal", "blur", "crop + blur"]
    assert "a processor, bfloat16" in text


@pytest.mark.slow
def test_the_large_shape_is_that_of_its_name():
    geometry = backbone_of(LARGE, dtype=torch.bfloat16).geometry
    assert (geometry.image_size, geometry.rows, geometry.layers, geometry.heads) == (336, 24, 24, 16)
