"""Clever Hans: a mark that goes with a class at a known rate, so that reliance on it can be measured."""

from typing import Literal

import numpy as np
import torch
from numpy.random import default_rng
from numpy.typing import NDArray

from xnb.check import require
from xnb.data.drawing import draw_clouds, draw_colour, draw_form
from xnb.data.split import Part, Split

WATERMARK_CLASSES = ("disk", "square")
WATERMARK_AREA = (0.06, 0.14)  # of the picture, as in `shapes`
MARK_SIDE = 4  # pixels a side
MARK = np.where(np.indices((MARK_SIDE, MARK_SIDE)).sum(0) % 2, 1.0, 0.0)  # a checkerboard of black and white pixels
MARK_CHOICES = ("agreeing", "always", "never")


def watermark(
    agreement: float = 0.9,
    size: int = 32,
    n: tuple[int, int] = (2000, 500),
    seed: int = 0,
    *,
    mark: Literal["agreeing", "always", "never"] = "agreeing",
    objects: bool = True,
) -> Split:
    """Colour pictures `(N, 3, size, size)` of a disk or a square; squares tend to bear a mark in one of the corners.

    A square bears the mark with probability `agreement`, a disk with the opposite probability: at 0.5 the mark tells
    nothing, at 1 everything. A network that reads the mark alone is right with probability `agreement`, one that reads
    the object alone is right whatever it is. So the reliance of a network on the mark is known without any map: what
    its accuracy loses from `agreement=1` to `agreement=0` in the test part, 0 for the one and 1 for the other.

    `parts` is 1 at the object and 2 at the mark; the mask is the object, which the label is about. The mark is drawn
    over the object where they meet. Its corner is random and tells nothing; classes take turns, and colour,
    position, angle and background are drawn without looking at the class.

    Picture i is a function of (seed, part, i), whatever `n`, where part is 0 for training and 1 for testing;
    `agreement` and `mark` change the pixels of the mark alone.

    Args:
        agreement: probability that the mark agrees with the class.
        size: side in pixels, at least 16.
        n: number of training and test pictures.
        mark: whether it is drawn where it agrees, or in every picture, or in none.
        objects: False draws the mark alone: then only it can tell.

    Raises:
        ValueError: `agreement` is no probability, `mark` is unknown, `size` or `n` out of range.
    """
    fits = 0 <= agreement <= 1
    require(fits, "watermark: agreement is a probability", agreement, "agreement=0.9")
    require(mark in MARK_CHOICES, "watermark: mark must be a known choice", mark, f"one of {list(MARK_CHOICES)}")
    require(size >= 16, "watermark: size must be at least 16 pixels", size, "size=32")
    require(min(n) >= 0, "watermark: n must be two numbers of pictures", n, "n=(2000, 500)")
    train = _draw_watermarked(n[0], agreement, mark, size, objects, (seed, 0))
    test = _draw_watermarked(n[1], agreement, mark, size, objects, (seed, 1))
    return Split(train, test, WATERMARK_CLASSES)


def _draw_watermarked(
    n: int,
    agreement: float,
    mark: str,
    size: int,
    objects: bool,
    key: tuple[int, int],
) -> Part:
    """`n` pictures; `key` is (seed, part)."""
    x = np.empty((n, 3, size, size), dtype=np.float32)
    part_numbers = np.zeros((n, 1, size, size), dtype=np.int64)  # 1 at the object, 2 at the mark
    for i in range(n):
        label = i % 2
        # Stream 0 of a picture is its background, 1 all the rest.
        rng = default_rng((*key, i, 1))
        x[i] = draw_clouds(default_rng((*key, i, 0)), size)
        # Every number is drawn whether it is used or not: with another agreement the objects stay the same.
        area = rng.uniform(*WATERMARK_AREA) * size**2
        inside = draw_form(WATERMARK_CLASSES[label], area, rng, size)
        tint = draw_colour(rng)
        agrees = rng.random() < agreement
        corner = rng.integers(0, 2, 2)
        if objects:
            x[i][:, inside] = tint
            part_numbers[i, 0, inside] = 1
        # Label 1 is a square: it agrees with a mark. Label 0 is a disk: it agrees with none.
        bears_mark = agrees == label
        if mark == "always" or (mark == "agreeing" and bears_mark):
            _draw_mark(x[i], part_numbers[i, 0], corner)
    y = torch.arange(n) % 2
    parts = torch.from_numpy(part_numbers)
    return Part(torch.from_numpy(x), y, masks=parts == 1, parts=parts)


def _draw_mark(x: NDArray, part_numbers: NDArray, corner: NDArray) -> None:
    """Draw the mark into a corner, (0, 0) to (1, 1), of a picture and of the numbers of its parts."""
    size = x.shape[-1]
    top, left = corner * (size - MARK_SIDE)
    rows = slice(top, top + MARK_SIDE)
    columns = slice(left, left + MARK_SIDE)
    x[:, rows, columns] = MARK
    part_numbers[rows, columns] = 2
