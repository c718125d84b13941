"""Loading a backbone, and what is said where it cannot be loaded."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from falip import Plain, Region, UserError, load_backbone


@pytest.fixture
def copy(clip_folder, tmp_path) -> Path:
    """A folder of its own to damage."""
    return Path(shutil.copytree(clip_folder("small"), tmp_path / "clip"))


@pytest.mark.parametrize(
    "grid, tokens, layers", [("ViT-B/32", 50, 12), ("ViT-B/16", 197, 12), ("ViT-L/14", 257, 24), ("ViT-L/14@336", 577, 24)]
)
def test_sizes_come_from_the_config(random_clip, grid, tokens, layers, photo):
    backbone = random_clip(grid)
    assert (backbone.geometry.tokens, backbone.geometry.layers, backbone.geometry.heads) == (tokens, layers, 2)
    embedded = backbone.encode_regions(photo, [Region.from_box(1, 2, 30, 40)], Plain())
    assert embedded.shape == (1, 32) and embedded.norm().item() == pytest.approx(1, abs=1e-6)


def test_a_hub_id_that_is_not_here_says_how_to_get_it():
    with pytest.raises(UserError) as error:
        load_backbone("openai/clip-vit-base-patch16", revision="0123456")
    message = str(error.value)
    assert "openai/clip-vit-base-patch16" in message and "folder" in message
    assert "falip data weights --backbone openai/clip-vit-base-patch16" in message
    assert not torch.cuda.is_available() or "cuda" not in message


@pytest.mark.parametrize("name", ["tinyy", "./nowhere", "~/nowhere/clip", "/nowhere/clip"])
def test_a_name_that_is_no_folder_and_no_hub_id(name):
    with pytest.raises(UserError, match="tiny") as error:
        load_backbone(name)
    assert repr(name) in str(error.value)


def test_a_home_folder_is_found(copy, monkeypatch):
    monkeypatch.setenv("HOME", str(copy.parent))
    assert load_backbone("~/clip").geometry.layers == 6


def test_a_folder_without_config(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json"):
        load_backbone(str(tmp_path))


@pytest.mark.parametrize(
    "content, said",
    [
        ('{"model_type": "blip"}', "'blip'"),
        ("{", "not valid JSON"),
        ("[]", "model_type None"),
        ('{"architecture": "resnet50_clip"}', "a model of timm"),
    ],
)
def test_a_config_that_is_no_clip(copy, content, said):
    (copy / "config.json").write_text(content)
    with pytest.raises(UserError, match=said):
        load_backbone(str(copy))


def _broken(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not weights" * 20)


def _truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def _without_a_layer(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "vision_model.encoder.layers.3" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def _other_width(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["hidden_size"] = 32
    (folder / "config.json").write_text(json.dumps(config))


def _without(*names: str):
    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage


@pytest.mark.parametrize(
    "damage, said",
    [
        (_broken, "header"),
        (_truncated, "incomplete"),
        (_without_a_layer, r"lack 16 of the tensors.*layers\.3"),
        (_other_width, "other sizes"),
        (_without("model.safetensors"), r"no file named model\.safetensors"),
        (_without("tokenizer.json", "tokenizer_config.json"), "tokenizer has"),
        (_without("preprocessor_config.json"), r"preprocessor_config\.json"),
    ],
)
def test_a_damaged_folder_is_named_with_what_is_wrong(copy, damage, said, capsys):
    damage(copy)
    with pytest.raises(UserError, match=said) as error:
        load_backbone(str(copy))
    assert str(copy) in str(error.value) and "Copy the whole folder again" in str(error.value)


@pytest.mark.parametrize(
    "option, value, said",
    [
        ("dtype", "fp32", "float32, bfloat16, float16"),
        ("resize", "squish", "squash, crop"),
        ("device", "cudda", "device=cpu"),
    ],
)
def test_a_typo_in_an_option_lists_what_there_is(option, value, said):
    with pytest.raises(UserError, match=said) as error:
        load_backbone("tiny", **{option: value})
    assert repr(value) in str(error.value)


def test_the_identity_follows_the_weights_and_the_options(copy, random_clip):
    same = load_backbone(str(copy)).identity
    assert same == random_clip().identity
    _change_one_number(copy / "model.safetensors")
    assert load_backbone(str(copy)).identity != same
    assert random_clip("small", "crop").identity != same
    assert load_backbone("tiny", dtype="bfloat16").identity != load_backbone("tiny").identity


def _change_one_number(path: Path) -> None:
    weights = load_file(path)
    weights["logit_scale"] += 0.5
    save_file(weights, path, metadata={"format": "pt"})


def test_half_precision_gives_about_the_same(tiny, photo):
    regions = [Region.from_box(5, 5, 60, 60)]
    half = load_backbone("tiny", dtype="bfloat16")
    assert half.model.dtype == torch.bfloat16
    embedded = half.encode_regions(photo, regions, Plain())
    assert embedded.dtype == torch.float32
    torch.testing.assert_close(embedded, tiny.encode_regions(photo, regions, Plain()), rtol=0, atol=0.05)


@pytest.mark.parametrize("name", ["tokenizer.json", "preprocessor_config.json", "config.json"])
def test_a_folder_with_another_tokenizer_or_processor_is_another_backbone(copy, name):
    before = load_backbone(str(copy)).identity
    (copy / name).write_text((copy / name).read_text() + "\n")
    assert load_backbone(str(copy)).identity != before


def test_pickled_weights_are_refused_unread(clip_folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    folder = tmp_path / "pickled"
    shutil.copytree(clip_folder("small"), folder)
    (folder / "model.safetensors").unlink()
    torch.save({"weights": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pickled objects.*model\.safetensors"):
        load_backbone(str(folder))
    assert not (tmp_path / "sprung").exists()


def _with(folder: Path, target: Path, **text: object) -> Path:
    """A copy of a model whose text configuration says something else."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    config["text_config"] |= text
    (target / "config.json").write_text(json.dumps(config))
    return target


def test_a_tokenizer_with_words_above_the_end_token_is_refused_where_the_model_pools_at_the_largest(clip_folder, tmp_path):
    with pytest.raises(UserError, match=r"(?s)words above the end token 4.*eos_token_id"):
        load_backbone(str(_with(clip_folder("small"), tmp_path / "old", eos_token_id=2)))


def test_a_tokenizer_with_more_words_than_the_model_is_refused(clip_folder, tmp_path):
    folder = tmp_path / "wide"
    shutil.copytree(clip_folder("small"), folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary |= {f"extra{i}": len(vocabulary) + i for i in range(3)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(UserError, match=r"tokenizer has \d+ words and its model only"):
        load_backbone(str(folder))


@pytest.mark.parametrize(("name", "said"), [(3, "3 names no backbone"), ("vit_b16", "`falip backbones` has the hub id")])
def test_what_names_no_backbone_is_said_with_what_does(name, said):
    with pytest.raises(UserError, match=said):
        load_backbone(name)
