"""The command line as a user meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = ("task.dataset.scenes=3", "runtime.workers=0")
SEPIA = '''
from dataclasses import dataclass
from typing import ClassVar

from PIL import ImageOps

from falip import Component, Views


@dataclass(frozen=True)
class Sepia:
    """Old photographs."""

    dark: str = "black"
    name: str = "sepia"
    text_template: str | None = None
    version: ClassVar[int] = 1

    def __call__(self, image, regions, geometry):
        old = ImageOps.colorize(image.convert("L"), self.dark, "#ffe0b0")
        return Views((old,), (Component(self.name, (0,) * len(regions)),))
'''


@pytest.fixture
def small(clip_folder):
    return (f"backbone.name={clip_folder('small')}", *SMALL)


def run_files(root: Path) -> dict[str, dict]:
    infos = [json.loads(path.read_text()) for path in root.rglob("run.json")]
    return {info["labels"]["prompt"]: info for info in infos}


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=110, check=False)


def test_the_default_run_needs_nothing(tmp_path):
    done = python("task.limit=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "in 2 pictures to do, 0 recorded already; a subset of 2, not comparable" in done.stdout
    assert "accuracy" in done.stdout and done.stderr == ""
    assert run_files(tmp_path / "results")["foveal"]["status"] == "complete"
    assert {path.name for path in tmp_path.iterdir()} == {"results"}


def test_what_all_runs_of_a_sweep_fail_by_is_said_once_for_all(cli):
    status, printed = cli("-m", "prompt=plain,foveal", "task.dataset.scenes=3", "task.limit=0", "runtime.workers=0")
    assert status == 2
    assert printed.count("plain, foveal failed: task.limit=0") == 1 and printed.count("give a number of samples") == 2
    assert "Error executing" not in printed


def test_a_typo_ends_the_program_with_2_and_one_message(tmp_path):
    done = python("prompt=fovael", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: prompt=fovael: there is no prompt 'fovael'. Did you mean foveal?")
    assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("prompt=fovael", "Did you mean foveal?"),
        ("task=rec/refcocoo", "Did you mean rec/refcoco?"),
        ("backbone=vit_b_16", "Did you mean vit_b16?"),
        ("+experiment=smoke_rek", "Did you mean smoke_rec?"),
        ("prompt.alfa=1", "there is no setting 'prompt.alfa'. Did you mean prompt.alpha?"),
        ("runtime.worker=1", "Did you mean runtime.workers?"),
        ("taks.limit=3", "Did you mean task.limit?"),
        ("+prompt.alfa=1", "prompt.alfa: Foveal has no such setting. Did you mean prompt.alpha?"),
        ("+runtime.speed=1", "runtime.speed: Runtime has no such setting"),
        ("+text.tone=1", "text.tone: TextProtocol has no such setting"),
        ("+backbone.size=1", "backbone.size: BackboneSettings has no such setting"),
        ("prompt.alpha=abc", "prompt.alpha='abc': give a number"),
        ("prompt.alpha=nan", "give a finite number"),
        ("prompt.layers=[99]", "layers=[99]: this vision tower has the layers 0 to 5"),
        ("task.limit=0", "task.limit=0: give a number of samples from 1 on"),
        ("task.limit=2.5", "task.limit=2.5: give a whole number or null"),
        ("task.split=val", "'val' (task.split=val) is unknown"),
        ("task.template=dog", "text.template='dog' has no {}"),
        ("runtime.shard=3/2", "runtime.shard=3/2"),
        ("runtime.workers=many", "runtime.workers='many': give a whole number"),
        ("runtime.device=tpu9", "runtime.device=tpu9: torch cannot use it here"),
        ("approximation=x", "approximation=x: choose from none, frozen"),
        ("text.subtract=-1", "text.subtract=-1"),
        ("task=rec/refcoco", "The data folder"),
        ("backbone=vit_b32", "falip data weights --backbone openai/clip-vit-base-patch32"),
        ("prompt._target_=falip.Nothing", "prompt._target_=falip.Nothing: there is no such class"),
        ("prompt=plain,foveal", "a sweep: falip sweep prompt=plain,foveal"),
        ("foveal", "'foveal' is no setting. Settings are NAME=VALUE"),
        ("tesk=rec/shapes", "there is no setting 'tesk'. Did you mean task? There are: backbone, prompt, task,"),
        ("prompt=[", "no viable alternative"),
        ("results_root=${oc.env:NO_SUCH_PLACE}", "NO_SUCH_PLACE"),
    ],
)
def test_what_a_user_can_mend_is_one_message_and_status_2(cli, small, argument, message):
    given = [
        a for a in small if argument.partition(".")[0].partition("=")[0] not in ("task", "backbone") or "." in argument
    ]
    if argument.partition("=")[0] in ("task", "backbone"):
        given = ["runtime.workers=0"]
    status, printed = cli(*given, argument)
    assert status == 2, printed
    assert message in printed and "Traceback" not in printed


def test_an_unwritable_results_folder_is_one_message(cli, small, tmp_path):
    (tmp_path / "file").write_text("")
    status, printed = cli(*small, "results_root=file", "hydra.run.dir=.")
    assert status == 2 and "cannot be written" in printed


def test_the_second_time_says_that_nothing_is_to_do(cli, small):
    assert cli(*small)[0] == 0
    status, printed = cli(*small)
    assert status == 0 and "complete already, nothing to do" in printed


def test_overrides_of_a_choice_are_part_of_its_label(cli, small, tmp_path):
    assert cli(*small, "prompt.alpha=0.5", "prompt.layers=[4,5]")[0] == 0
    (label,) = run_files(tmp_path)
    assert label == "foveal,alpha=0.5,layers=[4,5]"


def test_a_dry_run_of_a_sweep_says_what_would_run_and_writes_no_run(cli, small, tmp_path):
    status, printed = cli(*small, "-m", "prompt=plain,foveal", "runtime.dry_run=true")
    assert status == 0 and printed.count("0 of ") == 2
    assert not run_files(tmp_path)


def test_a_sweep_goes_on_after_a_job_that_fails(cli, small, tmp_path):
    status, printed = cli(*small, "-m", "prompt.layers=1,[99],2")
    assert status == 2
    assert "foveal,layers=[99] failed: " in printed and "this vision tower has the layers 0 to 5" in printed
    infos = run_files(tmp_path)
    assert {label: info["status"] for label, info in infos.items()} == {
        "foveal,layers=1": "complete", "foveal,layers=[99]": "failed", "foveal,layers=2": "complete",
    }  # fmt: skip
    error = infos["foveal,layers=[99]"]["error"]
    assert error["type"] == "UserError" and "layers=[99]" in error["message"]


def test_an_experiment_sweeps_and_says_so_in_its_runs(cli, small, tmp_path):
    status, printed = cli("+experiment=smoke_rec", *small, "prompt=plain,crop")
    assert status == 0, printed
    infos = run_files(tmp_path)
    assert set(infos) == {"plain", "crop"} and all(info["experiments"] == ["smoke_rec"] for info in infos.values())


def test_a_prompt_that_is_added_in_one_file_and_one_yaml_runs(cli, small, tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sepia.py").write_text(SEPIA)
    (tmp_path / "mine" / "prompt").mkdir(parents=True)
    (tmp_path / "mine" / "prompt" / "sepia.yaml").write_text("_target_: sepia.Sepia\ndark: black\n")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    for added in (f"hydra.searchpath=[file://{tmp_path / 'mine'}]", f"--config-dir={tmp_path / 'mine'}"):
        status, printed = cli(*small, added, "prompt=sepia", "runtime.overwrite=always")
        assert status == 0, printed
    identity = run_files(tmp_path)["sepia"]["identity"]["prompt"]
    assert identity["type"] == "sepia.Sepia" and identity["dark"] == "black" and identity["version"] == 1
    status, printed = cli(*small, f"hydra.searchpath=[file://{tmp_path / 'mine'}]", "prompt=sepai")
    assert status == 2 and "Did you mean sepia?" in printed


def test_the_help_names_the_groups(cli):
    with pytest.raises(SystemExit) as ended:
        cli("--help")
    assert ended.value.code in (0, None)


@pytest.mark.parametrize("sweep", [(), ("-m",)])
def test_results_that_cannot_be_written_are_one_message(cli, small, tmp_path, sweep):
    (tmp_path / "file").touch()
    given = ["prompt=plain", f"results_root={tmp_path / 'file'}", *(a for a in small if not a.startswith("results_root"))]
    status, printed = cli(*sweep, *given)
    assert status == 2 and "Set results_root=" in printed and "Traceback" not in printed


def test_classes_of_one_name_are_named_once(cli, small, monkeypatch):
    from benchmarks.data.shapes import ClassifiedShapes

    names = ClassifiedShapes.class_names
    doubled = property(lambda self: (*names.fget(self)[:-1], names.fget(self)[0]))  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setattr(ClassifiedShapes, "class_names", doubled)
    given = [a for a in small if not a.startswith("task.")]
    status, printed = cli(*given, "task=classification/shapes", "task.limit=2", "prompt=plain")
    assert status == 0, printed
    assert printed.count("classes with one name, of which the first always wins") == 1
