"""Bytes become a picture, or are refused before they cost anything.

Tests: services.core.pictures, services.core.png_rows
"""

import io

import numpy as np
import pytest
import uploads as u
from PIL import Image

from services.core.pictures import decode_picture, read_header
from services.core.png_rows import has_all_rows
from services.core.refusals import Refusal

MOST = 16_000_000


def decode(content):
    return np.asarray(decode_picture(read_header(content, MOST)))


def status_of(content, most=MOST):
    with pytest.raises(Refusal) as refused:
        decode_picture(read_header(content, most))
    return int(refused.value.status)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_kind_and_size_are_those_of_the_content(kind):
    picture = read_header(u.encode(u.pixels(24, 32), kind), MOST)
    assert (picture.kind, picture.width, picture.height) == (kind, 32, 24)


def test_pixels_are_those_that_were_stored():
    assert np.array_equal(decode(u.PHOTOGRAPH), u.pixels())


def test_as_many_pixels_as_are_taken_and_not_one_more():
    """A picture of 24 x 32 has 768 pixels."""
    assert read_header(u.PHOTOGRAPH, 768).width == 32
    assert status_of(u.PHOTOGRAPH, 767) == 413


def test_a_bomb_is_refused_by_its_header():
    assert status_of(u.one_bit_bomb()) == 413
    assert status_of(u.too_many_pixels()) == 413


@pytest.mark.parametrize("content", [u.TEXT, u.GIF, u.BMP, u.TIFF, u.PICKLE, u.ZIP, b"", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_png_jpeg_or_webp_by_its_content(content):
    assert status_of(content) == 415


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_that_breaks_off(kind):
    whole = u.encode(u.pixels(), kind)
    assert status_of(whole[: len(whole) // 2]) == 400


@pytest.mark.parametrize(
    "content", [u.PHOTOGRAPH[:8], u.wrong_checksum(), u.fewer_pixels_than_it_says(), u.text_bomb(), b"\xff\xd8\xff\xe0"]
)
def test_a_damaged_file(content):
    assert status_of(content) == 400


def test_a_refusal_names_no_place_in_memory():
    with pytest.raises(Refusal) as refused:
        read_header(u.PHOTOGRAPH[:8], MOST)
    assert "0x" not in refused.value.got


def test_sixteen_bits_are_scaled_and_not_cut_off():
    """40,000 of 65,535 are 155.6 of 255."""
    assert np.unique(decode(u.SIXTEEN_BITS)).tolist() == [156]


def test_transparency_is_laid_on_white():
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert np.unique(decode(u.encode(clear))).tolist() == [255]
    assert np.unique(decode(u.encode(half))).tolist() == [127]


def test_grey_palette_and_four_inks_become_rgb():
    for content in (u.GREY, u.PALETTE, u.CMYK):
        assert decode(content).shape == (24, 32, 3)


def test_a_picture_stands_upright_as_the_camera_noted():
    """Orientation 6: the camera was turned, so the first row of the file is the right column of the picture."""
    notes = Image.Exif()
    notes[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(u.pixels()).save(file, "PNG", exif=notes)
    assert np.array_equal(decode(file.getvalue()), np.rot90(u.pixels(), -1))


def test_of_several_frames_the_first_is_taken():
    file = io.BytesIO()
    frames = [Image.fromarray(u.pixels(seed=n)) for n in range(3)]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    assert np.array_equal(decode(file.getvalue()), u.pixels(seed=0))


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize("sides", [(8, 8), (9, 13), (1, 1), (3, 2), (2, 5)], ids=str)
@pytest.mark.parametrize(("depth", "colour", "bits"), [(1, 0, 1), (8, 2, 24), (16, 6, 64), (4, 3, 4)])
def test_all_rows_are_there_or_one_byte_is_missing(sides, interlaced, depth, colour, bits):
    """Rows are counted as the PNG standard has them: each its filter's byte and its bits, rounded up to bytes."""
    width, height = sides
    passes = [(range(width), range(height))]
    if interlaced:  # section 8.2 of the standard, pixel by pixel of its pattern of 8 x 8
        pattern = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777"]
        pixels = [(pattern[y % 8][x % 8], x, y) for y in range(height) for x in range(width)]
        found = [[(x, y) for number, x, y in pixels if number == str(n)] for n in range(1, 8)]
        passes = [({x for x, _ in part}, {y for _, y in part}) for part in found if part]
    size = sum(len(rows) * (1 + -(-len(columns) * bits // 8)) for columns, rows in passes)
    for count, whole in ((size, True), (size - 1, False)):
        file = bytearray(u.png(width, height, bytes(count), depth=depth, colour=colour))
        file[28] = interlaced
        assert has_all_rows(bytes(file)) == whole
