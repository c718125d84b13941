"""SigLIP and SigLIP 2 against the untouched transformers model and torch's own attention, and what is refused."""

import json
import shutil
import string
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from siglip_reference import CONTEXT, SPECIAL, words_of, write_siglip
from torch.nn.functional import normalize
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from falip import (
    Compose,
    Crop,
    Ensemble,
    FeatureMask,
    Foveal,
    HardMask,
    PastaStyle,
    Plain,
    RedCircle,
    Region,
    Unleash,
    UserError,
    load_backbone,
    score,
)
from falip.backbone.siglip_text import canonical
from falip.geometry import Geometry
from falip.views import Bias, Component, Views
from falip.weights import find_weights

REGIONS = [Region.from_box(5, 5, 40, 40), Region.from_box(30, 20, 88, 65), Region.from_box(60, 0, 90, 30)]
TEXTS = ["A photo, of the Dog!", "x", "the red cat is left of the blue dog in the photo of the cat"]
KINDS = ("siglip", "siglip2")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a model, transformers' own, and the backbone."""

    @cache
    def made(kind="siglip", **options):
        folder = tmp_path_factory.mktemp(kind)
        return folder, write_siglip(folder, kind, **options), load_backbone(str(folder))

    return made


@pytest.fixture
def copy(written, tmp_path) -> Path:
    """A folder of its own to change."""
    return Path(shutil.copytree(written()[0], tmp_path / "copy"))


def apart(a, b) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


def pixels_of(folder, image) -> torch.Tensor:
    return SiglipImageProcessorPil.from_pretrained(folder)(image, return_tensors="pt")["pixel_values"]


def token_ids(kind, words) -> torch.Tensor:
    """One sequence, cut before its end token and filled up, by hand."""
    eos, pad = SPECIAL[kind]["eos_token"], SPECIAL[kind]["pad_token"]
    row = [*words[: CONTEXT - 1], eos]
    vocabulary = words_of(kind)
    ids = [vocabulary.index(word if word in vocabulary else "<unk>") for word in [*row, *[pad] * (CONTEXT - len(row))]]
    return torch.tensor([ids])


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_plain_pictures_are_those_of_the_untouched_model(written, kind, photo):
    folder, model, backbone = written(kind)
    expected = normalize(model.get_image_features(pixel_values=pixels_of(folder, photo)).pooler_output, dim=-1)
    for sharing in ("none", "exact", "frozen"):
        assert apart(backbone.encode_regions(photo, REGIONS, Plain(), sharing), expected.expand(3, -1)) < 1e-6


@pytest.mark.parametrize("kind, given", [("siglip", "a photo of the dog"), ("siglip2", "A photo , of the Dog !")])
@torch.no_grad()
def test_texts_are_filled_up_and_cut_as_the_model_was_trained(written, kind, given):
    _, model, backbone = written(kind)
    expected = model.get_text_features(input_ids=token_ids(kind, given.split())).pooler_output
    assert apart(backbone.encode_text([TEXTS[0]]), normalize(expected, dim=-1)) < 1e-6
    long = model.get_text_features(input_ids=token_ids(kind, TEXTS[2].split())).pooler_output
    assert apart(backbone.encode_text(TEXTS)[2:], normalize(long, dim=-1)) < 1e-6
    assert backbone.truncated == {TEXTS[2]} and backbone.encode_text([]).shape == (0, 32)


def masked(model, pixels, rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit-length embeddings and probe weights by torch.nn.MultiheadAttention with `rows` (views, heads, patches)."""
    head = model.vision_model.head
    tokens = model.vision_model(pixel_values=pixels).last_hidden_state.expand(len(rows), -1, -1)
    mask = rows.flatten(0, 1)[:, None]
    probe = head.probe.expand(len(rows), -1, -1)
    attended, weights = head.attention(probe, tokens, tokens, attn_mask=mask, average_attn_weights=False)
    return normalize((attended + head.mlp(head.layernorm(attended)))[:, 0], dim=-1), weights[:, :, 0]


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_mask_is_added_to_the_logits_of_the_probe(written, kind, photo):
    folder, model, backbone = written(kind)
    prompt = Foveal(alpha=4.0)
    rows = prompt(photo, REGIONS, backbone.geometry).components[0].biases[0].rows
    expected, weights = masked(model, pixels_of(folder, photo), rows[:, None, 1:].expand(-1, 4, -1))
    plain = backbone.encode_regions(photo, REGIONS, Plain())
    for sharing in ("none", "exact", "frozen"):
        assert apart(backbone.encode_regions(photo, REGIONS, prompt, sharing), expected) < 1e-6
    assert apart(plain, expected) > 1e-3 and apart(backbone.encode_regions(photo, REGIONS, Plain(), "none"), plain) < 1e-6
    attention = backbone.attention(photo, REGIONS, prompt)
    assert apart(attention[:, 0, :, 1:], weights) < 1e-6 and not attention[..., 0].any()
    added = backbone.head_outputs(photo, REGIONS, prompt)[:, 0].sum(1) + model.vision_model.head.attention.out_proj.bias
    head = model.vision_model.head
    assert apart(normalize(added + head.mlp(head.layernorm(added)), dim=-1), expected) < 1e-6


@torch.no_grad()
def test_biases_for_each_head_add_up(written, photo):
    folder, model, backbone = written()
    torch.manual_seed(1)
    single, by_head = torch.randn(3, 17), torch.randn(3, 4, 17)
    component = Component("both", (0, 0, 0), (Bias(single, (0,)), Bias(by_head, (0,))))
    expected = masked(model, pixels_of(folder, photo), (single[:, None] + by_head)[..., 1:])[0]
    for sharing in ("none", "exact"):
        assert apart(backbone.encode_views(Views((photo,), (component,)), sharing)[0], expected) < 1e-6


@pytest.mark.parametrize("sharing, pictures", [("exact", 1), ("none", 6)])
def test_all_regions_and_views_of_a_picture_cost_one_encoding(written, monkeypatch, photo, sharing, pictures):
    backbone, counts = written()[2], []
    embeddings = backbone.model.vision_model.embeddings
    monkeypatch.setitem(embeddings._forward_pre_hooks, 0, lambda _, inputs: counts.append(len(inputs[0])))
    views = Ensemble([Foveal(), Foveal(alpha=2.0)])(photo, REGIONS, backbone.geometry)
    backbone.encode_views(views, sharing)
    assert sum(counts) == pictures


@pytest.mark.parametrize("prompt", [HardMask(), PastaStyle(), Compose([RedCircle(), Foveal(layers=1)]), Crop()])
def test_other_prompts_give_the_same_by_all_ways_of_sharing(written, prompt, photo):
    backbone = written()[2]
    none, exact = (backbone.encode_regions(photo, REGIONS, prompt, sharing) for sharing in ("none", "exact"))
    assert apart(none, exact) < 1e-6 and none.isfinite().all()
    assert apart(none, backbone.encode_regions(photo, REGIONS, Plain())) > 1e-3


@pytest.mark.parametrize("prompt", [Foveal(mask_form="all_rows"), Unleash(Foveal()), FeatureMask()])
def test_what_it_cannot_do_is_said(written, prompt, photo):
    with pytest.raises(UserError, match="which this vision tower does not have"):
        written()[2].encode_regions(photo, REGIONS, prompt)


def test_a_list_of_layers_below_the_probe_is_an_error(written, photo):
    with pytest.raises(UserError, match=r"layers=\[8\].*layers 0 to 0"):
        written()[2].encode_regions(photo, REGIONS, Foveal(layers=[8]))


@torch.no_grad()
def test_scores_are_those_of_the_model_its_bias_included(written, photo):
    folder, model, backbone = written("siglip2")
    ids = token_ids("siglip2", ["a", "dog"])
    expected = model(input_ids=ids, pixel_values=pixels_of(folder, photo)).logits_per_image[0, 0].item()
    found = score(backbone, photo, REGIONS, Plain(), ["a dog"])
    assert found[:, 0].tolist() == pytest.approx([expected] * 3, abs=1e-5)
    assert (backbone.logit_scale, backbone.logit_bias) == (pytest.approx(np.exp(2.0)), -7.0)
    others = ["x", "red"]
    less = score(backbone, photo, REGIONS, Foveal(), ["a dog"], subtract=others)
    apart_from = score(backbone, photo, REGIONS, Foveal(), ["a dog", *others])
    assert apart(less, apart_from[:, :1] - apart_from[:, 1:].mean(1, keepdim=True)) < 1e-5


def test_two_views_have_the_bias_twice(written, photo):
    backbone = written()[2]
    both = score(backbone, photo, REGIONS, Ensemble([Plain(), Crop()]), ["a dog"])
    each = [score(backbone, photo, REGIONS, prompt, ["a dog"]) for prompt in (Plain(), Crop())]
    assert apart(both, each[0] + each[1]) < 1e-5


@given(st.text(st.sampled_from(string.printable + "Éß"), max_size=30))
def test_canonical_text_has_no_punctuation_and_is_itself_canonical(text):
    made = canonical(text)
    assert not set(made) & set(string.punctuation) and made == canonical(made) == " ".join(made.split())
    assert canonical(text, lower=False).lower().split() == made.split()


@pytest.mark.parametrize(
    "kind, settings, text, same",
    [
        ("siglip", {}, "a DOG?", "a dog"),
        ("siglip", {"do_lower_case": False}, "a Dog ?", "a Dog"),
        ("siglip2", {"do_lower_case": True}, "a DOG ?", "a dog ?"),
        ("siglip2", {"tokenizer_class": "Siglip2TokenizerFast"}, "a DOG ?", "a dog ?"),
    ],
)
def test_texts_are_cleaned_as_the_class_of_the_tokenizer_says(written, kind, settings, text, same):
    folder, _, _ = written(kind)
    copy = Path(shutil.copytree(folder, folder.with_name(f"{folder.name}-{len(str(settings))}")))
    config = json.loads((copy / "tokenizer_config.json").read_text()) | settings
    (copy / "tokenizer_config.json").write_text(json.dumps(config))
    backbone = load_backbone(str(copy))
    assert torch.equal(*backbone.encode_text([text, same]))
    assert not torch.equal(*backbone.encode_text(["a dog", "a cat"]))
    assert backbone.identity["weights"] != load_backbone(str(folder)).identity["weights"] or not settings


def test_the_configuration_of_the_tokenizer_says_what_is_put_around_a_text(copy, written):
    _set(copy, "tokenizer.json", post_processor=None)
    _set(copy, "tokenizer_config.json", add_bos_token=False, add_eos_token=True)
    assert torch.equal(load_backbone(str(copy)).encode_text(["a dog"]), written()[2].encode_text(["a dog"]))


def test_a_side_that_patches_do_not_fill_is_cut_at_the_last_patch(written):
    backbone = written(image_size=70)[2]
    geometry = backbone.geometry
    assert (geometry.rows, geometry.tokens) == (4, 17)
    image = Image.new("RGB", (70, 70))
    ranges = geometry.token_ranges(np.array([[0.0, 0, 70, 70], [40, 50, 69, 66]]), image.size)
    assert ranges.tolist() == [[0, 0, 3, 3], [2, 3, 3, 3]]
    assert geometry.sees_boxes(np.array([[65.0, 0, 70, 70]]), image.size).tolist() == [False]
    found = backbone.encode_regions(image, [Region.from_box(65, 0, 70, 70)], Foveal(alpha=4.0))
    assert torch.equal(found, backbone.encode_regions(image, [Region.from_box(0, 0, 9, 9)], Plain()))


def test_the_grid_of_so400m():
    geometry = Geometry(384, 14, 1, 16)
    assert (geometry.rows, geometry.token_ranges(np.array([[0.0, 0, 640, 480]]), (640, 480)).tolist()) == (
        27,
        [[0, 0, 26, 26]],
    )


def test_resize_is_its_own_whatever_is_asked_for(written, photo):
    folder = written("siglip2")[0]
    asked = load_backbone(str(folder), resize="crop")
    assert asked.geometry.resize == "squash" and asked.identity["resize"] == "crop"
    assert apart(asked.preprocess([photo]), pixels_of(folder, photo)) == 0


def test_precision_of_programs_that_never_loaded_it_is_refused(written, photo):
    with pytest.raises(UserError, match=r"precision='released'.*dtype=float16"):
        load_backbone(str(written()[0]), precision="released")
    half = load_backbone(str(written()[0]), dtype="bfloat16")
    assert half.encode_text(["x"]).isfinite().all()
    whole = written()[2].encode_regions(photo, REGIONS, Foveal())
    for sharing in ("none", "exact"):
        assert apart(half.encode_regions(photo, REGIONS, Foveal(), sharing), whole) < 0.05


def test_alpha_weights_over_it_are_refused(written, tmp_path):
    torch.save({}, tmp_path / "visual.pth")
    with pytest.raises(UserError, match="is for a CLIP with a ViT"):
        load_backbone(str(written()[0]), alpha_weights=str(tmp_path / "visual.pth"))


def _set(folder: Path, name: str, **values: object) -> None:
    content = json.loads((folder / name).read_text())
    for key, value in values.items():
        section = content["vision_config"] if key in ("vision_use_head", "image_size") else content
        section[key] = value
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda f: _set(f, "config.json", model_type="siglip2"), r"NaFlex.*google/siglip2-base-patch16-224"),
        (lambda f: _set(f, "config.json", vision_use_head=False), "vision_use_head=false"),
        (lambda f: _set(f, "config.json", image_size=[64, 32]), r"image_size=.*square"),
        (lambda f: (f / "model.safetensors").unlink(), "Copy the whole folder again"),
        (lambda f: (f / "tokenizer_config.json").unlink(), r"no tokenizer_config\.json"),
        (lambda f: (f / "tokenizer_config.json").write_text("{"), "not valid JSON"),
        (lambda f: _set(f, "tokenizer_config.json", eos_token=None), "no end token"),
        (lambda f: _set(f, "tokenizer_config.json", pad_token=None), "no padding token"),
        (lambda f: _set(f, "tokenizer_config.json", eos_token="dog"), "does not put its end token 'dog' behind"),
        (lambda f: _set(f, "tokenizer.json", post_processor=None), "does not put its end token"),
        (lambda f: _set(f, "tokenizer_config.json", pad_token="<new>"), "words and its model only"),
    ],
)
def test_what_makes_no_backbone_is_said(copy, change, said):
    change(copy)
    with pytest.raises(UserError, match=said) as error:
        load_backbone(str(copy))
    assert str(copy) in str(error.value)


def test_a_sentencepiece_model_alone_names_the_package_or_the_file(copy):
    (copy / "tokenizer.json").unlink()
    (copy / "spiece.model").write_bytes(b"none")
    with pytest.raises(UserError, match=r"no tokenizer\.json.*\n.*sentencepiece"):
        load_backbone(str(copy))


@pytest.mark.parametrize("name", ["tokenizer_config.json", "preprocessor_config.json", "special_tokens_map.json"])
def test_the_identity_follows_every_file_that_moves_numbers(copy, name):
    before = find_weights(str(copy)).identity
    path = copy / name
    path.write_text(path.read_text() + " " if path.is_file() else "{}")
    assert find_weights(str(copy)).identity != before
