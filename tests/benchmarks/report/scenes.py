"""Records of the embedded scenes, made without a model."""

from __future__ import annotations

import json

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from benchmarks.data.shapes import ReferringShapes
from benchmarks.measure.decisions import decide_rec
from benchmarks.records.record import Record
from benchmarks.settings.building import build
from benchmarks.settings.choices import CONFIGS
from benchmarks.settings.identity import describe

EVIL = "<img src=x onerror=hacked=1></script><script>hacked=2</script>&quot;'`**"


def config(*overrides: str) -> dict:
    """A composed configuration as run.json stores it."""
    with initialize_config_dir(str(CONFIGS.resolve()), version_base="1.3"):
        return OmegaConf.to_container(compose("run", list(overrides)), resolve=True)  # pyright: ignore[reportReturnType]


def identity_of(stored: dict) -> dict:
    """Prompt and task as the identity of a run has them."""
    task, prompt = build(stored["task"], "task"), build(stored["prompt"], "prompt")
    rules = {name: value for name, value in vars(task).items() if name not in ("dataset", "template", "limit")}
    described = describe(rules) | {"type": type(task).__name__, "version": task.version, "dataset": task.dataset.identity}
    return json.loads(json.dumps({"prompt": describe(prompt), "task": described}))


def scene_records(scenes: int, seed: int = 0, text: str | None = None) -> list[Record]:
    """Records of the embedded scenes with random scores."""
    noise, dataset, records = np.random.default_rng(seed), ReferringShapes(scenes=scenes), []
    for i in range(scenes):
        sample = dataset.load(i)
        for query in sample.queries:
            overlap = np.array([float(box == query.targets[0]) for box in sample.boxes])
            scores = noise.normal(size=len(sample.boxes)).astype(np.float32)
            rows = (tuple(float(s) for s in scores),)
            decision = vars(decide_rec(scores, overlap))
            records.append(Record(query.id, sample.id, text or query.text, query.slice, component_scores=rows, **decision))
    return records
