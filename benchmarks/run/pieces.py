"""What workers do ahead of the model: samples decoded, drawn under every prompt, and prepared as pixels.

A worker leaves nothing behind but what it returns: the layout of the components, their names and the keys of equal views
travel with the pixels.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from threading import Lock

import numpy as np

from benchmarks.data.samples import Picture, Sample, SampleInfo
from benchmarks.run.looking import covered_by
from benchmarks.run.stages import timed
from benchmarks.tasks import Task, looked_at
from falip.backbone import Backbone
from falip.errors import UserError
from falip.prompts.pictures import shared_filters
from falip.views import Combine, Prompt, Scorer, Views, join_views, make_views

log = logging.getLogger(__name__)

FEW_REGIONS = 32  # are never torn apart, whatever the number of prompts: the pieces of a sample repeat what it shares


class PromptError(Exception):
    """A prompt that cannot draw a sample; the sample and the other prompts are not to blame.

    Attributes:
        prompt: Its number among those of the evaluation.
        reason: What it raised.
    """

    def __init__(self, prompt: int, reason: Exception) -> None:
        super().__init__(f"prompt {prompt}: {reason}")
        self.prompt, self.reason = prompt, reason


@dataclass(frozen=True)
class Layout:
    """Which components belong to which prompt.

    Attributes:
        names: Of all components, prompt by prompt.
        rows: For each prompt the places of its components.
        combines: For each prompt how the scores of its components become one.
        scorers: Of all components, those that score in their own way.
        weights: For each prompt the factors on the scores of its components; None for 1 throughout.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    combines: tuple[Combine, ...]
    scorers: tuple[Scorer | None, ...]
    weights: tuple[tuple[float, ...] | None, ...]

    @staticmethod
    def of(made: Sequence[Views]) -> Layout:
        """The layout of the views that several prompts made of one picture."""
        counts = [len(views.components) for views in made]
        rows = tuple(tuple(range(sum(counts[:p]), sum(counts[: p + 1]))) for p in range(len(made)))
        every = [component for views in made for component in views.components]
        names, scorers = tuple(component.name for component in every), tuple(component.scorer for component in every)
        weights = tuple(views.weights for views in made)
        return Layout(names, rows, tuple(views.combine for views in made), scorers, weights)


@dataclass(frozen=True, eq=False)
class Piece:
    """A sample, or some of its regions, on the way to the model.

    Attributes:
        info: What the index says of the sample.
        final: Whether no more of its regions follow.
        sample: The sample; None where it could not be loaded.
        layout: Of the components of its views.
        views: For each backbone the views of these regions under all prompts, one `Views` for each picture.
        outside: Regions of the sample that the first backbone's crop does not see.
        error: Why it could not be loaded, or "".
        covered: Where attention is measured the tokens of the regions in the views, as `views` are.
        seconds: What the worker took for it, by stage.
    """

    info: SampleInfo
    final: bool
    sample: Sample | None = None
    layout: Layout | None = None
    views: list[list[Views]] = field(default_factory=list)
    outside: int = 0
    error: str = ""
    covered: list[list[np.ndarray]] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        """Number of distinct views of the first backbone."""
        return sum(len(set(keys)) for part in self.views[0] for keys in part.keys or ()) if self.views else 0

    def without_pixels(self) -> Piece:
        """What is still asked of the piece once it is encoded."""
        return replace(self, views=[[replace(part, pixels=None) for part in parts] for parts in self.views])


class Once:
    """Loads a sample once for its pieces, which several workers make at a time; the last two are kept."""

    def __init__(self, load: Callable[[int], Sample]) -> None:
        self._lock, self._load = Lock(), lru_cache(maxsize=2)(load)

    def load(self, i: int) -> Sample:
        """The sample; who asks meanwhile waits for it."""
        with self._lock:
            return self._load(i)


@dataclass(frozen=True, eq=False)
class Workshop:
    """Makes the pieces of a task under some prompts, for some backbones.

    Attributes:
        task: Where samples come from.
        prompts: The distinct prompts of the evaluation.
        backbones: What the pictures are prepared for.
        regions: Most regions in a piece, so that the pictures of a thousand are never in memory at once.
        keep_going: Whether a bad sample becomes a piece that says why, and not an exception.
        attention: Whether to say which tokens of the views show their regions.
        clock: See `Evaluation`.
    """

    task: Task
    prompts: Sequence[Prompt]
    backbones: Sequence[Backbone]
    regions: int
    keep_going: bool
    attention: bool = False
    clock: Callable[[], float] = time.monotonic
    _once: Once = field(init=False)

    def __post_init__(self) -> None:
        """Sees to it that a sample that is torn is decoded once."""
        object.__setattr__(self, "_once", Once(self.task.dataset.load))

    def orders(self, samples: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """Sample, piece and number of pieces, in order."""
        for i in samples:
            count = max(1, math.ceil(looked_at(self.task, self.task.dataset.index[i]) / self.regions))
            yield from ((i, piece, count) for piece in range(count))

    def make(self, order: tuple[int, int, int]) -> Piece:
        """Decodes, draws and prepares one piece; runs in worker threads.

        Raises:
            UserError: If the sample is bad and `keep_going` is not set.
            PromptError: If a prompt cannot draw it.
        """
        i, number, count = order
        info, final, seconds = self.task.dataset.index[i], number + 1 == count, Counter[str]()
        try:
            with timed(seconds, "decode_s", self.clock):
                sample = self.task.dataset.load(i) if count == 1 else self._once.load(i)
            pictures = self.task.pictures(sample)
            for picture in pictures:
                for region in picture.regions:
                    region.clipped(picture.image.size)  # a region that does not fit its image is the sample's fault
        except UserError as error:
            if not self.keep_going:
                raise
            if final:
                log.warning("%s is left unscored: %s", info.id, error)
            return Piece(info, final, error=str(error))
        geometry = self.backbones[0].geometry
        outside = sum(not geometry.sees(region, p.image.size) for p in pictures for region in p.regions)
        mine = _part(pictures, number * self.regions, None if final else (number + 1) * self.regions)
        if not mine:
            return Piece(info, final, sample, outside=outside, seconds=seconds)
        whole = {id(picture.image): picture for picture in pictures}
        with timed(seconds, "draw_s", self.clock), shared_filters():
            made = [[self._drawn(backbone, part, whole[id(part.image)]) for part in mine] for backbone in self.backbones]
        joined = [[join_views(drawn) for drawn in pictures] for pictures in made]
        covered, views = [], []
        for backbone, pictures in zip(self.backbones, joined, strict=True):
            if self.attention:
                covered.append([covered_by(*one, backbone.geometry) for one in zip(pictures, mine, strict=True)])
            with timed(seconds, "prepare_s", self.clock):
                views.append([backbone.prepare(part) for part in pictures])
        return Piece(info, final, sample, Layout.of(made[0][0]), views, outside, covered=covered, seconds=seconds)

    def _drawn(self, backbone: Backbone, picture: Picture, whole: Picture) -> list[Views]:
        """The views of each prompt, of a picture with some of its regions."""
        drawn = []
        for number, prompt in enumerate(self.prompts):
            try:
                drawn.append(_drawn_by(prompt, picture, whole, backbone))
            except Exception as error:  # whatever a prompt of the user's own may raise
                raise PromptError(number, error) from error
        return drawn


def _drawn_by(prompt: Prompt, picture: Picture, whole: Picture, backbone: Backbone) -> Views:
    """The views of one prompt; where it compares the regions of a picture it is shown all of them."""
    if not getattr(prompt, "compares_regions", False):
        return make_views(prompt, picture.image, picture.regions, backbone.geometry)
    views = make_views(prompt, whole.image, whole.regions, backbone.geometry)
    places = [whole.regions.index(region) for region in picture.regions]
    return replace(views, components=tuple(component.some(places) for component in views.components))


def _part(pictures: Sequence[Picture], start: int, stop: int | None) -> list[Picture]:
    """The regions from `start` to `stop`, counted over all pictures."""
    every = [(picture, region) for picture in pictures for region in picture.regions][start:stop]
    groups = groupby(every, key=lambda one: id(one[0]))
    return [
        Picture(group[0][0].image, tuple(region for _, region in group))
        for group in (list(members) for _, members in groups)
    ]
