"""`python -m falip`: scores and one picture, and errors that say what to mend."""

import json

import numpy as np
import pytest
from PIL import Image

import falip
from falip.__main__ import main
from falip.picture.drawing import window
from falip.picture.inputs import PROMPTS
from falip.picture.study import coverage, studies


@pytest.fixture
def call(tmp_path, photo, clip_folder, capsys):
    """The command on a picture of 90 x 70 pixels: exit status, standard output and error."""
    photo.save(tmp_path / "photo.png")

    def called(*arguments: str, image: str = "photo.png", backbone: str = "small"):
        status = main([str(tmp_path / image), "--backbone", str(clip_folder(backbone)), *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return called


BOX = ("--box", "10,20,60,65")
TEXTS = ("--text", "a photo of the dog", "--text", "the red cat")


def test_json_holds_the_scores_of_the_library(call, random_clip, photo):
    status, out, _ = call(*BOX, "--box", "0,0,30,30", *TEXTS, "--prompt", "falip,red_circle", "--json")
    found = json.loads(out)
    regions = [falip.Region.from_box(10, 20, 60, 65), falip.Region.from_box(0, 0, 30, 30)]
    assert status == 0
    assert list(found["scores"]) == ["plain", "falip", "red_circle"]
    for name, prompt in {"plain": falip.Plain(), "falip": falip.Foveal(), "red_circle": falip.RedCircle()}.items():
        expected = falip.score(random_clip(), photo, regions, prompt, found["texts"])
        np.testing.assert_allclose(found["scores"][name], expected.numpy(), atol=1e-3)


def test_every_prompt_has_a_name(call):
    status, out, _ = call(*BOX, "--text", "the dog", "--prompt", ",".join([*PROMPTS, "red_circle+foveal"]), "--json")
    scores = json.loads(out)["scores"]
    assert (status, len(scores)) == (0, len(PROMPTS) + 1)
    assert scores["foveal"] == scores["falip"]
    assert len({str(score) for score in scores.values()}) == len(PROMPTS)


def test_the_table_marks_the_best_text_of_each_prompt(call):
    _, out, _ = call(*BOX, *TEXTS, "--prompt", "crop")
    _, raw, _ = call(*BOX, *TEXTS, "--prompt", "crop", "--json")
    lines = {line[:20].strip(): line for line in out.splitlines()}
    scores = json.loads(raw)["scores"]
    for text, i in (("a photo of the dog", 0), ("the red cat", 1)):
        best = sum(scores[name][0][i] == max(scores[name][0]) for name in ("plain", "crop"))
        assert lines[text].count("*") == best
    assert "box 10,20,60,65" in out


def test_alpha_sigma_and_layers_reach_the_prompt(call, random_clip, photo):
    _, out, _ = call(*BOX, "--text", "the dog", "--alpha", "5", "--sigma", "2", "--layers", "2", "--json")
    prompt = falip.Foveal(alpha=5.0, sigma=2.0, layers=2)
    expected = falip.score(random_clip(), photo, [falip.Region.from_box(10, 20, 60, 65)], prompt, ["the dog"])
    np.testing.assert_allclose(json.loads(out)["scores"]["falip"], expected.numpy(), atol=1e-3)


@pytest.mark.parametrize(
    "prompt", ["falip", "red_circle", "crop+foveal", "sclip", "red_circle+roi_align", "text_region,falip", "mask_inversion"]
)
def test_every_prompt_can_be_drawn(call, tmp_path, prompt):
    out = tmp_path / "new" / "out.png"
    status, _, _ = call(*BOX, "--text", "costs $5 and $6 <b>", "--prompt", prompt, "--out", str(out))
    assert status == 0
    with Image.open(out) as drawn:
        assert drawn.width > 1000


def test_a_mask_is_a_region(call, tmp_path, random_clip, photo):
    mask = np.zeros((70, 90), np.uint8)
    mask[20:50, 10:40] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    status, out, _ = call("--mask", str(tmp_path / "mask.png"), "--text", "the dog", "--json")
    expected = falip.score(random_clip(), photo, [falip.Region.from_mask(mask)], falip.Foveal(), ["the dog"])
    assert status == 0
    np.testing.assert_allclose(json.loads(out)["scores"]["falip"], expected.numpy(), atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "image", "words"),
    [
        (BOX, "none.png", "none.png"),
        (BOX, "broken.png", "cannot be decoded"),
        (BOX, "cut.png", "cannot be decoded"),
        (("--box", "100,100,120,120"), "photo.png", "90 x 70"),
        (("--box", "60,20,10,65"), "photo.png", "upper left corner"),
        (("--box", "1,2,3"), "photo.png", "four numbers"),
        ((), "photo.png", "--box"),
        ((*BOX, "--prompt", "red_square"), "photo.png", "red_circle"),
        ((*BOX, "--layers", "0"), "photo.png", "layers=0"),
        ((*BOX, "--sigma", "0"), "photo.png", "--sigma"),
        ((*BOX, "--out", "out.nothing"), "photo.png", "--out"),
        (("--box", "0.1,0.2,0.5,0.9"), "photo.png", "9,14,45,63"),
        (("--box", "0,0,1,1"), "photo.png", "0..1"),
        (("--box", "10,20,600,650"), "photo.png", "--accept-outside"),
        (("--box", f"1,2,3,{'9' * 400}"), "photo.png", "four finite numbers"),
        ((*BOX, "--megapixels", "0.001"), "photo.png", "--megapixels"),
        ((*BOX, "--megapixels", "0"), "photo.png", "--megapixels"),
        (BOX, "x" * 300, "cannot be decoded"),
        ((*BOX, "--text", "caf\udce9"), "photo.png", "--text"),
        (("--mask", "photo.png:77"), "photo.png", "no pixel of id 77"),
        (("--mask", "none.png:1"), "photo.png", "none.png"),
    ],
)
def test_what_the_user_can_mend_is_one_message_and_status_2(call, tmp_path, monkeypatch, photo, arguments, image, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "photo.png").read_bytes()[:900])
    status, _, err = call(*arguments, "--text", "the dog", image=image)
    assert status == 2
    assert err.startswith("error: ")
    assert words in err


def test_a_mask_of_another_size_is_named_with_both_sizes(call, tmp_path):
    Image.new("L", (40, 30), 255).save(tmp_path / "mask.png")
    status, _, err = call("--mask", str(tmp_path / "mask.png"), "--text", "the dog")
    assert status == 2
    assert "40 x 30" in err
    assert "90 x 70" in err


def _scores(call, *arguments, **options):
    status, out, err = call(*arguments, "--text", "the dog", "--json", **options)
    assert status == 0, err
    return json.loads(out)["scores"]["falip"], err


def test_a_box_that_ends_outside_is_cut_with_a_warning(call):
    inside, err = _scores(call, "--box", "10,20,90,70", *BOX)
    assert "warning" not in err
    cut, err = _scores(call, "--box", "10,20,95,170", *BOX)
    assert cut == inside and "warning: 1 of 2 boxes end outside of the image of 90 x 70" in err
    alone, err = _scores(call, "--box", "10,20,95,170", "--accept-outside")
    assert alone == inside[:1] and "1 of 1 boxes" in err


def test_a_photo_is_turned_upright_before_its_box_is_read(call, tmp_path, photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.png", exif=exif)
    assert _scores(call, *BOX, image="phone.png")[0] == _scores(call, *BOX)[0]


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_one_id_of_a_mask_is_chosen_by_its_number(call, tmp_path, mode):
    ids = np.zeros((70, 90), np.uint16)
    ids[20:50, 10:40], ids[5:15, 50:80] = 3, 200
    if mode == "RGB":
        mask, number = Image.fromarray(np.stack([ids * 0, ids, ids * 0], -1).astype(np.uint8)), 3 * 256
    else:
        mask, number = Image.fromarray(ids.astype(np.uint8)).convert("P"), 3
        mask.putpalette([0, 0, 0] * 200 + [255, 0, 0] * 56)
    mask.save(tmp_path / "ids.png")
    Image.fromarray((ids == 3).astype(np.uint8)).save(tmp_path / "one.png")
    Image.fromarray((ids > 0).astype(np.uint8)).save(tmp_path / "all.png")
    one, all_ids = (_scores(call, "--mask", str(tmp_path / name)) for name in ("one.png", "all.png"))
    assert _scores(call, "--mask", f"{tmp_path / 'ids.png'}:{number}") == one
    found, err = _scores(call, "--mask", str(tmp_path / "ids.png"))
    assert found == all_ids[0] and "has 2 values beside 0" in err


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "example:" in capsys.readouterr().out


def test_a_study_shows_more_attention_on_the_region_under_the_mask(random_clip, photo):
    backbone, region = random_clip(), falip.Region.from_box(10, 20, 60, 65)
    study = studies(backbone, photo, [region], falip.Foveal(alpha=3.0))[0]
    plain = backbone.attention(photo, [region], falip.Plain())[0, list(study.layers)].mean(0).numpy()
    np.testing.assert_allclose(study.before, plain, atol=1e-6)
    assert study.layers == (2, 3, 4, 5)
    assert study.share(study.after) > study.share(study.before) + 5
    assert study.bias is not None
    assert study.bias.max() == pytest.approx(3.0)


def test_the_token_grid_covers_what_the_model_sees(random_clip):
    squash, crop = random_clip().geometry, random_clip("small", "crop").geometry
    assert window(squash, (90, 70)) == (0, 0, 90, 70)
    left, top, right, bottom = window(crop, (90, 70))
    assert (top, bottom) == (0, 70)
    assert right - left == pytest.approx(70, abs=1)
    np.testing.assert_allclose(coverage(squash, (0, 0, 90, 70), (90, 70)), 1.0)
    assert coverage(squash, (0, 0, 45, 70), (90, 70)).sum() == pytest.approx(8.0)
