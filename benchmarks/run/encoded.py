"""A sample on its way: encoded in parts, together again, and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.data.samples import Sample, SampleInfo
from benchmarks.run.looking import Looked
from benchmarks.run.pieces import Layout, Piece
from benchmarks.tasks import Combine
from falip.backbone.equal import first_equal


class Part(NamedTuple):
    """Some regions under all prompts, encoded by one backbone.

    Attributes:
        embeddings: See `Backbone.features`.
        looked: Where attention is measured, what they attended to.
    """

    embeddings: Tensor
    looked: Looked | None


@dataclass(frozen=True, eq=False)
class Encoded:
    """A whole sample, encoded.

    Attributes:
        info: What the index says of it.
        outside: Regions of it that the first backbone's crop does not see.
        sample: The sample; None where it could not be loaded.
        layout: Of the components; None without a sample.
        embeddings: For each backbone `Backbone.features`, the regions of all its pictures in their order.
        error: Why it could not be loaded, or "".
        looked: Where attention is measured for each backbone what the regions' views attended to.
    """

    info: SampleInfo
    outside: int
    sample: Sample | None = None
    layout: Layout | None = None
    embeddings: tuple[Tensor, ...] = ()
    error: str = ""
    looked: tuple[Looked, ...] = ()

    def names(self, rows: Sequence[int]) -> list[str]:
        """Names of the rows of component scores: for several pictures one for each component and picture."""
        assert self.sample and self.layout
        names, views = [self.layout.names[row] for row in rows], len(self.sample.pictures)
        return names if views == 1 else [f"{name}/view{view}" for name in names for view in range(views)]


@dataclass(frozen=True, eq=False)
class Scored:
    """A sample under one variant, about to be decided.

    Attributes:
        encoded: The sample.
        rows: The variant's components among its layout's; none where it could not be loaded, as what follows.
        combine: How their scores become one.
        scores: See `Task.decide`.
    """

    encoded: Encoded
    rows: Sequence[int] = ()
    combine: Combine = "sum"
    scores: np.ndarray | None = None


def together(pieces: Sequence[Piece], embedded: Sequence[Sequence[Part]]) -> Encoded:
    """One sample from all its pieces; where one of them could not be loaded, none counts.

    Views that are equal get the same bits, also where they were encoded in two batches, so that ties are ties in any.
    """
    last = pieces[-1]
    broken = next((piece for piece in pieces if piece.sample is None), None)
    if broken:
        return Encoded(last.info, 0, error=broken.error)
    layout = next((piece.layout for piece in pieces if piece.layout), None)
    parts = [(piece, embeddings) for piece, embeddings in zip(pieces, embedded, strict=True) if piece.views]
    whole, looked = [], []
    for b in range(len(parts[0][1])):
        embeddings = torch.cat([one[b].embeddings for _, one in parts], dim=1)
        looked.append([one[b].looked for _, one in parts])
        views = [part for piece, _ in parts for part in piece.views[b]]
        for c in range(len(embeddings)):
            places = first_equal([key for part in views for key in (part.keys or ())[c]])
            embeddings[c] = embeddings[c][places]
        whole.append(embeddings)
    joined = tuple(Looked.joined(one) for one in looked if None not in one)
    return Encoded(last.info, last.outside, last.sample, layout, tuple(whole), looked=joined)
