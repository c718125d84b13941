"""open_clip's layout: what is loaded against torch's own modules, and what is refused."""

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip_reference import SIDE, difference, pixels_of, write_open_clip
from random_clip import picture
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from falip import Compose, Crop, Ensemble, Foveal, HardMask, Plain, Region, Unleash, UserError, load_backbone
from falip.backbone.responses import head_responses
from falip.views import Bias, Component, Views, merge_views
from falip.weights import BackboneSettings, find_weights, layout_of

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
REGIONS = [Region.from_box(5, 5, 40, 40), Region.from_box(30, 20, 88, 65), Region.from_box(60, 0, 90, 30)]
TEXTS = ["a photo of the dog", "x", "the red cat is left of the blue dog in the photo . a b c"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a model, the reference with its weights, and the backbone."""

    @cache
    def made(kind="vit", **options):
        folder = tmp_path_factory.mktemp("open_clip")
        return folder, write_open_clip(folder, kind, **options), load_backbone(str(folder))

    return made


@pytest.fixture
def copy(written, tmp_path) -> Path:
    """A folder of its own to change."""
    return Path(shutil.copytree(written()[0], tmp_path / "copy"))


@pytest.mark.parametrize("quick_gelu", [True, False])
@pytest.mark.parametrize("head_width", [16, 32])
@torch.no_grad()
def test_a_plain_vit_is_what_torch_makes_of_its_weights(written, quick_gelu, head_width, photo):
    _, reference, backbone = written(quick_gelu=quick_gelu, head_width=head_width)
    pixels, prompt = pixels_of(photo).expand(3, -1, -1, -1), Foveal(alpha=4.0, layers=[1, 3, 4])
    rows = prompt(photo, REGIONS, backbone.geometry).components[0].biases[0].rows
    plain, masked = (normalize(reference.visual(pixels, *mask), dim=-1) for mask in ((), (rows, (1, 3, 4))))
    for sharing in ("none", "exact"):
        assert difference(backbone.encode_regions(photo, REGIONS, Plain(), sharing), plain) < 1e-5
        assert difference(backbone.encode_regions(photo, REGIONS, prompt, sharing), masked) < 1e-5
    assert difference(plain, masked) > 1e-3
    assert head_responses(backbone, photo, REGIONS, prompt).shape == (3, 6, 64 // head_width)
    assert difference(backbone.encode_regions(photo, REGIONS, Unleash(prompt)), masked) > 1e-3


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@torch.no_grad()
def test_texts_are_read_at_the_largest_token(written, kind):
    _, reference, backbone = written(kind)
    for text, found in zip(TEXTS, backbone.encode_text(TEXTS), strict=True):
        ids = backbone.tokenizer(text)["input_ids"]
        ids = [*ids[:11], ids[-1]] if len(ids) > 12 else ids
        assert difference(found, normalize(reference.text(torch.tensor([ids]))[0], dim=-1)) < 1e-5
    assert backbone.truncated == {TEXTS[2]}
    assert backbone.logit_scale == pytest.approx(np.exp(3.0))


RESNET_ABILITIES = {"cls_row", "per_head", "gradients"}


@torch.no_grad()
def test_a_resnet_is_what_torch_makes_of_its_weights(written, photo):
    _, reference, backbone = written("resnet")
    g = backbone.geometry
    assert (g.layers, g.heads, g.rows, g.patch_size, g.abilities) == (1, 16, 3, 32, RESNET_ABILITIES)
    prompt, pixels = Foveal(alpha=4.0), pixels_of(photo).expand(3, -1, -1, -1)
    rows = prompt(photo, REGIONS, g).components[0].biases[0].rows
    plain, masked = reference.visual(pixels), reference.visual(pixels, rows)
    for sharing in ("none", "exact", "frozen"):
        for one, expected in ((Plain(), plain), (prompt, masked)):
            found = backbone.encode_regions(photo, REGIONS, one, sharing)
            assert difference(found, normalize(expected[0], dim=-1)) < 1e-5
    assert difference(normalize(plain[0], dim=-1), normalize(masked[0], dim=-1)) > 1e-3
    assert difference(backbone.attention(photo, REGIONS, prompt)[:, 0], masked[1]) < 1e-5
    added = backbone.head_outputs(photo, REGIONS, prompt)[:, 0].sum(1)
    assert difference(added + reference.visual.attnpool["c_proj"].bias, masked[0]) < 1e-5


def _encoded(backbone, monkeypatch) -> list[int]:
    """Grows by the pictures of each pass through the stem."""
    counts: list[int] = []
    monkeypatch.setitem(backbone.tower.visual.conv1._forward_pre_hooks, 0, lambda _, inputs: counts.append(len(inputs[0])))
    return counts


@pytest.mark.parametrize("sharing, pictures", [("exact", 1), ("frozen", 1), ("none", 3)])
def test_the_regions_of_a_picture_cost_one_encoding_by_a_resnet(written, monkeypatch, photo, sharing, pictures):
    backbone = written("resnet")[2]
    counts = _encoded(backbone, monkeypatch)
    backbone.encode_regions(photo, REGIONS, Foveal(alpha=1.0), sharing)
    assert sum(counts) == pictures


def test_a_prompt_with_a_plain_and_a_masked_view_shares_the_picture_too(written, monkeypatch, photo):
    backbone = written("resnet")[2]
    counts = _encoded(backbone, monkeypatch)
    backbone.encode_views(Ensemble([Plain(), Foveal()])(photo, REGIONS, backbone.geometry))
    assert sum(counts) == 1


@torch.no_grad()
def test_a_resnet_takes_a_bias_for_each_head_and_several_of_them(written, photo):
    _, reference, backbone = written("resnet")
    torch.manual_seed(1)
    single, by_head = torch.randn(3, 10), torch.randn(3, 16, 10)
    pixels = pixels_of(photo).expand(3, -1, -1, -1)
    component = Component("both", (0, 0, 0), (Bias(single, (0,)), Bias(by_head, (0,))))
    logits = reference.visual(pixels)[1].log() + single[:, None] + by_head
    (expected,) = backbone.encode_views(Views((photo,), (component,)), "none")
    (found,) = backbone.encode_views(Views((photo,), (component,)), "exact")
    assert difference(found, expected) < 1e-6
    for sharing in ("none", "exact"):
        attended = backbone.attended_features(Views((photo,), (component,)), sharing)[1][0]
        assert attended is not None and difference(attended, logits.softmax(-1)) < 1e-5


@pytest.fixture(scope="module")
def one_by_one(written):
    """Views of two pictures in one batch, and what comes of them when each is encoded alone."""
    backbone = written("resnet")[2]
    prompt = Ensemble([Foveal(alpha=3.0), Crop(), Compose([Foveal(alpha=1.0)])])
    images = [picture(90, 70, 0), picture(64, 80, 1)]
    views = [prompt(image, REGIONS[: 2 + i], backbone.geometry) for i, image in enumerate(images)]
    return backbone, merge_views(views), torch.cat([backbone.encode_views(one, "none") for one in views], dim=1)


@settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(5)), batch=st.sampled_from([1, 3, 64]), sharing=st.sampled_from(["none", "exact"]))
def test_a_resnet_gives_the_same_in_any_batch_and_order(one_by_one, order, batch, sharing):
    backbone, merged, alone = one_by_one
    shuffled = Views(merged.images, tuple(component.some(order) for component in merged.components))
    assert difference(backbone.encode_views(shuffled, sharing, batch), alone[:, order]) < 1e-5


@pytest.mark.parametrize("prompt", [Foveal(mask_form="all_rows"), Foveal(mask_form="diagonal"), Unleash(Foveal())])
def test_what_a_resnet_cannot_do_is_said(written, prompt, photo):
    with pytest.raises(UserError, match="this vision tower does not"):
        written("resnet")[2].encode_regions(photo, REGIONS, prompt)


def test_a_number_of_layers_means_all_there_are_and_a_list_names_them(written, photo):
    backbone = written("resnet")[2]
    same = [backbone.encode_regions(photo, REGIONS, Foveal(alpha=3.0, layers=layers)) for layers in (1, 4, [0])]
    assert torch.equal(same[0], same[1]) and torch.equal(same[0], same[2])
    assert backbone.encode_regions(photo, REGIONS, HardMask()).isfinite().all()
    with pytest.raises(UserError, match=r"layers=\[8\].*layers 0 to 0"):
        backbone.encode_regions(photo, REGIONS, Foveal(layers=[8]))


def test_views_of_a_resnet_within_memory(written):
    counts = [written("resnet")[2].views_within(gb) for gb in (1e-9, 0.01, 0.02, 1e6)]
    assert counts[0] == 1 and counts[1] < counts[2] and counts[3] == 256


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_half_precision_gives_about_the_same(written, kind, photo):
    folder, _, whole = written(kind)
    half = load_backbone(str(folder), dtype="bfloat16")
    found, expected = (b.encode_regions(photo, REGIONS, Foveal()) for b in (half, whole))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1)
    released = load_backbone(str(folder), precision="released")
    assert released.text_features(["x"]).dtype == torch.float16


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_pickled_tensors_are_read_too(written, tmp_path, kind, photo):
    folder, _, backbone = written(kind)
    copy = Path(shutil.copytree(folder, tmp_path / "pickled"))
    state = {f"module.{name}": tensor for name, tensor in load_file(copy / WEIGHTS).items() if "num_batches" not in name}
    (copy / WEIGHTS).unlink()
    torch.save({"state_dict": state | {"module.attn_mask": torch.zeros(1)}}, copy / "open_clip_pytorch_model.bin")
    found = load_backbone(str(copy))
    assert difference(*(b.encode_regions(photo, REGIONS, Plain()) for b in (found, backbone))) < 1e-6
    assert found.identity != backbone.identity


def test_pickled_objects_and_torchscript_are_refused_unread(copy, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    (copy / WEIGHTS).unlink()
    torch.save({"weights": Trap()}, copy / "open_clip_pytorch_model.bin")
    with pytest.raises(UserError, match="pickled objects"):
        load_backbone(str(copy))
    assert not (tmp_path / "sprung").exists()
    torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1)).save(str(copy / "open_clip_pytorch_model.bin"))
    with pytest.raises(UserError, match=r"TorchScript.*\n.*timm/resnet50_clip\.openai"):
        load_backbone(str(copy))


def test_an_archive_of_openai_is_refused_by_name(tmp_path):
    (tmp_path / "RN50.pt").write_bytes(b"")
    for name in (tmp_path, tmp_path / "RN50.pt"):
        with pytest.raises(UserError, match=r"\.pt archives are TorchScript.*openai/clip-vit-base-patch32"):
            find_weights(str(name))


def _set(folder: Path, place: str, value: object) -> None:
    config = json.loads((folder / CONFIG).read_text())
    *parents, last = place.split(".")
    section = config
    for parent in parents:
        section = section[parent]
    section[last] = value
    (folder / CONFIG).write_text(json.dumps(config))


@pytest.mark.parametrize(
    "place, value",
    [
        ("model_cfg.vision_cfg.timm_model_name", "vit_base_patch16_siglip_224"),
        ("model_cfg.multimodal_cfg", {"layers": 12}),
        ("model_cfg.custom_text", True),
        ("model_cfg.init_logit_bias", -10),
        ("model_cfg.vision_cfg.attentional_pool", True),
        ("model_cfg.vision_cfg.pool_type", "avg"),
        ("model_cfg.vision_cfg.no_ln_pre", True),
        ("model_cfg.vision_cfg.ls_init_value", 0.1),
        ("model_cfg.text_cfg.hf_model_name", "roberta-base"),
        ("model_cfg.text_cfg.embed_cls", True),
        ("model_cfg.text_cfg.no_causal_mask", True),
        ("model_cfg.text_cfg.pool_type", "last"),
        ("model_cfg.text_cfg.something_new", 3),
        ("model_cfg.vision_cfg.layers", [1, 2, 3]),
        ("model_cfg.vision_cfg.image_size", [96, 48]),
        ("model_cfg.vision_cfg.width", "wide"),
        ("model_cfg.embed_dim", None),
        ("preprocess_cfg.interpolation", "random"),
        ("preprocess_cfg.mean", [0.5]),
    ],
)
def test_what_is_not_plain_is_refused_by_its_name(copy, place, value):
    _set(copy, place, value)
    with pytest.raises(UserError, match=place.split(".")[-1]) as error:
        load_backbone(str(copy))
    assert str(copy) in str(error.value)


@pytest.mark.parametrize(
    "place, value",
    [
        ("model_cfg.vision_cfg.patch_dropout", 0.5),
        ("model_cfg.vision_cfg.pool_type", "tok"),
        ("model_cfg.vision_cfg.image_size", [SIDE, SIDE]),
        ("model_cfg.vision_cfg.timm_model_name", None),
        ("model_cfg.text_cfg.hf_tokenizer_name", "some/tokenizer"),
        ("model_cfg.text_cfg.embed_cls", False),
        ("model_cfg.custom_text", False),
    ],
)
def test_settings_that_change_nothing_are_taken(copy, written, place, value, photo):
    _set(copy, place, value)
    found, expected = (b.encode_regions(photo, REGIONS, Plain()) for b in (load_backbone(str(copy)), written()[2]))
    assert difference(found, expected) < 1e-6


@pytest.mark.parametrize("kind", ["vit", "resnet"])
@pytest.mark.parametrize(
    "change, said",
    [
        (lambda state: state.pop("visual.conv1.weight"), "lack 1 of the tensors"),
        (lambda state: state.pop("logit_scale"), "logit_scale"),
        (lambda state: state.update({"visual.extra": torch.zeros(1)}), "extra"),
        (lambda state: state.update({"ln_final.weight": torch.ones(5)}), "other sizes"),
    ],
)
def test_tensors_that_are_missing_or_too_many_are_named(written, tmp_path, kind, change, said):
    copy = Path(shutil.copytree(written(kind)[0], tmp_path / "copy"))
    state = load_file(copy / WEIGHTS)
    change(state)
    save_file(state, copy / WEIGHTS)
    with pytest.raises(UserError, match=said):
        load_backbone(str(copy))


@pytest.mark.parametrize(
    "content, said", [("{", "not valid JSON"), ("[]", "no model_cfg"), ('{"model_cfg": 1}', "model_cfg")]
)
def test_a_configuration_that_cannot_be_read(copy, content, said):
    (copy / CONFIG).write_text(content)
    with pytest.raises(UserError, match=said):
        load_backbone(str(copy))


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])
def test_a_folder_without_a_file_says_so(copy, name):
    (copy / name).unlink()
    with pytest.raises(UserError, match="Copy the whole folder again"):
        load_backbone(str(copy))


@pytest.mark.parametrize("mode, expected", [("shortest", "crop"), ("squash", "squash")])
def test_crop_is_the_models_own_way_to_resize(copy, mode, expected):
    _set(copy, "preprocess_cfg.resize_mode", mode)
    backbone = load_backbone(str(copy), resize="crop")
    assert backbone.geometry.resize == expected
    assert load_backbone(str(copy)).geometry.resize == "squash"
    assert backbone.identity == BackboneSettings(str(copy), resize="crop").identity(find_weights(str(copy)))


def test_a_way_to_resize_that_is_not_there_is_an_error_only_where_it_is_asked_for(copy):
    _set(copy, "preprocess_cfg.resize_mode", "longest")
    assert load_backbone(str(copy)).geometry.resize == "squash"
    with pytest.raises(UserError, match=r"resize_mode='longest'.*\n.*resize=squash"):
        load_backbone(str(copy), resize="crop")


@pytest.mark.parametrize("name", [CONFIG, "tokenizer.json", "tokenizer_config.json"])
def test_the_identity_follows_every_file_that_moves_numbers(copy, name):
    before = find_weights(str(copy)).identity
    (copy / name).write_text((copy / name).read_text() + "\n")
    assert find_weights(str(copy)).identity != before


def test_weights_that_are_not_read_are_not_hashed(copy):
    before = find_weights(str(copy)).identity
    (copy / "model.safetensors").write_bytes(b"timm's")
    (copy / "open_clip_pytorch_model.bin").write_bytes(b"the same, pickled")
    assert find_weights(str(copy)).identity == before


def test_of_two_layouts_that_one_counts_whose_weights_are_there(copy, clip_folder, tmp_path):
    both = Path(shutil.copytree(clip_folder("small"), tmp_path / "both"))
    shutil.copy(copy / CONFIG, both)
    assert layout_of(both) == "clip"
    (both / "model.safetensors").unlink()
    shutil.copy(copy / WEIGHTS, both)
    assert layout_of(both) == "open_clip"
    (copy / "config.json").write_text('{"architecture": "resnet50_clip"}')  # as timm writes it
    assert layout_of(copy) == "open_clip" and load_backbone(str(copy)).geometry.layers == 6


class Hub:
    """Stands in for the hub: a cache in a folder, and what was asked of the network."""

    commit = "0123456789abcdef0123456789abcdef01234567"

    def __init__(self, repository: Path, cache: Path) -> None:
        self.repository, self.cache = repository, cache
        self.snapshot = cache / "models--some--model" / "snapshots" / self.commit
        self.asked: list[str] = []

    def __call__(self, name, revision, allow_patterns, local_files_only):
        from huggingface_hub.errors import LocalEntryNotFoundError

        assert name == "some/model"
        if local_files_only and not self.snapshot.is_dir():
            raise LocalEntryNotFoundError("not here")
        if not local_files_only:
            self.snapshot.mkdir(parents=True, exist_ok=True)
            found = {path for pattern in allow_patterns for path in self.repository.glob(pattern)}
            self.asked += sorted(path.name for path in found)
            for path in found:
                shutil.copy(path, self.snapshot)
        return str(self.snapshot)


def test_of_a_hub_id_the_needed_files_are_fetched_once(copy, tmp_path, monkeypatch, photo, written):
    (copy / "config.json").write_text('{"architecture": "timm"}')
    for name in ("model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin", "README.md"):
        (copy / name).write_bytes(b"not needed")
    hub = Hub(copy, tmp_path / "cache")
    monkeypatch.setattr("falip.backbone.loading.snapshot_download", hub)
    backbone = load_backbone("some/model")
    needed = {CONFIG, WEIGHTS, "config.json", "tokenizer.json", "tokenizer_config.json"}
    assert set(hub.asked) == needed
    assert backbone.weights.identity == f"some/model@{hub.commit}"
    assert difference(*(b.encode_regions(photo, REGIONS, Plain()) for b in (backbone, written()[2]))) < 1e-6
    hub.asked.clear()
    load_backbone("some/model", revision=hub.commit)
    assert not hub.asked


def test_a_hub_id_in_the_layout_of_transformers_is_loaded_from_the_cache(clip_folder, tmp_path, monkeypatch):
    cache = tmp_path / "models--some--clip"
    shutil.copytree(clip_folder("small"), cache / "snapshots" / Hub.commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(Hub.commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert load_backbone("some/clip").identity["weights"] == f"some/clip@{Hub.commit}"
