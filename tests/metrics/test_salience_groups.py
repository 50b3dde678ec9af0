"""SaCo: closed forms, ties, and the authors' pairwise loop."""

import pytest
import torch

from xnb.metrics import saco

X, Y = torch.ones(1, 1, 2, 2, dtype=torch.double), torch.tensor([0])


def additive(*weights):
    def model(x):
        score = x.flatten(1) @ x.new_tensor(weights)
        return torch.stack([score, torch.zeros_like(score)], 1)

    return model


def apply(model, values, **knobs):
    a = torch.tensor(values, dtype=torch.double).view(1, 1, 2, 2)
    return saco(model, X, Y, a, groups=4, impute="zero", unit="score", **knobs).item()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([8, 4, 2, 1], 1),
        ([1, 2, 4, 8], -1),
        ([8, 4, 1, 2], 1 - 2 * 1 / 23),  # one pair of six the wrong way, of weight 1 in 23
        ([80, 40, 20, 10], 1),
        ([8, 2, 2, 1], 1),  # parts that the map calls equal have no weight
    ],
)
def test_closed_forms(values, expected):
    assert apply(additive(4.0, 3, 2, 1), values) == pytest.approx(expected)


def test_groups_that_matter_equally_add_nothing():
    """The authors' `>=` calls these pairs concordant, and a model that ignores its input perfectly explained.

    Where all groups matter equally no map can be told from another, which is refused.
    """
    with pytest.raises(ValueError, match="the same whatever is removed"):
        apply(additive(0.0, 0, 0, 0), [8, 4, 2, 1])
    assert apply(additive(2.0, 2, 1, 1), [8, 4, 2, 1]) == pytest.approx(1 - (4 + 1) / 23)


def test_a_constant_map_says_nothing_whatever_the_group_sizes(model, x, target):
    for groups in (5, 7, 10, 36):
        assert saco(model, x, target, torch.full_like(x[:, :1], 0.1), groups=groups).isnan().all()


def test_the_authors_loop_without_ties(model, x, target):
    a = torch.randn(5, 1, 6, 6, dtype=torch.double, generator=torch.Generator().manual_seed(4))
    order = a.flatten(1).argsort(descending=True)
    before = model(x).detach().softmax(1).gather(1, target[:, None])[:, 0]
    for i in range(5):
        groups = order[i].split(6)
        salience, drops = [], []
        for group in groups:
            without = x[i : i + 1].clone()
            without.view(1, 2, 36)[:, :, group] = 0
            salience.append(float(a[i].flatten()[group].sum()))
            drops.append(float(before[i] - model(without).detach().softmax(1)[0, target[i]]))
        pairs = [(j, k) for j in range(6) for k in range(j + 1, 6)]
        weights = [(salience[j] - salience[k]) * (1 if drops[j] >= drops[k] else -1) for j, k in pairs]
        expected = sum(weights) / sum(map(abs, weights))
        assert saco(model, x, target, a, groups=6, impute="zero")[i].item() == pytest.approx(expected)


def test_it_reads_values_and_not_only_their_order(model, x, target):
    a = torch.rand(5, 1, 6, 6, dtype=torch.double, generator=torch.Generator().manual_seed(4))
    assert not torch.allclose(saco(model, x, target, a), saco(model, x, target, a.pow(8)))
    torch.testing.assert_close(saco(model, x, target, a), saco(model, x, target, 5 * a - 3))


def test_one_group_is_no_comparison(model, x, target):
    with pytest.raises(ValueError, match="at least 2"):
        saco(model, x, target, x, groups=1)
