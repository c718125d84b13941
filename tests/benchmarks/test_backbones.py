"""The list of backbones: all configurations, what is here, and folders in any layout."""

import json
import shutil

import pytest
import yaml
from open_clip_reference import write_open_clip
from siglip_reference import write_metaclip2, write_siglip

from benchmarks import backbones
from benchmarks.settings.choices import CONFIGS, options
from benchmarks.settings.towers import KNOWN
from falip import UserError, load_backbone


def _hub_ids():
    for path in (CONFIGS / "backbone").glob("*.yaml"):
        config = yaml.safe_load(path.read_text())
        yield from (member["name"] for member in config.get("members", [config]) if "/" in member["name"])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("FALIP_DATA", str(tmp_path / "data"))
    return tmp_path / "hub"


def _called(capsys, *names) -> tuple[int, list[str]]:
    status = backbones.main(names)
    printed = capsys.readouterr()
    return status, (printed.out + printed.err).splitlines()


def test_the_tower_of_every_hub_id_of_the_configurations_is_declared():
    assert set(_hub_ids()) == set(KNOWN)
    for name, tower in KNOWN.items():
        assert "patch" not in name or f"patch{tower.patch}" in name
        assert not name.endswith(("-224", "-336")) or name.endswith(f"-{tower.side}")


def test_every_configuration_has_a_line_for_each_of_its_models(cache, capsys):
    status, lines = _called(capsys)
    assert status == 0 and {line.split()[0] for line in lines[1:] if line} >= set(options("backbone"))
    (place,) = [i for i, line in enumerate(lines) if line.startswith("rn50x16_vit_l14_336 ")]
    assert "12x12" in lines[place] and "mean row of the pool" in lines[place] and "not pinned" in lines[place]
    assert lines[place + 1].startswith("  and") and "24x24" in lines[place + 1] and "ce19dc912ca5" in lines[place + 1]
    (tiny,) = [line for line in lines if line.startswith("tiny ")]
    assert "8x8" in tiny and tiny.endswith("embedded")
    assert "falip data weights" in lines[-1]


WRITERS = {
    "siglip": lambda folder: write_siglip(folder, image_size=70),
    "metaclip2": write_metaclip2,
    "vit": write_open_clip,
    "resnet": lambda folder: write_open_clip(folder, "resnet"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_is_read_as_the_loaded_model_is(tmp_path, capsys, kind):
    WRITERS[kind](tmp_path / "model")
    geometry = load_backbone(str(tmp_path / "model")).geometry
    (row,) = backbones.rows(str(tmp_path / "model"))
    assert (row.grid, row.layers) == (f"{geometry.rows}x{geometry.cols}", str(geometry.layers))
    assert row.here == "folder" and row.revision == "-"


def test_a_folder_without_weights_says_so(tmp_path, clip_folder):
    shutil.copytree(clip_folder("small"), tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    (row,) = backbones.rows(str(tmp_path / "model"))
    assert (row.grid, row.here) == ("4x4", "no weights in the folder")


def test_what_is_in_the_cache_is_read_there(cache, clip_folder):
    commit, name = "a" * 40, "someone/clip"
    snapshot = cache / "models--someone--clip" / "snapshots" / commit
    (unknown,) = backbones.rows(name)
    assert (unknown.grid, unknown.here) == ("?", "no")
    shutil.copytree(clip_folder("ViT-B/32"), snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(commit)
    (row,) = backbones.rows(name)
    assert (row.grid, row.layers, row.here, row.revision) == ("7x7", "12", "in the cache", "not pinned (aaaaaaaaaaaa here)")


def test_an_alpha_file_is_looked_for_in_the_data_root(cache, tmp_path):
    (row,) = backbones.rows("alphaclip_b16")
    assert row.here.startswith("no; alpha file ") and row.here.endswith(": no")
    path = tmp_path / "data" / "alphaclip" / "clip_b16_grit+mim_fultune_4xe.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    (row,) = backbones.rows("alphaclip_b16")
    assert str(path) in row.here and row.here.endswith(": yes")


@pytest.mark.parametrize(
    "content, said",
    [("{", "not valid JSON"), ('{"model_type": "siglip2"}', "NaFlex"), ('{"model_type": "clip"}', "no vision_config")],
)
def test_a_folder_that_cannot_be_read_is_an_error(tmp_path, clip_folder, content, said, capsys):
    shutil.copytree(clip_folder("small"), tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(content)
    status, lines = _called(capsys, str(tmp_path / "model"))
    assert status == 2 and said in lines[0] and str(tmp_path) in lines[0]


def test_a_size_that_is_none_is_an_error(tmp_path, clip_folder):
    shutil.copytree(clip_folder("small"), tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["vision_config"]["patch_size"] = 0
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"config\.json has patch_size=0"):
        list(backbones.rows(str(tmp_path / "model")))


def test_a_name_that_is_no_backbone_is_an_error(capsys):
    status, lines = _called(capsys, "vit_b17")
    assert status == 2 and "There is no backbone 'vit_b17'" in lines[0]
