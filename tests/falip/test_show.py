"""`falip.show`, and what regions, views and figures show in a notebook."""

import base64
import re
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import falip

BOX = (10, 20, 60, 65)


def said(figure) -> str:
    return "\n".join([*(t.get_text() for t in figure.texts), *(axes.get_title(loc="left") for axes in figure.axes)])


def test_a_region_under_a_prompt_is_a_figure(random_clip, photo):
    figure = falip.show(photo, BOX, "foveal", random_clip())
    assert isinstance(figure, Figure)
    assert "foveal · region 1: box 10,20,60,65" in said(figure) and "Attention after" in said(figure)
    assert "The picture and its region" not in said(figure)


def test_texts_bring_their_scores(random_clip, photo, tmp_path):
    photo.save(tmp_path / "kitchen.png")
    mask = np.zeros((70, 90), bool)
    mask[20:50, 10:40] = True
    figure = falip.show(
        tmp_path / "kitchen.png", {"cup": mask, "plate": BOX}, falip.Crop(), random_clip(), ["the dog", "the cat"]
    )
    assert "kitchen.png seen by" in said(figure)
    assert {"1: cup", "2: plate"} <= {axes.get_title(loc="left") for axes in figure.axes}


def test_prompts_may_have_names_of_ones_own_and_equal_boxes_are_two_regions(random_clip, photo):
    figure = falip.show(photo, [BOX, BOX], {"strong": falip.Foveal(alpha=2.0)}, random_clip())
    assert said(figure).count("strong · region") == 2 and "alpha 2.0" in said(figure)


def test_a_depth_map_is_shown_too(random_clip):
    depth = Image.fromarray(np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64))
    assert isinstance(falip.show(depth, (5, 5, 30, 30), falip.Foveal(), random_clip()), Figure)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.png", BOX), "none.png"),
        (("photo", "10,20"), "four numbers"),
        (("photo", []), "at least one"),
        (("photo", (100, 100, 120, 120)), "no area"),
        (("photo", BOX, "fovel"), "Did you mean foveal"),
        (("photo", BOX, 3), "is no prompt"),
        (("photo", BOX, "foveal", "clip", "the dog"), "['the dog']"),
        (("photo", BOX, "foveal", 3), "backbone=int"),
        (("photo", {"two": [BOX, BOX]}, "foveal", "clip"), "'two' names 2 regions"),
    ],
)
def test_what_is_wrong_is_said_with_the_mend(random_clip, photo, arguments, words):
    image, regions, *rest = [
        {"photo": photo, "clip": random_clip()}.get(a, a) if isinstance(a, str) else a for a in arguments
    ]
    given = [*rest, *(["foveal", random_clip()][len(rest) :])] if len(rest) < 2 else rest
    with pytest.raises(falip.UserError) as error:
        falip.show(image, regions, *given)
    assert words in str(error.value)


def test_a_notebook_shows_the_figure(random_clip, photo):
    figure = falip.show(photo, BOX, "crop", random_clip())
    with Image.open(BytesIO(figure._repr_png_())) as drawn:
        assert drawn.width == 1700


def pictures(html: str) -> list[Image.Image]:
    found = re.findall(r"data:image/png;base64,([^\"]+)", html)
    return [Image.open(BytesIO(base64.b64decode(data))) for data in found]


def test_a_notebook_shows_regions():
    mask = np.zeros((40, 80), bool)
    mask[:, 40:] = True
    shown = falip.Region.from_mask(mask)._repr_html_()
    (drawn,) = pictures(shown)
    assert drawn.size == (80, 40)
    np.testing.assert_array_equal(np.asarray(drawn)[..., 0] > 0, mask)
    assert "1600 pixels in 80 × 40" in shown
    assert "(1, 2, 3.5, 4); (0, 0, 1, 1)" in falip.Region.from_boxes([(1, 2, 3.5, 4), (0, 0, 1, 1)])._repr_html_()


def test_a_notebook_shows_views(random_clip, photo):
    prompt = falip.Ensemble(
        [falip.Crop(), falip.Compose([falip.RedCircle(name="<ring>"), falip.Foveal()]), falip.MaskPool("sclip")]
    )
    shown = prompt(photo, [falip.Region.from_box(*BOX)], random_clip().geometry)._repr_html_()
    assert [drawn.size for drawn in pictures(shown)] == [(50, 45), (90, 70), (90, 70)]
    assert "cls_row bias in layers [2, 3, 4, 5]" in shown and "read by sclip" in shown and "combined by sum" in shown
    assert "<ring>" not in shown and "&lt;ring&gt;+foveal" in shown


def test_nothing_heavy_is_loaded_for_it():
    code = (
        "import sys, falip.regions, falip.views; sys.exit(any(m in sys.modules for m in ('torch', 'matplotlib', 'base64')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
