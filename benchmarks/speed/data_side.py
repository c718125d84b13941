"""Whether decoding, drawing and preprocessing keep up with the model."""

from __future__ import annotations

import torch

from benchmarks.data.shapes import ReferringShapes
from benchmarks.run.evaluation import Evaluation, Variant
from benchmarks.run.runtime import Runtime
from benchmarks.run.text import RunTexts, TextProtocol
from benchmarks.tasks.rec import ReferringExpressions
from falip import Backbone, Blur, Crop, Ensemble, Foveal, Prompt

PROMPTS: dict[str, Prompt] = {"foveal": Foveal(), "blur": Blur(), "crop + blur": Ensemble([Crop(), Blur()])}


def wait_shares(backbone: Backbone, scenes: int, workers: tuple[int, ...] = (0, 2)) -> list[tuple[str, int, float, float]]:
    """Prompt, number of workers, seconds in all and the share of them in which the model waited, for each prompt."""
    found = []
    for name, prompt in PROMPTS.items():
        for count in workers:
            task = ReferringExpressions(ReferringShapes(scenes), "rec/shapes", "test", "gt")  # pyright: ignore[reportArgumentType]
            variant = Variant(prompt, RunTexts(TextProtocol("a photo of {}"), prompt, []), lambda *_: None)
            evaluation = Evaluation(task, [backbone], [variant], Runtime(workers=count, progress=False))
            with torch.inference_mode():
                evaluation.run(range(scenes), name)
            seconds = evaluation.seconds
            found.append((name, count, seconds["total_s"], seconds["wait_s"] / seconds["total_s"]))
    return found
