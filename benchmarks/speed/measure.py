"""Measuring: seconds, work, memory, differences, where the time goes, and what the data side costs."""

from __future__ import annotations

import math
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.speed.load import Load
from benchmarks.speed.ways import WAYS, encode, encode_text, first_views
from falip import Backbone, UserError

RELEASED_VIEWS = 16  # of the released way this many views are measured: it has the same cost for each
TEXTS = 128  # that are measured
# Of torch's operators those that are matrix products, or attention: products and a softmax in one kernel.
PRODUCTS = ("aten::addmm", "aten::mm", "aten::bmm", "aten::baddbmm", "aten::convolution", "aten::mkldnn_convolution")
ATTENTION = ("aten::_scaled_dot_product",)


@dataclass(frozen=True)
class Measurement:
    """One way of encoding a load.

    Attributes:
        way: One of `WAYS`.
        regions: Regions of each image.
        seconds: For the whole load, from the measured part.
        views: Regions of the whole load, each counted once.
        flops: Floating-point operations of matrix products for the whole load.
        peak: The machine's operations in a second.
        memory_mb: Largest resident memory of a process that only does this, less what it had after loading the model.
        embedding_difference: Largest difference of an embedding's number from none.
        score_difference: Likewise of a scaled score.
        changed: Share of decisions that are not those of none.
    """

    way: str
    regions: int
    seconds: float
    views: int
    flops: float
    peak: float
    memory_mb: float
    embedding_difference: float
    score_difference: float
    changed: float


def matrix_peak(size: int = 2048, repeats: int = 5) -> float:
    """Floating-point operations in a second of a product of large float32 matrices, with torch's threads."""
    a, b = torch.randn(2, size, size)
    return 2 * size**3 / min(_seconds(lambda: a @ b) for _ in range(repeats))


def measure_ways(
    backbone: Backbone,
    name: str,
    load: Load,
    images: int,
    regions: int,
    expressions: float,
    repeats: int,
    memory: bool = True,
) -> list[Measurement]:
    """All ways on one load, repeated in alternation; the median counts.

    Args:
        backbone: The model.
        name: What `backbone_of` calls it.
        load: The part of the images that is measured.
        images: Images of the whole load; time is proportional to them.
        regions: Regions of each.
        expressions: Expressions of each: the released way encodes the image anew for every one.
        repeats: Repetitions.
        memory: Whether to start a process for each way that measures its memory.
    """
    few = first_views(load.views, min(RELEASED_VIEWS, sum(map(len, load.views))))
    work = {way: few if way == "released" else load.views for way in WAYS}
    # One encoding more than the views of the part for each expression: what the part stands for.
    scale = {way: images / len(load.views) for way in WAYS}
    scale["released"] = images * regions * expressions / sum(map(len, few))
    found = {way: encode(backbone, way, work[way]) for way in WAYS}  # warms up, too
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    peaks = []
    for _ in range(repeats):
        peaks.append(matrix_peak())
        for way in WAYS:
            seconds[way].append(_seconds(lambda way=way: encode(backbone, way, work[way])))
    scores = {way: _scores(backbone, found[way], load if way != "released" else Load(few, load.texts)) for way in WAYS}
    return [
        Measurement(
            way,
            regions,
            scale[way] * statistics.median(seconds[way]),
            images * regions,
            scale[way] * count_flops(lambda way=way: encode(backbone, way, work[way])),
            statistics.median(peaks),
            peak_memory(name, way, len(load.views), regions) if memory else math.nan,
            float((found[way] - found["none"][: len(found[way])]).abs().max()),
            *differences(scores[way], scores["none"]),
        )
        for way in WAYS
    ]


def differences(scores: Sequence[Tensor], reference: Sequence[Tensor]) -> tuple[float, float]:
    """Largest difference of a score (regions, texts) of any image, and the share of texts that choose another region."""
    pairs = [(a, b) for a, b in zip(scores, reference, strict=False) if a.shape == b.shape]
    largest = max(float((a - b).abs().max()) for a, b in pairs)
    changed = torch.cat([a.argmax(0) != b.argmax(0) for a, b in pairs])
    return largest, float(changed.float().mean())


def decisions(backbone: Backbone, load: Load) -> dict[str, tuple[float, float]]:
    """For exact and frozen what `differences` says against none."""
    scores = {way: _scores(backbone, encode(backbone, way, load.views), load) for way in ("none", "exact", "frozen")}
    return {way: differences(scores[way], scores["none"]) for way in ("exact", "frozen")}


class _Operations(TorchDispatchMode):
    """Adds up the operations of matrix products; torch's own counter cannot be in force where gradients are taken."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options, count = kwargs or {}, flop_registry.get(func.overloadpacket)
        if count is None:
            with self:  # without gradients, a linear layer comes here whole
                parts = func.decompose(*args, **options)
            return func(*args, **options) if parts is NotImplemented else parts
        out = func(*args, **options)
        self.total += count(*args, **options, out_val=out)
        return out


def count_flops(work: Callable[[], object]) -> float:
    """Floating-point operations of the matrix products in `work`; attention as the two products that it is."""
    with _Operations() as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return float(counter.total)


def time_shares(work: Callable[[], object]) -> dict[str, float]:
    """Share of the time in matrix products, in attention kernels, and in the ten most costly others."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    own = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    total = sum(own.values())
    products = sum(value for key, value in own.items() if key in PRODUCTS)
    attention = sum(value for key, value in own.items() if key.startswith(ATTENTION))
    rest = {key: value for key, value in own.items() if key not in PRODUCTS and not key.startswith(ATTENTION)}
    top = sorted(rest.items(), key=lambda item: -item[1])[:10]
    return {"matrix products": products / total, "attention": attention / total} | {k: v / total for k, v in top}


def measure_text(backbone: Backbone, texts: Sequence[Sequence[str]], repeats: int) -> list[tuple[str, float, float]]:
    """Name, seconds and largest difference of the ways of encoding the texts of images."""
    given = [text for own in texts for text in own]
    every = given[:TEXTS]
    context = backbone.model.config.text_config.max_position_embeddings
    some = every[:RELEASED_VIEWS]
    ways: dict[str, Callable[[], Tensor]] = {
        "once, padded to the batch's longest": lambda: encode_text(backbone, every, None),
        f"once, padded to {context}": lambda: encode_text(backbone, every, context),
        f"one at a time, padded to {context}": lambda: encode_text(backbone, some, context, batch=1),
    }
    found = {name: way() for name, way in ways.items()}
    reference = found[f"once, padded to {context}"]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            seconds[name].append(_seconds(way))
    scale = {name: len(given) / len(found[name]) for name in ways}
    return [
        (
            name,
            scale[name] * statistics.median(seconds[name]),
            float((found[name] - reference[: len(found[name])]).abs().max()),
        )
        for name in ways
    ]


def peak_memory(name: str, way: str, images: int, regions: int) -> float:
    """Megabytes that a fresh process needs at most for one way, above the loaded model."""
    command = [sys.executable, "-m", "benchmarks.speed", "--backbone", name, "--memory-of", way]
    done = subprocess.run(
        [*command, "--part", str(images), "--regions", str(regions)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"Measuring the memory of {way} failed: {done.stderr.strip()[-500:]}")
    return float(done.stdout.split()[-1])


def own_peak(backbone: Backbone, way: str, load: Load) -> float:
    """Megabytes by which this process grows at most while it encodes."""
    views = first_views(load.views, RELEASED_VIEWS) if way == "released" else load.views
    return growth(lambda: encode(backbone, way, views))


def growth(work: Callable[[], object]) -> float:
    """Megabytes by which the resident memory of this process grows at most during `work`; NaN where Linux is not there."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.is_file():
        return math.nan
    reset.write_text("5")  # sets the high-water mark to what is resident now
    before = _high_water(status)
    work()
    return _high_water(status) - before


def _high_water(status: Path) -> float:
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10


def _scores(backbone: Backbone, embeddings: Tensor, load: Load) -> list[Tensor]:
    """Scaled scores (regions, texts) of each image."""
    sizes = [len(views) for views in load.views]
    texts = [backbone.encode_text(own) for own in load.texts]
    return [
        backbone.logit_scale * regions @ own.T
        for regions, own in zip(embeddings.split(sizes), texts, strict=False)
        if len(own)
    ]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def threads() -> str:
    """What the processor is called, and how many threads torch uses."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
