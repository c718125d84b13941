"""The pages of one picture: scores that are honest about noise, every view of a prompt, and pages of a size to look at."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from open_clip_reference import write_open_clip
from PIL import Image
from siglip_reference import write_siglip

import falip
from falip.picture.content import content_of, scores_of
from falip.picture.page import MASK_CAPTION, MOST_HEIGHT, figures, write
from falip.picture.parts import parts_of
from falip.picture.study import studies
from falip.picture.summary import LEAST_SPAN, relative, span
from falip.picture.table import Scored

REGIONS = {"one": falip.Region.from_box(10, 20, 60, 65), "two": falip.Region.from_box(0, 0, 30, 30)}


def content(backbone, photo, prompts, texts=("the dog", "the cat"), regions=REGIONS, heads=None):
    scored = scores_of(backbone, "small", photo, regions, prompts, list(texts), "photo.png")
    return content_of(backbone, photo, list(regions.values()), prompts, scored, "photo.png", heads)


def words(figure) -> str:
    """All that is written on a figure."""
    parts = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        parts += [axes.get_title(loc="left"), axes.get_xlabel(), *(text.get_text() for text in axes.texts)]
    return "\n".join(parts)


def test_the_axis_of_scores_makes_noise_look_like_noise():
    low, high = span(np.array([1.00, 1.05]))
    assert high - low == pytest.approx(LEAST_SPAN) and low < 1.0 < 1.05 < high
    low, high = span(np.array([-10.0, 10.0]))
    assert low < -10 and high > 10


def test_a_sum_of_views_is_compared_on_the_same_axis():
    scored = Scored("p", "b", ["r"], ["a", "b"], {"plain": [[20.0, 22.0]], "three": [[60.0, 66.0]]})
    found = relative(scored)
    np.testing.assert_allclose(found["plain"], [[-1, 1]])
    np.testing.assert_allclose(found["three"], [[-3, 3]])


def test_score_panels_share_one_axis(random_clip, photo):
    figure = figures(content(random_clip(), photo, {"falip": falip.Foveal(), "crop": falip.Crop()}))[0]
    limits = {axes.get_xlim() for axes in figure.axes if axes.get_title(loc="left") in ("1: one", "2: two")}
    assert len(limits) == 1
    low, high = limits.pop()
    assert high - low >= LEAST_SPAN - 1e-9


def test_a_tie_has_no_winner():
    rows = {"plain": [[1.0, 1.00005, 0.5]], "crop": [[1.0, 1.1, 0.5]]}
    text = Scored("p", "b", ["r"], ["first", "second", "third"], rows).text()
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert lines["first"].count("=") == 1 and "*" not in lines["first"]
    assert lines["second"].count("=") == 1 and lines["second"].count("*") == 1
    assert "=" not in lines["third"] and "*" not in lines["third"]
    assert "tie" in text.splitlines()[-1]


def test_without_a_tie_nothing_is_said_of_one():
    assert "=" not in Scored("p", "b", ["r"], ["x", "y"], {"plain": [[1.0, 2.0]]}).text()


def test_many_prompts_make_pages_below_two_thousand_pixels(random_clip, photo, tmp_path):
    prompts = {f"circle{i}": falip.RedCircle() for i in range(5)}
    paths = write(content(random_clip(), photo, prompts), tmp_path / "out.png")
    assert [path.name for path in paths] == ["out.png", "out-2.png", "out-3.png"]
    for path in paths:
        with Image.open(path) as drawn:
            assert drawn.width == 1700 and drawn.height < 2000
    assert MOST_HEIGHT < 20


def test_each_view_of_a_prompt_is_drawn_and_its_factor_said(random_clip, photo):
    prompt = falip.Ensemble([falip.Crop(), falip.Foveal(), falip.Plain()], weights=[1, 2, -1])
    made = content(random_clip(), photo, {"mine": prompt}, regions={"one": REGIONS["one"]})
    assert [block.title.split(" · ")[0] for block in made.blocks] == [
        "mine, part 1 of 3 (crop)", "mine, part 2 of 3 (foveal), counted 2 times",
        "mine, part 3 of 3 (plain), counted −1 times",
    ]  # fmt: skip
    cut, masked, plain = (block.study for block in made.blocks)
    assert cut.view.size == (50, 45) and cut.bias is None
    assert masked.bias is not None and plain.bias is None


@pytest.mark.parametrize("prompt", [falip.Crop(), falip.Foveal(), falip.RedCircle(), falip.MaskPool("sclip")])
def test_a_part_is_the_prompt_itself(random_clip, photo, prompt):
    backbone, regions = random_clip(), list(REGIONS.values())
    whole = falip.Ensemble([falip.Blur(), prompt])
    part = parts_of(whole, photo, regions, backbone.geometry)[1]
    found, expected = (backbone.encode_regions(photo, regions, one) for one in (part, prompt))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_read_out_that_scores_by_itself_has_no_map(random_clip, photo):
    study = studies(random_clip(), photo, [REGIONS["one"]], falip.GradCAM())[0]
    assert "gradcam" in study.note
    np.testing.assert_array_equal(study.before, study.after)


def test_heads_are_drawn_for_a_single_block_or_when_asked(random_clip, photo):
    one, single = {"one": REGIONS["one"]}, {"falip": falip.Foveal()}
    both = single | {"crop": falip.Crop()}
    for prompts, regions, heads, expected in (
        (single, one, None, True), (both, one, None, False), (single, REGIONS, None, False),
        (both, one, True, True), (single, one, False, False),
    ):  # fmt: skip
        page = words(figures(content(random_clip(), photo, prompts, regions=regions, heads=heads))[0])
        assert ("head 3 after" in page) == expected


def test_panels_of_a_block_are_equal(random_clip, photo):
    figure = figures(content(random_clip(), photo, {"falip": falip.Foveal(), "circle": falip.RedCircle()}))[0]
    figure.draw_without_rendering()
    names = ("The picture", "What the model sees", "Foveal mask, in whole tokens", "Attention before", "Attention after")
    sizes = {axes.get_position().size.round(4).tobytes() for axes in figure.axes if axes.get_title(loc="left") in names}
    assert len(sizes) == 1


def test_a_mask_is_explained_where_there_is_one(random_clip, photo):
    drawn = [words(figures(content(random_clip(), photo, {"p": p}))[0]) for p in (falip.Foveal(), falip.RedCircle())]
    assert [MASK_CAPTION in text for text in drawn] == [True, False]


@pytest.mark.parametrize(("kind", "whose"), [("siglip", "the probe"), ("resnet", "the mean token")])
def test_the_attention_of_other_towers_is_called_by_its_name(kind, whose, tmp_path, photo):
    if kind == "siglip":
        write_siglip(tmp_path, kind)
    else:
        write_open_clip(tmp_path, kind)
    page = words(figures(content(falip.load_backbone(str(tmp_path)), photo, {"falip": falip.Foveal()}))[0])
    assert f"% of the attention of {whose}" in page and "CLS" not in page


def test_nothing_of_a_page_lies_over_something_else(random_clip, photo):
    figure = figures(content(random_clip(), photo, {"falip": falip.Foveal(), "crop": falip.Crop()}))[0]
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes if axes.axison]
    boxes += [text.get_window_extent(renderer) for text in figure.texts]
    overlaps = [
        (a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :]
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]  # fmt: skip
    assert not overlaps
    assert all(
        box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0 and box.y1 <= figure.bbox.height for box in boxes
    )
