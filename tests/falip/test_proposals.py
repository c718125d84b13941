"""Regions that carry a proposal's box and its mask: who goes by which."""

import numpy as np
import pytest
import torch

from falip import Blur, Crop, Foveal, Geometry, Grayscale, HardMask, RedCircle, Region, Shade, UserError, foveal_bias

B16 = Geometry(224, 16, 12, 12)
BOX = (20.0, 10.0, 60.0, 50.0)


def _mask() -> np.ndarray:
    mask = np.zeros((70, 90), bool)
    mask[30:65, 40:85] = True  # not all of it in the box
    return mask


BOTH = Region((BOX,), _mask())


def test_box_and_mask_are_kept_and_clipped_to_the_image():
    assert BOTH.box == BOX and BOTH.clipped((90, 70)).mask is BOTH.mask
    beyond = Region(((-5, 10, 400, 50),), _mask()).clipped((90, 70))
    assert beyond.box == (0, 10, 90, 50) and np.array_equal(beyond.mask, _mask())


def test_what_from_mask_takes_may_stand_beside_a_box():
    region = Region((BOX,), _mask().astype(np.uint8) * 255)
    assert region.mask is not None and region.mask.dtype == bool and np.array_equal(region.mask, _mask())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Region((), _mask()), "at least one box"),
        (lambda: Region(((1, 2, 3),), _mask()), "four finite numbers"),  # pyright: ignore[reportArgumentType]
        (lambda: Region((BOX,), np.zeros((70, 90))), "no pixel set"),
        (lambda: Region((BOX,), np.random.default_rng(0).normal(size=(70, 90))), "mask > 0"),
        (lambda: Region((BOX,), np.ones((70, 90, 3))), "shape"),
        (lambda: BOTH.clipped((70, 90)), r"\(90, 70\)"),
        (lambda: Region(((95, 0, 99, 9),), _mask()).clipped((90, 70)), "no area"),
    ],
)
def test_a_proposal_that_names_no_region_is_an_error(make, said):
    with pytest.raises(UserError, match=said):
        make()


@pytest.mark.parametrize("form", ["box", "tokens"])
def test_the_foveal_mask_goes_by_the_mask(form):
    rows = foveal_bias([BOTH, Region.from_mask(_mask()), Region.from_box(*BOX)], (90, 70), B16, 0.2, 100.0, form)
    assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])
    assert B16.sees(BOTH, (90, 70))


def test_so_does_a_hard_mask(photo):
    rows = HardMask()(photo, [BOTH, Region.from_mask(_mask())], B16).components[0].biases[0].rows
    assert torch.equal(rows[0], rows[1])


@pytest.mark.parametrize("prompt", [Blur(), Grayscale(), RedCircle(), Shade(), Crop()], ids=lambda p: p.name)
def test_edits_of_a_box_go_by_the_box(photo, prompt):
    both, box = prompt(photo, [BOTH, Region.from_box(*BOX)], B16).images
    assert both.size == box.size and both.tobytes() == box.tobytes()


@pytest.mark.parametrize("prompt", [Blur(area="mask"), Grayscale(area="mask")], ids=lambda p: p.name)
def test_edits_of_a_mask_go_by_the_mask(photo, prompt):
    both, mask = prompt(photo, [BOTH, Region.from_mask(_mask())], B16).images
    assert both.tobytes() == mask.tobytes()


def test_a_crop_takes_the_mask_along_as_far_as_it_lies_in_the_box(photo):
    cut, inside = Crop().edit(photo, BOTH, None)  # pyright: ignore[reportArgumentType]
    assert cut.size == (40, 40) and inside.box == (0, 0, 40, 40)
    assert np.array_equal(inside.mask, _mask()[10:50, 20:60])
    _, apart = Crop().edit(photo, Region(((0, 0, 9, 9),), _mask()), None)  # pyright: ignore[reportArgumentType]
    assert apart.mask is None and apart.box == (0, 0, 9, 9)


def test_a_region_with_both_is_encoded_as_its_mask_under_a_foveal_mask(random_clip, photo):
    both, mask = random_clip().encode_regions(photo, [BOTH, Region.from_mask(_mask())], Foveal(alpha=5.0))
    assert torch.equal(both, mask)
