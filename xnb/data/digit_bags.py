"""Multiple-instance bags of handwritten digits: the label is the bag's, and each instance's part in it is known."""

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
KINDS = ([[0, 2, 4], [1, 3]], [[0, 1, 4], [2, 3], [0, 3, 4], [1, 2]])


class Task(NamedTuple):
    """How a bag of one class is drawn, and what a digit in a bag says about the conditions that make the classes."""

    classes: tuple[str, ...]
    smallest: int  # bag
    neutral: range  # digits that fill the bag
    draw: Callable[[Generator, int, int], NDArray | list[int]]  # (rng, label, size) -> digits that make the label
    says: Callable[[NDArray], NDArray]  # digits (N,) -> sign (N, conditions)
    demands: NDArray  # (K, conditions): 1 where the class needs the condition, -1 where it excludes it


def _single(rng: Generator, label: int, size: int) -> list[int]:
    return [9] * label


def _four(rng: Generator, label: int, size: int) -> list[int]:
    eights, nines = rng.integers(1, max(1, size // 4), 2, endpoint=True)
    return [8] * (eights * (label & 1)) + [9] * (nines * (label >> 1))


def _signed(rng: Generator, label: int, size: int) -> NDArray:
    """Both sides are there, the larger one as large whichever it is."""
    less = rng.integers(1, (size - 1) // 2, endpoint=True)
    more = rng.integers(less + 1, size - less, endpoint=True)
    even, odd = (more, less) if label else (less, more)
    return np.concatenate([rng.choice([4, 6, 8], even), rng.choice([5, 7, 9], odd)])


def _adjacent(rng: Generator, label: int, size: int) -> NDArray:
    kinds = KINDS[label][rng.integers(len(KINDS[label]))]
    return np.repeat(kinds, rng.integers(1, max(1, size // 4), len(kinds), endpoint=True))


def _in_pair(bag: NDArray) -> NDArray:
    """Whether each is a low digit that meets a neighbour."""
    low = bag[bag <= 4]
    return np.isin(bag, low) & (np.isin(bag - 1, low) | np.isin(bag + 1, low))


TWO = np.array([[-1], [1]])
TASKS = {
    "single_positive": Task(("no 9", "a 9"), 1, range(9), _single, lambda bag: bag[:, None] == 9, TWO),
    "four_bags": Task(
        ("neither", "8", "9", "both"),
        2,
        range(8),
        _four,
        lambda bag: bag[:, None] == [8, 9],
        np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]),
    ),
    "positive_negative": Task(
        ("more of 5, 7, 9", "more of 4, 6, 8"),
        3,
        range(4),
        _signed,
        lambda bag: np.where(bag >= 4, 1 - 2 * (bag % 2), 0)[:, None],
        TWO,
    ),
    "adjacent_pairs": Task(("no pair", "a pair"), 3, range(5, 10), _adjacent, lambda bag: _in_pair(bag)[:, None], TWO),
}


def bags(task: str = "single_positive", n: tuple[int, int] = (2000, 500), size: int = 12, seed: int = 0) -> Split:
    """Bags `(B, size, 1, 8, 8)` of real handwritten digits in [0, 1], in random order; classes take turns.

    Conditions on the bag make the classes:

    - `single_positive`: a 9 is there; then exactly one.
    - `four_bags`: an 8 is there, a 9 is there: classes neither, 8, 9, both.
    - `positive_negative`: more of 4, 6, 8 than of 5, 7, 9. Both sides are there, never equally many.
    - `adjacent_pairs`: two neighbours out of 0, 1, 2, 3, 4 are there. No digit alone tells the class: each is in half
      of the bags of either class.

    `evidence[b, n, k]` is the sign of what instance n says for class k. An instance speaks about a condition if adding
    it to some of the other instances of its bag makes the condition true, or false; that counts 1 (or -1) for a class
    that needs the condition and the opposite for one that excludes it. So an 8 speaks for "8" and "both" and against
    "neither" and "9"; a 5 against "more of 4, 6, 8"; a 2 for "a pair" where a 1 or a 3 is there and about nothing
    elsewhere. The bag is not asked whether it would do without: of two 8s each speaks, though deleting one leaves the
    label. What is missing speaks nowhere: bags without a 9 have no evidence for "no 9".

    Bag i is a function of (seed, part, i), whatever `n`. Training bags hold training digits of `digits()` and test
    bags its test digits, for every seed: bags of another seed test what was trained on these.

    Args:
        task: single_positive, four_bags, positive_negative or adjacent_pairs.
        n: number of training and test bags.
        size: instances a bag.

    Raises:
        ValueError: an unknown task, a negative `n`, a `size` too small for the task.
    """
    require(task in TASKS, "bags: task must be a known one", task, f"one of {', '.join(TASKS)}")
    smallest = TASKS[task].smallest
    require(size >= smallest, f"bags: {task} needs bags of at least {smallest} instances", size, "size=12")
    require(min(n) >= 0, "bags: n must be two numbers of bags", n, "n=(2000, 500)")
    source = digits()
    parts = (_part(TASKS[task], n[k], size, seed, k, part) for k, part in enumerate((source.train, source.test)))
    return Split(*parts, TASKS[task].classes)


def _part(task: Task, n: int, size: int, seed: int, part: int, source: Part) -> Part:
    K = len(task.classes)
    rows, evidence = np.empty((n, size), dtype=np.int64), np.empty((n, size, K), dtype=np.int64)
    of_digit = [np.flatnonzero(source.y == digit) for digit in range(10)]
    for i in range(n):
        rng = default_rng((seed, part, i))
        bag = _bag(task, rng, i % K, size)
        rows[i] = [rng.choice(of_digit[digit]) for digit in bag]
        evidence[i] = task.says(bag) @ task.demands.T
    return Part(source.x[torch.from_numpy(rows)], torch.arange(n) % K, evidence=torch.from_numpy(evidence))


def _bag(task: Task, rng: Generator, label: int, size: int) -> NDArray:
    """Digits `(size,)` of one bag, in random order."""
    chosen = np.array(task.draw(rng, label, size), dtype=np.int64)
    return rng.permutation(np.concatenate([chosen, rng.choice(task.neutral, size - len(chosen))]))
