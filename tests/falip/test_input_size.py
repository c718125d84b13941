"""Other input sizes than a tower was trained with, and pictures padded to a square."""

import numpy as np
import pytest
import torch
from PIL import Image
from random_clip import picture
from torch.nn.functional import normalize

import falip
from falip import UserError, load_backbone
from falip.weights import BackboneSettings, find_weights

BOX = falip.Region.from_box(0, 0, 90, 35)


def test_a_larger_input_has_the_positions_that_transformers_would_interpolate(clip_folder, photo):
    folder = str(clip_folder("small"))
    small, large = load_backbone(folder), load_backbone(folder, image_size=96)
    assert (large.geometry.image_size, large.geometry.rows, large.geometry.tokens) == (96, 6, 37)
    pixels = large.preprocess([photo])
    with torch.inference_mode():
        expected = small.model.get_image_features(pixel_values=pixels, interpolate_pos_encoding=True).pooler_output
    assert torch.allclose(large.encode_regions(photo, [BOX], falip.Plain()), normalize(expected, dim=-1), atol=1e-6)


@pytest.mark.parametrize("prompt", [falip.Foveal(alpha=5.0), falip.MaskPool("naclip"), falip.ROIAlign()])
def test_sharing_holds_at_another_size(clip_folder, photo, prompt):
    backbone = load_backbone(str(clip_folder("small")), image_size=112, resize="pad")
    exact, none = (backbone.encode_regions(photo, [BOX, BOX], prompt, way) for way in ("exact", "none"))
    assert torch.allclose(exact, none, atol=1e-5)


def test_a_size_that_is_no_number_of_patches_names_one_that_is(clip_folder):
    with pytest.raises(UserError, match=r"image_size=90 is no whole number of patches of 16 pixels\. Give 96"):
        load_backbone(str(clip_folder("small")), image_size=90)


def test_a_padded_picture_keeps_its_aspect_and_is_black_beside(clip_folder):
    backbone = load_backbone(str(clip_folder("small")), resize="pad")
    image = picture(100, 50)
    pixels = backbone.preprocess([image])[0]
    black = backbone.preprocess([Image.new("RGB", (64, 64))])[0]
    assert torch.equal(pixels[:, 32:], black[:, 32:]) and not torch.equal(pixels[:, :32], black[:, :32])
    tall = backbone.preprocess([image.transpose(Image.Transpose.ROTATE_90)])[0]
    assert torch.equal(tall[:, :, 32:], black[:, :, 32:])


def test_regions_go_where_a_padded_picture_goes():
    geometry = falip.Geometry(64, 16, 6, 4, "pad")
    assert geometry.resized((100, 50)) == ((64, 32), (0, 0))
    assert geometry.to_input(np.array([[50.0, 25.0, 100.0, 50.0]]), (100, 50)).tolist() == [[32, 16, 64, 32]]
    mask = np.zeros((50, 100), bool)
    mask[30:, :20] = True
    assert np.argwhere(geometry.token_mask(mask, (100, 50))).tolist() == [[1, 0]]


def test_the_size_is_part_of_the_identity_where_it_is_chosen(clip_folder):
    folder = str(clip_folder("small"))
    weights = find_weights(folder)
    plain = BackboneSettings(folder).identity(weights)
    assert "image_size" not in plain
    chosen = BackboneSettings(folder, image_size=96, resize="pad").identity(weights)
    assert chosen == plain | {"image_size": 96, "resize": "pad"}
    assert load_backbone(folder, image_size=96, resize="pad").identity == chosen
    with pytest.raises(UserError, match="image_size=0"):
        BackboneSettings(folder, image_size=0)
