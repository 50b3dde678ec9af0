"""Bytes that people and attackers send as pictures."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, PngImagePlugin

MEGABYTE = 1_000_000
LARGEST = 5 * MEGABYTE  # bytes of a request
MOST_PIXELS = 16_000_000


def pixels(height=24, width=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encode(picture, kind="PNG", **options):
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind, body):
    """A part of a PNG file: length, kind, body, checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, data, *, depth=8, colour=2, before=b""):
    """A PNG file that says of itself what it likes."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def one_bit_bomb():
    """20,000 x 20,000 pixels of one bit: fifty kilobytes here, 1.2 gigabytes as RGB."""
    return png(20_000, 20_000, bytes(20_000 * 2_501), depth=1, colour=0)


def text_bomb(size=200 * MEGABYTE):
    """A small picture with a compressed comment that unpacks to 200 MB."""
    comment = b"Comment\0\0" + zlib.compress(bytes(size), 9)
    return png(4, 4, bytes(4 * 13), before=chunk(b"zTXt", comment))


def more_pixels_than_it_says(size=200 * MEGABYTE):
    """The header says 4 x 4 pixels, the data unpack to 200 MB."""
    return png(4, 4, bytes(size))


def fewer_pixels_than_it_says():
    """The header says 3,000 x 3,000 pixels, and there are eight rows."""
    return png(3_000, 3_000, bytes(8 * 9_001))


def wrong_checksum():
    """A bit of the pixels is flipped, and the checksum of their chunk says so."""
    whole = bytearray(encode(pixels()))
    whole[len(whole) // 2] ^= 1
    return bytes(whole)


def with_profile_bomb(size=50 * MEGABYTE):
    """A colour profile that unpacks to 50 MB."""
    profile = b"sRGB\0\0" + zlib.compress(bytes(size), 9)
    return png(4, 4, bytes(4 * 13), before=chunk(b"iCCP", profile))


def too_many_pixels():
    """One row more than is taken, in a small file."""
    return png(4_000, 4_001, bytes(4_001 * 501), depth=1, colour=0)


def as_many_pixels_as_are_taken():
    return png(4_000, 4_000, bytes(4_000 * 501), depth=1, colour=0)


def padded(size):
    """A right picture with a comment that makes the file this many bytes long."""
    comment = PngImagePlugin.PngInfo()
    comment.add_text("Comment", "")
    shortest = len(encode(pixels(), pnginfo=comment))
    comment = PngImagePlugin.PngInfo()
    comment.add_text("Comment", "a" * (size - shortest))
    return encode(pixels(), pnginfo=comment)


def noise(size):
    """A picture of noise, whose file is about this long: nothing in it can be left out."""
    side = int((size / 3) ** 0.5)
    return encode(pixels(side, side))


PHOTOGRAPH = encode(pixels())
TEXT = b"this is a text and no picture\n" * 40
GIF = encode(pixels(), "GIF")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><rect width="9" height="9"/></svg>'
BMP = encode(pixels(), "BMP")
TIFF = encode(pixels(), "TIFF")
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n"
PICKLE = b"\x80\x04cos\nsystem\n(S'echo oh'\ntR."
ZIP = b"PK\x03\x04" + bytes(200)
JPEG = encode(pixels(), "JPEG", quality=95)
WIDE = encode(pixels(1, 200))
GREY = encode(Image.fromarray(pixels()[:, :, 0]))
TRANSPARENT = encode(Image.fromarray(np.dstack([pixels(), pixels(seed=1)[:, :, 0]]), "RGBA"))
PALETTE = encode(Image.fromarray(pixels()).quantize(16))
SIXTEEN_BITS = encode(Image.fromarray(np.full((24, 32), 40_000, np.uint16)))
CMYK = encode(Image.fromarray(pixels()).convert("CMYK"), "JPEG")
