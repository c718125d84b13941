"""Pictures of every mode and masks of every kind: each decided on purpose, none lost in silence."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from falip import UserError
from falip.reading import NO_STATED_WHITE, TO_RGB, PictureReader, as_rgb, mask_ids, mask_inside

GREY_16 = ["I;16", "I;16B", "I;16L", "I;16N"]
COLOUR = (200, 30, 40)


@pytest.mark.parametrize("mode", Image.MODES)
def test_every_mode_of_pillow_is_decided(mode):
    image = Image.new(mode, (4, 3))
    if mode in NO_STATED_WHITE:
        with pytest.raises(UserError, match=rf"mode '{mode}'.*which number is white.*8 bits"):
            as_rgb(image)
    else:
        assert (as_rgb(image).mode, as_rgb(image).size) == ("RGB", (4, 3))


def test_no_mode_is_decided_twice():
    assert set(TO_RGB) | set(NO_STATED_WHITE) == set(Image.MODES)
    assert not set(TO_RGB) & set(NO_STATED_WHITE)


def test_a_mode_that_is_not_known_is_refused():
    image = Image.new("L", (2, 2))
    image._mode = "X;99"
    with pytest.raises(UserError, match="X;99"):
        as_rgb(image)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "YCbCr", "HSV", "CMYK", "LAB", "P"])
def test_colours_stay_what_they_are(mode):
    image = Image.new("RGB", (3, 2), COLOUR)
    if mode == "LAB":
        profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
        image = ImageCms.applyTransform(image, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    else:
        image = image.quantize(4) if mode == "P" else image.convert(mode)
    assert np.abs(np.asarray(as_rgb(image)).astype(int) - COLOUR).max() <= 3


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=30))
@settings(deadline=None, max_examples=30)
def test_grey_of_16_bits_keeps_its_upper_byte(values):
    image = Image.fromarray(np.array([values], np.uint16))
    assert np.asarray(as_rgb(image))[0, :, 1].tolist() == [value // 256 for value in values]


@pytest.mark.parametrize("mode", GREY_16)
def test_every_order_of_16_bits_is_the_same_picture(mode):
    values = np.array([[0, 255, 256, 40000, 65535]], np.uint16)
    kind = ">u2" if mode == "I;16B" else "<u2"
    image = Image.frombytes(mode, (5, 1), values.astype(kind).tobytes())
    assert np.asarray(as_rgb(image))[0, :, 0].tolist() == [0, 0, 1, 156, 255]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_file_of_16_bits_is_scaled(tmp_path, form):
    Image.fromarray(np.array([[0, 30000, 65535]], np.uint16)).save(tmp_path / "deep", form)
    assert np.asarray(PictureReader().picture(tmp_path / "deep"))[0, :, 0].tolist() == [0, 117, 255]


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_transparent_colour_leaves_no_trace_but_a_warning(tmp_path, caplog, mode):
    image = Image.new("RGB", (4, 3), COLOUR)
    image.putpixel((0, 0), (0, 0, 0))
    expected = image.convert(mode).convert("RGB")
    mark = {"L": 0, "RGB": (0, 0, 0), "P": image.convert("P").getpixel((0, 0))}[mode]
    image.convert(mode).save(tmp_path / "marked.png", transparency=mark)
    found = PictureReader().picture(tmp_path / "marked.png")
    assert "transparency" not in found.info
    assert found.tobytes() == expected.tobytes()
    assert "marked.png: 1 of its pixels are transparent" in caplog.text


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_hidden_pixels_are_taken_and_counted(caplog, mode):
    image = Image.new("RGBA", (2, 1), (100, 100, 100, 128)).convert("LA" if "L" in mode else "RGBA")
    image = image.convert(mode)
    assert np.abs(np.asarray(as_rgb(image)).astype(int) - 100).max() <= 1
    assert "2 of its pixels are transparent" in caplog.text


def test_an_opaque_picture_is_no_matter(caplog):
    as_rgb(Image.new("RGBA", (2, 1), (*COLOUR, 255)))
    assert not caplog.text


def _encoded(form="JPEG", **options):
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff\xd8",
        _encoded()[:-1],
        _encoded()[:3000],
        _encoded()[:3000] + bytes(len(_encoded()) - 3000),
        _encoded(progressive=True)[:3000] + bytes(9000),
        _encoded("PNG")[:9000],
        _encoded("WEBP")[:900],
        b"<html>not found</html>",
    ],
)
def test_a_picture_that_is_not_whole_is_named(tmp_path, damaged):
    (tmp_path / "cut.jpg").write_bytes(damaged)
    with pytest.raises(UserError, match=r"cut\.jpg cannot be decoded \(.+\)\. Fetch it again"):
        PictureReader(mend="Fetch it again.").picture(tmp_path / "cut.jpg")


@given(
    at=st.integers(0, 2000),
    byte=st.integers(0, 255),
    form=st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"]),
)
@settings(deadline=None, max_examples=60)
def test_damage_is_an_error_that_names_the_file_or_a_picture(tmp_path_factory, at, byte, form):
    path = tmp_path_factory.mktemp("damage") / "picture"
    content = bytearray(_encoded(form))
    content[at % len(content)] = byte
    path.write_bytes(content)
    try:
        assert PictureReader().picture(path).mode == "RGB"
    except UserError as error:
        assert str(path) in str(error)


def test_a_thumbnails_end_is_not_the_pictures(tmp_path):
    inner = _encoded()
    exif = b"\xff\xe1" + (len(inner) % 60000 + 2).to_bytes(2) + inner[: len(inner) % 60000]
    whole = _encoded()
    (tmp_path / "a.jpg").write_bytes(whole[:2] + exif + whole[2:])
    assert PictureReader().picture(tmp_path / "a.jpg").size == (120, 90)
    (tmp_path / "b.jpg").write_bytes(whole[:2] + exif + whole[2:3000] + bytes(len(whole)))
    with pytest.raises(UserError, match="end of the JPEG is missing"):
        PictureReader().picture(tmp_path / "b.jpg")


def test_large_pictures_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    Image.new("1", (200, 100)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)  # Pillow's own limit gives way
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
        message = r"large\.png has 200 x 100 pixels, 0\.02 megapixels, and at most 0\.01 .*raise --megapixels"
        with pytest.raises(UserError, match=message):
            PictureReader(0.01, setting="--megapixels").picture(tmp_path / "large.png")
    assert PictureReader(0.02).picture(tmp_path / "large.png").size == (200, 100)
    assert Image.MAX_IMAGE_PIXELS == 5000


def test_a_header_that_claims_a_billion_pixels_is_refused(tmp_path):
    content = bytearray(_encoded("PNG"))
    content[16:24] = (40_000).to_bytes(4) * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(UserError, match=r"40000 x 40000 pixels, 1600 megapixels, and at most 64 "):
        PictureReader().picture(tmp_path / "bomb.png")


@pytest.mark.parametrize("name", ["none.png", "x" * 300, ".", "a\0b"])
def test_what_is_no_file_is_named(tmp_path, name):
    with pytest.raises(UserError, match=r"image"):
        PictureReader().picture(tmp_path / name)
    assert PictureReader().size(tmp_path / name) is None


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_that_no_picture_meets_is_refused(limit):
    with pytest.raises(UserError, match="megapixels above 0"):
        PictureReader(limit)


def _turned(path: Path, orientation: int) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_turns_where_it_is_asked_for(tmp_path, orientation):
    path = _turned(tmp_path / "photo.jpg", orientation)
    assert PictureReader().picture(path).size == (40, 30)
    assert PictureReader(upright=True).picture(path).size == ((30, 40) if orientation > 4 else (40, 30))


ID = 3 + 256 * 2 + 65536


@pytest.mark.parametrize(
    ("mode", "value", "number"),
    [("1", 1, 1), ("L", 7, 7), ("P", 7, 7), ("I", 70000, 70000), ("I;16", 300, 300), ("F", 5.0, 5), ("LA", (7, 255), 7),
     ("RGB", (3, 2, 1), ID), ("RGBA", (3, 2, 1, 255), ID), ("RGBX", (3, 2, 1, 0), ID), ("RGBa", (3, 2, 1, 255), ID)],
)  # fmt: skip
def test_masks_hold_numbers(mode, value, number):
    mask = Image.new(mode, (3, 2))
    mask.putpixel((1, 0), value)
    if mode == "RGBA":
        mask.putalpha(255)
    expected = np.zeros((2, 3), int)
    expected[0, 1] = number
    if mode not in ("LA", "RGBa"):  # their other pixels are transparent, and 0 too
        np.testing.assert_array_equal(mask_ids(mask), expected)
    np.testing.assert_array_equal(mask_inside(mask), expected > 0)


@pytest.mark.parametrize("channel", range(3))
def test_the_faintest_colour_is_inside(channel):
    mask = Image.new("RGB", (2, 1))
    mask.putpixel((1, 0), tuple(int(k == channel) for k in range(3)))
    assert mask_inside(mask).tolist() == [[False, True]]


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB"])
def test_colours_that_are_no_numbers_are_refused_as_masks(mode):
    with pytest.raises(UserError, match=rf"{mode}.*mask > 0"):
        mask_inside(Image.new(mode, (2, 2)))


def test_probabilities_are_refused_as_masks():
    with pytest.raises(UserError, match="mask > 0"):
        mask_inside(Image.fromarray(np.array([[0.1, 0.9]], np.float32)))


@pytest.mark.parametrize(
    ("palette", "inside"),
    [
        ([0, 0, 0, 128, 0, 0, 0, 128, 0], [False, True, True]),  # ids, as VOC has them
        ([0, 0, 0, 0, 0, 0, 0, 128, 0], [False, True, True]),  # an id that is drawn black stays one
        ([255, 255, 255, 0, 0, 0, 9, 9, 9], [True, False, True]),  # colours in the order of their use
        ([68, 1, 84, 33, 145, 140, 253, 231, 37], [False, True, True]),  # a colour map without black
    ],
)
def test_the_background_of_a_palette(palette, inside):
    mask = Image.fromarray(np.array([[0, 1, 2]], np.uint8), mode="P")
    mask.putpalette(palette)
    assert mask_inside(mask).tolist() == [inside]


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (9, 8, 7)])
def test_where_only_the_opacity_varies_it_is_the_mask(colour):
    mask = Image.new("RGBA", (3, 1), (*colour, 0))
    mask.putpixel((1, 0), (*colour, 255))
    assert mask_inside(mask).tolist() == [[False, True, False]]


def test_what_is_wholly_transparent_is_outside():
    mask = Image.new("RGBA", (3, 1), (255, 255, 255, 0))
    mask.putpixel((1, 0), (1, 0, 0, 255))
    assert mask_inside(mask).tolist() == [[False, True, False]]


def test_the_noise_of_a_jpeg_is_said(tmp_path, caplog):
    mask = np.zeros((40, 40), np.uint8)
    mask[11:23, 13:30] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    mask_inside(Image.open(tmp_path / "mask.png"))
    assert not caplog.text
    Image.fromarray(mask).save(tmp_path / "mask.jpg")
    mask_inside(Image.open(tmp_path / "mask.jpg"), "The mask mask.jpg")
    assert "The mask mask.jpg has" in caplog.text and "JPEG" in caplog.text and "FILE:ID" in caplog.text
