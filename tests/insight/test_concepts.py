"""Concepts and factors: directions that are known, Captum's TCAV, and codes that must be found again.

Tests: xnb.insight.inside.concepts, xnb.insight.inside.factors
"""

import pytest
import torch
from torch import nn

from xnb.insight import inside


@pytest.fixture
def net():
    """Features are the input; the first logit rises with the first of them and falls with the second."""
    model = nn.Sequential(nn.Identity(), nn.Linear(4, 2)).eval()
    with torch.no_grad():
        model[1].weight[:] = torch.tensor([[2.0, -1, 0, 0], [0, 0, 0, 0]])
    return model


def draw(feature, seed, count=60):
    """Inputs in which a feature is large."""
    x = 0.3 * torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    if feature is not None:
        x[:, feature] += 2
    return x


def test_the_direction_is_that_of_the_feature(net):
    for feature in range(4):
        found = inside.find_concept(net, draw(feature, 0), draw(None, 1), "0")
        assert found.norm() == pytest.approx(1, abs=1e-6)
        assert found[feature] > 0.95


def test_the_slope_is_that_of_the_logit(net):
    x = draw(None, 2)
    target = torch.zeros(len(x), dtype=torch.long)
    direction = torch.tensor([0.6, 0.8, 0, 0])
    expected = torch.full((len(x),), 0.6 * 2 - 0.8)
    torch.testing.assert_close(inside.measure_concept(net, x, target, "0", direction), expected)


def test_concepts_that_matter_and_one_that_does_not(net):
    x = draw(None, 3)
    target = torch.zeros(len(x), dtype=torch.long)
    random_sets = [draw(None, 10 + k) for k in range(12)]
    helpful = inside.compare_concept(net, x, target, "0", draw(0, 4), random_sets)
    harmful = inside.compare_concept(net, x, target, "0", draw(1, 5), random_sets)
    assert (helpful.scores == 1).all()
    assert (harmful.scores == 0).all()
    assert len(helpful.controls) == 12
    assert 0 < helpful.controls.mean() < 1
    assert max(helpful.p_value, harmful.p_value) < 0.05


def test_one_concept_against_itself_is_no_evidence(net):
    x = draw(None, 3)
    target = torch.zeros(len(x), dtype=torch.long)
    random_sets = [draw(None, 10 + k) for k in range(12)]
    idle = inside.compare_concept(net, x, target, "0", draw(None, 99), random_sets)
    assert idle.p_value > 0.01


def test_factors_that_add_up_are_found_again():
    generator = torch.Generator().manual_seed(0)
    sizes = torch.rand(300, 3, generator=generator) * (torch.rand(300, 3, generator=generator) < 0.4)
    directions = torch.tensor([[1.0, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]])
    found, parts = inside.factor_features(sizes @ directions, 3)
    torch.testing.assert_close(found @ parts, sizes @ directions, rtol=0, atol=0.02)
    correlation = torch.corrcoef(torch.cat([sizes.T, found.T]))[:3, 3:]
    assert (correlation.amax(1) > 0.97).all()
    assert sorted(correlation.argmax(1).tolist()) == [0, 1, 2]


def test_a_sparse_code_finds_more_parts_than_there_are_features():
    """Fourteen directions in ten dimensions, one or two of them at a time; untrained, none of them is there."""
    generator = torch.Generator().manual_seed(1)
    directions = torch.nn.functional.normalize(torch.randn(14, 10, generator=generator), dim=1)
    sizes = torch.rand(800, 14, generator=generator) * (torch.rand(800, 14, generator=generator) < 0.12)
    features = sizes @ directions
    found = {}
    for steps in (0, 1500):
        code = inside.fit_sparse_code(features, 28, sparsity=0.2, steps=steps)
        z = code.encode(features)
        found[steps] = (directions @ code.directions.T).amax(1)
    assert (found[0] > 0.9).sum() <= 1
    assert (found[1500] > 0.9).sum() >= 12
    assert (code.decode(z) - features).square().sum() < 0.06 * features.square().sum()
    assert (z > 0).double().mean() < 0.25


def test_parts_are_matched_with_what_is_known():
    y = torch.arange(100) % 4
    code = torch.stack([(y == 2).float(), torch.arange(100.0) % 7, (y != 1).float()], 1)
    table = inside.match_factors(code, {"form": y})
    row = table.set_index("value").loc[2]
    assert (row["part"], row["auc"], row["purity"], row["share"]) == (0, 1.0, 1.0, 0.25)
    assert table.set_index("value").loc[1, "auc"] < 0.7


def test_what_is_refused(net, as_users_run):
    x = draw(None, 3)
    target = torch.zeros(len(x), dtype=torch.long)
    with pytest.raises(ValueError, match="at least three random sets"):
        inside.compare_concept(net, x, target, "0", x, [x])
    with pytest.raises(ValueError, match="must not be negative"):
        inside.factor_features(x, 2)
    with pytest.raises(ValueError, match="count must be at least 1"):
        inside.fit_sparse_code(x, 0)
    with pytest.raises(ValueError, match="sparsity must not be negative"):
        inside.fit_sparse_code(x, 2, sparsity=-1.0)
