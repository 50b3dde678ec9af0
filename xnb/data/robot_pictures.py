"""Figures made of parts, of which any two tell the class: removing or exchanging parts has a known effect."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from xnb.check import require
from xnb.data.drawing import draw_clouds, draw_colour
from xnb.data.split import Part, Split

SIZE = 32
ROBOT_HEIGHT, ROBOT_WIDTH = 18, 16  # of a robot in pixels
ARM_UP = "#... #... #... .#.. ..#. ...#".split()


class _RobotPart(NamedTuple):
    """A part of a robot: the corner of its drawing, and its three variants, which all cover the same area."""

    row: int
    column: int
    variants: dict[str, list[str]]


def _mirror_arm(arm: list[str]) -> list[str]:
    """A left arm, and its mirror image on the other side of the body."""
    return [f"{row}........{row[::-1]}" for row in arm]


ROBOT_PARTS = {
    "antenna": _RobotPart(
        0,
        4,
        {
            "mast": "..####.. ...##... ...##... ...##...".split(),
            "fork": "#......# .#....#. ..#..#.. ..####..".split(),
            "flag": ".####... .####... .#...... .#......".split(),
        },
    ),
    "eyes": _RobotPart(
        4,
        4,
        {
            "round": "........ .##..##. .##..##. ........".split(),
            "visor": "........ ........ ######## ........".split(),
            "tall": "..#..#.. ..#..#.. ..#..#.. ..#..#..".split(),
        },
    ),
    "arms": _RobotPart(
        8,
        0,
        {
            "up": _mirror_arm(ARM_UP),
            "straight": _mirror_arm(".... .... #... #### #... ....".split()),
            "down": _mirror_arm(ARM_UP[::-1]),
        },
    ),
    "legs": _RobotPart(
        14,
        4,
        {
            "feet": "..#..#.. ..#..#.. .##..##. .##..##.".split(),
            "wheel": "..####.. .#....#. .#....#. ..####..".split(),
            "skirt": "...##... ..####.. .######. ........".split(),
        },
    ),
}
# The nine words of the tetracode: two parts are free, the other two are sums of them. Any two words share
# the variant of exactly one part.
CODE = np.array([(a, b, (a + b) % 3, (a + 2 * b) % 3) for a in range(3) for b in range(3)])
VARIANTS = [list(part.variants) for part in ROBOT_PARTS.values()]


def _name_class(word: NDArray) -> str:
    """The variants of a class, such as "mast round up feet"."""
    return " ".join(names[variant] for names, variant in zip(VARIANTS, word, strict=True))


ROBOT_CLASSES = tuple(_name_class(word) for word in CODE)


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
    leave one, and all four parts matter alike. Colours, position and background are drawn without looking at the class;
    head and body are the same for all.

    `parts[b, 0, h, w]` is 1 for the antenna, 2 for eyes, 3 for arms, 4 for legs, and 0 elsewhere; the mask is where
    it is not 0. `evidence[b, p, k]` is 1 if class k has the variant that part p shows, -1 if it has another, 0 if the
    part was removed. The label stays that of the robot before the intervention: with one part removed or exchanged it
    still is the class that most parts agree with.

    Robot i is a function of (seed, part, i), whatever `n`, where part is 0 for training and 1 for testing; an
    intervention changes the pixels of its parts alone.

    Args:
        n: number of training and test pictures.
        remove: names of parts to leave out; the picture then shows what lies behind them.
        exchange: names of parts to draw as another variant, taken at random.
        background: another seed for the backgrounds alone: the same robots before new ones.

    Raises:
        ValueError: `n` out of range, or a part of another name.
    """
    names = list(ROBOT_PARTS)
    require(min(n) >= 0, "robots: n must be two numbers of pictures", n, "n=(1800, 450)")
    unknown = sorted({*remove, *exchange} - set(names))
    require(not unknown, "robots: remove and exchange must name parts", unknown, f"one of {names}")
    removed = np.isin(names, list(remove))
    exchanged = np.isin(names, list(exchange))
    # Backgrounds have a seed of their own, which is the robots' unless another is wanted.
    other = seed if background is None else background
    train = _draw_robots(n[0], removed, exchanged, (seed, 0), (other, 0))
    test = _draw_robots(n[1], removed, exchanged, (seed, 1), (other, 1))
    return Split(train, test, ROBOT_CLASSES)


def _draw_robots(
    n: int, removed: NDArray, exchanged: NDArray, key: tuple[int, int], background_key: tuple[int, int]
) -> Part:
    """`n` robots; a key is (seed, part)."""
    K = len(CODE)
    x = np.empty((n, 3, SIZE, SIZE), dtype=np.float32)
    part_numbers = np.zeros((n, 1, SIZE, SIZE), dtype=np.int64)
    evidence = np.zeros((n, len(ROBOT_PARTS), K), dtype=np.int64)
    for i in range(n):
        # streams of their own, so that a new background leaves the robot
        x[i] = draw_clouds(default_rng((*background_key, i, 0)), SIZE)
        rng = default_rng((*key, i, 1))
        shift = exchanged * rng.integers(1, 3, len(ROBOT_PARTS))
        variants = (CODE[i % K] + shift) % 3
        _draw_robot(x[i], part_numbers[i, 0], variants, removed, rng)
        agrees = variants[:, None] == CODE.T
        evidence[i] = 2 * agrees - 1
        evidence[i, removed] = 0
    parts = torch.from_numpy(part_numbers)
    signs = torch.from_numpy(evidence)
    y = torch.arange(n) % K
    return Part(torch.from_numpy(x), y, masks=parts > 0, evidence=signs, parts=parts)


def _draw_robot(
    x: NDArray,
    part_numbers: NDArray,
    variants: NDArray,
    removed: NDArray,
    rng: Generator,
) -> None:
    """Draw one robot into a picture and the numbers of its parts into `part_numbers`.

    Every random number is drawn whether it is used or not, so that interventions leave the rest alone.
    """
    row = rng.integers(SIZE - ROBOT_HEIGHT, endpoint=True)
    column = rng.integers(SIZE - ROBOT_WIDTH, endpoint=True)
    rows = slice(row, row + ROBOT_HEIGHT)
    columns = slice(column, column + ROBOT_WIDTH)
    robot = x[:, rows, columns]
    robot_numbers = part_numbers[rows, columns]
    robot[:, 4:14, 4:12] = rng.uniform(0.55, 0.7)  # head and body
    for p, part in enumerate(ROBOT_PARTS.values()):
        lines = part.variants[VARIANTS[p][variants[p]]]
        drawing = np.array([list(line) for line in lines]) == "#"
        down, right = np.nonzero(drawing)
        part_rows = part.row + down
        part_columns = part.column + right
        tint = draw_colour(rng)
        if not removed[p]:
            robot[:, part_rows, part_columns] = tint
            robot_numbers[part_rows, part_columns] = p + 1
