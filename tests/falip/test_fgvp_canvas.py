"""The size of FGVP's canvas is bounded before memory is taken."""

from __future__ import annotations

import pytest
from PIL import Image

from falip import UserError
from falip.prompts.fgvp.canvas import resized


def test_a_picture_too_thin_to_enlarge_is_refused_with_its_size() -> None:
    with pytest.raises(UserError, match=r"2000 x 1 makes 768000 x 384, more than 150 megapixels"):
        resized(Image.new("RGB", (2000, 1)))


def test_a_thin_cut_out_is_enlarged_to_its_shorter_side() -> None:
    assert resized(Image.new("RGB", (10, 1))).size == (3840, 384)
