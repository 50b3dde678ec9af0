"""Agreement with a known truth: closed forms, chance, and a linear score whose gap is known."""

import math

import pytest
import torch
from torch import nn

from xnb.metrics.ground_truth import prediction_gap, top_agreement

A = torch.tensor([[5.0, -4, 3, 0, 0]])
KINDS = [{}, {"sign": True}, {"rank": True}, {"rank": True, "sign": True}]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_truth_agrees_with_itself(kind):
    a = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    assert (top_agreement(a, a, 3, **kind) == 1).all()


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        ([5.0, 4, 3, 0, 0], (1, 2 / 3, 1, 2 / 3)),  # one sign is wrong
        ([4.0, -5, 3, 0, 0], (1, 1, 1 / 3, 1 / 3)),  # two change places
        ([5.0, 0, 0, 4, 3], (1 / 3, 1 / 3, 1 / 3, 1 / 3)),  # two are others
        ([0.0, 0, -5, 4, 3], (1 / 3, 0, 0, 0)),
    ],
)
def test_by_hand(truth, expected):
    values = [float(top_agreement(A, torch.tensor([truth]), 3, **kind)) for kind in KINDS]
    assert values == pytest.approx(expected)


def test_chance_is_what_the_docstring_says():
    generator = torch.Generator().manual_seed(0)
    a, truth = torch.randn(2, 40_000, 30, generator=generator)
    means = [float(top_agreement(a, truth, 5, **kind).mean()) for kind in KINDS]
    assert means == pytest.approx([5 / 30, 5 / 60, 1 / 30, 1 / 60], abs=0.004)


class TestPredictionGap:
    def linear(self):
        net = nn.Linear(6, 1, bias=False).double()
        net.weight.data = torch.tensor([[3.0, -2, 1, 0.5, 0, 0]], dtype=torch.double)
        return net.eval()

    def test_of_a_linear_score_it_has_a_closed_form(self):
        net, x = self.linear(), torch.randn(50, 6, dtype=torch.double)
        a = net.weight.detach().expand(50, 6)
        target = torch.ones(50, dtype=torch.long)
        for important, squares in ((True, 9 + 4), (False, 1 + 0.25)):
            gap = prediction_gap(net, x, target, a, k=2, important=important, noise=0.5, draws=400)
            assert float(gap.mean()) == pytest.approx(0.5 * math.sqrt(2 / math.pi * squares), rel=0.02)

    def test_the_weights_beat_the_contributions(self):
        net, x = self.linear(), torch.tensor([[0.1, 0.1, 5.0, 5.0, 0, 0]], dtype=torch.double)
        target = torch.tensor([1])
        w = net.weight.detach()
        weights, contributions = (prediction_gap(net, x, target, a, k=2) for a in (w, w * x))
        assert weights > contributions

    def test_the_same_noise_for_every_attribution_and_none_in_the_global_state(self):
        net, x = self.linear(), torch.randn(3, 6, dtype=torch.double)
        target = torch.ones(3, dtype=torch.long)
        state = torch.get_rng_state()
        gaps = [prediction_gap(net, x, target, torch.ones(3, 6), k=6, seed=1) for _ in range(2)]
        assert torch.equal(*gaps)
        assert torch.equal(state, torch.get_rng_state())
        assert (prediction_gap(net, x, target, torch.ones(3, 6), k=6, important=False) == 0).all()
