"""The run loop: samples to views, views to scores, scores to records, batch by batch."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import get_args

import numpy as np
import torch
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from benchmarks.data.samples import Picture, Sample, SampleInfo
from benchmarks.records.record import Record
from benchmarks.run.prefetch import ahead
from benchmarks.run.text import RunTexts
from benchmarks.tasks import Task
from falip import Backbone, Ensemble, Prompt, UserError, Views
from falip.backbone import Sharing
from falip.scoring import component_scores
from falip.views import Combine, join_views, merge_views

log = logging.getLogger(__name__)

FEW_REGIONS = 32  # are never torn apart, whatever the number of prompts: the pieces of a sample repeat what it shares


@dataclass(frozen=True)
class Runtime:
    """How a run is carried out; none of it moves a decision.

    Attributes:
        device: A torch device.
        batch_views: Most views in one forward pass, halved by itself when memory runs out; None: what `memory_gb` holds.
        memory_gb: Memory for one forward pass, weights aside; None: half of what the GPU has free, or 1 GB on a CPU.
        compile: Whether torch.compile fuses the layers; it moves floats by rounding.
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
    batch_views: int | None = None
    memory_gb: float | None = None
    compile: bool = False
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
        if self.batch_views is not None and self.batch_views < 1:
            raise UserError(f"runtime.batch_views={self.batch_views}: at least one view must fit.")
        if self.memory_gb is not None and self.memory_gb <= 0:
            raise UserError(f"runtime.memory_gb={self.memory_gb}: give a number of gigabytes above 0, or null.")
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


@dataclass(eq=False)
class Variant:
    """One run of an evaluation: its prompt and texts, and where its records go.

    Attributes:
        prompt: How the model is told where to look.
        texts: How expressions are phrased under it.
        save: Called with the records of each batch.
        done: Ids of the samples that are recorded already.
        component_names: Names of its components, known once something is encoded.
    """

    prompt: Prompt
    texts: RunTexts
    save: Callable[[list[Record]], None]
    done: frozenset[str] = frozenset()
    component_names: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A sample, or some of its regions, on the way to the model.

    Attributes:
        info: What the index says of the sample.
        final: Whether no more of its regions follow.
        sample: The sample; None where it could not be loaded.
        views: For each backbone the views of these regions under all prompts, one for each picture.
        outside: Regions of the sample that the first backbone's crop does not see.
        error: Why it could not be loaded, or "".
    """

    info: SampleInfo
    final: bool
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
    """One task under one prompt or several: all that is needed to turn samples into records.

    What prompts have in common is computed once: the pictures, the layers below the first masked one, and the parts of
    ensembles. The records are those of each prompt evaluated alone.
    """

    task: Task
    backbones: Sequence[Backbone]
    variants: Sequence[Variant]
    runtime: Runtime
    approximation: str = "none"
    seconds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Finds the distinct prompts and the size of a batch."""
        self._batch = self.runtime.batch_views or min(b.views_within(self.runtime.memory_gb) for b in self.backbones)
        self._prompts: list[Prompt] = []
        self._parts = [[self._index(part) for part in _parts(variant.prompt)] for variant in self.variants]
        self._regions = max(self._batch // len(self._prompts), min(self._batch, FEW_REGIONS))
        self._pending: list[list[torch.Tensor]] = [[] for _ in self.backbones]

    def run(self, todo: Sequence[int], label: str) -> None:
        """Evaluates the samples of these indices, saving the records of each batch as soon as they are there."""
        infos = self.task.dataset.index
        total = sum(infos[i].queries for i in todo) * len(self.variants)
        started, right, seen = time.monotonic(), 0, 0
        hidden = None if self.runtime.progress else True
        with logging_redirect_tqdm(), tqdm(total=total, desc=label, unit="query", disable=hidden) as bar:
            for batch in self._batches(todo):
                for variant, records in zip(self.variants, self._evaluate(batch), strict=True):
                    new = [record for record in records if record.group not in variant.done]
                    with self._timed("save_s"):
                        if new:
                            variant.save(new)
                    right += sum(record.correct for record in records)
                    seen += sum(record.status == "scored" for record in records)
                    bar.update(len(records))
                bar.set_postfix(accuracy=f"{100 * right / max(seen, 1):.1f}")
        self.seconds["total_s"] = time.monotonic() - started  # pyright: ignore[reportArgumentType]

    def _index(self, prompt: Prompt) -> int:
        if prompt not in self._prompts:
            self._prompts.append(prompt)
        return self._prompts.index(prompt)

    def _batches(self, todo: Sequence[int]) -> Iterator[list[Prepared]]:
        """Pieces of samples, together at least a batch of views, fewer at the end."""
        batch: list[Prepared] = []
        source = iter(ahead(self._prepare, self._pieces(todo), self.runtime.workers))
        while True:
            with self._timed("wait_s"):
                prepared = next(source, None)
            if prepared is None:
                break
            batch.append(prepared)
            if sum(one.size for one in batch) >= self._batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _pieces(self, todo: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """Sample, piece and number of pieces, so that the pictures of a thousand regions are never in memory at once."""
        for i in todo:
            count = max(1, math.ceil(self.task.dataset.index[i].regions / self._regions))
            yield from ((i, piece, count) for piece in range(count))

    def _prepare(self, what: tuple[int, int, int]) -> Prepared:
        """Decodes, draws and preprocesses a piece of a sample; runs in worker threads."""
        i, piece, count = what
        info, final = self.task.dataset.index[i], piece + 1 == count
        try:
            sample = self.task.dataset.load(i)
            pictures = self.task.pictures(sample)
            for picture in pictures:
                for region in picture.regions:
                    region.clipped(picture.image.size)  # a region that does not fit its image is the sample's fault
        except UserError as error:
            if self.runtime.on_error == "fail":
                raise
            if final:
                log.warning("%s is left unscored: %s", info.id, error)
            return Prepared(info, final, error=str(error))
        mine = _piece(pictures, piece * self._regions, None if final else (piece + 1) * self._regions)
        views = [[self._views(backbone, picture) for picture in mine] for backbone in self.backbones] if mine else []
        geometry = self.backbones[0].geometry
        outside = sum(not geometry.sees(region, p.image.size) for p in pictures for region in p.regions)
        return Prepared(info, final, sample, views, outside)

    def _views(self, backbone: Backbone, picture: Picture) -> Views:
        made = [prompt(picture.image, picture.regions, backbone.geometry) for prompt in self._prompts]
        self._layout: list[tuple[int, Combine]] = [(len(views.components), views.combine) for views in made]
        views = join_views(made)
        self._unprompted = [
            c.bias is None and c.intervention is None and all(views.images[i] is picture.image for i in c.image_index)
            for c in views.components
        ]
        return backbone.prepare(views)

    def _evaluate(self, batch: list[Prepared]) -> list[list[Record]]:
        """Records of the samples that are complete with this batch, for each variant."""
        embedded = []
        for b, backbone in enumerate(self.backbones):
            with self._timed("encode_s"):
                embedded.append(self._encode(backbone, [one.views[b] for one in batch if one.views]))
        records: list[list[Record]] = [[] for _ in self.variants]
        pieces = zip(*embedded, strict=True)
        for one in batch:
            if one.views:
                for pending, piece in zip(self._pending, next(pieces), strict=True):
                    pending.append(piece)
            if not one.final:
                continue
            regions = [self._tied(torch.cat(pending, dim=1), one) for pending in self._pending if pending]
            self._pending = [[] for _ in self.backbones]
            for v in range(len(self.variants)):
                records[v] += self._records(one, v, regions)
        return records

    def _tied(self, embedded: torch.Tensor, one: Prepared) -> torch.Tensor:
        """Regions that see the same unprompted picture get the same bits, so that ties are ties in any batch."""
        if one.sample and len(one.sample.pictures) == 1:
            same = torch.tensor(self._unprompted)
            embedded[same] = embedded[same, :1].expand(-1, embedded.shape[1], -1)
        return embedded

    def _own(self, v: int) -> tuple[list[int], Combine]:
        """Rows of the components of a variant, and how their scores become one."""
        starts = [sum(count for count, _ in self._layout[:p]) for p in range(len(self._prompts))]
        rows = [starts[p] + k for p in self._parts[v] for k in range(self._layout[p][0])]
        prompt = self.variants[v].prompt
        return rows, prompt.combine if isinstance(prompt, Ensemble) else self._layout[self._parts[v][0]][1]

    def _records(self, one: Prepared, v: int, embedded: list[torch.Tensor]) -> list[Record]:
        """Records of one sample under one prompt, its scores (components, regions, texts) summed over backbones."""
        if one.sample is None:
            return unscored(one.info, one.error)
        variant, (rows, combine) = self.variants[v], self._own(v)
        variant.component_names = [self._names[row] for row in rows]
        with self._timed("text_s"):
            names, parts = self.task.texts(one.sample), []
            for backbone, regions in zip(self.backbones, embedded, strict=True):
                texts, subtracted = variant.texts.embed(backbone, names)
                parts.append(component_scores(regions[rows], texts, backbone.logit_scale, subtracted))
        return self.task.decide(one.sample, torch.stack(parts).sum(0).numpy(), combine, one.outside)

    def _encode(self, backbone: Backbone, batch: list[list[Views]]) -> list[torch.Tensor]:
        """Embeddings (components, regions, D) of each piece of a batch."""
        if not batch:
            return []
        sizes = [sum(len(part) for part in parts) for parts in batch]
        merged = merge_views([part for parts in batch for part in parts])
        self._names = [component.name for component in merged.components]
        sharing: Sharing = "frozen" if self.approximation == "frozen" else self.runtime.sharing  # pyright: ignore[reportAssignmentType]
        while True:
            try:
                return list(backbone.encode_views(merged, sharing, self._batch).split(sizes, dim=1))
            except torch.OutOfMemoryError:
                if self._batch == 1:
                    raise
                self._batch //= 2
                log.warning("Out of memory: going on with %d views in one forward pass.", self._batch)
                torch.cuda.empty_cache()

    def _timed(self, stage: str) -> _Timer:
        return _Timer(self.seconds, stage)


def _parts(prompt: Prompt) -> list[Prompt]:
    """The prompts of an ensemble, those inside its ensembles included; or the prompt itself."""
    if not isinstance(prompt, Ensemble):
        return [prompt]
    return [part for inner in prompt.prompts for part in _parts(inner)]


def _piece(pictures: Sequence[Picture], start: int, stop: int | None) -> list[Picture]:
    """The regions from `start` to `stop`, counted over all pictures."""
    every = [(picture, region) for picture in pictures for region in picture.regions][start:stop]
    groups = groupby(every, key=lambda one: id(one[0]))
    return [
        Picture(group[0][0].image, tuple(region for _, region in group))
        for group in (list(members) for _, members in groups)
    ]


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
