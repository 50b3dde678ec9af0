"""Multiple-instance bags of handwritten digits: only the bag has a label, and what each instance says is known."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from xnb.check import require
from xnb.data.split import Part, Split
from xnb.data.tables import digits

# Kinds of low digits in a bag, without and with a pair. Each digit is in half of the bags of either class, and three
# kinds are as frequent as two: only which digits meet tells the class. The lone 4 and 0 belong to no pair.
LOW_DIGITS = (
    [[0, 2, 4], [1, 3]],
    [[0, 1, 4], [2, 3], [0, 3, 4], [1, 2]],
)


class _BagTask(NamedTuple):
    """How a bag of one class is drawn, and what a digit in a bag says about the conditions that make the classes."""

    classes: tuple[str, ...]
    smallest_bag: int
    neutral_digits: range  # these fill the bag
    draw_deciding_digits: Callable[[Generator, int, int], NDArray | list[int]]  # of (rng, label, size of the bag)
    condition_signs: Callable[[NDArray], NDArray]  # digits (N,) -> what each says for each condition (N, conditions)
    class_demands: NDArray  # (K, conditions): 1 where the class needs the condition, -1 where it excludes it


def _draw_single_positive(rng: Generator, label: int, size: int) -> list[int]:
    return [9] * label


def _draw_four_bags(rng: Generator, label: int, size: int) -> list[int]:
    """8s and 9s, as the class demands."""
    most = max(1, size // 4)
    eights, nines = rng.integers(1, most, 2, endpoint=True)
    # A bit of the label for each condition, as the classes stand: neither, 8, 9, both.
    has_eight = label & 1
    has_nine = label >> 1
    bag = [8] * (eights * has_eight)
    return bag + [9] * (nines * has_nine)


def _draw_positive_negative(rng: Generator, label: int, size: int) -> NDArray:
    """4s, 6s, 8s (positive) and 5s, 7s, 9s (negative): the majority is positive for label 1, negative for label 0.

    The two counts are drawn before it is decided whose they are, so that the counts alone tell nothing of the label.
    """
    fewer = rng.integers(1, (size - 1) // 2, endpoint=True)
    more = rng.integers(fewer + 1, size - fewer, endpoint=True)
    positive = rng.choice([4, 6, 8], more if label else fewer)
    negative = rng.choice([5, 7, 9], fewer if label else more)
    return np.concatenate([positive, negative])


def _draw_adjacent_pairs(rng: Generator, label: int, size: int) -> NDArray:
    """All digits of one of the choices of the class, each once or more."""
    choices = LOW_DIGITS[label]
    kinds = choices[rng.integers(len(choices))]
    most = max(1, size // 4)  # of each kind: three kinds fit into the bag
    repeats = rng.integers(1, most, len(kinds), endpoint=True)
    return np.repeat(kinds, repeats)


def _is_nine(bag: NDArray) -> NDArray:
    return bag[:, None] == 9


def _is_eight_or_nine(bag: NDArray) -> NDArray:
    return bag[:, None] == [8, 9]


def _sign_by_parity(bag: NDArray) -> NDArray:
    """1 for 4, 6, 8, -1 for 5, 7, 9, and 0 for lower digits."""
    parity = 1 - 2 * (bag % 2)
    return np.where(bag >= 4, parity, 0)[:, None]


def _meets_neighbour(bag: NDArray) -> NDArray:
    """Whether each is a low digit that meets a neighbour."""
    low = bag[bag <= 4]
    meets_lower = np.isin(bag - 1, low)
    meets_higher = np.isin(bag + 1, low)
    meets = np.isin(bag, low) & (meets_lower | meets_higher)
    return meets[:, None]


TWO_CLASSES = np.array([[-1], [1]])  # the second class needs the one condition, the first excludes it
TASKS = {
    "single_positive": _BagTask(
        classes=("no 9", "a 9"),
        smallest_bag=1,
        neutral_digits=range(9),
        draw_deciding_digits=_draw_single_positive,
        condition_signs=_is_nine,
        class_demands=TWO_CLASSES,
    ),
    "four_bags": _BagTask(
        classes=("neither", "8", "9", "both"),
        smallest_bag=2,
        neutral_digits=range(8),
        draw_deciding_digits=_draw_four_bags,
        condition_signs=_is_eight_or_nine,
        class_demands=np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]),
    ),
    "positive_negative": _BagTask(
        classes=("more of 5, 7, 9", "more of 4, 6, 8"),
        smallest_bag=3,
        neutral_digits=range(4),
        draw_deciding_digits=_draw_positive_negative,
        condition_signs=_sign_by_parity,
        class_demands=TWO_CLASSES,
    ),
    "adjacent_pairs": _BagTask(
        classes=("no pair", "a pair"),
        smallest_bag=3,
        neutral_digits=range(5, 10),
        draw_deciding_digits=_draw_adjacent_pairs,
        condition_signs=_meets_neighbour,
        class_demands=TWO_CLASSES,
    ),
}


def bags(
    task: str = "single_positive",
    n: tuple[int, int] = (2000, 500),
    size: int = 12,
    seed: int = 0,
) -> Split:
    """Bags `(B, size, 1, 8, 8)` of real handwritten digits in [0, 1], in random order; classes take turns.

    Conditions on the bag make the classes:

    - `single_positive`: a 9 is there; then exactly one.
    - `four_bags`: an 8 is there, a 9 is there: classes neither, 8, 9, both.
    - `positive_negative`: more of 4, 6, 8 than of 5, 7, 9. Both sides are there, never equally many.
    - `adjacent_pairs`: two neighbours out of 0, 1, 2, 3, 4 are there. No digit alone tells the class: each is in half
      of the bags of either class.

    `evidence[b, n, k]` is the sign of what instance n says for class k. An instance speaks about a condition if there
    is a selection of the other instances of its bag to which adding it makes the condition true, or false; that counts
    1 (or -1) for a class that needs the condition and the opposite for one that excludes it. So an 8 speaks for "8"
    and "both" and against "neither" and "9"; a 5 against "more of 4, 6, 8"; a 2 for "a pair" where a 1 or a 3 is there
    and about nothing elsewhere. Whether the bag would keep its label without the instance does
    not matter: of two 8s each speaks, though deleting one leaves the label. What is missing speaks nowhere: bags
    without a 9 have no evidence for "no 9".

    Bag i is a function of (seed, part, i), whatever `n`; part is 0 for training and 1 for testing. Training bags hold
    training digits of `digits()` and test bags its test digits, for every seed: bags of another seed test what was
    trained on these.

    Args:
        task: single_positive, four_bags, positive_negative or adjacent_pairs.
        n: number of training and test bags.
        size: instances a bag.

    Raises:
        ValueError: an unknown task, a negative `n`, a `size` too small for the task.
    """
    hint = f"one of {list(TASKS)}"
    require(task in TASKS, "bags: task must be a known one", task, hint)
    rules = TASKS[task]
    smallest = rules.smallest_bag
    rule = f"bags: {task} needs bags of at least {smallest} instances"
    require(size >= smallest, rule, size, "size=12")
    require(min(n) >= 0, "bags: n must be two numbers of bags", n, "n=(2000, 500)")
    source = digits()
    train = _draw_bags(rules, source.train, n[0], size, (seed, 0))
    test = _draw_bags(rules, source.test, n[1], size, (seed, 1))
    return Split(train, test, rules.classes)


def _draw_bags(
    task: _BagTask,
    source: Part,
    n: int,
    size: int,
    key: tuple[int, int],
) -> Part:
    """`n` bags of the digits of `source`; `key` is (seed, part)."""
    K = len(task.classes)
    rows = np.empty((n, size), dtype=np.int64)
    evidence = np.empty((n, size, K), dtype=np.int64)
    rows_of_digit = [np.flatnonzero(source.y == digit) for digit in range(10)]
    for i in range(n):
        rng = default_rng((*key, i))  # a stream a bag: it does not depend on the bags before it
        bag = _draw_bag(task, rng, i % K, size)
        rows[i] = [rng.choice(rows_of_digit[digit]) for digit in bag]
        evidence[i] = task.condition_signs(bag) @ task.class_demands.T
    x = source.x[torch.from_numpy(rows)]
    y = torch.arange(n) % K
    return Part(x, y, evidence=torch.from_numpy(evidence))


def _draw_bag(task: _BagTask, rng: Generator, label: int, size: int) -> NDArray:
    """Digits `(size,)` of one bag, in random order."""
    deciding = np.array(task.draw_deciding_digits(rng, label, size), dtype=np.int64)
    neutral = rng.choice(task.neutral_digits, size - len(deciding))
    return rng.permutation(np.concatenate([deciding, neutral]))
