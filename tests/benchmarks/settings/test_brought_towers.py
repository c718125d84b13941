"""Vision towers of other packages are found by their entry points."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from packages import distribution, program

from benchmarks.records.folder import RunFolder

LAYOUT = """
from falip.layouts import Layout

TWIN = Layout(load="twins.loading:load")
"""
LOADING = """
from dataclasses import replace

from falip.backbone import transformers_clip
from falip.backbone.clip_vit import ClipViT


class Twin(ClipViT):
    pooling = "twin"

    def encode(self, components, pixels, *rest):
        return [-part for part in super().encode(components, pixels, *rest)]


def load(folder, dtype, resize):
    return replace(transformers_clip.load(folder, dtype, resize), tower=lambda model: Twin(model, resize))
"""
ENTRIES = "[falip.towers]\ntwin_clip = twins.layout:TWIN\n"


def package(site: Path, name: str = "twins", layout: str = LAYOUT) -> None:
    files = {f"{name}/__init__.py": "", f"{name}/layout.py": layout, f"{name}/loading.py": LOADING}
    distribution(site, name, ENTRIES.replace("twins", name), files)


@pytest.fixture
def falip(tmp_path):
    package(tmp_path / "site")
    return program(tmp_path / "site", tmp_path)


@pytest.fixture
def twin(clip_folder, tmp_path) -> Path:
    """A model folder of the package's kind."""
    folder = Path(shutil.copytree(clip_folder("small"), tmp_path / "twin"))
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "twin_clip"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def scores(folder: Path) -> dict[str, list[float]]:
    """The scores of each run's decisions, by what its identity says of its tower."""
    infos = [(path.parent, json.loads(path.read_text())) for path in folder.rglob("run.json")]
    return {
        info["identity"]["backbone"][0].get("tower", "falip"): np.concatenate(list(RunFolder(place).frame()["scores"]))
        for place, info in infos
    }


@pytest.mark.slow
def test_its_folders_are_loaded_by_it_and_runs_name_it(falip, twin, clip_folder, tmp_path):
    words = ("prompt=foveal", "task.dataset.scenes=3", f"results_root={tmp_path / 'results'}")
    for folder in (twin, clip_folder("small")):
        status, printed = falip("run", f"backbone.name={folder}", *words)
        assert status == 0, printed
    found = scores(tmp_path / "results")
    assert set(found) == {"falip", "twins 1.2"}
    np.testing.assert_allclose(found["twins 1.2"], -found["falip"], atol=1e-4)
    status, printed = falip("backbones", str(twin))
    assert status == 0 and "4x4" in printed and "CLS row" in printed


def test_without_the_package_the_kind_is_unknown(twin, tmp_path):
    status, printed = program(tmp_path / "elsewhere", tmp_path)("run", f"backbone.name={twin}")
    assert status == 2 and "Traceback" not in printed and "says model_type 'twin_clip'; falip takes clip" in printed


@pytest.mark.parametrize(
    "layout, message",
    [
        ("TWIN = 3", "which is no falip.layouts.Layout"),
        ("from falip.layouts import Layout\nTWIN = Layout()", "which is no falip.layouts.Layout with load="),
        ("import no_such_module", "which cannot be imported: No module named 'no_such_module'"),
    ],
)
def test_a_package_that_is_not_whole_is_named_where_it_is_needed(falip, twin, clip_folder, tmp_path, layout, message):
    (tmp_path / "site/twins/layout.py").write_text(layout)
    status, printed = falip("run", f"backbone.name={twin}")
    assert status == 2 and "Traceback" not in printed
    assert f"twins 1.2 says of itself [falip.towers] twin_clip = twins.layout:TWIN, {message}" in printed
    assert falip("backbones", str(clip_folder("small")))[0] == 0


def test_a_kind_of_two_packages_is_refused(falip, twin, tmp_path):
    package(tmp_path / "site", "others", LAYOUT.replace("twins", "others"))
    status, printed = falip("run", f"backbone.name={twin}")
    assert status == 2 and "There are two loaders of model_type 'twin_clip': " in printed and "others 1.2" in printed
