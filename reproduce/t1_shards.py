"""T1 by several runs that know nothing of each other: each works off its share of the blocks, `--shard 3/16`.

What is measured of a block stands in `t1_blocks`, and what becomes of all of them in `t1_road`: no number is made here.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile
from zlib import error as BadDeflate

import numpy as np

from reproduce import t1_blocks, t1_road
from reproduce.networks import load_cifar_network
from reproduce.results import read_result, result_file
from reproduce.sources import read_exact_pictures
from xnb import prepare
from xnb.folders import replace_file
from xnb.scale.shards import Shard
from xnb.types import Model

_ALL = Shard(1, 1)
# What half a file is to its reader; that the disk fails is none of it.
_BROKEN = (FileNotFoundError, EOFError, ValueError, KeyError, BadZipFile, BadDeflate)


class Piece(NamedTuple):
    """A block of pictures, by their numbers, and the network that they are shown to."""

    network: str
    numbers: range

    @property
    def file(self) -> Path:
        """Where `t1_blocks` looks for it."""
        return t1_blocks.block_folder() / f"{self.network}-{self.numbers.start:04d}.npz"


def list_pieces(pictures: int, shard: Shard = _ALL) -> list[Piece]:
    """Return the blocks of a share, the first pictures of every network first.

    Blocks are dealt out network by network, so that each share has as many of the slow networks as the others.
    """
    starts = range(0, pictures, t1_blocks.BLOCK)
    blocks = [range(start, min(start + t1_blocks.BLOCK, pictures)) for start in starts]
    pieces = [Piece(network, numbers) for network in t1_blocks.NETWORKS for numbers in blocks]
    share = [piece for position, piece in enumerate(pieces) if shard.takes(position)]
    return sorted(share, key=lambda piece: piece.numbers.start)


def remove_broken(pieces: Sequence[Piece]) -> None:
    """Remove files that do not hold their whole block, as `t1_blocks` takes every file for a finished one.

    A file may be half copied, or of a run that was asked for fewer pictures.
    """
    for piece in pieces:
        if piece.file.is_file() and not _is_whole(piece):
            piece.file.unlink(missing_ok=True)  # another run may have removed it meanwhile


def _is_whole(piece: Piece) -> bool:
    try:
        with piece.file.open("rb") as content, np.load(content) as arrays:
            untouched, right = arrays["untouched"], arrays["right"]
    except _BROKEN:
        return False
    count = len(untouched)
    shape = (count, len(t1_blocks.PROTOCOLS), len(t1_blocks.MAPS), t1_blocks.STEPS - 1)
    return right.shape == shape and len(piece.numbers) <= count <= t1_blocks.BLOCK


def run_shard(shard: Shard, pictures: int = t1_road.PICTURES, minutes: float = float("inf")) -> Iterator[str]:
    """Work off the blocks of a share that are missing, and name each that is done; the table is not written.

    Args:
        shard: all shares meet in the folder `t1_blocks.block_folder()`, which is to be the same one for all runs.
        pictures: the first ones of the 1,017.
        minutes: after these no further block is begun.
    """
    until = time.monotonic() + 60 * minutes
    x, y = read_exact_pictures(pictures)
    pieces = list_pieces(len(y), shard)
    remove_broken(pieces)
    # What is committed of this very code need not be computed again.
    if result_file(t1_road.TABLE).is_file():
        t1_blocks.lay_out_blocks(read_result(t1_road.TABLE)["facts"]["blocks"])
    models: dict[str, Model] = {}
    for piece in pieces:
        if piece.file.is_file() or time.monotonic() > until:
            continue
        if piece.network not in models:
            models[piece.network] = prepare(load_cifar_network(piece.network), x[:2])
        rows = slice(piece.numbers.start, piece.numbers.stop)
        block = t1_blocks.measure_block(models[piece.network], x[rows], y[rows], piece.numbers)
        with replace_file(piece.file) as draft, draft.open("wb") as content:
            np.savez_compressed(content, **block._asdict())
        yield f"{piece.network}, pictures {piece.numbers.start} to {piece.numbers.stop - 1}"


def run(pictures: int = t1_road.PICTURES, minutes: float = float("inf")) -> dict:
    """Compute what no share has left whole, and store the table of all blocks.

    Args:
        pictures: the first ones of the 1,017.
        minutes: after these no further block is begun.
    """
    remove_broken(list_pieces(len(read_exact_pictures(pictures).y)))
    return t1_road.run(pictures, minutes)
