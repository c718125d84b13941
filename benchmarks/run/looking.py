"""How much of what a view attends to lies on the region that it is meant to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.data.samples import Picture, Sample
from benchmarks.records.record import Record
from benchmarks.tasks import Task
from falip.foveal import covered_tokens
from falip.geometry import Geometry
from falip.regions import Region
from falip.views import Views

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Looked:
    """What the views of some regions attend to, each on its own region.

    Attributes:
        on_region: float32 (components, regions, heads), the share of the attention, mean of the last four layers, or of a
            read-out's likeness, the same for all heads; NaN for a component that scores in its own way, and for a region
            that the model does not see.
        share: float32 (components, regions), the region's share of the patches; NaN for the same ones.
    """

    on_region: np.ndarray
    share: np.ndarray

    @staticmethod
    def of(attended: Sequence[Tensor | None], covered: np.ndarray) -> Looked:
        """From what the views of each component attend to, (regions, heads, tokens), and the tokens of their regions.

        Args:
            attended: Of each component, see `Backbone.attended_features`.
            covered: bool (components, regions, 1 + rows * cols), see `covered_by`.
        """
        heads = max((one.shape[1] for one in attended if one is not None), default=1)
        on_region = np.full((*covered.shape[:2], heads), np.nan, np.float32)
        for c, weights in enumerate(attended):
            if weights is not None:
                on_region[c] = np.einsum("rht,rt->rh", weights.numpy(), covered[c].astype(np.float32))
        share = covered[:, :, 1:].mean(2, dtype=np.float32)
        share[(share == 0) | np.isnan(on_region).any(2)] = np.nan
        on_region[np.isnan(share)] = np.nan
        return Looked(on_region, share)

    @staticmethod
    def joined(parts: Sequence[Looked]) -> Looked:
        """The regions of all parts of a sample, in order."""
        heads = max(part.on_region.shape[2] for part in parts)
        wide = [np.broadcast_to(part.on_region, (*part.share.shape, heads)) for part in parts]
        return Looked(np.concatenate(wide, axis=1), np.concatenate([part.share for part in parts], axis=1))


def covered_by(views: Views, picture: Picture, geometry: Geometry) -> np.ndarray:
    """The tokens of each view that show its region, bool (components, regions, 1 + rows * cols).

    A view that was cut out of the picture shows the region alone: all of it is the region, its share of the patches is 1.

    Args:
        views: Of all prompts, not prepared yet.
        picture: With the regions, in the order of the views.
        geometry: Of the backbone.
    """
    regions = [region.clipped(picture.image.size) for region in picture.regions]
    whole = covered_tokens(regions, picture.image.size, geometry).numpy()
    found = np.repeat(whole[None], len(views.components), axis=0)
    for c, component in enumerate(views.components):
        for r, image in enumerate(component.image_index):
            size = views.images[image].size
            if size != picture.image.size and not component.scaled:
                found[c, r] = covered_tokens([Region.from_box(0, 0, *size)], size, geometry).numpy()[0]
    return found


def with_attention(
    records: Sequence[Record], sample: Sample, task: Task, looked: Sequence[Looked], rows: Sequence[int]
) -> list[Record]:
    """Records with how much of the attention lies on the answer's region.

    Args:
        records: Of a sample, one for each query.
        sample: The sample.
        task: Which knows the regions of an answer.
        looked: For each backbone the regions of all pictures of the sample.
        rows: The components of the prompt; means are taken over them.
    """
    found = []
    for query, record in zip(sample.queries, records, strict=True):
        places = list(task.answer(sample, query, record, looked[0].share.shape[1]))
        parts = [part for one in looked if (part := _means(one, rows, places))]
        if parts:
            heads = tuple(float(head) for on_region, _ in parts for head in on_region)
            on_target = float(np.mean([on_region.mean() for on_region, _ in parts]))
            share = float(np.mean([part for _, part in parts]))
            record = replace(record, attention_on_target=on_target, attention_by_head=heads, region_share=share)
        found.append(record)
    return found


def _means(looked: Looked, rows: Sequence[int], places: Sequence[int]) -> tuple[np.ndarray, float] | None:
    """The attention of each head on some regions and their share, means over components and regions; None without any."""
    share = looked.share[np.ix_(rows, places)]
    known = ~np.isnan(share)
    if not known.any():
        return None
    return looked.on_region[np.ix_(rows, places)][known].mean(0), float(share[known].mean())
