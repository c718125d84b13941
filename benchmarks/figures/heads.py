"""The head response chart: the norm of G'_h - G_h by layer and head (FALIP, "Key Designs")."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from benchmarks.data.shapes import ReferringShapes
from falip import Backbone, Blur, Foveal, Prompt, RedCircle
from falip.backbone.responses import head_responses
from falip.picture import drawing

PROMPTS: dict[str, Prompt] = {"foveal": Foveal(), "red circle": RedCircle(), "blur": Blur()}


def draw(backbone: Backbone, first: int, scenes: int) -> Figure:
    """For each prompt a heat map over layers and heads, and the mean of each layer beside it."""
    means = responses(backbone, first, scenes)
    layers, heads = backbone.geometry.layers, backbone.geometry.heads
    figure = drawing.new_figure(11.0, 1.7 + 0.3 * layers)
    axes = figure.subplots(1, 2 * len(means), width_ratios=[1.0, 0.45] * len(means))
    for (name, mean), map_axes, bar_axes in zip(means.items(), axes[::2], axes[1::2], strict=True):
        heat = map_axes.imshow(mean, cmap=drawing.ATTENTION_MAP, vmin=0, aspect="auto")
        map_axes.set_xticks(_some(heads), [str(h) for h in _some(heads)], fontsize=drawing.FONT_SIZE - 1)
        map_axes.set_yticks(range(layers), [str(i) for i in range(layers)], fontsize=drawing.FONT_SIZE - 1)
        map_axes.set_xlabel("head", fontsize=drawing.FONT_SIZE)
        map_axes.set_ylabel("layer", fontsize=drawing.FONT_SIZE)
        drawing.title(map_axes, name)
        drawing.colour_bar(figure, heat, map_axes, "norm of the change", horizontal=True)
        bar_axes.barh(range(layers), mean.mean(1), color=drawing.BLUE)
        bar_axes.set_ylim(layers - 0.5, -0.5)
        bar_axes.set_yticks([])
        bar_axes.tick_params(axis="x", labelsize=drawing.FONT_SIZE - 2)
        bar_axes.locator_params(axis="x", nbins=3)
        bar_axes.spines[["top", "right"]].set_visible(False)
        drawing.title(bar_axes, "layer mean", drawing.FONT_SIZE - 1)
    figure.suptitle(
        f"Head response: |G'h − Gh| of the CLS output, mean of the objects of {scenes} scenes ({backbone.weights.name})",
        fontsize=drawing.FONT_SIZE + 1,
    )
    return figure


def responses(backbone: Backbone, first: int, scenes: int) -> dict[str, np.ndarray]:
    """For each prompt the mean response, (layers, heads), over all objects of some scenes."""
    dataset = ReferringShapes(scenes=first + scenes)
    found: dict[str, list[np.ndarray]] = {name: [] for name in PROMPTS}
    for i in range(first, first + scenes):
        picture = dataset.load(i).pictures[0]
        for name, prompt in PROMPTS.items():
            found[name].extend(head_responses(backbone, picture.image, picture.regions, prompt).numpy())
    return {name: np.mean(values, axis=0) for name, values in found.items()}


def _some(heads: int) -> range:
    return range(0, heads, 1 if heads <= 8 else 2)
