"""The run loop: samples to views, views to scores, scores to records, batch by batch."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import torch
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from benchmarks.prefetch import ahead
from benchmarks.records import Record
from benchmarks.samples import Picture, Sample, SampleInfo
from benchmarks.tasks import Task
from benchmarks.text import RunTexts
from falip import Backbone, Prompt, UserError, Views
from falip.backbone import Sharing
from falip.scoring import component_scores
from falip.views import merge_views

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runtime:
    """How a run is carried out; none of it moves a decision.

    Attributes:
        device: A torch device.
        batch_views: Most views in one forward pass, halved by itself when memory runs out.
        workers: Threads that decode, draw and preprocess ahead of the model.
        shard: "i/n": this process takes samples i, i + n, i + 2n, ... of the run.
        sharing: "exact" or "none"; see `Backbone.encode_views`.
        overwrite: only-missing continues what is there; always starts again; never leaves alone what is there, whole or
            not; only-cache computes nothing and fails where the run is not complete.
        on_error: fail ends the run at the first bad sample; record counts it as unscored and goes on.
        progress: Whether to show a bar (on a terminal only).
        dry_run: Only say what would be run.
    """

    device: str = "cpu"
    batch_views: int = 64
    workers: int = 2
    shard: str = "0/1"
    sharing: str = "exact"
    overwrite: str = "only-missing"
    on_error: str = "fail"
    progress: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Rejects values that no run understands."""
        choices = {
            "sharing": [name for name in get_args(Sharing) if name != "frozen"],
            "overwrite": ["only-missing", "always", "never", "only-cache"],
            "on_error": ["fail", "record"],
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UserError(f"runtime.{name}={getattr(self, name)}: choose from {', '.join(allowed)}.")
        if self.batch_views < 1:
            raise UserError(f"runtime.batch_views={self.batch_views}: at least one view must fit.")
        if self.workers < 0:
            raise UserError(f"runtime.workers={self.workers}: give a number of threads; 0 works in the main one.")
        _ = self.part

    @property
    def part(self) -> tuple[int, int]:
        """The shard as numbers (index, count)."""
        try:
            index, count = (int(number) for number in self.shard.split("/"))
        except ValueError as error:
            raise UserError(f"runtime.shard={self.shard}: give i/n, for instance 0/4 for the first of four.") from error
        if not 0 <= index < count:
            raise UserError(f"runtime.shard={self.shard}: i counts from 0 and must be below n.")
        return index, count


@dataclass(frozen=True, eq=False)
class Prepared:
    """A sample on its way to the model.

    Attributes:
        info: What the index says of it.
        sample: The sample; None where it could not be loaded.
        views: For each backbone its views, in parts of at most a batch.
        outside: Regions that the first backbone's crop does not see.
        error: Why it could not be loaded, or "".
    """

    info: SampleInfo
    sample: Sample | None = None
    views: list[list[Views]] = field(default_factory=list)
    outside: int = 0
    error: str = ""

    @property
    def size(self) -> int:
        """Number of views of the first backbone."""
        return sum(len(part) * len(part.components) for part in self.views[0]) if self.views else 0


@dataclass
class Evaluation:
    """One task under one prompt: all that is needed to turn samples into records."""

    task: Task
    backbones: Sequence[Backbone]
    prompt: Prompt
    texts: RunTexts
    runtime: Runtime
    approximation: str = "none"
    seconds: Counter[str] = field(default_factory=Counter)
    component_names: list[str] = field(default_factory=list)

    def run(self, todo: Sequence[int], save: Callable[[list[Record]], None], label: str) -> None:
        """Evaluates the samples of these indices, saving the records of each batch as soon as they are there."""
        infos = self.task.dataset.index
        total = sum(infos[i].queries for i in todo)
        started, right, seen = time.monotonic(), 0, 0
        hidden = None if self.runtime.progress else True
        with logging_redirect_tqdm(), tqdm(total=total, desc=label, unit="query", disable=hidden) as bar:
            for batch in self._batches(todo):
                records = self._evaluate(batch)
                with self._timed("save_s"):
                    save(records)
                right += sum(record.correct for record in records)
                seen += sum(record.status == "scored" for record in records)
                bar.update(len(records))
                bar.set_postfix(accuracy=f"{100 * right / max(seen, 1):.1f}")
        self.seconds["total_s"] = time.monotonic() - started  # pyright: ignore[reportArgumentType]

    def _batches(self, todo: Sequence[int]) -> Iterator[list[Prepared]]:
        """Whole samples, together at least `batch_views` views, fewer at the end."""
        batch: list[Prepared] = []
        source = iter(ahead(self._prepare, todo, self.runtime.workers))
        while True:
            with self._timed("wait_s"):
                prepared = next(source, None)
            if prepared is None:
                break
            batch.append(prepared)
            if sum(one.size for one in batch) >= self.runtime.batch_views:
                yield batch
                batch = []
        if batch:
            yield batch

    def _prepare(self, i: int) -> Prepared:
        """Decodes, draws and preprocesses one sample; runs in worker threads."""
        info = self.task.dataset.index[i]
        try:
            sample = self.task.dataset.load(i)
            pictures = self.task.pictures(sample)
            for picture in pictures:
                for region in picture.regions:
                    region.clipped(picture.image.size)  # a region that does not fit its image is the sample's fault
        except UserError as error:
            if self.runtime.on_error == "fail":
                raise
            log.warning("%s is left unscored: %s", info.id, error)
            return Prepared(info, error=str(error))
        views = [[part for picture in pictures for part in self._views(backbone, picture)] for backbone in self.backbones]
        geometry = self.backbones[0].geometry
        outside = sum(not geometry.sees(region, p.image.size) for p in pictures for region in p.regions)
        return Prepared(info, sample, views, outside)

    def _views(self, backbone: Backbone, picture: Picture) -> Iterator[Views]:
        """The views of a picture in parts, so that a thousand edited pictures are never in memory at once."""
        for start in range(0, len(picture.regions), self.runtime.batch_views):
            regions = picture.regions[start : start + self.runtime.batch_views]
            yield backbone.prepare(self.prompt(picture.image, regions, backbone.geometry))

    def _evaluate(self, batch: list[Prepared]) -> list[Record]:
        scores = self._scores([one for one in batch if one.sample])
        records: list[Record] = []
        for one in batch:
            if one.sample is None:
                records += unscored(one.info, one.error)
            else:
                combine = one.views[0][0].combine
                records += self.task.decide(one.sample, next(scores), combine, one.outside)
        return records

    def _scores(self, batch: list[Prepared]) -> Iterator[np.ndarray]:
        """float32 (components, regions, texts) of each sample, summed over backbones."""
        embedded = []
        for b, backbone in enumerate(self.backbones):
            with self._timed("encode_s"):
                embedded.append(self._encode(backbone, [one.views[b] for one in batch]))
        for n, one in enumerate(batch):
            assert one.sample
            with self._timed("text_s"):
                names = self.task.texts(one.sample)
                parts = []
                for b, backbone in enumerate(self.backbones):
                    texts, subtracted = self.texts.embed(backbone, names)
                    parts.append(component_scores(embedded[b][n], texts, backbone.logit_scale, subtracted))
            yield torch.stack(parts).sum(0).numpy()

    def _encode(self, backbone: Backbone, batch: list[list[Views]]) -> list[torch.Tensor]:
        """Embeddings (components, regions, D) of each sample of a batch."""
        if not batch:
            return []
        sizes = [sum(len(part) for part in parts) for parts in batch]
        merged = merge_views([part for parts in batch for part in parts])
        self.component_names = [component.name for component in merged.components]
        sharing: Sharing = "frozen" if self.approximation == "frozen" else self.runtime.sharing  # pyright: ignore[reportAssignmentType]
        while True:
            try:
                return list(backbone.encode_views(merged, sharing, self.runtime.batch_views).split(sizes, dim=1))
            except torch.OutOfMemoryError:
                if self.runtime.batch_views == 1:
                    raise
                self.runtime = replace(self.runtime, batch_views=self.runtime.batch_views // 2)
                log.warning("Out of memory: going on with %d views in one forward pass.", self.runtime.batch_views)
                torch.cuda.empty_cache()

    def _timed(self, stage: str) -> _Timer:
        return _Timer(self.seconds, stage)


class _Timer:
    def __init__(self, seconds: Counter[str], stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._stage] += time.monotonic() - self._started  # pyright: ignore[reportArgumentType]


def unscored(info: SampleInfo, error: str) -> list[Record]:
    """Records of a sample that could not be loaded; they are counted and never part of an accuracy."""
    return [
        Record(
            id=f"{info.id}/unscored-{q}",
            group=info.id,
            text="",
            slice="",
            candidates=info.regions,
            target=-1,
            prediction=-1,
            correct=False,
            score=float("nan"),
            margin=float("nan"),
            rank=0,
            iou=float("nan"),
            oracle=False,
            chance=float("nan"),
            ties=0,
            tie_accuracy=float("nan"),
            scores=(),
            component_scores=(),
            dropped=0,
            candidate_correct=(),
            status="unscored",
            error=error,
        )
        for q in range(info.queries)
    ]


def subset(infos: Sequence[SampleInfo], limit: int | None, seed: int = 0) -> list[int]:
    """Indices of a seeded subset of samples, in order; a smaller limit gives a part of a larger one's.

    Args:
        infos: The data set's index.
        limit: Number of samples, or None for all.
        seed: Of the one permutation from which every limit takes the first so many.
    """
    if limit is None:
        return list(range(len(infos)))
    if limit < 1:
        raise UserError(f"task.limit={limit}: give a number of samples from 1 on, or null for all.")
    return sorted(np.random.default_rng(seed).permutation(len(infos))[:limit].tolist())
