"""The picture of the command line: for each region and prompt a block of panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import SubFigure
from PIL import Image

from falip.errors import UserError
from falip.picture import drawing
from falip.picture.drawing import ATTENTION_MAP, BIAS_MAP, CHANGE_MAP, FONT_SIZE
from falip.picture.study import Study

WIDTH, BLOCK_HEIGHT, HEAD_HEIGHT = 17.0, 3.1, 1.7  # inches
HEAD_COLUMNS = 12
ATTENTION = ("Attention before, mean of heads", "Attention after, mean of heads")


@dataclass(frozen=True, eq=False)
class Block:
    """One region under one prompt, with the scores of each text under plain CLIP and under the prompt."""

    title: str
    study: Study
    texts: Sequence[str]
    plain: Sequence[float]
    prompted: Sequence[float]


def draw(image: Image.Image, blocks: Sequence[Block], heading: str, path: Path) -> None:
    """Writes the picture.

    Raises:
        UserError: If the file cannot be written, or its ending names no picture format.
    """
    rows = max(_head_rows(block.study) for block in blocks)
    height = BLOCK_HEIGHT + 0.35 + rows * HEAD_HEIGHT
    figure = drawing.new_figure(WIDTH, 0.5 + height * len(blocks))
    figure.suptitle(drawing.literal(heading), fontsize=FONT_SIZE + 4, x=0.01, ha="left", weight="bold")
    parts: np.ndarray = figure.subfigures(len(blocks), 1, squeeze=False)[:, 0]  # pyright: ignore[reportAssignmentType]
    for part, block in zip(parts, blocks, strict=True):
        part.suptitle(drawing.literal(block.title), fontsize=FONT_SIZE + 2, x=0.01, ha="left")
        upper, lower = part.subfigures(2, 1, height_ratios=[BLOCK_HEIGHT, rows * HEAD_HEIGHT])
        _means(upper, image, block)
        if not block.study.similarity:
            _heads(lower, image, block.study)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100)
    except (OSError, ValueError) as error:
        raise UserError(
            f"The picture could not be written to {path}: {error}. Give --out another name, such as out.png."
        ) from error


def _means(part: SubFigure, image: Image.Image, block: Block) -> None:
    study = block.study
    view, mask, before, after, change, scores = part.subplots(1, 6, width_ratios=[1, 1.2, 1.2, 1.2, 1.2, 1.1])
    drawing.show_picture(view, study.view)
    drawing.title(view, "What the model sees")
    if study.box:
        drawing.outline(view, study.box)
        view.set_xlabel("white frame: the region", fontsize=FONT_SIZE - 1)
    else:
        view.set_xlabel("cut to the region", fontsize=FONT_SIZE - 1)
    _mask(part, mask, study)
    plain, prompted = study.grid(study.before).mean(0), study.grid(study.after).mean(0)
    limits = _limits(plain, prompted)
    heat = drawing.show_heat(before, image, plain, study.geometry, ATTENTION_MAP, limits)
    drawing.show_heat(after, study.view, prompted, study.geometry, ATTENTION_MAP, limits)
    of = ("Similarity to the picture", "Similarity to the region")
    for axes, words in zip((before, after), of if study.similarity else ATTENTION, strict=True):
        drawing.title(axes, words)
    drawing.colour_bar(part, heat, after, study.unit)
    if study.box:
        drawing.outline(before, study.box)
        drawing.outline(after, study.box)
        before.set_xlabel(study.on_region(study.before), fontsize=FONT_SIZE - 1)
        after.set_xlabel(study.on_region(study.after), fontsize=FONT_SIZE - 1)
        _change(part, change, study, prompted - plain)
    else:
        drawing.empty(change, "no difference:\nthe view shows\nanother part")
    _scores(scores, block)


def _mask(part: SubFigure, axes: Any, study: Study) -> None:
    if study.bias is None:
        drawing.empty(
            axes, "no foveal mask" if study.similarity else "no foveal mask:\nthis prompt edits\nthe picture only"
        )
        return
    heat = drawing.show_heat(axes, study.view, study.bias, study.geometry, BIAS_MAP, (0.0, float(study.bias.max()) or 1.0))
    drawing.title(axes, "Foveal mask")
    axes.set_xlabel(f"{study.geometry.rows} × {study.geometry.cols} tokens", fontsize=FONT_SIZE - 1)
    drawing.colour_bar(part, heat, axes, "bias added to the CLS logits")


def _change(part: SubFigure, axes: Any, study: Study, change: np.ndarray) -> None:
    most = float(np.abs(change).max()) or 1.0
    heat = drawing.show_heat(axes, study.view, change, study.geometry, CHANGE_MAP, (-most, most))
    drawing.outline(axes, study.box or (0, 0, *study.view.size))
    drawing.title(axes, "Change: after − before")
    drawing.colour_bar(part, heat, axes, "difference" if study.similarity else "points of the CLS attention")


def _scores(axes: Any, block: Block) -> None:
    rows = np.arange(len(block.texts))
    axes.hlines(rows, block.plain, block.prompted, color=drawing.GREY, linewidth=1)
    axes.plot(block.plain, rows, "o", mfc="white", mec=drawing.BLUE, mew=1.6, label="plain")
    axes.plot(block.prompted, rows, "D", color=drawing.VERMILION, label="prompted")
    axes.set_yticks(rows, [drawing.literal(drawing.shortened(text, 24)) for text in block.texts], fontsize=FONT_SIZE - 1)
    axes.set_ylim(len(rows) - 0.3, -0.9)
    axes.set_xlabel("score: logit scale × cosine (+ bias)", fontsize=FONT_SIZE - 1)
    axes.tick_params(axis="x", labelsize=FONT_SIZE - 2)
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=FONT_SIZE - 2, frameon=False, loc="upper right", ncols=2, borderaxespad=0)
    drawing.title(axes, "Scores of this region")


def _limits(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """One scale for two maps, so that their colours can be compared."""
    return float(min(first.min(), second.min())), float(max(first.max(), second.max()))


def _head_rows(study: Study) -> int:
    return -(-2 * len(study.before) // HEAD_COLUMNS)


def _heads(part: SubFigure, image: Image.Image, study: Study) -> None:
    """Each head before and, beside it, after, with one scale for all."""
    before, after = study.grid(study.before), study.grid(study.after)
    limits = _limits(before, after)
    axes: np.ndarray = part.subplots(_head_rows(study), HEAD_COLUMNS, squeeze=False)
    heads = len(study.before)
    for panel in axes.flat[2 * heads :]:
        panel.axis("off")
    heat = None
    for head in range(heads):
        for k, (picture, grids, word) in enumerate(((image, before, "before"), (study.view, after, "after"))):
            panel = axes.flat[2 * head + k]
            heat = drawing.show_heat(panel, picture, grids[head], study.geometry, ATTENTION_MAP, limits)
            if study.box:
                drawing.outline(panel, study.box, width=0.9)
            drawing.title(panel, f"head {head} {word}", FONT_SIZE - 1)
    assert heat
    drawing.colour_bar(part, heat, axes.flat[: 2 * heads], study.unit)


def block_title(region: str, prompt: str, study: Study, settings: Mapping[str, Any]) -> str:
    """The line above a block."""
    if study.similarity:
        return f"{prompt}: {region}.  Similarity of the read-out's dense features"
    layers = ", ".join(map(str, study.layers))
    kind = "masked layers" if study.bias is not None else "layers"
    words = ", ".join(f"{key} {value}" for key, value in settings.items()) if study.bias is not None else ""
    return f"{prompt}: {region}.  Attention: mean of the {kind} {layers} of {study.geometry.layers}" + (
        f".  {words}" if words else ""
    )
