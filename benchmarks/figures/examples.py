"""Qualitative examples of referring expression comprehension."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from benchmarks.data.shapes import ReferringShapes
from falip import Backbone, Foveal, Plain, Prompt, RedCircle
from falip.picture import drawing
from falip.regions import Box
from falip.scoring import score

PROMPTS: dict[str, Prompt] = {"plain": Plain(), "red circle": RedCircle(), "foveal mask": Foveal()}
TEMPLATE = "a photo of {}"
COLUMNS = 4
# Which outcomes (red circle right, foveal right) are shown, in this order; what is not there is left out.
OUTCOMES = ((False, True), (True, True), (True, False), (False, False))


@dataclass(frozen=True, eq=False)
class Example:
    """One expression and the decision of each prompt."""

    image: Image.Image
    text: str
    boxes: tuple[Box, ...]
    target: int
    decisions: dict[str, int]

    @property
    def outcome(self) -> tuple[bool, bool]:
        """Whether the red circle and the foveal mask are right."""
        return self.decisions["red circle"] == self.target, self.decisions["foveal mask"] == self.target


def draw(backbone: Backbone, first: int, scenes: int) -> Figure:
    """An example in each column, a prompt in each row; examples are chosen by outcome, so they are no statistic."""
    examples = _chosen(_examples(backbone, first, scenes))
    figure = drawing.new_figure(2.6 * len(examples) + 0.3, 2.3 * len(PROMPTS) + 0.9)
    axes = figure.subplots(len(PROMPTS), len(examples), squeeze=False)
    for column, example in enumerate(examples):
        for row, name in enumerate(PROMPTS):
            _panel(axes[row, column], example, name)
        axes[0, column].set_title(
            drawing.literal(f"“{drawing.shortened(example.text, 30)}”"), fontsize=drawing.FONT_SIZE + 1
        )
        for row, name in enumerate(PROMPTS):
            if column == 0:
                axes[row, 0].set_ylabel(name, fontsize=drawing.FONT_SIZE + 1)
    handles = [
        Line2D([], [], color=drawing.GREEN, lw=3, label="the object meant"),
        Line2D([], [], color=drawing.ORANGE, lw=3, ls=(0, (2, 1.2)), label="the decision"),
        Line2D([], [], color="white", lw=1.4, label="other candidates", path_effects=_dark_rim()),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=drawing.FONT_SIZE)
    figure.suptitle(
        f"Referring expressions on the embedded benchmark, chosen by outcome ({backbone.weights.name})",
        fontsize=drawing.FONT_SIZE + 2,
    )
    return figure


def _examples(backbone: Backbone, first: int, scenes: int) -> list[Example]:
    dataset = ReferringShapes(scenes=first + scenes)
    found = []
    for i in range(first, first + scenes):
        sample = dataset.load(i)
        picture = sample.pictures[0]
        texts = [query.text for query in sample.queries]
        choices = {
            name: score(backbone, picture.image, picture.regions, prompt, texts, template=TEMPLATE).argmax(0).tolist()
            for name, prompt in PROMPTS.items()
        }
        for q, query in enumerate(sample.queries):
            target = sample.boxes.index(query.targets[0])
            decisions = {name: chosen[q] for name, chosen in choices.items()}
            found.append(Example(picture.image, query.text, sample.boxes, target, decisions))
    return found


def _chosen(examples: list[Example]) -> list[Example]:
    """One of each outcome as far as they go, each from another scene, then the next ones."""
    chosen: list[Example] = []
    rounds = 0
    while len(chosen) < COLUMNS and rounds < COLUMNS:
        for outcome in OUTCOMES:
            seen = {id(example.image) for example in chosen}
            fresh = [e for e in examples if e.outcome == outcome and id(e.image) not in seen]
            chosen += fresh[:1]
        rounds += 1
    return chosen[:COLUMNS]


def _panel(axes: Axes, example: Example, name: str) -> None:
    drawing.show_picture(axes, example.image)
    decision = example.decisions[name]
    for i, box in enumerate(example.boxes):
        if i not in (example.target, decision):
            drawing.outline(axes, box, width=0.8)
    drawing.outline(axes, example.boxes[example.target], drawing.GREEN, width=2.8)
    drawing.outline(axes, _grown(example.boxes[decision], 5), drawing.ORANGE, style=(0, (2, 1.2)), width=2.4)
    right = decision == example.target
    axes.set_xlabel(
        "✓ right" if right else "✗ wrong", fontsize=drawing.FONT_SIZE, color=drawing.BLUE if right else drawing.VERMILION
    )


def _grown(box: Box, by: float) -> Box:
    """A larger box, so that the frame of a decision stands around that of the answer."""
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _dark_rim() -> list:
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=3, foreground="black"), Normal()]
