"""The path on a GPU: views a second of each way of sharing in bfloat16, and how long the model waits for its data."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

from benchmarks.speed import document
from benchmarks.speed.amounts import LARGE, RANDOM
from benchmarks.speed.data_side import wait_shares
from benchmarks.speed.load import backbone_of, make_load
from benchmarks.speed.measure import count_flops
from benchmarks.speed.ways import encode

WAYS = ("none", "exact", "frozen")
HEAD = ("model", "way", "views/s", "TFLOP/s", "% of peak")
WAIT_HEAD = ("model", "prompt", "workers", "model waits")
NONE = """## GPU

Not measured: torch finds no GPU on this machine."""
ABOUT = """## GPU

{device}, bfloat16, random weights; products of {size} x {size} matrices reach {peak:.0f} TFLOP/s. {images} images with
{regions} regions, pixels on the processor's side at the start. Median of {repeats} repetitions."""


def section(images: int, regions: int, repeats: int) -> str:
    """What a page of measurements says of the GPU; that nothing was measured, where there is none."""
    if not torch.cuda.is_available():
        return NONE
    return measured("cuda", (RANDOM, LARGE), images, regions, repeats, os.cpu_count() or 1, torch.cuda.get_device_name())


def measured(
    device: str, models: Sequence[str], images: int, regions: int, repeats: int, workers: int, called: str, size: int = 8192
) -> str:
    """The section, of any device.

    Args:
        device: Where the models run.
        models: With random weights, see `backbone_of`.
        images: Images of the load, and scenes for the data side.
        regions: Of each image.
        repeats: Repetitions after one that warms up.
        workers: Threads that decode, draw and resize.
        called: The name of the device.
        size: Side of the matrices whose product is the peak.
    """
    peak, rows, waits = _peak(device, size), [], []
    for name in models:
        backbone = backbone_of(name, device, torch.bfloat16)
        load = make_load(backbone, images, regions, 1)
        for way in WAYS:
            work = _encoding(backbone, way, load.views)
            seconds = _seconds(work, device, repeats)
            rate = count_flops(work) / seconds
            views = images * regions / seconds
            rows.append([name, way, f"{views:.0f}", f"{rate / 1e12:.1f}", f"{100 * rate / peak:.0f}"])
        waits += [
            [name, prompt, str(count), f"{100 * share:.0f} %"]
            for prompt, count, _, share in wait_shares(backbone, images, (workers,))
        ]
    head = ABOUT.format(device=called, size=size, peak=peak / 1e12, images=images, regions=regions, repeats=repeats)
    return "\n\n".join([head, document.markdown(HEAD, rows), document.markdown(WAIT_HEAD, waits)])


def _encoding(backbone: object, way: str, views: Sequence[object]) -> Callable[[], object]:
    return lambda: encode(backbone, way, views)  # pyright: ignore[reportArgumentType]


def _peak(device: str, size: int) -> float:
    """Operations in a second of a product of large bfloat16 matrices."""
    a, b = torch.randn(2, size, size, dtype=torch.bfloat16, device=device)
    return 2 * size**3 / _seconds(lambda: a @ b, device, 5)


def _seconds(work: Callable[[], object], device: str, repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        _wait(device)
        started = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - started)
    return median(times[1:])


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
