"""Crosses stand where they are said to stand, in one square, and nowhere else."""

import pytest
import torch

from xnb import data
from xnb.data.calliper_crosses import draw_crosses, mark_class

BLACK = {"bags": torch.zeros(20, 12, 1, 8, 8), "pictures": torch.zeros(20, 1, 24, 32)}


def squares_of(x):
    return x[:, :, 0] if x.ndim == 5 else x[:, 0].unfold(1, 8, 8).unfold(2, 8, 8).flatten(1, 2)


@pytest.mark.parametrize("kind", BLACK)
def test_a_cross_of_nine_pixels_lies_in_one_square(kind):
    marked, at = draw_crosses(BLACK[kind], seed=3)
    squares = squares_of(marked)
    assert at.sum(1).tolist() == [1] * 20
    assert torch.equal(squares.flatten(2).any(2), at)
    cross = torch.zeros(8, 8)
    cross[2, :5] = cross[:5, 2] = 1
    assert (squares[at] == cross).all()
    assert BLACK[kind].sum() == 0  # what came is left alone


@pytest.mark.parametrize("kind", BLACK)
def test_scattered_pixels_are_as_many_and_in_the_same_square(kind):
    (crossed, at), (scattered, also_at) = (draw_crosses(BLACK[kind], 3, scattered=how) for how in (False, True))
    assert torch.equal(at, also_at)
    assert torch.equal(squares_of(scattered)[at].sum((1, 2)), torch.full((20,), 9.0))
    assert not torch.equal(crossed, scattered)


def test_the_seed_says_where():
    assert torch.equal(draw_crosses(BLACK["bags"], 1)[1], draw_crosses(BLACK["bags"], 1)[1])
    assert not torch.equal(draw_crosses(BLACK["bags"], 1)[1], draw_crosses(BLACK["bags"], 2)[1])


@pytest.mark.parametrize("seed", [0, 1])
def test_half_of_one_class_is_marked(seed):
    part = data.bags(n=(40, 0)).train
    marked = mark_class(part, seed)
    changed = (marked.x != part.x).flatten(1).any(1)
    assert int(changed.sum()) == 10
    assert (part.y[changed] == 1).all()
    assert torch.equal(marked.y, part.y)
    assert torch.equal(marked.evidence, part.evidence)
