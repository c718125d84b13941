"""A results folder may come from anybody: nothing that it names is imported or called."""

import json
import pickle
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from fake_runs import rec_records, write_run
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from scenes import config, identity_of

from benchmarks.records.run import read_run
from benchmarks.report.__main__ import main
from benchmarks.report.known import DATA_SETS, data_set, prompt_from, task_from
from benchmarks.report.restore import RunSetting
from benchmarks.settings.building import build
from benchmarks.settings.choices import CONFIGS
from benchmarks.settings.identity import describe
from falip import UserError


class Pickled:
    """Makes a file when it is read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def targets(folder: Path) -> dict[str, dict]:
    """Configurations that make the file `called` when Hydra instantiates them."""
    called = str(folder / "called")
    (folder / "bad.pkl").write_bytes(pickle.dumps(Pickled(called)))
    (folder / "here.txt").write_text("here")
    (folder / "stranger.py").write_text(f"open({called!r}, 'w')\ndef run(*_, **__): pass\n")
    code = f"open({called!r}, 'w')"
    path = {"_target_": "pathlib.Path", "_args_": [called]}
    return {
        "builtins.exec": {"_target_": "builtins.exec", "_args_": [code]},
        "builtins.eval": {"_target_": "builtins.eval", "_args_": [code]},
        "builtins.open": {"_target_": "builtins.open", "_args_": [called, "w"]},
        "os.system": {"_target_": "os.system", "command": f"touch {called}"},
        "pathlib.Path.write_text": {"_target_": "pathlib.Path.write_text", "_args_": [path, "x"]},
        "pandas.read_pickle": {"_target_": "pandas.read_pickle", "_args_": [str(folder / "bad.pkl")]},
        "urllib": {"_target_": "urllib.request.urlretrieve", "url": f"file://{folder}/here.txt", "filename": called},
        "subprocess.run": {"_target_": "subprocess.run", "args": ["touch", called]},
        "shutil.copy": {"_target_": "shutil.copy", "src": str(folder / "here.txt"), "dst": called},
        "a module": {"_target_": "stranger.run"},
        "nested": {"_target_": "builtins.dict", "a": {"b": [{"_target_": "os.system", "command": f"touch {called}"}]}},
        "hydra itself": {"_target_": "hydra.utils.get_method", "path": "stranger.run"},
    }


def places(stored: dict, identity: dict, bad: dict) -> dict[str, tuple[dict, dict]]:
    """A configuration and an identity for each place that the target may stand in."""

    def changed(tree: dict, *path: str, value: object = bad) -> dict:
        copy = json.loads(json.dumps(tree))
        inner = copy
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        return copy

    ensemble = {"type": "Ensemble", "version": 1, "combine": "sum", "prompts": [identity["prompt"], bad]}
    unleash = {"type": "Unleash", "version": 1, "layers": 4, "prompt": bad}
    named = identity["prompt"] | {"type": bad["_target_"]}
    return {
        "config prompt": (changed(stored, "prompt"), identity),
        "config partial": (changed(stored, "prompt", value=bad | {"_partial_": False, "_convert_": "all"}), identity),
        "config prompts": (changed(stored, "prompt", "prompts", value=[bad]), identity),
        "config task": (changed(stored, "task"), identity),
        "config dataset": (changed(stored, "task", "dataset"), identity),
        "config argument": (changed(stored, "task", "dataset", "scenes"), identity),
        "config split": (changed(stored, "task", "dataset", "split"), identity),
        "config backbone": (changed(stored, "backbone"), identity),
        "config name": (changed(stored, "backbone", "name"), identity),
        "identity prompt": (stored, changed(identity, "prompt")),
        "identity type": (stored, changed(identity, "prompt", value=named)),
        "identity alpha": (stored, changed(identity, "prompt", "alpha")),
        "identity prompts": (stored, changed(identity, "prompt", value=ensemble)),
        "identity inner": (stored, changed(identity, "prompt", value=unleash)),
        "identity task": (stored, changed(identity, "task")),
        "identity dataset": (stored, changed(identity, "task", "dataset")),
        "identity name": (stored, changed(identity, "task", "dataset", "name", value=bad["_target_"])),
    }


def test_nothing_that_a_results_folder_names_is_imported_or_called(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    stored = config("task=rec/shapes", "prompt=foveal", "task.dataset.scenes=3")
    identity, number = identity_of(stored), 0
    harmful = []
    for name, bad in targets(tmp_path).items():
        with suppress(InstantiationException):  # Hydra has a list of what it refuses, and it is not long enough
            instantiate(bad)
        harmful += [name] if (tmp_path / "called").exists() else []
        (tmp_path / "called").unlink(missing_ok=True)
        sys.modules.pop("stranger", None)
        for place, (one, another) in places(stored, identity, bad).items():
            labels = {"prompt": f"{name} {place}"}
            changes = {"labels": labels, "identity": another, "config": one}
            write_run(tmp_path / "runs" / str(number), f"{number:012x}", rec_records(images=1), **changes)
            number += 1
    assert len(harmful) >= 3, "targets that do nothing prove nothing"
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "page.html"), "--max-samples", "2"])
    assert "identity dataset" in (tmp_path / "page.html").read_text()
    assert not (tmp_path / "called").exists() and "stranger" not in sys.modules


PROMPTS = sorted(path.stem for path in (CONFIGS / "prompt").glob("*.yaml"))
TASKS = sorted(str(path.relative_to(CONFIGS / "task").with_suffix("")) for path in (CONFIGS / "task").rglob("*.yaml"))


@pytest.mark.parametrize("name", PROMPTS)
def test_every_prompt_of_the_project_comes_back_from_its_identity(name):
    prompt = build(config(f"prompt={name}")["prompt"], "prompt")
    described = json.loads(json.dumps(describe(prompt)))
    assert json.loads(json.dumps(describe(prompt_from(described)))) == described


@pytest.mark.parametrize("name", TASKS)
def test_every_data_set_of_the_project_is_known(name):
    task = config(f"task={name}")["task"]
    kind, given = task["_target_"].rpartition(".")[2], {k: v for k, v in task["dataset"].items() if k != "_target_"}
    place = next(key for key, paths in DATA_SETS.items() if key[0] == kind and task["dataset"]["_target_"] in paths)
    found = data_set(*place, given)
    assert f"{found.__module__}.{found.__name__}" == task["dataset"]["_target_"]


FOVEAL = {"type": "Foveal", "version": 1, "alpha": 0.2, "sigma": 100.0, "layers": 4}


@pytest.mark.parametrize(
    ("described", "words"),
    [
        (None, "does not describe a prompt"),
        ({"type": ["Foveal"], "version": 1}, "does not describe a prompt"),
        (FOVEAL | {"type": "mine.Prompt"}, "'mine.Prompt' is none of this project's"),
        (FOVEAL | {"type": "__class__"}, "is none of this project's"),
        (FOVEAL | {"version": 99}, "is of version 99"),
        (FOVEAL | {"version": True}, "is of version True"),
        (FOVEAL | {"alpha": "strong"}, "alpha"),
        (FOVEAL | {"alpha": -1.0}, "alpha"),
        (FOVEAL | {"beta": 1}, "has no such setting"),
        (FOVEAL | {"alpha": {"type": "Foveal"}}, "no plain value"),
        ({"type": "Unleash", "version": 1, "prompt": 5}, "does not describe a prompt"),
        ({"type": "Ensemble", "version": 1, "prompts": "Foveal"}, "in the place of a list"),
        ({"type": "Ensemble", "version": 1, "prompts": []}, "needs at least one prompt"),
        ({"type": "Foveal", "version": 1, "layers": 10**9}, "more than 1,000,000"),
    ],
)
def test_what_does_not_fit_is_said(described, words):
    with pytest.raises(UserError, match=words):
        prompt_from(described)


def test_a_data_set_is_made_by_its_name_whatever_the_configuration_calls_it():
    stored = config("task=rec/shapes", "task.dataset.scenes=3")
    described = identity_of(stored)["task"]
    task = task_from(described, stored["task"]["dataset"] | {"_target_": "os.system"})
    assert type(task).__name__ == "ReferringExpressions" and len(task.dataset.index) == 3
    with pytest.raises(UserError, match="more than 1,000,000"):
        task_from(described, {"scenes": 10**12})
    with pytest.raises(UserError, match="'mine' is none of this project's"):
        task_from(described | {"dataset": {"name": "mine"}}, {})


def test_of_a_stored_backbone_only_plain_values_are_used(tmp_path):
    backbone = {"name": "tiny", "revision": None, "dtype": "float32", "resize": "squash", "device": "cuda", "x": 1}
    identity = {"prompt": {"type": "Plain", "version": 1}}
    folder = write_run(tmp_path, "aaa", rec_records(), identity=identity, config={"backbone": backbone})
    assert RunSetting(read_run(folder)).backbone == {"name": "tiny", "dtype": "float32", "resize": "squash"}
    for k, bad in enumerate(({"name": ["tiny"]}, {"members": [backbone, backbone]}, {"name": {"_target_": "os.system"}})):
        folder = write_run(tmp_path / str(k), "aaa", rec_records(), identity=identity, config={"backbone": bad})
        assert RunSetting(read_run(folder)).backbone is None
