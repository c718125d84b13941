"""Which backbone looks where none is named, and what it says of its limits."""

import json
import shutil

import pytest

from falip.__main__ import main
from falip.picture.backbones import best_here, unknown_words, warnings

B16, B32 = "openai/clip-vit-base-patch16", "openai/clip-vit-base-patch32"


@pytest.fixture
def cache(tmp_path, monkeypatch, clip_folder):
    """The hub's cache; puts a model into it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def put(name: str, revision: str = "a" * 40, main: bool = False):
        folder = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        shutil.copytree(clip_folder("small"), folder / "snapshots" / revision)
        if main:
            (folder / "refs").mkdir()
            (folder / "refs" / "main").write_text(revision)
        return folder / "snapshots" / revision

    return put


def test_without_weights_it_is_the_embedded_model(cache):
    assert best_here() == ("tiny", None)


def test_the_best_of_those_that_are_whole_is_taken(cache):
    cache(B32)
    cache(B16, "b" * 40)
    cache(B16, "c" * 40, main=True)
    assert best_here() == (B16, "c" * 40)
    (cache("openai/clip-vit-large-patch14") / "model.safetensors").unlink()
    assert best_here() == (B16, "c" * 40)


def test_the_command_takes_it_and_says_so(cache, tmp_path, photo, capsys):
    cache(B32)
    photo.save(tmp_path / "photo.png")
    given = [str(tmp_path / "photo.png"), "--box", "10,20,60,65", "--text", "the dog", "--json"]
    assert main(given) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["backbone"] == B32
    assert f"backbone: {B32}" in printed.err and "warning" not in printed.err


def test_tiny_says_which_words_it_does_not_know(cache, tmp_path, photo, capsys):
    photo.save(tmp_path / "photo.png")
    given = [str(tmp_path / "photo.png"), "--box", "10,20,60,65", "--text", "a red Kitchen", "--text", "a blue square"]
    assert main(given) == 0
    err = capsys.readouterr().err
    assert "does not know 'Kitchen': " in err and "photographs mean nothing to it" in err
    assert "'red'" not in err


def test_words_that_are_known_are_not_complained_of(tiny, random_clip):
    assert unknown_words(tiny, ["A Red circle.", "a striped cone"]) == []
    assert unknown_words(tiny, ["dog and Dog", "dog"]) == ["dog", "Dog"]
    assert warnings(random_clip(), ["the dog"]) == []
