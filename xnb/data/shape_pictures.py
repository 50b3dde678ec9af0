"""Generated pictures whose true explanation is known pixel by pixel.

The form of one object tells the class: its size, angle and colour, and the textured background, are drawn without
looking at the class, and all forms cover the same area. Its place is uniform wherever the form fits in, so a long bar
stays nearer to the middle than a disk: from the place alone, 26 % of the classes can be guessed instead of 17 %. Two
facts make the mask ground truth, and are tested on a trained network: new backgrounds leave the accuracy, deleted
objects leave chance.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from xnb.check import require
from xnb.data.drawing import FORMS, clouds, colour, placed
from xnb.data.split import Part, Split

CLASSES = tuple(FORMS)
AREA = (0.06, 0.14)  # of the picture; below, forms of 32 x 32 pictures blur into one another
MARKS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=float)


@dataclass(frozen=True)
class Style:
    """What is drawn beside the object, see `shapes`."""

    size: int
    distractors: int
    watermark: float | None
    second: bool
    objects: bool


def shapes(
    size: int = 32,
    n: tuple[int, int] = (2000, 500),
    seed: int = 0,
    *,
    distractors: int = 0,
    watermark: float | None = None,
    second: bool = False,
    background: int | None = None,
    objects: bool = True,
) -> Split:
    """Colour pictures `(N, 3, size, size)` of a disk, square, triangle, cross, ring or bar, with exact masks.

    A pixel belongs to the mask if its centre lies in the object; nothing is smoothed. Classes take turns. Picture i
    is a function of (seed, part, i), whatever `n`.

    Args:
        size: side in pixels, at least 16.
        n: number of training and test pictures.
        distractors: dots of random colour that mean nothing, below the object.
        watermark: probability that the colour of a mark in the lower right corner agrees with the class, as in
            Clever Hans tests; 1/6 is chance, None draws no mark. The mark lies on top, and not in the mask.
        second: also draw an object of another class, of half the area; the label and the mask are the larger one's.
        background: another seed for the backgrounds alone: the same objects before new ones.
        objects: False leaves everything but the labelled object: what a network that uses the mask cannot classify.

    Raises:
        ValueError: `size`, `n`, `distractors` or `watermark` out of range.
    """
    require(size >= 16, "shapes: size must be at least 16 pixels", size, "size=32")
    require(min(n) >= 0, "shapes: n must be two numbers of pictures", n, "n=(2000, 500)")
    require(distractors >= 0, "shapes: distractors is a number of dots", distractors, "distractors=3")
    fits = watermark is None or 0 <= watermark <= 1
    require(fits, "shapes: watermark is a probability, or None", watermark, "watermark=0.9")
    style = Style(size, distractors, watermark, second, objects)
    other = seed if background is None else background
    return Split(_part(n[0], style, seed, other, 0), _part(n[1], style, seed, other, 1), CLASSES)


def _part(n: int, style: Style, seed: int, background: int, part: int) -> Part:
    x = np.empty((n, 3, style.size, style.size), dtype=np.float32)
    masks = np.zeros((n, 1, style.size, style.size), dtype=bool)
    for i in range(n):
        x[i] = clouds(default_rng((background, part, i, 0)), style.size)
        _draw(x[i], masks[i], i % len(CLASSES), default_rng((seed, part, i, 1)), style)
    return Part(torch.from_numpy(x), torch.arange(n) % len(CLASSES), torch.from_numpy(masks))


def _draw(x: NDArray, mask: NDArray, label: int, rng: Generator, style: Style) -> None:
    """Everything on the background; every number is drawn whether it is used or not, so that options combine."""
    area = rng.uniform(*AREA) * style.size**2
    inside = placed(CLASSES[label], area, rng, style.size)
    tint, other = colour(rng), colour(rng)
    if style.second:
        stranger = CLASSES[(label + rng.integers(1, len(CLASSES))) % len(CLASSES)]
        x[:, placed(stranger, area / 2, rng, style.size)] = other
    for _ in range(style.distractors):
        x[:, placed("disk", np.pi * (style.size / 20) ** 2, rng, style.size)] = colour(rng)
    if style.objects:
        x[:, inside] = tint + rng.normal(0, 0.03, (3, inside.sum()))
        mask[0] = inside
    if style.watermark is not None:
        agrees = rng.random() < style.watermark
        told = label if agrees else (label + rng.integers(1, len(CLASSES))) % len(CLASSES)
        edge = style.size // 8
        x[:, -edge:, -edge:] = MARKS[told][:, None, None]
        mask[0, -edge:, -edge:] = False
    x.clip(0, 1, out=x)
