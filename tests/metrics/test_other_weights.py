"""Other weights with the same decision: every weighting of three tokens tried, and each way beside the others."""

import math

import pytest
import torch

from xnb.metrics.attention_tests import adversarial_divergence, jensen_shannon_divergence, total_variation
from xnb.metrics.other_weights import largest_divergence, search_by_linear_programs


def draw(inputs, tokens, classes, seed=0):
    rng = torch.Generator().manual_seed(seed)
    a = torch.softmax(2 * torch.randn(inputs, tokens, generator=rng, dtype=torch.double), 1)
    return a, torch.randn(inputs, tokens, classes, generator=rng, dtype=torch.double)


def margins(values):
    return values[:, :, 1] - values[:, :, 0]


def every_weighting(steps):
    grid = torch.cartesian_prod(*[torch.arange(steps + 1, dtype=torch.double)] * 2) / steps
    grid = grid[grid.sum(1) <= 1 + 1e-9]
    return torch.cat([grid, (1 - grid.sum(1, keepdim=True)).clamp(min=0)], 1)


@pytest.mark.parametrize("budget", [0.01, 0.1])
def test_the_largest_divergence_is_the_best_of_all_weights(budget):
    a, values = draw(4, 3, 2)
    every = every_weighting(800)
    exact = largest_divergence(a, margins(values), budget)
    for i in range(len(a)):
        these = a[i].expand_as(every)
        same = total_variation(these, every, values[i].expand(len(every), -1, -1)) <= budget
        tried = float(jensen_shannon_divergence(these, every)[same].max())
        assert tried - 1e-9 <= float(exact[i]) < tried + 0.02  # as fine as the weights that were tried


def test_a_search_finds_at_most_the_largest_divergence():
    a, values = draw(6, 12, 2)
    exact = largest_divergence(a, margins(values), 0.01)
    for found in (adversarial_divergence(a, values, 0.01), search_by_linear_programs(a, values)):
        assert (found <= exact + 1e-6).all()
        assert float((found / exact).mean()) > 0.7


def test_no_decision_that_could_change_leaves_all_weights():
    a, _ = draw(3, 5, 2)
    exact = largest_divergence(a, torch.ones_like(a), 0.01)
    furthest = torch.stack([jensen_shannon_divergence(a, torch.eye(5)[[n]].double().expand(3, -1)) for n in range(5)])
    torch.testing.assert_close(exact, furthest.amax(0))


def test_a_single_token_leaves_no_other_weights():
    a, values = torch.ones(2, 1), torch.randn(2, 1, 2)
    assert float(largest_divergence(a, margins(values), 0.1).abs().max()) < 1e-9
    assert float(search_by_linear_programs(a, values).abs().max()) < 1e-9


def test_linear_programs_move_all_weight_where_other_tokens_say_the_same():
    a = torch.tensor([[0.5, 0.5, 0.0, 0.0]], dtype=torch.double)
    values = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]]], dtype=torch.double).repeat(1, 2, 1)
    assert float(search_by_linear_programs(a, values, starts=1)) == pytest.approx(math.log(2))


def test_linear_programs_find_nothing_where_tokens_pin_the_weights_down():
    """Three tokens, three classes whose logits are independent: the weights are a function of the logits."""
    a, values = draw(4, 3, 3)
    assert float(search_by_linear_programs(a, values).max()) < 1e-9
    assert float(adversarial_divergence(a, values, 0.001).max()) < 0.05


def test_more_starts_never_find_less():
    a, values = draw(6, 9, 2)
    found = [search_by_linear_programs(a, values, starts=starts) for starts in (1, 8)]
    assert (found[1] >= found[0] - 1e-12).all()


def test_each_input_is_searched_by_itself():
    a, values = draw(4, 7, 3)
    torch.testing.assert_close(
        search_by_linear_programs(a, values)[1:2], search_by_linear_programs(a[1:2], values[1:2])
    )
