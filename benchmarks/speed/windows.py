"""The data side alone: views a core-second up to the model's input, by windows and by Pillow and the processor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip import Blur, Crop, Geometry, Grayscale, Prompt, RedCircle, Region, Shade
from falip.backbone.images import ImageProcessing
from falip.regions import ImageSize

ABOUT = """# The data side

`{command}`, at {commit}, on {machine}. Pictures of {size[0]} x {size[1]} with {regions} regions each, whose sides are an
eighth to five eighths of the picture's; from picture and regions to the model's input, float32 of 224 x 224, on one core.
Pillow: each picture is drawn whole and goes through transformers' PIL processor. Windows: what falip does. CPU time, median
of {repeats} pictures in alternation.
"""
NOTES = """{odd} pictures of odd sizes, tall and wide ones too, under {prompts} prompts: {different} of {compared} numbers
of the model's input differ.

Workers, {pictures} pictures, up to the 8-bit input in the main process; the noise that a picture is made of stands for its
decoding:
"""
HEAD = ("prompt", "Pillow views/s", "windows views/s", "times")
WORKERS_HEAD = ("prompt", "workers", "views/s")
SIZE, REGIONS = (640, 480), 10
PROMPTS: dict[str, Prompt] = {
    "ring": RedCircle(),
    "ring, blurred outside": RedCircle("blur"),
    "ring, grey outside": RedCircle("grey"),
    "blurred outside": Blur(),
    "grey outside": Grayscale(),
    "shade": Shade(),
    "crop": Crop(),
}
_GEOMETRY = Geometry(224, 16, 12, 12)
_PROCESSOR = CLIPImageProcessorPil()
_OURS = ImageProcessing(_PROCESSOR, _GEOMETRY)


def scene(size: ImageSize, regions: int, seed: int) -> tuple[Image.Image, list[Region]]:
    """A picture of noise and regions of it."""
    rng = np.random.default_rng(seed)
    sides = rng.uniform(1 / 8, 5 / 8, (regions, 2)) * size
    corners = rng.uniform(0, 1, (regions, 2)) * (np.array(size) - sides)
    picture = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8))
    return picture, [Region.from_box(*low, *(low + side)) for low, side in zip(corners, sides, strict=True)]


def by_windows(prompt: Prompt, picture: Image.Image, regions: Sequence[Region]) -> Tensor:
    """The model's input as falip makes it, float32 (regions, 3, 224, 224)."""
    return _OURS(prompt(picture, regions, _GEOMETRY).images)


def by_pillow(prompt: Prompt, picture: Image.Image, regions: Sequence[Region]) -> Tensor:
    """The same by drawing each picture and giving it to the processor."""
    size = {"height": _GEOMETRY.image_size, "width": _GEOMETRY.image_size}
    options = {"size": size, "do_center_crop": False, "do_convert_rgb": False, "input_data_format": "channels_last"}
    drawn = [view.copy() for view in prompt(picture, regions, _GEOMETRY).images]
    return torch.stack([_PROCESSOR(view, return_tensors="pt", **options)["pixel_values"][0] for view in drawn])


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch works in one thread meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure_windows(repeats: int) -> list[list[str]]:
    """One row of text for each prompt, in the columns of `HEAD`."""
    rows = []
    for name, prompt in PROMPTS.items():
        times: dict[str, list[float]] = {"pillow": [], "windows": []}
        for seed in range(repeats + 1):  # the first one warms up
            picture, regions = scene(SIZE, REGIONS, seed)
            for way, make in (("pillow", by_pillow), ("windows", by_windows)):
                times[way].append(_seconds(make, prompt, picture, regions))
        pillow, windows = (median(times[way][1:]) / REGIONS for way in ("pillow", "windows"))
        rows.append([name, f"{1 / pillow:.0f}", f"{1 / windows:.0f}", f"{pillow / windows:.2f}"])
    return rows


def count_different(pictures: int) -> tuple[int, int]:
    """Numbers of a model's input that windows make otherwise than the processor, and of all that were compared.

    Args:
        pictures: Their number; of sizes from 40 to 700 each way, tall and wide ones too, with two regions each.
    """
    rng = np.random.default_rng(0)
    different = compared = 0
    for seed in range(pictures):
        width, height = (int(side) for side in rng.integers(40, 701, 2))
        picture, regions = scene((width, height), 2, seed)
        for prompt in PROMPTS.values():
            found, expected = by_windows(prompt, picture, regions), by_pillow(prompt, picture, regions)
            different += int((found != expected).sum())
            compared += found.numel()
    return different, compared


def measure_workers(pictures: int, counts: Sequence[int]) -> list[list[str]]:
    """Views a second of threads and of processes that hand 8-bit inputs over, in the columns of `WORKERS_HEAD`."""
    rows = []
    for name in ("ring", "blurred outside"):
        for count in counts:
            pools: dict[str, Executor] = {
                "threads": ThreadPoolExecutor(count),
                "processes": ProcessPoolExecutor(count, mp_context=get_context("spawn")),
            }
            for kind, pool in pools.items():
                with pool:
                    list(pool.map(_handed_over, [name] * 2 * count, range(2 * count)))  # starts them
                    began = time.perf_counter()
                    views = sum(len(made) for made in pool.map(_handed_over, [name] * pictures, range(pictures)))
                    rows.append([name, f"{count} {kind}", f"{views / (time.perf_counter() - began):.0f}"])
    return rows


def _handed_over(name: str, seed: int) -> np.ndarray:
    torch.set_num_threads(1)
    picture, regions = scene(SIZE, REGIONS, seed)
    return _OURS.pixels(PROMPTS[name](picture, regions, _GEOMETRY).images).numpy()


def _seconds(make: Callable[..., Tensor], prompt: Prompt, picture: Image.Image, regions: Sequence[Region]) -> float:
    began = time.process_time()
    make(prompt, picture, regions)
    return time.process_time() - began
