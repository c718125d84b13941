"""All weights of a configuration, or of all, from a stand-in server that answers as the hub does."""

import json
from fnmatch import fnmatch

import pytest
from stand_in import shrink

from benchmarks.acquire import check, manifest, weights
from benchmarks.acquire.sources import ASSETS
from benchmarks.settings.choices import backbone_names, options
from benchmarks.settings.plan import parser, planned
from falip.errors import UserError
from falip.weights import cached_folder, find_weights
from scripts import data

ALPHA_FILES = [archive.file for archive in ASSETS["alphaclip"].archives]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Answers for every repository with the files of its layout, written into the cache of the hub."""

    def __init__(self, cache):
        self.cache, self.down, self.kinds = cache, set(), {}

    def files(self, name):
        if name.startswith(("timm/", "laion/", "apple/")):
            return {"open_clip_config.json": "{}", "tokenizer.json": "{}", "open_clip_model.safetensors": name}
        kind = {"google": "siglip", "facebook": "metaclip_2" if "metaclip-2" in name else "clip"}
        config = json.dumps({"model_type": kind.get(name.partition("/")[0], "clip")})
        return {"config.json": config, "tokenizer.json": "{}", "model.safetensors": name, "flax_model.msgpack": name}

    def snapshot(self, name, revision, allow_patterns):
        if name in self.down:
            raise OSError(f"{name} does not answer")
        commit = revision if len(revision) == 40 else COMMIT
        folder = self.cache / f"models--{name.replace('/', '--')}" / "snapshots" / commit
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in self.files(name).items():
            if any(fnmatch(file, pattern) for pattern in allow_patterns):
                (folder / file).write_text(content)
        return str(folder)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    made = Hub(tmp_path / "hub")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(made.cache))
    monkeypatch.setattr("huggingface_hub.snapshot_download", made.snapshot)
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", lambda _, name, revision: list(made.files(name)))
    return made


@pytest.fixture
def zoo(server, monkeypatch):
    """Alpha-CLIP's files on the stand-in server."""
    shrink("alphaclip", server.base, monkeypatch)
    for file in ALPHA_FILES:
        server.add(file, file.encode())
    return server


def fetch(root, *arguments) -> int:
    return data.main([*arguments, "--root", str(root)])


def test_all_weights_of_all_configurations_are_fetched_and_recorded(hub, zoo, tmp_path, capsys):
    root = tmp_path / "data"
    assert fetch(root, "weights", "--backbone", "all") == 0
    names = {name for option in options("backbone") for name in backbone_names(option) if name != "tiny"}
    assert len(names) == 16
    for name in names:
        assert check.weights_state(name, root).complete
        revision = weights.pinned_revision(name, root)
        folder = cached_folder(find_weights(name, revision))
        assert folder is not None and not (folder / "flax_model.msgpack").exists()
    for file in ALPHA_FILES:
        assert (root / "alphaclip" / file).read_bytes() == file.encode()
    recorded = manifest.read(root / "alphaclip")
    assert recorded is not None and set(recorded.files) == set(ALPHA_FILES) and recorded.origin == "downloaded"
    capsys.readouterr()
    asked = len(zoo.asked)
    assert fetch(root, "weights", "--backbone", "all", "--verify") == 0
    said = capsys.readouterr().out
    assert said.count("nothing to do") == 17 and len(zoo.asked) == asked


def test_a_configuration_of_two_models_fetches_both(hub, tmp_path, capsys):
    assert fetch(tmp_path / "data", "weights", "--backbone", "rn50x16_vit_l14_336") == 0
    said = capsys.readouterr().out
    assert "timm/resnet50x16_clip.openai: complete at revision" in said and "layout open_clip" in said
    assert "openai/clip-vit-large-patch14-336: complete at revision ce19dc912ca5" in said


def test_one_that_fails_does_not_keep_the_others_from_being_fetched(hub, tmp_path, capsys):
    hub.down.add("timm/resnet50x16_clip.openai")
    assert fetch(tmp_path / "data", "weights", "--backbone", "rn50x16_vit_l14_336") == 2
    said = capsys.readouterr()
    assert "1 of 2 could not be fetched" in said.err and "does not answer" in said.err
    assert "openai/clip-vit-large-patch14-336: complete" in said.out


def test_a_revision_is_for_one_repository(hub, tmp_path, capsys):
    assert fetch(tmp_path / "data", "weights", "--backbone", "all", "--revision", "main") == 2
    assert "--revision is for one hub id" in capsys.readouterr().err


def test_damaged_weights_are_found_and_fetched_again(hub, tmp_path, capsys):
    root, name = tmp_path / "data", "google/siglip-base-patch16-224"
    assert fetch(root, "weights", "--backbone", "siglip_b16") == 0
    folder = cached_folder(find_weights(name, COMMIT))
    assert folder is not None
    path = folder / "model.safetensors"
    path.write_text("x" * len(path.read_text()))
    assert fetch(root, "weights", "--backbone", "siglip_b16", "--verify") == 0
    assert "1 files are missing or damaged" in capsys.readouterr().out and path.read_text() == name


def test_files_of_the_model_zoo_that_a_person_put_there_are_taken(tmp_path, capsys):
    (tmp_path / "data" / "alphaclip").mkdir(parents=True)
    for file in ALPHA_FILES:
        (tmp_path / "data" / "alphaclip" / file).write_bytes(b"from elsewhere")
    assert fetch(tmp_path / "data", "alphaclip") == 0
    assert "found in place: 2 files" in capsys.readouterr().out


def test_the_way_by_hand_is_told(tmp_path, capsys):
    assert fetch(tmp_path / "data", "alphaclip", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "Google Drive" in said and str(tmp_path / "data" / "alphaclip") in said and "model-zoo.md" in said


def test_a_page_in_the_place_of_weights_is_refused(zoo, tmp_path, capsys):
    zoo.add(ALPHA_FILES[0], b"<html>sign in</html>", kind="text/html")
    assert fetch(tmp_path / "data", "alphaclip") == 2
    assert ALPHA_FILES[0] in capsys.readouterr().err and not (tmp_path / "data" / "alphaclip").exists()


@pytest.mark.parametrize(
    "overrides, needed", [([], True), (["backbone.alpha_weights=/own/file.pth"], False), (["--backbone", "vit_b16"], False)]
)
def test_tables_of_alpha_clip_need_its_files(overrides, needed):
    options = parser().parse_args(["--backbone", "alphaclip_b16", "--tables", "rec", *overrides])
    assert ("alphaclip" in {need.name for need in planned(options).needs()}) == needed


def test_an_unknown_backbone_is_refused(tmp_path, capsys):
    assert fetch(tmp_path / "data", "weights", "--backbone", "rn51") == 2
    assert "not a repository of the hub" in capsys.readouterr().err
    with pytest.raises(UserError, match="no backbone"):
        find_weights("rn51")
