"""The program `falip`: one name for every command, in any folder."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import console
from benchmarks.settings.choices import options

ROOT = Path(__file__).parents[2]
TEXTS = {".py", ".md", ".yaml", ".html", ".js", ".ipynb", ".csv", ".tex"}
START = "import sys; from benchmarks.console import main; sys.exit(main(sys.argv[1:]))"


def _falip(folder, *arguments):
    """The program as it is installed: neither the current folder nor the clone's stands first on the path."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", START, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_help_lists_every_command(capsys):
    assert console.main([]) == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in console.COMMANDS)


def test_the_version_is_told(capsys):
    assert console.main(["--version"]) == 0
    assert re.fullmatch(r"falip \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_an_unknown_command_is_named(capsys):
    assert console.main(["tabels"]) == 2
    assert "there is no command 'tabels'. Did you mean falip tables?" in capsys.readouterr().err


def test_a_command_of_two_words_gets_what_follows_both(capsys):
    with pytest.raises(SystemExit) as stopped:
        console.main(["train", "align", "--help"])
    assert stopped.value.code == 0
    assert "usage: falip train align " in capsys.readouterr().out


@pytest.mark.parametrize("words", [["train"], ["train", "tune"]])
def test_a_training_needs_its_method(words, capsys):
    assert console.main(words) == 2
    assert "there is no command 'train'. Did you mean falip train align?" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in console.COMMANDS if name not in ("run", "sweep")])
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(console.COMMANDS[name].module).main(["--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: falip {name} ") and "python -m" not in said


def test_no_text_names_a_command_in_another_way():
    module = re.compile(rf"python3? -m (benchmarks\b|scripts\.data)|\"-m\", \"({'|'.join(_modules())})\"")
    texts = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile")]
    for folder in ("falip", "benchmarks", "scripts", "hydra_plugins", "configs", "docs", "examples", "results/embedded"):
        texts += [path for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS]
    found = [(path, line) for path in texts for line in path.read_text().splitlines() if module.search(line)]
    assert len(texts) > 300
    # A measurement in a process of its own starts the interpreter that it runs in.
    assert [(path.name, "sys.executable" in line) for path, line in found] == [("measure.py", True)]


def _modules() -> list[str]:
    return [re.escape(command.module.removesuffix(".__main__")) for command in console.COMMANDS.values()]


@pytest.mark.parametrize("name", ["run", "sweep"])
def test_the_help_of_runs_shows_how_they_are_asked_for(name, tmp_path):
    done = _falip(tmp_path, name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: falip {name} SETTING=VALUE ")
    assert "falip sweep prompt=plain,foveal,crop" in done.stdout and "python -m" not in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("task.dataset.file=nowhere.csv", "error: There is no table "),
        ("task.limit=3", "error in the configuration: task.dataset.file must be given"),
    ],
)
def test_a_mistake_in_one_run_is_one_message(setting, message, tmp_path):
    done = _falip(tmp_path, "run", "task=classification/csv", setting)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(message)


def test_it_works_beside_folders_of_its_own_names_and_takes_what_is_the_users(tmp_path):
    for name in ("falip", "configs", "scripts", "benchmarks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "own" / "prompt").mkdir(parents=True)
    (tmp_path / "mine.py").write_text("from falip import Foveal\n\nclass Mine(Foveal):\n    pass\n")
    (tmp_path / "own" / "prompt" / "mine.yaml").write_text("# Mine.\n_target_: mine.Mine\nalpha: 0.7\n")
    done = _falip(
        tmp_path,
        "sweep",
        "--config-dir",
        tmp_path / "own",
        "prompt=mine,plain",
        "task.dataset.scenes=2",
        "runtime.workers=0",
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "results" / "runs").rglob("metrics.json"))) == 2
    listed = _falip(tmp_path, "list", "prompts", "--config-dir", "own").stdout
    assert "mine" in listed and "Mine." in listed
    assert _falip(tmp_path, "data", "--help").stdout.startswith("usage: falip data")


def test_list_gives_each_choice_its_meaning(capsys):
    assert console.main(["list"]) == 0
    said = capsys.readouterr().out.splitlines()
    for group in ("prompt", "backbone", "task", "text", "experiment"):
        for name in options(group):
            assert any(line.split()[:1] == [name] and len(line.split()) > 1 for line in said), name


def test_list_has_the_commands_of_a_choice_below_its_meaning(capsys):
    assert console.main(["list", "tasks"]) == 0
    said = capsys.readouterr().out.splitlines()
    (place,) = [i for i, line in enumerate(said) if line.split()[:1] == ["rec/csv"]]
    assert said[place].endswith("a table of candidate boxes and a table of expressions.")
    assert said[place + 1].strip().startswith("falip run task=rec/csv ") and "target: id" in said[place + 3]


def test_list_refuses_a_folder_that_is_not_there(capsys):
    assert console.main(["list", "prompts", "--config-dir", "nowhere"]) == 2
    assert "--config-dir nowhere" in capsys.readouterr().err
