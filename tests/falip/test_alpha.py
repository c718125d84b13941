"""Alpha-CLIP: against transformers with a second convolution beside the first, and together with everything else."""

import numpy as np
import pytest
import torch
from alpha_weights import visual_state, write_alpha_weights
from clip_reference import biased
from PIL import Image
from random_clip import picture
from torch.nn.functional import conv2d, interpolate
from transformers import CLIPModel

from falip import (
    Alpha,
    Blur,
    Component,
    Compose,
    Crop,
    Ensemble,
    Foveal,
    Plain,
    Region,
    Unleash,
    UserError,
    Views,
    load_backbone,
    score,
)
from falip.views import merge_views

BOXES = [(4.6, 5.2, 40.4, 40.0), (30.0, 20.0, 88.0, 65.0), (10.2, 10.1, 10.4, 10.3)]
PIXELS = [(5, 5, 40, 40), (30, 20, 88, 65), (10, 10, 11, 11)]
WHOLE = (1 - 0.5) / 0.26


@pytest.fixture(scope="module")
def reference(clip_folder, tmp_path_factory):
    """The file, the tuned base in transformers' hands, and the weights of the alpha channel."""
    path = tmp_path_factory.mktemp("alpha") / "visual.pth"
    return path, *write_alpha_weights(clip_folder("small"), path)


@pytest.fixture(scope="module")
def alpha_clip(clip_folder, reference):
    made = {
        resize: load_backbone(str(clip_folder("small")), resize=resize, alpha_weights=str(reference[0]))
        for resize in ("squash", "crop")
    }
    return lambda resize="squash": made[resize]


def masks(width: int = 90, height: int = 70) -> list[np.ndarray]:
    made = []
    for x0, y0, x1, y1 in PIXELS:
        mask = np.zeros((height, width), bool)
        mask[y0:y1, x0:x1] = True
        made.append(mask)
    return made


def squashed(maps) -> torch.Tensor:
    """Maps as Alpha-CLIP's transform makes them for a tower of 64 pixels, (maps, 1, 64, 64)."""
    tensors = [torch.from_numpy(m.astype(np.float32))[None, None] for m in maps]
    return torch.cat([(interpolate(t, (64, 64), mode="bilinear", antialias=True) - 0.5) / 0.26 for t in tensors])


def expected(reference, pixels, channel, rows=None, layers=()) -> torch.Tensor:
    """transformers' tower whose patch embedding gives conv1(x) + conv1_alpha(a)."""
    _, model, weight = reference
    embedding = model.vision_model.embeddings.patch_embedding
    hook = embedding.register_forward_hook(lambda _m, _i, out: out + conv2d(channel, weight, stride=embedding.stride))
    try:
        return biased(model, pixels, torch.zeros(len(pixels), 17) if rows is None else rows, layers)
    finally:
        hook.remove()


def apart(a, b) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


@pytest.mark.parametrize("sharing", ["none", "exact"])
@pytest.mark.parametrize("given", ["boxes", "masks"])
def test_the_patch_embedding_is_the_sum_of_two_convolutions(alpha_clip, reference, photo, sharing, given):
    backbone = alpha_clip()
    regions = [Region.from_box(*box) for box in BOXES] if given == "boxes" else [Region.from_mask(m) for m in masks()]
    found = backbone.encode_regions(photo, regions, Alpha(), sharing)
    pixels = backbone.preprocess([photo]).expand(3, -1, -1, -1)
    assert apart(found, expected(reference, pixels, squashed(masks()))) < 1e-5
    plain = backbone.encode_regions(photo, regions, Plain(), sharing)
    assert apart(plain, expected(reference, pixels, torch.full((3, 1, 64, 64), WHOLE))) < 1e-5
    assert (found - plain).abs().amax(1).min() > 1e-2 and apart(found[:1], found[1:2]) > 1e-2


def test_the_map_goes_through_the_crop_of_its_picture(alpha_clip, reference):
    backbone, image = alpha_clip("crop"), picture(128, 64)  # the window is columns 32 to 95, at the size of the picture
    mask = np.random.default_rng(0).random((64, 128)) > 0.5
    found = backbone.encode_regions(image, [Region.from_mask(mask)], Alpha())
    channel = (torch.from_numpy(mask[None, None, :, 32:96].astype(np.float32)) - 0.5) / 0.26
    assert apart(found, expected(reference, backbone.preprocess([image]), channel)) < 1e-5


def test_a_region_outside_of_the_crop_leaves_everything_as_it_is(alpha_clip):
    backbone, image, outside = alpha_clip("crop"), picture(200, 64), [Region.from_box(0, 0, 40, 64)]
    assert torch.equal(*(backbone.encode_regions(image, outside, prompt) for prompt in (Alpha(), Plain())))


@pytest.mark.parametrize("sharing", ["none", "exact"])
def test_map_and_foveal_mask_in_one_view(alpha_clip, reference, photo, sharing):
    backbone, foveal = alpha_clip(), Foveal(alpha=4.0, layers=[1, 3, 4])
    regions = [Region.from_box(*box) for box in BOXES]
    bias = foveal(photo, regions, backbone.geometry).components[0].biases[0]
    pixels = backbone.preprocess([photo]).expand(3, -1, -1, -1)
    found = backbone.encode_regions(photo, regions, Compose([Alpha(), foveal]), sharing)
    assert apart(found, expected(reference, pixels, squashed(masks()), bias.rows, bias.layers)) < 1e-5


def test_map_and_edits_of_the_picture_in_one_view(alpha_clip, reference, photo):
    backbone, regions = alpha_clip(), [Region.from_box(*box) for box in BOXES]
    blurred = backbone.preprocess(Blur()(photo, regions, backbone.geometry).images)
    found = backbone.encode_regions(photo, regions, Compose([Blur(), Alpha()]))
    assert apart(found, expected(reference, blurred, squashed(masks()))) < 1e-5
    cut = backbone.preprocess(Crop()(photo, regions, backbone.geometry).images)
    moved = [m[y0:y1, x0:x1] for m, (x0, y0, x1, y1) in zip(masks(), PIXELS, strict=True)]
    found = backbone.encode_regions(photo, regions, Compose([Crop(), Alpha()]))
    assert apart(found, expected(reference, cut, squashed(moved))) < 1e-5


def test_the_protocol_for_expressions_sums_the_picture_and_the_blurred_one(alpha_clip, photo):
    backbone, regions = alpha_clip(), [Region.from_box(*box) for box in BOXES]
    parts, texts = [Alpha(), Compose([Blur(), Alpha()])], ["a red dog", "the cat"]
    summed = score(backbone, photo, regions, Ensemble(parts), texts)
    alone = [backbone.encode_regions(photo, regions, part) @ backbone.encode_text(texts).T for part in parts]
    torch.testing.assert_close(summed, backbone.logit_scale * (alone[0] + alone[1]), atol=1e-4, rtol=0)


def test_unleash_refers_to_the_picture_under_no_map(alpha_clip, photo):
    backbone, regions = alpha_clip(), [Region.from_box(*box) for box in BOXES]
    whole = Region.from_mask(np.ones((70, 90), bool))
    # A map of ones changes nothing, so there is nothing to set free; any other map does.
    same = backbone.encode_regions(photo, [whole], Unleash(Alpha()))
    assert apart(same, backbone.encode_regions(photo, [whole], Plain())) < 1e-5
    found = backbone.encode_regions(photo, regions, Unleash(Alpha()))
    assert apart(found, backbone.encode_regions(photo, regions, Alpha())) > 1e-3


def test_without_a_map_weights_of_zero_give_the_base(clip_folder, random_clip, tmp_path, photo):
    write_alpha_weights(clip_folder("small"), tmp_path / "zero.pth", strength=0.0, tuning=0.0)
    backbone = load_backbone(str(clip_folder("small")), alpha_weights=str(tmp_path / "zero.pth"))
    regions = [Region.from_box(*box) for box in BOXES]
    for prompt in (Plain(), Foveal(alpha=5.0), Blur()):
        theirs = random_clip().encode_regions(photo, regions, prompt)
        assert apart(backbone.encode_regions(photo, regions, prompt), theirs) < 1e-6
    assert (
        apart(backbone.encode_regions(photo, regions, Alpha()), random_clip().encode_regions(photo, regions, Plain()))
        < 1e-6
    )
    assert apart(backbone.encode_text(["a red dog"]), random_clip().encode_text(["a red dog"])) < 1e-6


@pytest.mark.parametrize("sharing", ["none", "exact"])
def test_batches_of_pictures_with_and_without_maps(alpha_clip, sharing):
    backbone = alpha_clip()
    images = [picture(90, 70), picture(64, 120, seed=1), picture(90, 70)]
    regions = [[Region.from_box(*box) for box in BOXES[:2]], [Region.from_box(1, 2, 30, 90)], [Region.from_box(*BOXES[0])]]
    prompt = Compose([Alpha(), Foveal(alpha=5.0)])
    made = [prompt(image, own, backbone.geometry) for image, own in zip(images, regions, strict=True)]
    alone = torch.cat([backbone.encode_views(views, sharing) for views in made], dim=1)
    late = backbone.encode_views(merge_views([backbone.prepare(views) for views in made]), sharing, batch=2)
    early = backbone.encode_views(merge_views(made), sharing)
    assert apart(late, alone) < 1e-5 and apart(early, alone) < 1e-5
    assert torch.equal(late[:, 0], late[:, 3])


def test_unprepared_views_with_and_without_maps_merge(alpha_clip, photo):
    backbone, region = alpha_clip(), [Region.from_box(*BOXES[0])]
    mixed = merge_views([Plain(name="alpha")(photo, region, backbone.geometry), Alpha()(photo, region, backbone.geometry)])
    found = backbone.encode_views(mixed)[0]
    each = [backbone.encode_regions(photo, region, prompt) for prompt in (Plain(), Alpha())]
    assert apart(found, torch.cat(each)) < 1e-5


def test_equal_maps_tie_and_others_do_not(alpha_clip, photo):
    backbone = alpha_clip()
    boxes = [BOXES[0], BOXES[1], (5.4, 4.6, 39.6, 40.3), (0, 0, 90, 70)]  # the third has the pixels of the first
    views = backbone.prepare(Ensemble([Alpha(), Plain()])(photo, [Region.from_box(*b) for b in boxes], backbone.geometry))
    assert views.pixels is not None and views.keys is not None
    (first, second, third, whole), plain = views.keys
    assert views.pixels.shape == (3, 4, 64, 64) and first == third != second and set(plain) == {whole}
    found = backbone.encode_views(views)
    assert torch.equal(found[0, 0], found[0, 2]) and torch.equal(found[0, 3], found[1, 0])


def test_attention_sees_the_map(alpha_clip, photo):
    backbone, regions = alpha_clip(), [Region.from_box(*box) for box in BOXES]
    found, plain = (backbone.attention(photo, regions, prompt) for prompt in (Alpha(), Plain()))
    assert found.shape == plain.shape == (3, 6, 4, 17) and apart(found, plain) > 1e-3
    torch.testing.assert_close(found.sum(-1), torch.ones(3, 6, 4))
    responses = backbone.head_outputs(photo, regions, Alpha())
    assert apart(responses, backbone.head_outputs(photo, regions, Plain())) > 1e-3


def test_a_map_of_ones_is_no_map_for_depth_maps_too(alpha_clip):
    depth = Image.fromarray(np.random.default_rng(0).random((60, 60), dtype=np.float32))
    whole = Region.from_box(0, 0, 60, 60)
    found = [alpha_clip().encode_regions(depth, [whole], prompt) for prompt in (Plain(), Alpha())]
    assert torch.equal(*found)


@pytest.mark.parametrize("prompt", [Alpha(), Compose([Blur(), Alpha()]), Ensemble([Plain(), Alpha()])], ids=str)
def test_a_backbone_without_the_channel_refuses(random_clip, photo, prompt):
    region = [Region.from_box(*BOXES[0])]
    with pytest.raises(UserError, match=r"alpha needs an alpha channel.*alpha_weights=FILE"):
        score(random_clip(), photo, region, prompt, ["a dog"])
    with pytest.raises(UserError, match="needs an alpha channel"):
        random_clip().encode_views(prompt(photo, region, random_clip().geometry))


def test_two_maps_for_one_view_are_refused():
    with pytest.raises(UserError, match="Alpha, Alpha"):
        Compose([Alpha(), Foveal(), Alpha()])


def test_a_map_of_another_picture_is_refused(alpha_clip, photo):
    wrong = Views((photo,), (Component("own", (0,), alpha=(np.ones((90, 70), bool),)),))
    with pytest.raises(UserError, match=r"\(70, 90\).*\(90, 70\)"):
        alpha_clip().encode_views(wrong)


def test_the_identity_holds_the_file_and_only_where_there_is_one(alpha_clip, random_clip, reference, tmp_path, clip_folder):
    import hashlib

    digest = hashlib.sha256(reference[0].read_bytes()).hexdigest()
    assert alpha_clip().identity == random_clip().identity | {"alpha_weights": digest}
    assert "alpha_weights" not in random_clip().identity


def _damaged(change, clip_folder, path):
    state = visual_state(CLIPModel.from_pretrained(clip_folder("small"), dtype=torch.float32))
    state["conv1_alpha.weight"] = torch.zeros(64, 1, 16, 16)
    torch.save(change(state), path)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda s: {k: v for k, v in s.items() if k != "conv1_alpha.weight"}, r"lacks 1 .*conv1_alpha\.weight"),
        (lambda s: {f"visual.{k}": v for k, v in s.items()}, r"lacks \d+ .*class_embedding"),
        (lambda s: s | {"lora.weight": torch.zeros(1)}, r"no place for: lora\.weight"),
        (lambda s: s | {"proj": torch.zeros(32, 64)}, r"proj of shape \(32, 64\).*\(64, 32\)"),
        (lambda s: {"model": s}, "not a dictionary of tensors"),
        (lambda s: s | {"proj": Region}, "pickled objects"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(clip_folder, tmp_path, change, said):
    path = tmp_path / "visual.pth"
    _damaged(change, clip_folder, path)
    with pytest.raises(UserError, match=said) as error:
        load_backbone(str(clip_folder("small")), alpha_weights=str(path))
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut short"])
def test_a_file_that_is_something_else_is_refused_by_name(clip_folder, tmp_path, content):
    path = tmp_path / "visual.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"could not be read|pickled") as error:
        load_backbone(str(clip_folder("small")), alpha_weights=str(path))
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["nowhere/visual.pth", "."])
def test_a_file_that_is_not_there_says_where_it_comes_from(clip_folder, name):
    with pytest.raises(UserError, match=r"alpha_weights=.*(nowhere|\.).*SunzeY/AlphaCLIP"):
        load_backbone(str(clip_folder("small")), alpha_weights=name)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_lower_precision_takes_the_channel_along(clip_folder, reference, alpha_clip, photo, dtype):
    backbone = load_backbone(str(clip_folder("small")), dtype=dtype, alpha_weights=str(reference[0]))
    region = [Region.from_box(*BOXES[0])]
    cosine = (backbone.encode_regions(photo, region, Alpha()) * alpha_clip().encode_regions(photo, region, Alpha())).sum()
    assert cosine > 0.98
