"""Complexity of a map: closed forms, Quantus, and maps that name nothing."""

import math
import warnings

import pytest
import torch

from xnb.metrics import effective_support, entropy, sparseness

METRICS = [sparseness, entropy, effective_support]


def apply(metric, a):
    return metric(lambda x: x, torch.zeros_like(a), torch.zeros(len(a), dtype=torch.long), a)


def single(*values):
    return torch.tensor(values, dtype=torch.double)[None]


@pytest.mark.parametrize(
    ("values", "gini", "nats", "support"),
    [
        ((1, 1, 1, 1), 0, math.log(4), 4),
        ((0, 0, 5, 0), 3 / 4, 0, 1),
        ((0, 0, -5, 5), 1 / 2, math.log(2), 2),
        ((1, 2, 3, 4), 1 / 4, -sum(p * math.log(p) for p in (0.1, 0.2, 0.3, 0.4)), 100 / 30),
    ],
)
def test_closed_forms(values, gini, nats, support):
    for metric, expected in zip(METRICS, (gini, nats, support), strict=True):
        assert apply(metric, single(*values)).item() == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_size_counts_and_neither_sign_nor_scale(metric, x):
    torch.testing.assert_close(apply(metric, x), apply(metric, -7 * x))


@pytest.mark.parametrize("metric", METRICS)
def test_a_zero_map_names_nothing(metric):
    assert apply(metric, torch.zeros(2, 1, 3, 3)).isnan().all()


@pytest.mark.parametrize(("name", "metric"), [("Sparseness", sparseness), ("Complexity", entropy)])
def test_quantus_finds_the_same(name, metric):
    a = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(pytest.importorskip("quantus"), name)(abs=True, normalise=False, disable_warnings=True)
        inputs = {"x_batch": a.numpy(), "y_batch": torch.zeros(6).long().numpy(), "a_batch": a.numpy().copy()}
        quantus_scores = theirs(model=torch.nn.Flatten(), **inputs)
    torch.testing.assert_close(apply(metric, a), torch.tensor(quantus_scores).float(), rtol=1e-4, atol=1e-4)


def test_effective_support_needs_no_threshold():
    """Quantus' EffectiveComplexity counts what exceeds 1e-5, so rescaling a map changes it; ours stays."""
    a = torch.logspace(-8, 0, 64, dtype=torch.double)[None]
    counts = [(scale * a > 1e-5).sum() for scale in (1, 100)]
    assert counts[0] != counts[1]
    torch.testing.assert_close(apply(effective_support, a), apply(effective_support, 100 * a))
