"""The run loop: samples to views, views to scores, scores to records, batch by batch.

One sample passes `Workshop.make` (drawn and prepared by a worker, perhaps in pieces), `Evaluation._encoded` (embeddings of
a batch of pieces), `Evaluation._assembled` (the pieces of a sample together again), `Evaluation._scored` (scores under the
texts of each run) and, while the model sees the next batch, `Evaluation._saved` (the task's decisions, and their records).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from benchmarks.records.record import Record, unscored
from benchmarks.run.encoded import Encoded, Part, Scored, together
from benchmarks.run.looking import Looked, with_attention
from benchmarks.run.pieces import FEW_REGIONS, Layout, Piece, PromptError, Workshop
from benchmarks.run.prefetch import ahead, behind
from benchmarks.run.runtime import Runtime
from benchmarks.run.saving import Saver
from benchmarks.run.stages import timed
from benchmarks.run.text import RunTexts
from benchmarks.tasks import Combine, Task, Weighted, looked_at
from falip.backbone import Backbone
from falip.errors import UserError
from falip.prompts import Ensemble
from falip.scoring import feature_scores
from falip.views import Prompt, Sharing, Views, merge_views

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Variant:
    """One run of an evaluation: its prompt and texts, and where its records go.

    Attributes:
        prompt: How the model is told where to look.
        texts: How expressions are phrased under it.
        save: Called with records as they come, and the names of the rows of their component scores.
        done: Ids of the samples that are recorded already.
        task: What asks and decides in place of the evaluation's own task, about the same samples; None for that one. Its
            pictures may have more regions.
    """

    prompt: Prompt
    texts: RunTexts
    save: Callable[[list[Record], list[str]], None]
    done: frozenset[str] = frozenset()
    task: Task | None = None


class VariantsFailedError(Exception):
    """Some runs cannot go on, for a reason of their own; the others are not to blame.

    Attributes:
        variants: Their places among the variants.
        reason: What went wrong.
    """

    def __init__(self, variants: Sequence[int], reason: Exception) -> None:
        super().__init__(str(reason))
        self.variants, self.reason = tuple(variants), reason


@dataclass
class Evaluation:
    """One task under one prompt or several: all that is needed to turn samples into records.

    What prompts have in common is computed once: the pictures, the layers below the first masked one, and the parts of
    ensembles. The records are those of each prompt evaluated alone.

    Attributes:
        clock: What seconds are read from: of the day, or of the processor.
        seconds: Of each stage: of the workers (decode, draw, prepare), summed over them, of the thread behind the model
            (decide, save), and of this one (wait, encode, text; total).
    """

    task: Task
    backbones: Sequence[Backbone]
    variants: Sequence[Variant]
    runtime: Runtime
    approximation: str = "none"
    attention: bool = False
    clock: Callable[[], float] = time.monotonic
    seconds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Finds the distinct prompts and the size of a batch."""
        self._batch = self.runtime.batch_views or min(b.views_within(self.runtime.memory_gb) for b in self.backbones)
        self._savers = [Saver(variant.save) for variant in self.variants]
        prompts: list[Prompt] = []
        self._parts = [[_place(prompts, part) for part in leaves(variant.prompt)] for variant in self.variants]
        regions = max(self._batch // len(prompts), min(self._batch, FEW_REGIONS))
        looking = next((variant.task for variant in self.variants if variant.task), self.task)
        keep_going = self.runtime.on_error == "record"
        self._workshop = Workshop(looking, prompts, self.backbones, regions, keep_going, self.attention, self.clock)

    def run(self, todo: Sequence[int], label: str) -> None:
        """Evaluates the samples of these indices and saves their records, whatever ends it.

        Raises:
            UserError: If a sample is bad and `runtime.on_error` is fail.
            VariantsFailedError: If some of the runs cannot go on.
        """
        infos = self.task.dataset.index
        total = sum(infos[i].queries for i in todo) * len(self.variants)
        started, right, seen = self.clock(), 0, 0
        hidden = None if self.runtime.progress else True
        with logging_redirect_tqdm(), tqdm(total=total, desc=label, unit="query", disable=hidden) as bar:
            scored = map(self._scored, self._assembled(self._batches(todo)))
            with self._all_saved():
                for records in behind(self._saved, scored, self._waits_for_device):
                    right += sum(record.correct for record in records)
                    seen += sum(record.status == "scored" for record in records)
                    bar.update(len(records))
                    bar.set_postfix(accuracy=f"{100 * right / max(seen, 1):.1f}")
        self.seconds["total_s"] = self.clock() - started  # pyright: ignore[reportArgumentType]

    @contextmanager
    def _all_saved(self) -> Iterator[None]:
        """Saves at the end what is not saved yet; what ended the run is told before what keeps that from being saved."""
        try:
            yield
        except BaseException:
            with suppress(VariantsFailedError):
                self._flush()
            raise
        self._flush()

    def _flush(self) -> None:
        failed: dict[int, Exception] = {}
        with self._timed("save_s"):
            for v, saver in enumerate(self._savers):
                try:
                    saver.flush()
                except Exception as error:
                    failed[v] = error
        if failed:
            raise VariantsFailedError(list(failed), next(iter(failed.values())))

    @property
    def _waits_for_device(self) -> bool:
        """Whether this thread has time to spare beside the model; on a CPU the same cores do both."""
        return self.runtime.workers > 0 and any(backbone.tower.device.type != "cpu" for backbone in self.backbones)

    def _batches(self, todo: Sequence[int]) -> Iterator[list[Piece]]:
        """Pieces of samples, together at least a batch of views, fewer at the end."""
        batch: list[Piece] = []
        source = iter(ahead(self._workshop.make, self._workshop.orders(todo), self.runtime.workers))
        while (piece := self._next(source)) is not None:
            self.seconds.update(piece.seconds)
            batch.append(piece)
            if sum(one.size for one in batch) >= self._batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _next(self, source: Iterator[Piece]) -> Piece | None:
        with self._timed("wait_s"):
            try:
                return next(source, None)
            except PromptError as error:
                drawing = [v for v, parts in enumerate(self._parts) if error.prompt in parts]
                raise VariantsFailedError(drawing, error.reason) from error.reason

    def _assembled(self, batches: Iterable[list[Piece]]) -> Iterator[list[Encoded]]:
        """The samples that are complete with each batch."""
        pieces: list[Piece] = []
        embedded: list[list[Part]] = []
        for batch in batches:
            whole = []
            for piece, parts in zip(batch, self._encoded(batch), strict=True):
                pieces.append(piece.without_pixels())
                embedded.append(parts)
                if piece.final:
                    whole.append(together(pieces, embedded))
                    pieces, embedded = [], []
            yield whole

    def _encoded(self, batch: Sequence[Piece]) -> list[list[Part]]:
        """For each piece and backbone its embeddings (components, regions, D), and what its views attended to."""
        found: list[list[Part]] = [[] for _ in batch]
        for b, backbone in enumerate(self.backbones):
            mine = [p for p, piece in enumerate(batch) if piece.views]
            if not mine:
                continue
            sizes = [sum(len(part) for part in batch[p].views[b]) for p in mine]
            with self._timed("encode_s"):
                merged = merge_views([part for p in mine for part in batch[p].views[b]])
                embedded, attended = self._encode(backbone, merged, batch[mine[0]].layout)
            starts = np.cumsum([0, *sizes])
            for p, part, start in zip(mine, embedded.split(sizes, dim=1), starts, strict=False):
                looked = None
                if self.attention:
                    covered = np.concatenate(batch[p].covered[b], axis=1)
                    own = [one if one is None else one[start : start + covered.shape[1]] for one in attended]
                    looked = Looked.of(own, covered)
                found[p].append(Part(part, looked))
        return found

    def _encode(self, backbone: Backbone, views: Views, layout: Layout | None) -> tuple[Tensor, list[Tensor | None]]:
        sharing: Sharing = "frozen" if self.approximation == "frozen" else self.runtime.sharing  # pyright: ignore[reportAssignmentType]
        while True:
            try:
                if self.attention:
                    return backbone.attended_features(views, sharing, self._batch)
                return backbone.features(views, sharing, self._batch), []
            except torch.OutOfMemoryError:
                if self._batch == 1:
                    raise
                self._batch //= 2
                log.warning("Out of memory: going on with %d views in one forward pass.", self._batch)
                torch.cuda.empty_cache()
            except Exception as error:
                assert layout
                guilty = [p for p, rows in enumerate(layout.rows) if not self._encodes(backbone, views, rows, sharing)]
                blamed = [v for v, parts in enumerate(self._parts) if set(parts) & set(guilty)]
                if not guilty or len(blamed) == len(self.variants):
                    raise
                raise VariantsFailedError(blamed, error) from error

    def _encodes(self, backbone: Backbone, views: Views, rows: Sequence[int], sharing: Sharing) -> bool:
        """Whether the components of one prompt can be encoded by themselves."""
        keys = tuple((views.keys or ())[row] for row in rows)
        own = Views((), tuple(views.components[row] for row in rows), views.combine, views.pixels, keys)
        try:
            backbone.features(own, sharing, self._batch)
        except Exception as error:  # which the caller reports
            log.debug("a prompt cannot be encoded: %s", error)
            return False
        return True

    def _scored(self, samples: Sequence[Encoded]) -> list[list[Scored]]:
        """For each variant what it makes of some samples, the texts embedded."""
        return [[self._scores(one, v) for one in samples] for v in range(len(self.variants))]

    def _saved(self, scored: Sequence[Sequence[Scored]]) -> list[Record]:
        """The records of some samples under all variants, those that are new being saved."""
        return [record for v, mine in enumerate(scored) for record in self._saved_one(v, mine)]

    def _saved_one(self, v: int, scored: Sequence[Scored]) -> list[Record]:
        records: list[Record] = []
        names: list[str] = []
        try:
            for one in scored:
                records += self._decided(v, one)
                names = one.encoded.names(one.rows) if one.rows else names
            new = [record for record in records if record.group not in self.variants[v].done]
            with self._timed("save_s"):
                self._savers[v].add(new, names)
        except Exception as error:
            raise VariantsFailedError([v], error) from error
        return records

    def _decided(self, v: int, one: Scored) -> list[Record]:
        found, task = one.encoded, self.variants[v].task or self.task
        if found.sample is None or one.scores is None:
            return unscored(found.info.id, found.info.queries, looked_at(self.task, found.info), found.error)
        with self._timed("decide_s"):
            records = task.decide(found.sample, one.scores, one.combine, found.outside)
            return with_attention(records, found.sample, task, found.looked, one.rows) if found.looked else records

    def _own(self, v: int, one: Encoded) -> tuple[list[int], Combine]:
        """Rows of the components of a variant, and how their scores become one."""
        assert one.layout
        parts, prompt, layout = self._parts[v], self.variants[v].prompt, one.layout
        rows = [row for part in parts for row in layout.rows[part]]
        how = prompt.combine if isinstance(prompt, Ensemble) else layout.combines[parts[0]]
        weights = [
            factor * own
            for part, factor in zip(parts, _leaf_weights(prompt), strict=True)
            for own in layout.weights[part] or (1.0,) * len(layout.rows[part])
        ]
        return rows, how if set(weights) == {1.0} else Weighted(how, tuple(weights))

    def _scores(self, one: Encoded, v: int) -> Scored:
        """The scores of one sample under one prompt, (components, regions, texts) summed over backbones.

        In released precision they are float16, and so are the sums.
        """
        if one.sample is None:
            return Scored(one)
        assert one.layout
        try:
            (rows, combine), variant = self._own(v, one), self.variants[v]
            with self._timed("text_s"):
                task, own = variant.task or self.task, self.task.texts(one.sample)
                names, parts = task.texts(one.sample), []
                for backbone, regions in zip(self.backbones, one.embeddings, strict=True):
                    texts, subtracted = variant.texts.embed(backbone, names, own)
                    scorers = [one.layout.scorers[row] for row in rows]
                    parts.append(feature_scores(backbone, regions[rows], texts, subtracted, scorers))
                scores = reduce(torch.add, parts)
            if not scores.isfinite().all():
                raise UserError(
                    f"{one.info.id}: the scores are not finite numbers. The weights of the backbone hold NaN, or a setting "
                    "of the prompt is beyond what its numbers can hold."
                )
        except Exception as error:
            raise VariantsFailedError([v], error) from error
        return Scored(one, rows, combine, scores.numpy())

    def _timed(self, stage: str) -> AbstractContextManager[None]:
        return timed(self.seconds, stage, self.clock)


def leaves(prompt: Prompt) -> list[Prompt]:
    """The prompts of an ensemble, those inside its ensembles included; or the prompt itself."""
    if not isinstance(prompt, Ensemble):
        return [prompt]
    return [part for inner in prompt.prompts for part in leaves(inner)]


def _leaf_weights(prompt: Prompt) -> list[float]:
    """The factor on the scores of each of these prompts."""
    if not isinstance(prompt, Ensemble):
        return [1.0]
    own = prompt.weights or (1.0,) * len(prompt.prompts)
    return [factor * inner for factor, part in zip(own, prompt.prompts, strict=True) for inner in _leaf_weights(part)]


def _place(prompts: list[Prompt], prompt: Prompt) -> int:
    """The place of a prompt among the distinct ones, to which it is added where it is new."""
    if prompt not in prompts:
        prompts.append(prompt)
    return prompts.index(prompt)
