"""Packages of others are found by their entry points."""

import json
from pathlib import Path

import pytest
from packages import distribution, program
from random_clip import picture

ROOT = Path(__file__).parents[3]
CODE = """
from dataclasses import dataclass
from typing import ClassVar

from PIL import ImageOps

from falip.prompts.pictures import edited_views


@dataclass(frozen=True)
class Mirror:
    times: int = 1
    name: str = "mirror"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __call__(self, image, regions, geometry):
        return edited_views(self, image, regions)

    def edit(self, image, region, whole):
        return ImageOps.mirror(image), region
"""
YAML = "# The picture in a mirror.\n_target_: mirrors.Mirror\ntimes: 1\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages, with one that brings a prompt, a task and a backbone."""
    groups = ("prompts", "readouts", "tasks", "backbones")
    entries = "".join(f"[falip.{group}]\nmirrors = mirrors.configs\n" for group in groups)
    files = {"mirrors/__init__.py": CODE, "mirrors/configs/prompt/mirror.yaml": YAML}
    files["mirrors/configs/task/rec/few.yaml"] = (ROOT / "configs/task/rec/shapes.yaml").read_text()
    files["mirrors/configs/backbone/small.yaml"] = (ROOT / "configs/backbone/tiny.yaml").read_text()
    distribution(tmp_path / "site", "mirrors", entries, files)
    return tmp_path / "site"


@pytest.fixture
def falip(site, tmp_path):
    """Calls the program beside the packages; its exit status and all that it printed."""
    return program(site, tmp_path)


def test_what_a_package_brings_is_listed(falip):
    status, listed = falip("list")
    assert status == 0
    assert (
        "  mirror " in listed and "The picture in a mirror." in listed and "  rec/few " in listed and "  small " in listed
    )


def test_what_a_package_brings_is_run_and_its_version_is_recorded(falip, tmp_path, clip_folder):
    results, weights = tmp_path / "results", clip_folder("small")
    words = (
        "backbone=small",
        f"backbone.name={weights}",
        "task=rec/few",
        "task.dataset.scenes=2",
        f"results_root={results}",
    )
    status, printed = falip("sweep", "prompt=mirror", "prompt.times=1,2", *words)
    assert status == 0, printed
    infos = [json.loads(path.read_text()) for path in results.rglob("run.json")]
    mine, _ = sorted(infos, key=lambda info: info["labels"]["prompt"], reverse=True)
    assert mine["labels"]["prompt"] == "mirror,times=2"
    assert mine["identity"]["prompt"]["type"] == "mirrors.Mirror"
    assert mine["identity"]["packages"] == {"mirrors": "1.2"} and mine["versions"]["mirrors"] == "1.2"


@pytest.mark.slow
def test_a_picture_is_looked_at_under_its_prompt(falip, tmp_path, clip_folder):
    weights = clip_folder("small")
    picture(90, 70).save(tmp_path / "photo.png")
    region = ("--box", "10,20,60,65", "--text", "the dog", "--prompt", "mirror,plain", "--backbone", str(weights), "--json")
    status, printed = falip("look", "photo.png", *region)
    assert status == 0, printed
    assert '"mirror"' in printed


@pytest.mark.slow
def test_what_the_project_brings_itself_has_the_identity_of_before(falip, tmp_path, clip_folder):
    results = tmp_path / "results"
    words = ("prompt=plain", f"backbone.name={clip_folder('small')}", "task.dataset.scenes=2", f"results_root={results}")
    assert falip("run", *words)[0] == 0
    (info,) = [json.loads(path.read_text()) for path in results.rglob("run.json")]
    assert "packages" not in info["identity"] and "mirrors" not in info["versions"]


@pytest.mark.parametrize("command", [("list", "prompts"), ("run", "runtime.dry_run=true"), ("backbones",)])
def test_a_name_of_the_project_is_refused(falip, site, command):
    distribution(site, "darker", "[falip.prompts]\na = darker\n", {"darker/prompt/foveal.yaml": YAML})
    status, printed = falip(*command)
    assert status == 2 and "Traceback" not in printed
    assert "There are two of prompt=foveal: falip itself and darker (of darker 1.2) have one each." in printed


def test_a_name_of_two_packages_is_refused(falip, site):
    distribution(site, "darker", "[falip.readouts]\na = darker\n", {"darker/prompt/mirror.yaml": YAML})
    status, printed = falip("run", "prompt=mirror")
    assert status == 2 and "Traceback" not in printed
    assert "prompt=mirror: darker (of darker 1.2) and mirrors.configs (of mirrors 1.2) have one each." in printed


def test_a_package_without_what_it_promises_is_named(falip, site):
    distribution(site, "darker", "[falip.tasks]\na = darker\n", {"darker/prompt/dark.yaml": YAML})
    status, printed = falip("list", "prompts")
    assert status == 2 and "Traceback" not in printed
    assert "darker 1.2 says of itself [falip.tasks] a = darker, and there is no task/*.yaml" in printed
