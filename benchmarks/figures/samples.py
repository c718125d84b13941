"""Nine samples of a data set with their regions and what is asked about them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from benchmarks.data.samples import Picture, Query, Sample
from falip.picture import drawing

COLUMNS = 3
_REGIONS, _QUERIES, _LETTERS = 30, 3, 44


def draw(samples: Sequence[tuple[Sample, Sequence[Picture]]]) -> Figure:
    """A panel for each sample: its first picture, regions in white, what a query means in green.

    Args:
        samples: Each with its pictures, whose regions lie inside.
    """
    columns = min(COLUMNS, len(samples))
    rows = math.ceil(len(samples) / columns)
    figure = drawing.new_figure(3.4 * columns, 3.2 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis, (sample, pictures) in zip(axes, samples, strict=False):
        _panel(axis, sample, pictures[0])
    for axis in list(axes)[len(samples) :]:
        axis.axis("off")
    return figure


def _panel(axis: drawing.Axes, sample: Sample, picture: Picture) -> None:
    drawing.show_picture(axis, picture.image)
    for region in picture.regions[:_REGIONS]:
        for box in region.boxes:
            drawing.outline(axis, box, width=1.2)
    for query in sample.queries[:_QUERIES]:
        for box in query.targets:
            drawing.outline(axis, box, drawing.GREEN)
    more = len(sample.queries) - _QUERIES
    words = [drawing.shortened(_words(query), _LETTERS) for query in sample.queries[:_QUERIES]]
    drawing.title(
        axis, "\n".join([drawing.shortened(sample.id, _LETTERS), *words, *([f"and {more} more"] if more > 0 else [])])
    )
    axis.set_xlim(0, picture.image.width)
    axis.set_ylim(picture.image.height, 0)


def _words(query: Query) -> str:
    return f"“{query.text}”" if query.label < 0 else query.text
