"""Encoding regions: against transformers, against the plain truth, and whatever the batch."""

import pytest
import torch
from clip_reference import biased
from hypothesis import given, settings
from hypothesis import strategies as st
from random_clip import GRIDS, picture
from transformers import CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip import Compose, Crop, Ensemble, Foveal, HardMask, PastaStyle, Plain, RedCircle, Region, UserError, Views
from falip.views import merge_views

REGIONS = [
    Region.from_box(5, 5, 40, 40),
    Region.from_box(30, 20, 88, 65),
    Region.from_boxes([(60, 0, 90, 30), (0, 50, 20, 70)]),
    Region.from_box(0, 0, 90, 70),
]


def _difference(a, b) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


@pytest.fixture(scope="module")
def untouched(clip_folder):
    """The same weights in transformers' own hands."""
    return lambda grid: CLIPModel.from_pretrained(clip_folder(grid), attn_implementation="eager").eval()


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("sharing", ["none", "exact", "frozen"])
def test_plain_equals_the_untouched_model(random_clip, clip_folder, untouched, grid, sharing, photo):
    processor = CLIPImageProcessorPil.from_pretrained(clip_folder(grid))
    with torch.inference_mode():
        features = untouched(grid).get_image_features(**processor(photo, return_tensors="pt")).pooler_output
    expected = torch.nn.functional.normalize(features, dim=-1).expand(2, -1)
    found = random_clip(grid, "crop").encode_regions(photo, REGIONS[:2], Plain(), sharing)
    assert _difference(found, expected) < 1e-6


@settings(max_examples=12, deadline=None)
@given(width=st.integers(4, 150), height=st.integers(4, 150), resize=st.sampled_from(["squash", "crop"]))
@pytest.mark.parametrize("sharing", ["none", "exact"])
def test_alpha_0_equals_plain(random_clip, sharing, width, height, resize):
    backbone, image = random_clip("small", resize), picture(width, height)
    regions = [Region.from_box(0, 0, width / 2, height / 3), Region.from_box(width / 4, 1, width, height)]
    plain = backbone.encode_regions(image, regions, Plain(), sharing)
    for form in ("cls_row", "all_rows", "diagonal"):
        prompt = Foveal(alpha=0.0, layers=6, mask_form=form)
        assert _difference(backbone.encode_regions(image, regions, prompt, sharing), plain) < 1e-6


@pytest.mark.parametrize("grid", ["small", "ViT-B/16", "ViT-L/14"])
@pytest.mark.parametrize("form", ["cls_row", "all_rows", "diagonal"])
def test_the_bias_is_what_transformers_adds_as_a_mask(random_clip, untouched, grid, form, photo):
    backbone, prompt = random_clip(grid), Foveal(alpha=4.0, layers=[1, 3, 4], mask_form=form)
    bias = prompt(photo, REGIONS, backbone.geometry).components[0].biases[0]
    pixels = backbone.preprocess([photo]).expand(len(REGIONS), -1, -1, -1)
    expected = biased(untouched(grid), pixels, bias.rows, bias.layers, form)
    plain = backbone.encode_regions(photo, REGIONS, Plain())
    for sharing in ("none", "exact"):
        found = backbone.encode_regions(photo, REGIONS, prompt, sharing)
        assert _difference(found, expected) < 1e-5
        assert _difference(found, plain) > 1e-3


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("layers", [1, 2, 4, "all", [0], [1, 3], [0, 2, 5]], ids=str)
def test_exact_equals_none_where_frozen_does_not(random_clip, grid, layers, photo):
    backbone = random_clip(grid)
    layers = backbone.geometry.layers if layers == "all" else layers
    none, exact, frozen = (
        backbone.encode_regions(photo, REGIONS, Foveal(alpha=5.0, layers=layers), sharing)
        for sharing in ("none", "exact", "frozen")
    )
    assert _difference(exact, none) < 1e-5
    if layers in (1, 2):
        assert _difference(frozen, none) < 1e-5  # no patch sees a changed CLS token before the last layer
    elif layers != 4 or grid in ("small", "ViT-B/32"):  # among many tokens, CLS moves the others too little in 4 layers
        assert _difference(frozen, none) > 1e-4
    assert _difference(none[0], none[1]) > 1e-3


@pytest.mark.parametrize("alpha", [0.2, 5.0])
@pytest.mark.parametrize("layers", [1, 4, 6, [1, 4]], ids=str)
def test_exact_equals_none_on_the_embedded_model(tiny, alpha, layers):
    image, regions = picture(150, 120), [*REGIONS, Region.from_box(100, 60, 150, 120)]
    none, exact, frozen = (
        tiny.encode_regions(image, regions, Foveal(alpha=alpha, layers=layers), sharing)
        for sharing in ("none", "exact", "frozen")
    )
    assert _difference(exact, none) < 1e-6
    if alpha == 5 and layers != 1:
        # How much depends on the weights: their patches may look little at CLS. It must be beyond what exact may do.
        assert _difference(frozen, none) > (1e-5 if layers == 6 else 2e-6)


@pytest.mark.parametrize("prompt", [HardMask(), HardMask(layers=3, keep_cls=True), PastaStyle()], ids=lambda p: p.name)
def test_other_biases_of_the_cls_row_are_shared_too(random_clip, prompt, photo):
    backbone = random_clip()
    none, exact = (backbone.encode_regions(photo, REGIONS, prompt, sharing) for sharing in ("none", "exact"))
    assert _difference(exact, none) < 1e-5


def _many(backbone, prompt) -> list[Views]:
    images = [picture(90, 70, 0), picture(64, 128, 1), picture(100, 80, 2)]
    regions = [REGIONS[:2], [Region.from_box(3, 5, 30, 90)], REGIONS[:3]]
    return [prompt(image, mine, backbone.geometry) for image, mine in zip(images, regions, strict=True)]


MIXED = Ensemble([Foveal(alpha=5.0, layers=3), Crop(), Plain(), Compose([RedCircle(width=5), Foveal(alpha=2.0)])])


@pytest.mark.parametrize("sharing", ["none", "exact", "frozen"])
@pytest.mark.parametrize(
    "prompt",
    [Foveal(alpha=5.0), Foveal(alpha=5.0, mask_form="all_rows"), Crop(), MIXED],
    ids=["foveal", "all_rows", "crop", "mixed"],
)
def test_images_in_one_batch_equal_one_by_one_for_any_batch_size(random_clip, sharing, prompt):
    backbone = random_clip()
    batch = _many(backbone, prompt)
    one_by_one = torch.cat([backbone.encode_views(views, sharing) for views in batch], dim=1)
    assert len(merge_views(batch)) == 6
    for size in (1, 2, 4, 64):
        assert _difference(backbone.encode_views(merge_views(batch), sharing, batch=size), one_by_one) < 1e-5
    prepared = merge_views([backbone.prepare(views) for views in batch])
    assert not prepared.images and _difference(backbone.encode_views(prepared, sharing), one_by_one) < 1e-5


@pytest.mark.parametrize("sharing", ["none", "exact", "frozen"])
def test_the_order_of_regions_and_images_does_not_matter(random_clip, sharing):
    backbone = random_clip()
    batch = _many(backbone, MIXED)
    forth = backbone.encode_views(merge_views(batch), sharing)
    back = backbone.encode_views(merge_views(batch[::-1]), sharing)
    assert _difference(back[:, [4, 5, 3, 0, 1, 2]], forth) < 1e-5
    image = picture(90, 70)
    ordered = backbone.encode_regions(image, REGIONS, Foveal(alpha=5.0), sharing)
    reversed_ = backbone.encode_regions(image, REGIONS[::-1], Foveal(alpha=5.0), sharing)
    assert _difference(reversed_.flip(0), ordered) < 1e-5


def test_views_may_come_in_any_order_of_their_images(random_clip):
    backbone = random_clip()
    views = merge_views(_many(backbone, Foveal(alpha=5.0)))
    (component,) = views.components
    order = [5, 0, 2, 4, 1, 3]
    shuffled = component.some(order)
    found = backbone.encode_views(Views(views.images, (shuffled,)), batch=2)
    assert _difference(found, backbone.encode_views(views)[:, order]) < 1e-5


@pytest.mark.parametrize("sharing", ["exact", "frozen"])
def test_plain_gives_all_regions_the_same_embedding_to_the_bit(random_clip, tiny, sharing):
    for backbone in (random_clip(), tiny):
        embedded = backbone.encode_regions(picture(90, 70), REGIONS * 20, Plain(), sharing)
        assert (embedded == embedded[0]).all()


@pytest.mark.parametrize("sharing", ["none", "exact", "frozen"])
def test_a_region_outside_of_the_centre_crop_is_encoded_as_plain(random_clip, sharing):
    backbone, image = random_clip("small", "crop"), picture(200, 64)
    regions = [Region.from_box(0, 0, 50, 60), Region.from_box(90, 10, 120, 50)]
    plain = backbone.encode_regions(image, regions, Plain(), sharing)
    for prompt in (Foveal(alpha=5.0), HardMask(), PastaStyle()):
        found = backbone.encode_regions(image, regions, prompt, sharing)
        assert _difference(found[0], plain[0]) < 1e-6 and _difference(found[1], plain[1]) > 1e-3


def test_a_typo_in_sharing_lists_what_there_is(random_clip, photo):
    with pytest.raises(UserError, match=r"'exactly'.*exact, frozen, none"):
        random_clip().encode_regions(photo, REGIONS, Plain(), "exactly")
