"""Whether a PNG file holds all the rows that its header promises: Pillow leaves those that are missing black."""

import struct
import zlib
from collections.abc import Iterator

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the number that stands for the kind of colour
# Of an interlaced picture: first column, first row, and the steps to the next ones, for each of the seven passes.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_WHOLE = ((0, 0, 1, 1),)
_STEP = 65_536  # bytes that are unpacked at once, so that no file fills the memory


def has_all_rows(content: bytes) -> bool:
    """Whether the packed pixels of a PNG file, whose header is known to be whole, are as many as it says."""
    promised = _count_promised(content)
    unpacked = 0
    for count in _unpack(content):
        unpacked += count
        if unpacked >= promised:
            return True
    return False


def _count_promised(content: bytes) -> int:
    """Bytes of all rows, each with one that names its filter."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    bits = depth * _CHANNELS[colour]
    promised = 0
    for left, top, across, down in _PASSES if interlaced else _WHOLE:
        columns = len(range(left, width, across))
        rows = len(range(top, height, down))
        if columns:
            promised += rows * (1 + (columns * bits + 7) // 8)
    return promised


def _unpack(content: bytes) -> Iterator[int]:
    """Unpack the pixels step by step, and say how many bytes each step gave."""
    unpacker = zlib.decompressobj()
    for packed in _list_data(content):
        rest = packed
        while rest:
            yield len(unpacker.decompress(rest, _STEP))
            rest = unpacker.unconsumed_tail
    yield len(unpacker.flush())


def _list_data(content: bytes) -> Iterator[bytes]:
    """The chunks with pixels."""
    start = 8
    while start + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[start : start + 8])
        if kind == b"IDAT":
            yield content[start + 8 : start + 8 + length]
        start += 12 + length
