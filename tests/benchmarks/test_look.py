"""`falip look` knows every prompt of the configurations."""

import json

import numpy as np
import pytest
from random_clip import picture

import falip
from benchmarks.console import COMMANDS
from benchmarks.look import main
from benchmarks.settings.building import build
from benchmarks.settings.choices import options
from benchmarks.settings.expansion import expanded
from falip.picture.inputs import PROMPTS

REGION = ("--box", "10,20,60,65", "--text", "the dog")


def test_a_backbone_is_named_as_configurations_name_it(look, monkeypatch):
    asked = []
    load = falip.load_backbone
    monkeypatch.setattr("falip.backbone.load_backbone", lambda name, **more: (asked.append((name, more)), load("tiny"))[1])
    assert look("--backbone", "vit_b32")[0] == 0
    assert asked[0][0] == "openai/clip-vit-base-patch32" and len(asked[0][1]["revision"]) == 40
    status, _, said = look("--backbone", "vit_b32_b16")
    assert status == 2 and "openai/clip-vit-base-patch32 and openai/clip-vit-base-patch16" in said


@pytest.fixture
def look(tmp_path, clip_folder, capsys):
    """The command on a picture of 90 x 70 pixels: exit status, standard output and error."""
    picture(90, 70).save(tmp_path / "photo.png")

    def called(*arguments: str):
        status = main([str(tmp_path / "photo.png"), *REGION, "--backbone", str(clip_folder("small")), *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return called


def test_it_is_what_the_program_calls():
    assert COMMANDS["look"].module == "benchmarks.look"


def test_prompts_of_configurations_score_as_the_library_does(look, random_clip):
    status, out, _ = look("--prompt", "three_circles,foveal_tokens,red_circle_blur+foveal", "--json")
    scores = json.loads(out)["scores"]
    blurred = falip.RedCircle(outside="blur", name="red_circle_blur")
    expected = {
        "three_circles": falip.Ensemble(
            [falip.RedCircle(), blurred, falip.RedCircle(outside="grey", name="red_circle_grey")]
        ),
        "foveal_tokens": falip.Foveal(region_form="tokens"),
        "red_circle_blur+foveal": falip.Compose([blurred, falip.Foveal()]),
    }
    assert status == 0
    for name, prompt in expected.items():
        found = falip.score(random_clip(), picture(90, 70), [(10, 20, 60, 65)], prompt, ["the dog"])
        np.testing.assert_allclose(scores[name], found.numpy(), atol=1e-3)


def test_a_name_means_the_same_to_the_library_and_to_the_configurations():
    shared = sorted(set(PROMPTS) & set(options("prompt")))
    assert "crop" in shared and "text_region" in shared
    for (job,), name in zip(expanded([[f"prompt={name}"] for name in shared]), shared, strict=True):
        assert build(job.settings["prompt"], "prompt") == PROMPTS[name](falip.Foveal()), name


def test_a_wrong_name_lists_all(look):
    status, _, err = look("--prompt", "red_circle_blurr")
    assert status == 2 and "Did you mean red_circle_blur?" in err and "plain_minus_blackout" in err


def test_each_view_is_drawn(look, tmp_path):
    status, _, err = look("--prompt", "three_circles", "--out", str(tmp_path / "out.png"))
    assert status == 0, err
    assert (tmp_path / "out.png").is_file()


def test_help_names_the_program(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "usage: falip look" in out and "falip list prompts" in out and "  falip look kitchen.jpg" in out


def test_prompts_of_a_folder_of_ones_own_are_known(look, tmp_path, random_clip):
    folder = tmp_path / "my"
    (folder / "prompt").mkdir(parents=True)
    (folder / "prompt" / "strong.yaml").write_text("_target_: falip.Foveal\nalpha: 2.0\n", encoding="utf-8")
    status, out, _ = look("--config-dir", str(folder), "--prompt", "strong,three_circles", "--json")
    expected = falip.score(random_clip(), picture(90, 70), [(10, 20, 60, 65)], falip.Foveal(alpha=2.0), ["the dog"])
    assert status == 0
    np.testing.assert_allclose(json.loads(out)["scores"]["strong"], expected.numpy(), atol=1e-3)
    assert look("--prompt", "strong")[0] == 2


def test_a_folder_of_configurations_that_is_not_there_is_named(look, tmp_path):
    status, _, error = look("--config-dir", str(tmp_path / "none"))
    assert status == 2 and "none" in error and "Traceback" not in error
