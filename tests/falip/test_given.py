"""What people give for a picture and its regions: taken where it can only mean one thing, else refused with the mend."""

import numpy as np
import pytest
import torch
from PIL import Image

import falip

BOX = (10, 20, 60, 65)
MASK = np.zeros((70, 90), bool)
MASK[20:50, 10:40] = True
ONE, MASKED = falip.Region.from_box(*BOX), falip.Region.from_mask(MASK)


def encoded(backbone, image, regions):
    return backbone.encode_regions(image, regions, falip.Foveal(alpha=2.0)).numpy()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (ONE, [ONE]),
        (BOX, [ONE]),
        (list(BOX), [ONE]),
        (np.array(BOX), [ONE]),
        (torch.tensor(BOX, dtype=torch.float32), [ONE]),
        ([np.float32(value) for value in BOX], [ONE]),
        (list(torch.tensor(BOX)), [ONE]),
        ([BOX, MASK], [ONE, MASKED]),
        (np.array([BOX, BOX]), [ONE, ONE]),
        (MASK, [MASKED]),
        (MASK.astype(np.uint8) * 255, [MASKED]),
        (Image.fromarray(MASK.astype(np.uint8) * 255), [MASKED]),
        (np.stack([MASK, ~MASK]), [MASKED, falip.Region.from_mask(~MASK)]),
        ([MASKED, list(BOX)], [MASKED, ONE]),
    ],
)
def test_regions_are_taken_in_every_form_that_means_them(random_clip, photo, given, meant):
    np.testing.assert_array_equal(encoded(random_clip(), photo, given), encoded(random_clip(), photo, meant))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("10,20,60,65", "four numbers"),
        (["10,20,60,65"], "type str"),
        ({"x0": 1}, "type dict"),
        ((10, 20, 60), "four numbers"),
        (None, "NoneType"),
        (7, "type int"),
        ([True, True, False, True], "four numbers"),
        ([[1, 2, 3]], "four numbers"),
        (np.zeros((5, 6), np.float32), "(regions, 4)"),
        (np.zeros((2, 30, 40), bool), "no pixel set"),
        (np.ones((1, 30, 40), bool), "(70, 90)"),
        (np.zeros((1, 1, 2, 2)), "(regions, 4)"),
        ([], "at least one"),
        ((60, 20, 10, 65), "no area"),
    ],
)
def test_regions_that_mean_nothing_are_refused_with_the_mend(random_clip, photo, given, words):
    with pytest.raises(falip.UserError) as error:
        encoded(random_clip(), photo, given)
    assert words in str(error.value)


def test_a_mask_four_pixels_wide_is_a_mask(random_clip):
    narrow, mask = Image.new("RGB", (4, 70)), np.zeros((70, 4), np.uint8)
    mask[10:30] = 1
    expected = encoded(random_clip(), narrow, falip.Region.from_mask(mask))
    np.testing.assert_array_equal(encoded(random_clip(), narrow, mask), expected)


def test_a_picture_may_be_a_path_or_an_array(random_clip, photo, tmp_path):
    photo.save(tmp_path / "photo.png")
    expected = encoded(random_clip(), photo, BOX)
    for given in (tmp_path / "photo.png", str(tmp_path / "photo.png"), np.asarray(photo)):
        np.testing.assert_array_equal(encoded(random_clip(), given, BOX), expected)
    grey = np.asarray(photo)[..., 0]
    np.testing.assert_array_equal(
        encoded(random_clip(), grey, BOX), encoded(random_clip(), Image.fromarray(grey).convert("RGB"), BOX)
    )


def test_a_photo_of_a_path_is_turned_as_a_viewer_shows_it(random_clip, photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.png", exif=exif)
    np.testing.assert_array_equal(encoded(random_clip(), tmp_path / "phone.png", BOX), encoded(random_clip(), photo, BOX))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("none.png", "none.png"),
        (None, "NoneType"),
        (torch.zeros(3, 70, 90), "Tensor"),
        (np.zeros((3, 70, 90), np.uint8), "array.transpose(1, 2, 0)"),
        (np.zeros((70, 90, 3), np.float32), "(255 * array)"),
        (np.zeros((0, 0, 3), np.uint8), "height, width"),
        (Image.new("RGBA", (70, 90)), "convert('RGB')"),
    ],
)
def test_pictures_that_are_none_are_refused_with_the_mend(random_clip, given, words):
    for call in (lambda b: encoded(b, given, BOX), lambda b: falip.score(b, given, BOX, falip.Plain(), ["the dog"])):
        with pytest.raises(falip.UserError) as error:
            call(random_clip())
        assert words in str(error.value)


def test_a_class_is_no_prompt(random_clip, photo):
    for prompt in (falip.Foveal, "foveal"):
        with pytest.raises(falip.UserError, match=r"falip\.Foveal\(\)"):
            random_clip().encode_regions(photo, BOX, prompt)


def test_one_region_alone_has_its_similarity(random_clip, photo):
    found = random_clip().similarity(photo, BOX, falip.MaskPool("sclip"), torch.eye(32)[:2])
    assert found.shape == (1, 2, 4, 4)
