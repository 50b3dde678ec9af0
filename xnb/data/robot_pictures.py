"""Figures made of parts, of which any two tell the class: removing or exchanging parts has a known effect."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from xnb.check import require
from xnb.data.drawing import clouds, colour
from xnb.data.split import Part, Split

SIZE = 32
HEIGHT, WIDTH = 18, 16  # of a robot in pixels
UP = "#... #... #... .#.. ..#. ...#".split()


class Kind(NamedTuple):
    """A part of a robot: where its drawing lies, and its three variants, which all cover the same area."""

    row: int
    column: int
    variants: dict[str, list[str]]


def _both(arm: list[str]) -> list[str]:
    """A left arm, and its mirror image on the other side of the body."""
    return [f"{row}........{row[::-1]}" for row in arm]


PARTS = {
    "antenna": Kind(
        0,
        4,
        {
            "mast": "..####.. ...##... ...##... ...##...".split(),
            "fork": "#......# .#....#. ..#..#.. ..####..".split(),
            "flag": ".####... .####... .#...... .#......".split(),
        },
    ),
    "eyes": Kind(
        4,
        4,
        {
            "round": "........ .##..##. .##..##. ........".split(),
            "visor": "........ ........ ######## ........".split(),
            "tall": "..#..#.. ..#..#.. ..#..#.. ..#..#..".split(),
        },
    ),
    "arms": Kind(
        8,
        0,
        {
            "up": _both(UP),
            "straight": _both(".... .... #... #### #... ....".split()),
            "down": _both(UP[::-1]),
        },
    ),
    "legs": Kind(
        14,
        4,
        {
            "feet": "..#..#.. ..#..#.. .##..##. .##..##.".split(),
            "wheel": "..####.. .#....#. .#....#. ..####..".split(),
            "skirt": "...##... ..####.. .######. ........".split(),
        },
    ),
}
# The nine words of the tetracode: two parts may be chosen freely, the other two are sums of them. Any two words share
# the variant of exactly one part.
CODE = np.array([(a, b, (a + b) % 3, (a + 2 * b) % 3) for a in range(3) for b in range(3)])
VARIANTS = [list(kind.variants) for kind in PARTS.values()]
CLASSES = tuple(" ".join(VARIANTS[p][v] for p, v in enumerate(word)) for word in CODE)


def robots(
    n: tuple[int, int] = (1800, 450),
    seed: int = 0,
    *,
    remove: Collection[str] = (),
    exchange: Collection[str] = (),
    background: int | None = None,
) -> Split:
    """Colour pictures `(N, 3, 32, 32)` of a robot whose antenna, eyes, arms and legs tell the class.

    After FunnyBirds (arXiv:2308.06248). Each part has three variants, alike in area. The nine classes are words of a
    code in which any two classes share exactly one part: each variant of a part leaves three classes, any two parts
    leave one, and all four parts matter alike. Colours, place and background are drawn without looking at the class;
    head and body are the same for all.

    `parts[b, 0, h, w]` is 1 for the antenna, 2 for eyes, 3 for arms, 4 for legs, and 0 elsewhere; the mask is where
    it is not 0. `evidence[b, p, k]` is 1 if class k has the variant that part p shows, -1 if it has another, 0 if the
    part was removed. The label stays that of the robot before the intervention: with one part removed or exchanged it
    still is the class that most parts agree with.

    Robot i is a function of (seed, part, i), whatever `n`; an intervention changes the pixels of its parts alone.

    Args:
        n: number of training and test pictures.
        remove: names of parts that are left out; what lies behind them shows.
        exchange: names of parts that show another variant, drawn at random.
        background: another seed for the backgrounds alone: the same robots before new ones.

    Raises:
        ValueError: `n` out of range, or a part of another name.
    """
    require(min(n) >= 0, "robots: n must be two numbers of pictures", n, "n=(1800, 450)")
    unknown = sorted({*remove, *exchange} - PARTS.keys())
    require(not unknown, "robots: remove and exchange must name parts", unknown, f"some of {list(PARTS)}")
    other = seed if background is None else background
    gone, changed = (np.isin(list(PARTS), list(names)) for names in (remove, exchange))
    return Split(*(_part(n[part], gone, changed, (seed, part), (other, part)) for part in (0, 1)), CLASSES)


def _part(n: int, gone: NDArray, changed: NDArray, seed: tuple[int, int], background: tuple[int, int]) -> Part:
    x, where = np.empty((n, 3, SIZE, SIZE), dtype=np.float32), np.zeros((n, 1, SIZE, SIZE), dtype=np.int64)
    evidence = np.zeros((n, len(PARTS), len(CODE)), dtype=np.int64)
    for i in range(n):
        rng = default_rng((*seed, i, 1))
        shown = (CODE[i % len(CODE)] + changed * rng.integers(1, 3, len(PARTS))) % 3
        x[i] = clouds(default_rng((*background, i, 0)), SIZE)
        _draw(x[i], where[i, 0], shown, gone, rng)
        evidence[i] = np.where(gone[:, None], 0, 2 * (shown[:, None] == CODE.T) - 1)
    x, where = torch.from_numpy(x), torch.from_numpy(where)
    return Part(x, torch.arange(n) % len(CODE), where > 0, torch.from_numpy(evidence), where)


def _draw(x: NDArray, where: NDArray, shown: NDArray, gone: NDArray, rng: Generator) -> None:
    """One robot; every number is drawn whether it is used or not, so that interventions leave the rest alone."""
    row, column = rng.integers(SIZE - HEIGHT, endpoint=True), rng.integers(SIZE - WIDTH, endpoint=True)
    robot, numbers = (array[..., row : row + HEIGHT, column : column + WIDTH] for array in (x, where))
    robot[:, 4:14, 4:12] = rng.uniform(0.55, 0.7)  # head and body
    for p, kind in enumerate(PARTS.values()):
        drawing = np.array([list(line) for line in kind.variants[VARIANTS[p][shown[p]]]]) == "#"
        rows, columns = np.nonzero(drawing)
        tint = colour(rng)
        if not gone[p]:
            robot[:, rows + kind.row, columns + kind.column] = tint
            numbers[rows + kind.row, columns + kind.column] = p + 1
