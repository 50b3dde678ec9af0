"""KernelSHAP as published: sizes drawn by the kernel, the regression beside numpy's, and what pairs are good for."""

import numpy as np
import pytest
import torch

from xnb.methods.independent_draws import (
    draw_independent_coalitions,
    draw_independent_pairs,
    fit_independent_draws,
)
from xnb.methods.regression import fit_shapley_values
from xnb.methods.shapley import exact_shapley, kernel_shap

M = 7
AS_PUBLISHED = pytest.mark.parametrize("sampling", ["iid", "iid_pairs"])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def play_table(seed=0, games=5):
    """A value for each of 2^M coalitions, in each of some games, as a function of who is in."""
    values = torch.randn(2**M, games, generator=generator(seed), dtype=torch.double)
    return lambda z: values[(z @ 2.0 ** torch.arange(M, dtype=z.dtype)).long()]


def all_of(games=5):
    return torch.ones(games, M, dtype=torch.double), torch.arange(games)


def test_sizes_come_as_the_kernel_says_and_all_players_alike():
    drawn = draw_independent_coalitions(M, 40_000, generator())
    sizes = drawn.sum(1)
    assert 1 <= sizes.min() <= sizes.max() <= M - 1
    kernel = np.array([1 / (k * (M - k)) for k in range(1, M)])
    shares = torch.bincount(sizes, minlength=M)[1:] / len(drawn)
    np.testing.assert_allclose(shares, kernel / kernel.sum(), atol=0.01)
    for size in range(1, M):
        assert (drawn[sizes == size].double().mean(0) - size / M).abs().max() < 0.03


def test_pairs_weigh_as_often_as_they_come():
    pairs = draw_independent_pairs(M, 300, generator())
    assert len(pairs.members.unique(dim=0)) < len(pairs.members) == 300
    assert (pairs.weights == 1).all()
    assert (pairs.missing == 1).all()


def test_the_fit_is_least_squares_with_the_sum_held():
    """As the paper writes it: the last player's value is what the others leave of the change."""
    rng = generator(3)
    members = draw_independent_coalitions(M, 60, rng)
    gains, change = torch.randn(60, 2, generator=rng).double(), torch.tensor([1.5, -2.0]).double()
    z = members.double().numpy()
    for game in range(2):
        right = gains[:, game].numpy() - z[:, -1] * change[game].item()
        first = np.linalg.lstsq(z[:, :-1] - z[:, -1:], right, rcond=None)[0]
        expected = np.append(first, change[game] - first.sum())
        np.testing.assert_allclose(fit_independent_draws(members, change, gains).values[game], expected, atol=1e-10)


def test_pairs_are_the_same_fit_of_both_coalitions():
    pairs = draw_independent_pairs(M, 40, generator(1))
    both = torch.cat([pairs.members, ~pairs.members])
    gains = torch.randn(80, 3, generator=generator(2)).double()
    change = torch.randn(3, generator=generator(4)).double()
    by_pairs = fit_shapley_values(pairs, change, (gains / 2).unflatten(0, (2, 40)))
    torch.testing.assert_close(by_pairs.values, fit_independent_draws(both, change, gains).values)


@AS_PUBLISHED
def test_of_an_additive_game_enough_draws_say_all(sampling):
    weights = torch.arange(1.0, M + 1, dtype=torch.double)[:, None]
    ones = torch.ones(1, M, dtype=torch.double)
    a = kernel_shap(lambda z: z @ weights, ones, torch.tensor([1]), samples=40, sampling=sampling)
    torch.testing.assert_close(a, weights.T)


@AS_PUBLISHED
def test_the_mean_of_many_draws_is_the_shapley_value(sampling):
    game, (ones, target) = play_table(), all_of()
    exact = exact_shapley(game, ones, target)
    drawn = kernel_shap(game, ones, target, samples=20_000, sampling=sampling)
    torch.testing.assert_close(drawn.sum(1), exact.sum(1))
    assert (drawn - exact).abs().max() < 0.1


@AS_PUBLISHED
def test_the_error_that_is_claimed_is_about_that_which_is_made(sampling):
    game, (ones, target) = play_table(1), all_of()
    exact = exact_shapley(game, ones, target)
    made = [kernel_shap(game, ones, target, samples=600, sampling=sampling, seed=seed) for seed in range(40)]
    relative = ((torch.stack(made) - exact).square().mean() / exact.square().mean()).sqrt()
    wanted = kernel_shap(game, ones, target, samples=600, sampling=sampling, standard_error=float(relative) / 2)
    assert ((wanted - exact).square().mean() / exact.square().mean()).sqrt() < relative


def test_one_player_has_all():
    x, target = torch.tensor([[3.0]]).double(), torch.tensor([1])
    for sampling in ("iid", "iid_pairs"):
        torch.testing.assert_close(kernel_shap(lambda z: 2 * z, x, target, sampling=sampling), 2 * x)


def test_complements_cancel_what_is_even():
    """A pair of players that act together: halves of pairs leave no error of the draw, single draws do."""

    def play(z):
        return (z[:, :1] - 0.5) * (z[:, 1:2] - 0.5) + z.sum(1, keepdim=True)

    ones, target = torch.ones(1, M).double(), torch.tensor([1])
    exact = exact_shapley(play, ones, target)
    pairs = kernel_shap(play, ones, target, samples=60, sampling="iid_pairs")
    torch.testing.assert_close(pairs, exact)
    single = kernel_shap(play, ones, target, samples=60, sampling="iid")
    assert (single - exact).abs().max() > 0.01
