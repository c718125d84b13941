"""Weights: one snapshot at a pinned or recorded revision, found again without the network."""

import json
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import pytest
import yaml
from huggingface_hub.errors import LocalEntryNotFoundError

from benchmarks.acquire import weights
from benchmarks.acquire.assets import Options
from benchmarks.acquire.sources import REVISIONS
from falip.errors import UserError

B16 = "openai/clip-vit-base-patch16"
CONFIGS = ["*.json", "merges.txt", "*.model"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Refused(Exception):
    """As the clients of HTTP have them: no OSError."""


class Hub:
    """Stands in for huggingface_hub: what was asked, and a cache in a folder."""

    def __init__(self, cache):
        self.cache = cache
        self.files = ["config.json", "merges.txt", "pytorch_model.bin", "tf_model.h5"]
        self.kind = "clip"
        self.calls = []

    @property
    def weights(self):
        """Of each repository, its revision and the weight files that were asked for."""
        return [(name, revision, asked[len(CONFIGS) :]) for name, revision, asked in self.calls if asked != CONFIGS]

    def snapshot(self, repo_id, revision, allow_patterns):
        self.calls.append((repo_id, revision, allow_patterns))
        commit = revision if len(revision) == 40 else COMMIT
        folder = self.cache / f"models--{repo_id.replace('/', '--')}" / "snapshots" / commit
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.files:
            if any(fnmatch(name, pattern) for pattern in allow_patterns):
                content = json.dumps({"model_type": self.kind}) if name == "config.json" else name
                (folder / name).write_text(content)
        return str(folder)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    made = Hub(tmp_path / "cache")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot)
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: made.files)
    return made


@pytest.fixture
def options(tmp_path):
    said: list[str] = []
    made = Options(tmp_path / "data", say=said.append)
    object.__setattr__(made, "said", said)
    return made


def test_the_pinned_revision_is_fetched_once_and_nothing_but_what_is_needed(hub, options):
    weights.acquire_weights(B16, None, options)
    assert hub.weights == [(B16, REVISIONS[B16], ["pytorch_model.bin"])]
    weights.acquire_weights(B16, None, options)
    assert len(hub.weights) == 1 and "nothing to do" in options.said[-1]


def test_safetensors_are_preferred(hub, options):
    hub.files.append("model.safetensors")
    weights.acquire_weights(B16, None, options)
    assert hub.weights[0][2] == ["model.safetensors"]


def test_all_parts_of_weights_in_parts_are_fetched(hub, options):
    parts = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    hub.files += parts
    weights.acquire_weights(B16, None, options)
    assert hub.weights[0][2] == parts


@pytest.mark.parametrize("kind, files", [("siglip", ["spiece.model"]), ("metaclip_2", ["sentencepiece.bpe.model"])])
def test_other_models_of_transformers_are_fetched_with_their_tokenizers(hub, options, kind, files):
    hub.kind = kind
    hub.files = ["config.json", "tokenizer.json", "model.safetensors", *files]
    weights.acquire_weights("someone/else", None, options)
    recorded = weights.recorded_weights("someone/else", options.root)
    assert recorded is not None and set(recorded.files) == set(hub.files) and kind in recorded.title
    assert f"layout {kind}" in options.said[-1]


def test_of_a_repository_in_two_layouts_the_one_that_is_loaded_is_fetched(hub, options):
    hub.files = ["config.json", "open_clip_config.json", "open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    weights.acquire_weights("someone/both", None, options)
    hub.files = [*hub.files, "model.safetensors", "tokenizer.json"]
    weights.acquire_weights("someone/transformers", None, options)
    hub.kind = None  # timm's configurations have no model_type
    weights.acquire_weights("timm/resnet", None, options)
    fetched = [asked for _, _, asked in hub.weights]
    assert fetched == [["open_clip_model.safetensors"], ["model.safetensors"], ["open_clip_model.safetensors"]]
    assert "layout open_clip" in options.said[-1]


@pytest.mark.parametrize("kind, said", [("siglip2", "NaFlex"), ("blip", "'blip'"), (None, "model_type None")])
def test_a_repository_in_another_layout_is_named_before_its_weights_are_fetched(hub, options, kind, said):
    hub.kind = kind
    with pytest.raises(UserError, match=f"someone/other is of no layout.*{said}"):
        weights.acquire_weights("someone/other", None, options)
    assert not hub.weights


def test_what_a_branch_means_cannot_change_between_configuration_and_weights(hub, options):
    weights.acquire_weights("someone/clip", None, options)
    assert [revision for _, revision, _ in hub.calls] == ["main", COMMIT]


def test_the_first_revision_of_another_repository_is_recorded_and_kept(hub, options):
    weights.acquire_weights("someone/clip", None, options)
    assert hub.calls[0][1] == "main"
    assert weights.pinned_revision("someone/clip", options.root) == COMMIT
    weights.acquire_weights("someone/clip", None, options)
    assert len(hub.weights) == 1
    weights.acquire_weights("someone/clip", "f" * 40, options)
    assert hub.weights[1][1] == "f" * 40


def test_a_lost_file_is_fetched_again_at_the_recorded_revision(hub, options):
    weights.acquire_weights("someone/clip", None, options)
    next(hub.cache.rglob("pytorch_model.bin")).unlink()
    weights.acquire_weights("someone/clip", None, options)
    assert hub.weights[1][1] == COMMIT and list(hub.cache.rglob("pytorch_model.bin"))


def test_offline_the_cache_is_enough_and_the_hub_is_not_asked(hub, options, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: pytest.fail("the hub was asked"))
    weights.acquire_weights(B16, None, options)
    assert "complete at revision" in options.said[-1]


def test_offline_without_a_cache_is_an_error_with_a_mend(hub, options, monkeypatch):
    def absent(*_, **__):
        raise LocalEntryNotFoundError("Cannot find the requested files in the disk cache\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", absent)
    with pytest.raises(UserError, match=r"Cannot find the requested files in the disk cache\. .*HF_ENDPOINT"):
        weights.acquire_weights(B16, None, options)


@pytest.mark.parametrize("error", [Refused("no route"), KeyError("id"), TypeError("odd"), ValueError("no JSON")])
def test_whatever_the_hubs_client_stumbles_over_is_an_error_with_a_mend(hub, options, monkeypatch, error):
    def stumble(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", stumble)
    with pytest.raises(UserError, match=r"could not be downloaded: .*HF_ENDPOINT"):
        weights.acquire_weights(B16, None, options)


def test_a_repository_without_weights_is_an_error(hub, options):
    hub.files = ["config.json"]
    with pytest.raises(UserError, match=r"no model\.safetensors or pytorch_model\.bin: .*holds no weights"):
        weights.acquire_weights(B16, None, options)


def test_a_dry_run_asks_nothing_and_names_the_mirror_of_the_hub(hub, options, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    weights.acquire_weights(B16, None, replace(options, dry_run=True))
    assert not hub.calls and not options.root.exists()
    assert "from http://127.0.0.1:1" in options.said[0] and REVISIONS[B16] in options.said[0]


@pytest.mark.parametrize("name", ["ViT-B/16/x", "../../etc", "clip"])
def test_what_cannot_be_a_repository_is_refused(options, name):
    with pytest.raises(UserError, match="not a repository of the hub"):
        weights.acquire_weights(name, None, options)


def test_every_configured_backbone_is_loaded_at_the_revision_that_is_fetched():
    # Without its revision a snapshot that was fetched by commit is not found offline, and a run would not know its weights.
    files = sorted((Path(__file__).parents[3] / "configs" / "backbone").glob("*.yaml"))
    configured = [member for file in files for member in _members(yaml.safe_load(file.read_text()))]
    hub_models = {one["name"]: one.get("revision") for one in configured if "/" in one["name"]}
    assert hub_models == {name: REVISIONS.get(name) for name in hub_models} and B16 in hub_models


def _members(config):
    return config.get("members", [config])
