"""Tests: xnb.access.rows."""

import pytest
import torch
from torch import nn

import xnb
from xnb.access.rows import current_selection, follow_rows, number_rows, run_as, select_rows


class Gated(nn.Module):
    """The sum of each input, times a number that belongs to it; one logit for either sign."""

    def __init__(self, gates):
        super().__init__()
        self.gates = gates

    def forward(self, x):
        total = x.flatten(1).sum(1) * follow_rows(self.gates, len(x), "gates")
        return torch.stack([total, -total], 1)


@pytest.fixture
def gates():
    return torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).double()


@pytest.fixture
def table():
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double()


def test_selections_nest():
    """Of inputs 4, 2, 0, the last two, twice over: 2, 0, 2, 0."""
    values = torch.arange(5)
    with select_rows(torch.tensor([4, 2, 0]), 5), select_rows(slice(1, 3), 3, repeats=2):
        assert follow_rows(values, 4, "values").tolist() == [2, 0, 2, 0]
        assert number_rows(torch.tensor([3]), 4).numbers.tolist() == [0]
    assert current_selection() is None
    assert follow_rows(values, 5, "values") is values


def test_numbered_inputs_take_the_place_of_what_was_selected():
    numbered = number_rows(slice(None), 3)
    with select_rows(slice(1), 3), run_as(numbered.only(2, 2)):
        assert follow_rows(torch.tensor([7, 8, 9]), 2, "values").tolist() == [9, 9]


@pytest.mark.parametrize("method", [name for name, card in xnb.METHODS.cards.items() if card.family == "perturbation"])
@pytest.mark.parametrize("chunk", [1, 3, None])
def test_a_number_for_each_input_follows_it(method, chunk, gates, table):
    """Five inputs together are explained as each alone: f_i = g_i sum(x_i)."""
    knobs = {"regions": torch.tensor([0, 0, 1, 1])} if method != "occlusion" else {"window": 1, "stride": 1}
    x = table if method != "occlusion" else table[:, None, :2, None].repeat(1, 1, 1, 2)
    together = xnb.attribute(Gated(gates).eval(), x, 0, method, chunk=chunk, **knobs)
    for i in range(5):
        alone = xnb.attribute(Gated(gates[i : i + 1]).eval(), x[i : i + 1], 0, method, chunk=chunk, **knobs)
        torch.testing.assert_close(together[i : i + 1], alone)


def test_every_class_at_once(gates, table):
    a = xnb.attribute_all(Gated(gates).eval(), table, "gradient")
    torch.testing.assert_close(a[:, 0], gates[:, None].expand(5, 4))
    torch.testing.assert_close(a[:, 1], -a[:, 0])
    forward = xnb.attribute_all(Gated(gates).eval(), table, "feature_ablation")
    torch.testing.assert_close(forward[:, 0], gates[:, None] * table)


def test_other_inputs_than_those_around_them_are_refused(gates, table):
    """Inputs of which nobody said which they are: a refusal, no other input's number."""
    with pytest.raises(ValueError, match="gates: must have one row an input"):
        xnb.attribute(Gated(gates).eval(), table[:2], 0, "gradient")
    with select_rows(slice(3), 5), pytest.raises(ValueError, match="must be run within `select_rows`"):
        xnb.attribute(Gated(gates).eval(), table[:2], 0, "gradient")
    with select_rows(slice(3), 5), pytest.raises(ValueError, match="the model runs 2 inputs, and 3 are known"):
        follow_rows(gates, 2, "gates")


def test_a_baseline_for_each_input_follows_it(table):
    baseline = torch.arange(5.0).double()[:, None].expand(5, 4)
    a = xnb.attribute_all(Gated(torch.ones(1).double()).eval(), table, "integrated_gradients", baseline=baseline)
    torch.testing.assert_close(a[:, 0], table - baseline)


def test_equal_inputs_with_other_numbers_stay_apart():
    """Two blank inputs whose numbers differ: what removes everything meets equal rows that are not one input."""
    gates = torch.tensor([1.0, 2.0]).double()
    model = Gated(gates).eval()
    x = torch.ones(2, 3).double()
    a = xnb.attribute_all(model, x, "feature_ablation")
    torch.testing.assert_close(a[:, 0], gates[:, None].expand(2, 3))


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "feature_ablation", "smoothgrad", "lime"])
def test_inputs_are_repeated_in_one_order(method):
    """A function that repeats its second input by whole blocks is right, or fails; it never meets another order."""
    gates = torch.tensor([1.0, 2.0, 4.0]).double()
    x = torch.ones(3, 2).double()

    def model(z):
        total = z.sum(1) * gates.repeat(len(z) // 3)
        return torch.stack([total, -total], 1)

    a = xnb.attribute(model, x, 0, method)
    torch.testing.assert_close(a / a[:1], gates[:, None].expand(3, 2))
