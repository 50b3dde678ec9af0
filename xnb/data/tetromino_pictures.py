"""Pictures of 8 x 8 pixels that hold one or two tetrominoes in noise, after XAI-TRIS (arXiv:2306.12816)."""

from typing import Literal

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from xnb.check import require
from xnb.data.split import Part, Split

TETROMINO_SIDE = 8
T = np.array([[1, 1, 1], [0, 1, 0]])
L = np.array([[1, 0], [1, 0], [1, 1]])
FIXED_FORMS = np.zeros((2, TETROMINO_SIDE, TETROMINO_SIDE))  # T above on the left, L below on the right
FIXED_FORMS[0, 1:3, 1:4] = T
FIXED_FORMS[1, 4:7, 5:7] = L
# Smoothing by 3 pixels as a matrix on rows, and likewise on columns; scaled to a mean variance of 1.
SMOOTH = gaussian_filter1d(np.eye(TETROMINO_SIDE), 3, axis=0)
SMOOTH /= np.sqrt(np.trace(SMOOTH @ SMOOTH.T) / TETROMINO_SIDE)
# Height of a tetromino in standard deviations of the background. The paper's shares of norms, converted and rounded;
# for the multiplicative task it is the fraction of the background that the tetromino takes away.
STRENGTH = {
    "linear": {"white": 0.9, "correlated": 0.05},
    "multiplicative": {"white": 0.7, "correlated": 0.1},
    "rotation": {"white": 7.5, "correlated": 1.0},
    "xor": {"white": 1.5, "correlated": 0.5},
}
Background = Literal["white", "correlated"]


def tetrominoes(
    task: str = "linear",
    background: Background = "white",
    n: tuple[int, int] = (2000, 500),
    seed: int = 0,
    *,
    strength: float | None = None,
) -> Split:
    """Grey pictures `(N, 1, 8, 8)` of classes T and L, with masks, in four tasks; classes take turns.

    - `linear`: a T is added above on the left, or an L below on the right.
    - `multiplicative`: the same, but the background is made weaker there. A linear model is at chance.
    - `rotation`: a T or an L anywhere, turned by any quarter. A linear model is near chance.
    - `xor`: both are there, each bright or dark: both alike is one class, unlike the other. No pixel tells anything.

    The background has a mean of 0 and a variance of 1 (on the average over pixels). Where it is `correlated`, pixels
    far from the tetromino help to predict the background below it, and so a good model must use pixels that tell
    nothing of the class: suppressors. Whether an explanation that shows them is wrong or right depends on the
    question that it answers. In the mask are the pixels that carry class information: with fixed positions both
    tetrominoes, as where one is missing tells as much as where one is, with `rotation` the one that is there.

    Picture i is a function of (seed, part, i), whatever `n`; part is 0 for training and 1 for testing.

    Args:
        task: linear, multiplicative, rotation or xor.
        background: white or correlated noise.
        n: number of training and test pictures.
        strength: of the tetrominoes, in standard deviations of the background; for `multiplicative` the fraction of
            it that they take away. The default goes with task and background.

    Raises:
        ValueError: an unknown task or background, or a negative `n`.
    """
    hint = f"one of {list(STRENGTH)}"
    require(task in STRENGTH, "tetrominoes: task must be a known one", task, hint)
    known = background in STRENGTH[task]
    require(known, "tetrominoes: background must be white or correlated", background, "background='white'")
    require(min(n) >= 0, "tetrominoes: n must be two numbers of pictures", n, "n=(2000, 500)")
    # by default as hard as in the paper
    height = STRENGTH[task][background] if strength is None else strength
    train = _draw_tetrominoes(n[0], task, background, height, (seed, 0))
    test = _draw_tetrominoes(n[1], task, background, height, (seed, 1))
    classes = ("alike", "unlike") if task == "xor" else ("T", "L")
    return Split(train, test, classes)


def _draw_tetrominoes(
    n: int,
    task: str,
    background: str,
    strength: float,
    key: tuple[int, int],
) -> Part:
    """`n` pictures; `key` is (seed, part)."""
    shape = (n, 1, TETROMINO_SIDE, TETROMINO_SIDE)
    x = np.empty(shape, dtype=np.float32)
    masks = np.empty(shape, dtype=bool)
    for i in range(n):
        rng = default_rng((*key, i))  # a stream a picture: it does not depend on the pictures before it
        noise = _draw_noise(background, rng)
        signal = _draw_signal(task, i % 2, rng)
        if task == "multiplicative":
            x[i] = noise * (1 - strength * signal)
        else:
            x[i] = noise + strength * signal
        # At fixed positions both forms are evidence, the one that is there and the one that is missing.
        masks[i] = signal != 0 if task == "rotation" else FIXED_FORMS.any(0)
    y = torch.arange(n) % 2
    return Part(torch.from_numpy(x), y, torch.from_numpy(masks))


def _draw_noise(background: str, rng: Generator) -> NDArray:
    noise = rng.standard_normal((TETROMINO_SIDE, TETROMINO_SIDE))
    if background == "white":
        return noise
    return SMOOTH @ noise @ SMOOTH.T


def _draw_signal(task: str, label: int, rng: Generator) -> NDArray:
    """Tetrominoes of one picture: 1 or -1 where they are, 0 elsewhere."""
    if task == "rotation":
        form = L if label else T
        return _draw_turned_form(form, rng)
    if task == "xor":
        first_sign = rng.choice([-1, 1])
        second_sign = 1 - 2 * label  # of the second form, relative to the first: alike or unlike
        return first_sign * (FIXED_FORMS[0] + second_sign * FIXED_FORMS[1])
    return FIXED_FORMS[label]


def _draw_turned_form(form: NDArray, rng: Generator) -> NDArray:
    """The form turned by any quarter, at any position where it fits in."""
    quarters = int(rng.integers(4))
    turned = np.rot90(form, quarters)
    height, width = turned.shape
    row = rng.integers(TETROMINO_SIDE - height, endpoint=True)
    column = rng.integers(TETROMINO_SIDE - width, endpoint=True)
    rows = slice(row, row + height)
    columns = slice(column, column + width)
    signal = np.zeros((TETROMINO_SIDE, TETROMINO_SIDE))
    signal[rows, columns] = turned
    return signal
