"""CLS attention before and after a foveal mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmarks.data.shapes import ReferringShapes
from falip import Backbone, Foveal
from falip.picture import drawing
from falip.picture.drawing import ATTENTION_MAP, BIAS_MAP, CHANGE_MAP
from falip.picture.study import Study, studies

ROWS = 3
TITLES = ("region", "foveal mask", "attention before", "attention after", "change")


def draw(backbone: Backbone, first: int, scenes: int) -> Figure:
    """One scene in each row; attention is the mean of the masked layers and of the heads."""
    dataset = ReferringShapes(scenes=first + ROWS)
    rows: list[tuple[str, Study]] = []
    for i in range(first, first + ROWS):
        sample = dataset.load(i)
        query = sample.queries[0]
        target = sample.boxes.index(query.targets[0])
        picture = sample.pictures[0]
        rows.append((query.text, studies(backbone, picture.image, picture.regions[target : target + 1], Foveal())[0]))
    return _figure(rows, backbone)


def _figure(rows: Sequence[tuple[str, Study]], backbone: Backbone) -> Figure:
    figure = drawing.new_figure(10.0, 2.05 * len(rows) + 0.6)
    axes = figure.subplots(len(rows), len(TITLES), squeeze=False)
    maps = [(s.grid(s.before).mean(0), s.grid(s.after).mean(0)) for _, s in rows]
    # A few tokens that take much attention everywhere would leave the rest without contrast.
    every = np.concatenate([grid.ravel() for pair in maps for grid in pair])
    limits = (float(every.min()), float(np.quantile(every, 0.99)))
    most = max(float(np.quantile(abs(after - before), 0.99)) for before, after in maps) or 1.0
    top = max(float(s.bias.max()) for _, s in rows if s.bias is not None)
    for line, (text, study), (before, after) in zip(axes, rows, maps, strict=True):
        drawing.show_picture(line[0], study.view)
        line[0].set_ylabel(drawing.literal(drawing.shortened(text, 26)), fontsize=drawing.FONT_SIZE)
        heats = [
            drawing.show_heat(line[1], study.view, study.bias, study.geometry, BIAS_MAP, (0.0, top)),  # pyright: ignore[reportArgumentType]
            drawing.show_heat(line[2], study.view, before, study.geometry, ATTENTION_MAP, limits),
            drawing.show_heat(line[3], study.view, after, study.geometry, ATTENTION_MAP, limits),
            drawing.show_heat(line[4], study.view, after - before, study.geometry, CHANGE_MAP, (-most, most)),
        ]
        for panel in line:
            drawing.outline(panel, study.box or (0, 0, *study.view.size), width=1.2)
        line[2].set_xlabel(f"on the region {study.share(study.before):.1f} %", fontsize=drawing.FONT_SIZE - 1)
        line[3].set_xlabel(f"on the region {study.share(study.after):.1f} %", fontsize=drawing.FONT_SIZE - 1)
    for panel, words in zip(axes[0], TITLES, strict=True):
        drawing.title(panel, words)
    columns = (
        (1, heats[0], "bias on the CLS logits"),
        (3, heats[2], "% of the CLS attention (top 1 % of the tokens cut off)"),
        (4, heats[3], "points"),
    )
    for column, heat, label in columns:
        drawing.colour_bar(figure, heat, axes[:, 2:4] if column == 3 else axes[:, column], label, horizontal=True)
    layers = ", ".join(map(str, rows[0][1].layers))
    figure.suptitle(
        f"CLS attention under a foveal mask (mean of the heads of layers {layers}; {backbone.weights.name})",
        fontsize=drawing.FONT_SIZE + 1,
    )
    return figure
