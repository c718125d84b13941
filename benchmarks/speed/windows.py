"""The data side alone: views a core-second up to the model's input, by windows and by Pillow and the processor."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from benchmarks.settings.choices import options
from benchmarks.speed import document
from benchmarks.speed.measure import threads
from benchmarks.speed.prompts import named
from falip import Blur, Crop, Geometry, Grayscale, Prompt, RedCircle, Region, Shade
from falip.backbone.images import ImageProcessing
from falip.regions import ImageSize
from falip.views import Preparation, Views

ABOUT = """# The data side

`{command}`, at {commit}, on {machine}. Pictures of {size[0]} x {size[1]} with {regions} regions each, whose sides are an
eighth to five eighths of the picture's; from picture and regions to the model's input, float32 of 224 x 224, on one core.
Pillow: each picture is drawn whole and goes through transformers' PIL processor. Windows: what falip does. CPU time, median
of {repeats} pictures in alternation.
"""
NOTES = """{odd} pictures of odd sizes, from 1 x 1 to 2400 x 1800, tall and wide ones too, under {prompts} prompts of the
configurations (FGVP's in turn, and not for thin pictures): {different} of {compared} numbers of the model's input differ.

Workers, {pictures} pictures, up to the 8-bit input in the main process; the noise that a picture is made of stands for its
decoding:
"""
HEAD = ("prompt", "Pillow views/s", "windows views/s", "times")
WORKERS_HEAD = ("prompt", "workers", "views/s")
SIZE, REGIONS = (640, 480), 10
# One pixel, thin, the model's own size and one beside it, and one of many pixels.
ODD_SIZES = (
    (1, 1), (2, 1), (1, 300), (300, 1), (3, 2), (224, 224), (223, 225), (224, 500), (100, 60), (40, 700), (700, 40),
    (1600, 9), (9, 1600), (411, 610), (200, 299), (500, 760), (2400, 1800),
)  # fmt: skip
THIN = 8  # times as long as wide
ODD_PICTURES = 200  # whose input is compared to the bit
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


def report(arguments: Namespace, command: str) -> tuple[str, list[list[str]]]:
    """The page of `falip speed --data`, and its rows."""
    repeats, odd, pictures = (1, 3, 0) if arguments.quick else (4 * arguments.repeats, ODD_PICTURES, arguments.images)
    with one_thread():
        rows, edits = measure_windows(repeats), picture_prompts()
        different, compared = count_different(odd, edits)
        workers = measure_workers(pictures, counts=() if arguments.quick else (1, 2))
    head = ABOUT.format(
        command=command, commit=document.commit(), machine=threads(), size=SIZE, regions=REGIONS, repeats=repeats
    )
    notes = NOTES.format(odd=odd, prompts=len(edits), different=different, compared=compared, pictures=pictures)
    return "\n".join([head, document.markdown(HEAD, rows), notes, document.markdown(WORKERS_HEAD, workers)]), rows


def scene(size: ImageSize, regions: int, seed: int) -> tuple[Image.Image, list[Region]]:
    """A picture of noise and regions of it."""
    rng = np.random.default_rng(seed)
    sides = rng.uniform(1 / 8, 5 / 8, (regions, 2)) * size
    corners = rng.uniform(0, 1, (regions, 2)) * (np.array(size) - sides)
    picture = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8))
    return picture, [Region.from_box(*low, *(low + side)) for low, side in zip(corners, sides, strict=True)]


def by_windows(prompt: Prompt, picture: Image.Image, regions: Sequence[Region]) -> Tensor:
    """The model's input as falip makes it, float32 (regions, 3, 224, 224)."""
    return _OURS(_views(prompt, picture, regions).images)


def by_pillow(prompt: Prompt, picture: Image.Image, regions: Sequence[Region]) -> Tensor:
    """The same by drawing each picture and giving it to the processor."""
    return torch.stack([_whole(view.copy(), None) for view in _views(prompt, picture, regions).images])


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


def picture_prompts() -> dict[str, Prompt]:
    """The prompts of the configurations that edit pictures, FGVP's too."""
    picture, regions = masked_scene((64, 48), 1, 0)
    known = named(options("prompt"))
    return {
        name: p for name, p in known.items() if any(one is not picture for one in p(picture, regions, _GEOMETRY).images)
    }


def odd_sizes(pictures: int) -> list[ImageSize]:
    """The widths and heights of `ODD_SIZES`, and then random ones, so many in all."""
    random = np.random.default_rng(0).integers(1, 701, (pictures, 2)).tolist()
    return [*ODD_SIZES, *((width, height) for width, height in random)][:pictures]


def masked_scene(size: ImageSize, regions: int, seed: int) -> tuple[Image.Image, list[Region]]:
    """A picture of noise and regions of it, whose masks fill half of their boxes."""
    picture, boxes = scene(size, regions, seed)
    found = []
    for box in boxes:
        x0, y0, x1, y1 = (int(edge) for edge in box.box)
        mask = np.zeros(size[::-1], bool)
        mask[y0 : y1 + 1, x0 : (x0 + x1) // 2 + 1] = True
        found.append(Region(box.boxes, mask))
    return picture, found


def count_different(pictures: int, prompts: Mapping[str, Prompt]) -> tuple[int, int]:
    """Numbers of a model's input that are made otherwise than by the processor, and of all that were compared.

    Args:
        pictures: Their number; of odd sizes, with two regions each.
        prompts: Each picture is seen under all of them but for those with a canvas of their own, which come in turn, and
            not for thin pictures, whose canvas would have hundreds of megapixels.
    """
    small = masked_scene((64, 48), 1, 0)
    own = [name for name, p in prompts.items() if any(part.preparation for part in _views(p, *small).components)]
    different = compared = 0
    for seed, size in enumerate(odd_sizes(pictures)):
        picture, regions = masked_scene(size, 2, seed)
        for name, prompt in prompts.items():
            if name in own and (seed % len(own) != own.index(name) or max(size) > THIN * min(size)):
                continue
            views = _views(prompt, picture, regions)
            for found, expected in both_inputs(views):
                different += int((found != expected).sum())
                compared += found.numel()
    return different, compared


def both_inputs(views: Views) -> Iterator[tuple[Tensor, Tensor]]:
    """For each component its input as falip makes it, and of drawn pictures by the processor or the prompt's own way."""
    seen, pixels = _OURS.prepared(views)
    pixels = _OURS.normalised(pixels)
    for ours, theirs in zip(seen.components, views.components, strict=True):
        drawn = [views.images[i].copy() for i in theirs.pictures]
        yield pixels[list(ours.pictures)], torch.stack([_whole(one, theirs.preparation) for one in drawn])


def _whole(drawn: Image.Image, own: Preparation | None) -> Tensor:
    """float32 (3, 224, 224)."""
    side = _GEOMETRY.image_size
    if own:
        return own.pixels(drawn, side, _PROCESSOR.image_mean, _PROCESSOR.image_std)
    options = {"do_center_crop": False, "do_convert_rgb": False, "input_data_format": "channels_last"}
    return _PROCESSOR(drawn, size={"height": side, "width": side}, return_tensors="pt", **options)["pixel_values"][0]


def _views(prompt: Prompt, picture: Image.Image, regions: Sequence[Region]) -> Views:
    return prompt(picture, regions, _GEOMETRY)


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
