"""T1, the long part: which pictures stay right while pixels go, by eight maps, four protocols and six networks.

Work is cut into blocks of pictures and networks. A finished block is a file, so a run goes on where one was stopped.
"""

import base64
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from reproduce.networks import load_cifar_network
from reproduce.results import hash_code
from reproduce.sources import LabelledPictures
from xnb import prepare
from xnb.access.draws import make_generator
from xnb.access.memo import remember_answers
from xnb.folders import cache_folder, replace_file
from xnb.methods import METHODS
from xnb.metrics import removal_curve
from xnb.types import Attribution, Batch, Model, Target

# From the quickest to the slowest, so that blocks that are stopped leave as many networks as they can.
NETWORKS = ("ResNet-20", "ResNet", "ResNetPreAct", "ResNet-32", "ResNet-44", "ResNet-56")
MAPS = ("IG", "IG-SG", "IG-SQ", "IG-Var", "GB", "GB-SG", "GB-SQ", "GB-Var")
# By the authors' names (most or least relevant first; no retraining; linear or fixed): order, and what is laid.
PROTOCOLS: dict[str, tuple[Literal["most", "least"], str]] = {
    "m-non-lin": ("most", "noisy_linear"),
    "m-non-fix": ("most", "mean"),
    "l-non-lin": ("least", "noisy_linear"),
    "l-non-fix": ("least", "mean"),
}
STEPS = 10  # tenths of the pixels; nothing and everything removed are the same for all maps
BLOCK = 10  # pictures
_GREY = 0.5  # zero in the authors' normalisation, where their paths begin
_IG_STEPS = {"base": 16, "noisy": 5}
_COPIES = {"IG": 15, "GB": 15}
# Of pixels in [0, 1]: 0.2 and 1 where the authors draw them, in pictures of [-1, 1].
_DEVIATION = {"IG": 0.1, "GB": 0.5}
_CODE = ("t1_blocks.py", "networks.py")


class Block(NamedTuple):
    """What became of some pictures: right or wrong, untouched and after each removal."""

    untouched: Bool[np.ndarray, " B"]
    right: Bool[np.ndarray, "B protocols maps tenths"]


def draw_noise(numbers: range, x: Batch, family: str) -> Float[Tensor, "n B *shape"]:
    """Return noise for each copy of each picture; a picture's noise depends on its own number alone."""
    shape = (_COPIES[family], *x.shape[1:])
    draws = []
    for number in numbers:
        generator = make_generator(f"reproduce T1, {family}, picture {number}", 0)
        draws.append(torch.randn(shape, generator=generator))
    return _DEVIATION[family] * torch.stack(draws, 1)


def average_maps(maps: Float[Tensor, "n B *shape"]) -> dict[str, Attribution]:
    """Return the three averages of maps of noisy copies: their mean, that of their squares, and their variance."""
    mean = maps.mean(0)
    squares = maps.square().mean(0)
    return {"SG": mean, "SQ": squares, "Var": squares - mean.square()}


def make_maps(model: Model, x: Batch, y: Target, numbers: range) -> dict[str, Attribution]:
    """Return the eight maps of some pictures."""

    def integrate(inputs: Batch, target: Target, kind: str) -> Attribution:
        steps = _IG_STEPS[kind]
        return METHODS["integrated_gradients"](model, inputs, target, baseline=_GREY, steps=steps)

    def guide(inputs: Batch, target: Target, kind: str) -> Attribution:
        return METHODS["guided_backprop"](model, inputs, target)

    maps = {}
    for family, explain in (("IG", integrate), ("GB", guide)):
        maps[family] = explain(x, y, "base")
        copies = x + draw_noise(numbers, x, family)
        noisy = explain(copies.flatten(0, 1), y.repeat(len(copies)), "noisy")
        averages = average_maps(noisy.unflatten(0, copies.shape[:2]))
        maps |= {f"{family}-{kind}": average for kind, average in averages.items()}
    return {name: maps[name] for name in MAPS}


def measure_block(model: Model, x: Batch, y: Target, numbers: range) -> Block:
    """Return which pictures are right after each removal by each map; a margin above 0 is a right answer."""
    maps = make_maps(model, x, y, numbers)
    curves = []
    with remember_answers():
        for first, impute in PROTOCOLS.values():
            for attribution in maps.values():
                curve = removal_curve(model, x, y, attribution, first=first, unit="margin", steps=STEPS, impute=impute)
                curves.append(curve)
    right = torch.stack(curves).unflatten(0, (len(PROTOCOLS), len(MAPS))) > 0
    untouched = right[0, 0, 0]
    return Block(untouched.numpy(), right[:, :, 1:-1].permute(3, 0, 1, 2).numpy())


def block_folder() -> Path:
    """Where finished blocks lie: those of other code are other ones."""
    return cache_folder() / "reproduce" / f"T1-{hash_code(_CODE)[:12]}"


def _block_file(network: str, start: int) -> Path:
    return block_folder() / f"{network}-{start:04d}.npz"


def run_blocks(pictures: LabelledPictures, minutes: float) -> Iterator[str]:
    """Work off all blocks that are missing, the first pictures of every network first, and name each that is done.

    Args:
        minutes: after these no further block is begun.
    """
    until = time.monotonic() + 60 * minutes
    models: dict[str, Model] = {}
    for start in range(0, len(pictures.y), BLOCK):
        for network in NETWORKS:
            file = _block_file(network, start)
            if file.is_file() or time.monotonic() > until:
                continue
            if network not in models:
                models[network] = prepare(load_cifar_network(network), pictures.x[:2])
            rows = slice(start, start + BLOCK)
            numbers = range(start, min(start + BLOCK, len(pictures.y)))
            block = measure_block(models[network], pictures.x[rows], pictures.y[rows], numbers)
            with replace_file(file) as draft, draft.open("wb") as content:
                np.savez_compressed(content, **block._asdict())
            yield f"{network}, pictures {numbers.start} to {numbers.stop - 1}"


def read_blocks(count: int) -> dict[str, Block]:
    """Return by network what is finished, up to the first picture that one of the networks lacks."""
    whole = 0
    while whole < count and all(_block_file(network, whole).is_file() for network in NETWORKS):
        whole += BLOCK
    blocks = {}
    for network in NETWORKS:
        parts = [_read_block(_block_file(network, start)) for start in range(0, whole, BLOCK)]
        blocks[network] = Block(*(np.concatenate(arrays)[:count] for arrays in zip(*parts, strict=True)))
    return blocks


def _read_block(file: Path) -> Block:
    with np.load(file) as arrays:
        return Block(arrays["untouched"], arrays["right"])


def pack_blocks(blocks: Mapping[str, Block]) -> dict[str, object]:
    """Return the answers as text, a bit each, with the code that they came of."""
    packed = {
        name: {"untouched": _pack(block.untouched), "right": _pack(block.right)} for name, block in blocks.items()
    }
    return {"pictures": len(next(iter(blocks.values())).untouched), "code": hash_code(_CODE), "bits": packed}


def _pack(bits: NDArray) -> str:
    return base64.b64encode(np.packbits(bits).tobytes()).decode()


def unpack_blocks(stored: Mapping) -> dict[str, Block]:
    """Return the answers that `pack_blocks` wrote."""
    count = stored["pictures"]
    shape = (count, len(PROTOCOLS), len(MAPS), STEPS - 1)
    return {
        name: Block(_unpack(bits["untouched"], (count,)), _unpack(bits["right"], shape))
        for name, bits in stored["bits"].items()
    }


def _unpack(text: str, shape: tuple[int, ...]) -> NDArray:
    packed = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape).astype(bool)


def lay_out_blocks(stored: Mapping) -> None:
    """Write stored answers of this very code as finished blocks, so that a further run goes on behind them."""
    if stored["code"] != hash_code(_CODE):
        return
    for network, block in unpack_blocks(stored).items():
        for start in range(0, stored["pictures"], BLOCK):
            file = _block_file(network, start)
            rows = slice(start, start + BLOCK)
            if not file.is_file() and len(block.untouched[rows]) == BLOCK:
                with replace_file(file) as draft, draft.open("wb") as content:
                    np.savez_compressed(content, untouched=block.untouched[rows], right=block.right[rows])
