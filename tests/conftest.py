"""Backbones and a picture that the tests of the library share."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from PIL import Image
from random_clip import GRIDS, picture, write_clip

from falip import Backbone, load_backbone


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    """Hashes that a test remembers are not the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a random CLIP with the grid of that name."""

    @cache
    def written(grid: str) -> Path:
        folder = tmp_path_factory.mktemp("clip")
        write_clip(folder, **GRIDS[grid])
        return folder

    return written


@pytest.fixture(scope="session")
def random_clip(clip_folder: Callable[[str], Path]) -> Callable[..., Backbone]:
    """A random CLIP with the grid of that name, loaded once."""
    return cache(lambda grid="small", resize="squash": load_backbone(str(clip_folder(grid)), resize=resize))


@pytest.fixture(scope="session")
def tiny() -> Backbone:
    """The embedded model."""
    return load_backbone("tiny")


@pytest.fixture
def photo() -> Image.Image:
    """A picture that is not square."""
    return picture(90, 70)
