"""What metrics read of a map: ranks, sets of parts, and correlations."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy, pearsonr, spearmanr

from xnb.metrics.map_values import (
    broadcast_units,
    draw_part_sets,
    draw_squares,
    histogram_entropy,
    part_numbers,
    pearson_correlation,
    rank_units,
    spearman_correlation,
    sum_over_parts,
    unit_values,
)


@pytest.mark.parametrize("shape", [(3, 4, 5), (6, 1, 4, 4), (7,)], ids=["picture", "bag", "table"])
def test_a_unit_is_a_pixel_an_instance_or_a_feature(shape):
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    axes = (2, 3) if x.ndim == 4 else (1,)
    units = unit_values(x, x, axes)
    by_hand = {3: lambda a: a.sum(0), 4: lambda a: a.sum((1, 2, 3)), 1: lambda a: a}[len(shape)]
    torch.testing.assert_close(units, torch.stack([by_hand(a).flatten() for a in x]))
    assert torch.broadcast_shapes(broadcast_units(units, x, axes).shape, x.shape) == x.shape


def test_parts_add_up(x):
    part_of_unit = part_numbers(x, (2, 3), 3)
    assert part_of_unit.view(6, 6)[:2, :2].unique().tolist() == [0]
    sums = sum_over_parts(unit_values(x, x, (2, 3)), part_of_unit)
    torch.testing.assert_close(sums[:, 0], x[:, :, :2, :2].sum((1, 2, 3)))
    torch.testing.assert_close(sums.sum(1), x.flatten(1).sum(1))


def test_parts_are_summed_in_double_precision():
    sums = sum_over_parts(torch.tensor([[1e8, 1.0, -1e8, 3.0]]), torch.tensor([0, 0, 0, 1]))
    assert sums.dtype == torch.double
    assert sums.tolist() == [[1, 3]]


def test_ties_are_in_random_order_that_depends_on_the_seed():
    values = torch.tensor([[1.0, 2, 1, 3, 1]])
    ranks = torch.stack([rank_units(values, seed)[0] for seed in range(40)])
    assert (ranks[:, 3] == 0).all()
    assert (ranks[:, 1] == 1).all()
    assert {tuple(row) for row in ranks[:, [0, 2, 4]].tolist()} == {
        (2, 3, 4), (2, 4, 3), (3, 2, 4), (3, 4, 2), (4, 2, 3), (4, 3, 2)
    }  # fmt: skip


def test_sets_do_not_depend_on_input_or_map_and_have_their_sizes():
    sizes = torch.tensor([1, 5, 10])
    sets = draw_part_sets(10, sizes, seed=3)
    assert torch.equal(sets.sum(1), sizes)
    assert torch.equal(sets, draw_part_sets(10, sizes, seed=3))
    assert not torch.equal(sets, draw_part_sets(10, sizes, seed=4))


def test_correlations_are_scipys(x):
    a, b = x.flatten(1).T.round(decimals=1), x.flip(0).flatten(1).T.round(decimals=1)  # with ties
    for ours, theirs in ((pearson_correlation, pearsonr), (spearman_correlation, spearmanr)):
        expected = [theirs(a[:, i], b[:, i]).statistic for i in range(5)]
        torch.testing.assert_close(ours(a, b), torch.tensor(expected))


def test_nothing_is_said_where_nothing_varies(x):
    a = x.flatten(1).T
    flat = torch.full_like(a, 0.1) * (1 + 1e-16)
    assert pearson_correlation(a, flat).isnan().all()
    assert spearman_correlation(flat, a).isnan().all()
    assert pearson_correlation(1e9 + a, a).isfinite().all()


def test_entropies_of_histograms_are_those_of_numpy_and_scipy(x):
    values = x.flatten(1)
    expected = [entropy(np.histogram(row, 7)[0]) for row in values.numpy()]
    torch.testing.assert_close(histogram_entropy(values, 7), torch.tensor(expected))
    by_hand = torch.tensor([[0.0, 0.2, 0.9, 1.0], [3.0, 3.0, 3.0, 3.0], [0.0, 0.6, 0.9, 1.0]], dtype=torch.double)
    expected = [math.log(2), 0, math.log(4) - 3 / 4 * math.log(3)]
    torch.testing.assert_close(histogram_entropy(by_hand, 2), torch.tensor(expected, dtype=torch.double))


@pytest.mark.parametrize(("shape", "axes"), [((1, 12), (2,)), ((6,), (1,)), ((1, 5, 7), (2, 3))])
def test_intervals_have_every_size_up_to_half_and_lie_everywhere(shape, axes):
    """Of a table they are sets of features, of every size up to all of them."""
    squares = draw_squares(torch.zeros(2, *shape), axes, 600, 0)
    sizes = {int(size) for size in squares.sum(1)}
    largest = 6 if axes == (1,) else min(length for length in shape if length > 1) // 2
    assert sizes == {side ** len(axes) for side in range(1, largest + 1)}
    assert squares.any(0).all()
    again = draw_squares(torch.zeros(2, *shape), axes, 600, 0)
    assert torch.equal(again, squares)
    assert not torch.equal(draw_squares(torch.zeros(2, *shape), axes, 600, 1), squares)
