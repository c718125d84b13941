import pytest

from benchmarks.settings.choices import CONFIGS, GROUPS, check_overrides, config_folders, options
from falip import UserError


def test_every_group_lists_its_options_nested_ones_with_their_folder():
    assert all(options(group) for group in GROUPS)
    assert {"rec/shapes", "classification/shapes", "pointcloud/solids"} <= set(options("task"))


@pytest.mark.parametrize(
    "argument",
    [
        "prompt=foveal",
        "prompt=plain,foveal",
        "+experiment=smoke_rec",
        "task=rec/shapes",
        "prompt=glob(*)",
        "prompt='foveal'",
        "prompt.alpha=0.3",
        "runtime.shard=0/2",
        "-m",
        "hydra/launcher=joblib",
    ],
)
def test_what_exists_passes(argument):
    check_overrides([argument])


@pytest.mark.parametrize(
    ("argument", "meant", "listed"),
    [
        ("prompt=fovael", "foveal", "red_circle"),
        ("prompt=plain,fovael", "foveal", "blur"),
        ("task=rec/shape", "rec/shapes", "pointcloud/solids"),
        ("task=shapes", "rec/shapes", "rec/refcoco"),
        ("backbone=vitb16", "vit_b16", "tiny"),
        ("text=subtrakt", "subtract", "default"),
        ("+experiment=smoke_rek", "smoke_rec", "smoke_rec"),
    ],
)
def test_a_typo_lists_the_names_there_are_and_the_nearest(argument, meant, listed):
    with pytest.raises(UserError) as caught:
        check_overrides(["-m", argument])
    message = str(caught.value)
    assert argument in message and f"Did you mean {meant}?" in message and listed in message


def test_options_of_added_folders_count(tmp_path):
    (tmp_path / "prompt").mkdir()
    (tmp_path / "prompt" / "sepia.yaml").write_text("_target_: sepia.Sepia\n")
    for added in (f"hydra.searchpath=[file://{tmp_path}]", f"--config-dir={tmp_path}", f"hydra.searchpath=['{tmp_path}']"):
        check_overrides(["prompt=sepia", added])
    check_overrides(["prompt=sepia", "--config-dir", str(tmp_path)])
    with pytest.raises(UserError, match="sepia"):
        check_overrides(["prompt=sepia"])
    assert len(config_folders(["hydra.searchpath=[pkg://configs]"])) == 2


def test_a_folder_of_ones_own_may_have_spaces_in_its_name_and_says_what_to_give(tmp_path):
    folder = tmp_path / "my settings"
    (folder / "prompt").mkdir(parents=True)
    (folder / "prompt" / "sepia.yaml").write_text("_target_: sepia.Sepia\n")
    for words in (["--config-dir", str(folder)], [f"--config-dir={folder}"], ["-cd", str(folder)]):
        check_overrides(["prompt=sepia", *words])
    with pytest.raises(UserError, match="expected one argument: give a folder"):
        check_overrides(["prompt=plain", "--config-dir"])
    with pytest.raises(UserError, match="there is no such folder"):
        check_overrides(["prompt=plain", "--config-dir", str(tmp_path / "none")])


def test_a_file_that_would_be_passed_over_for_one_of_the_project_is_refused(tmp_path):
    (tmp_path / "prompt").mkdir()
    own = tmp_path / "prompt" / "foveal.yaml"
    own.write_bytes((CONFIGS / "prompt" / "foveal.yaml").read_bytes())
    check_overrides(["prompt=foveal", "--config-dir", str(tmp_path)])
    own.write_text("_target_: falip.Foveal\nalpha: 3.0\n")
    with pytest.raises(UserError, match="falip itself has a prompt=foveal too") as caught:
        check_overrides(["prompt=foveal", "--config-dir", str(tmp_path)])
    assert str(own) in str(caught.value)
