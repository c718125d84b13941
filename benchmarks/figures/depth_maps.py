"""The six depth maps of a solid, with CLS attention before and after a foveal mask."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from benchmarks.data.solids import Solids
from falip import Backbone, Foveal
from falip.picture import drawing
from falip.picture.study import studies
from falip.scoring import score

TEMPLATE = "point cloud depth map of a {}."


def draw(backbone: Backbone, first: int, scenes: int) -> Figure:
    """Rows: depth, attention before, attention after; a column for each map, with the class it would choose by itself."""
    dataset = Solids(samples=first + 1)
    sample = dataset.load(first)
    names = dataset.class_names
    found = [studies(backbone, p.image, p.regions, Foveal())[0] for p in sample.pictures]
    scores = [score(backbone, p.image, p.regions, Foveal(), names, template=TEMPLATE)[0].numpy() for p in sample.pictures]
    maps = [(s.grid(s.before).mean(0), s.grid(s.after).mean(0)) for s in found]
    every = np.concatenate([grid.ravel() for pair in maps for grid in pair])
    limits = (float(every.min()), float(np.quantile(every, 0.99)))  # a few tokens take much attention everywhere
    figure = drawing.new_figure(1.75 * len(found) + 0.5, 6.1)
    axes = figure.subplots(3, len(found))
    label = sample.queries[0].label
    for i, (study, own, pair) in enumerate(zip(found, scores, maps, strict=True)):
        drawing.show_picture(axes[0, i], study.view)
        drawing.title(axes[0, i], f"map {i}")
        axes[0, i].set_xlabel(
            f"{names[int(own.argmax())]} {own.max():.2f}\n{names[label]} {own[label]:.2f}", fontsize=drawing.FONT_SIZE - 1
        )
        for row, grid in zip((1, 2), pair, strict=True):
            heat = drawing.show_heat(axes[row, i], study.view, grid, study.geometry, drawing.ATTENTION_MAP, limits)
            share = study.share(study.before if row == 1 else study.after)
            axes[row, i].set_xlabel(f"on the solid {share:.0f} %", fontsize=drawing.FONT_SIZE - 1)
    for row, words in enumerate(("depth: best class,\nright class", "attention before", "attention after")):
        axes[row, 0].set_ylabel(words, fontsize=drawing.FONT_SIZE)
    drawing.colour_bar(figure, heat, axes[1:], "% of the CLS attention (top 1 % of the tokens cut off)")
    total = np.sum(scores, axis=0)
    sign = "right" if int(total.argmax()) == label else "wrong"
    figure.suptitle(
        f"A {names[label]} from six sides; sum of the scores under the foveal mask: {names[int(total.argmax())]} ({sign}; "
        f"{backbone.weights.name})",
        fontsize=drawing.FONT_SIZE + 1,
    )
    return figure
