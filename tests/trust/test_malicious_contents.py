"""What lies within a file and would fill the memory or crash the interpreter: pickles, arrays, pictures."""

import io
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from services.core.pictures import read_header
from services.core.refusals import Refusal
from xnb.data.archives import unpickle_batch
from xnb.data.medical import load_arrays
from xnb.data.pictures import decode_rgb
from xnb.widgets.upload import decode_upload

NEST = b")" + b"\x85" * 1_000_000  # a tuple within a tuple within a tuple
DOUBLE = b")" + b"q\0h\0h\0\x86" * 60  # a tuple of two of what was before, again and again: to hash it takes for ever


def batch(labels, data=b"N"):
    return b"\x80\x02}(U\x06labels" + labels + b"U\x04data" + data + b"u."


PICKLES = {
    "nested labels": batch(NEST),
    "a nested label": batch(b"](" + NEST + b"e"),
    "a nested key": b"\x80\x02}(" + NEST + b"Nu.",
    "a doubled key": b"\x80\x02}(" + DOUBLE + b"Nu.",
    "a place in a table of 2**31": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "bytes of 2**40": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
    "a stack that is empty": b"\x80\x02.",
    "nothing": b"",
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_batch_that_would_crash_the_interpreter(name, tally):
    with pytest.raises(ValueError, match=r"^archive: a batch must .*\n  got: "):
        unpickle_batch(PICKLES[name])
    tally("files refused")


def array(path, head, packed=b""):
    """A file of arrays with a head of one's own."""
    text = str(head).encode()
    text += b" " * (117 - len(text)) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + packed)
    return path


ARRAYS = {
    "objects": {"descr": "|O", "fortran_order": False, "shape": (1,)},
    "2**50 numbers": {"descr": "<f8", "fortran_order": False, "shape": (2**50,)},
    "2**90 numbers": {"descr": "<f8", "fortran_order": False, "shape": (2**45, 2**45)},
    "fewer than none": {"descr": "<f8", "fortran_order": False, "shape": (-3,)},
    "not a number": {"descr": "<f8", "fortran_order": False, "shape": (float("nan"),)},
    "unknown type": {"descr": "zebra", "fortran_order": False, "shape": (3,)},
    "no shape": {"descr": "<f8", "fortran_order": False},
    "cut short": {"descr": "<f8", "fortran_order": False, "shape": (9,)},
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_are_none(name, tmp_path, tally):
    with pytest.raises(ValueError, match=r"medmnist: a.npz must be a whole file of plain arrays\n  got: "):
        load_arrays(array(tmp_path / "a.npz", ARRAYS[name], bytes(8)), ["a"])
    tally("files refused")


def test_an_array_that_would_fill_the_memory(tmp_path, tally):
    """300 megabytes of zeros, in 300 kilobytes."""
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(300 << 20, np.uint8))
    with pytest.raises(ValueError, match=r"a.npz must not hold what would fill the memory\n  got: 'a.npy: 3\d+ bytes"):
        load_arrays(path, ["a"])
    tally("files refused")


def png(side):
    """A picture that claims a size, and has a few bytes."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")


def jpeg(side):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    content = bytearray(file.getvalue())
    start = content.find(b"\xff\xc0") + 5
    content[start : start + 4] = struct.pack(">HH", min(side, 65_535), min(side, 65_535))
    return bytes(content)


def text_bomb():
    """A picture of one pixel with a text of 100 megabytes."""
    packed = zlib.compress(bytes(100 << 20))
    text = b"a\0\0" + packed
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    content = png(1)
    return content[:33] + chunk + content[33:]


BOMBS = {"PNG of 2**40 pixels": png(2**20), "PNG of 4e8 pixels": png(20_000), "JPEG of 4e9 pixels": jpeg(65_000)}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BOMBS)
def test_pictures_that_would_fill_the_memory(name, tally):
    """By whoever takes a picture: a folder or an archive, the widgets, both services."""
    content = BOMBS[name]
    with pytest.raises(ValueError, match=r"a.png must be a picture\n  got: .DecompressionBombError"):
        decode_rgb(io.BytesIO(content), "a.png")
    with pytest.raises(ValueError, match=r"^upload: .*\n  got: "):
        decode_upload(content, (8, 8), 3)
    with pytest.raises(Refusal, match="a picture has at most 40,000,000 pixels"):
        read_header(content, 40_000_000)
    tally("files refused", 3)


def test_a_text_in_a_picture_that_would_fill_the_memory(tally):
    with pytest.raises(ValueError, match=r"a.png must be a picture"):
        decode_rgb(io.BytesIO(text_bomb()), "a.png")
    with pytest.raises(ValueError, match="upload: the file must be a whole PNG"):
        decode_upload(text_bomb(), (8, 8), 3)
    with pytest.raises(Refusal, match="the PNG file must be whole"):
        read_header(text_bomb(), 40_000_000)
    tally("files refused", 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_pictures_of_every_length(kind, tally):
    """A picture that lacks bytes is refused by all who take one, or is the whole one: some end in bytes for nothing."""
    file = io.BytesIO()
    pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(pixels).save(file, kind)
    content = file.getvalue()
    whole = decode_rgb(io.BytesIO(content), "a")
    step = max(1, len(content) // 60)
    for length in range(0, len(content), step):
        try:
            cut = decode_rgb(io.BytesIO(content[:length]), "a")
        except ValueError as error:
            assert "a must be a picture" in str(error)  # noqa: PT017 - both ends are right
            tally("files refused")
        else:
            assert cut == whole, f"{length} of {len(content)} bytes were taken for all"


def test_nothing_here_reached_for_much_memory():
    if sys.platform == "linux":
        import resource

        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 << 20  # kilobytes
