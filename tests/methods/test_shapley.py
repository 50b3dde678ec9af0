"""Shapley values against closed forms, all orders walked one by one, other libraries, and their own promises.

Slow twins: kernel_shap, permutation_shapley, exact_shapley
"""

from itertools import chain, combinations, permutations
from math import comb

import numpy as np
import pytest
import torch
from torch import nn

from xnb.access.ledger import count_passes
from xnb.access.regions import square_grid
from xnb.access.score import score
from xnb.methods.shapley import exact_shapley, kernel_shap, permutation_shapley

CLOSE = {"rtol": 1e-10, "atol": 1e-12}
METHODS = {
    "kernel": lambda *a, **k: kernel_shap(*a, samples=40, **k),
    "leverage": lambda *a, **k: kernel_shap(*a, samples=40, sampling="leverage", **k),
    "permutation": permutation_shapley,
    "exact": exact_shapley,
}
every = pytest.mark.parametrize("shapley", METHODS.values(), ids=METHODS.keys())


def table(features, rows=4, seed=0):
    """A network that bends, rows to explain, and their target."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(features, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 2))
        with torch.no_grad():
            net[0].weight.mul_(3)
            net[2].weight.mul_(3)
        return net.double().eval(), torch.randn(rows, features).double(), torch.arange(rows) % 2


def over_all_orders(model, x, target, players, regions):
    """Shapley 1953 as the paper defines it: the players come in one by one, in every order; one input at a time."""
    values = torch.zeros(len(x), players, dtype=torch.double)
    orders = list(permutations(range(players)))
    for i in range(len(x)):
        for order in orders:
            present = torch.zeros_like(x[i])
            before = model(present[None])[0, target[i]]
            for player in order:
                present = torch.where(regions == player, x[i], present)
                after = model(present[None])[0, target[i]]
                values[i, player] += (after - before) / len(orders)
                before = after
    return values


def least_squares(model, x, target):
    """Theorem 2 of Lundberg & Lee: all coalitions, the kernel's weights, the constraint by a Lagrange multiplier."""
    D = x.shape[1]
    coalitions = chain.from_iterable(combinations(range(D), size) for size in range(1, D))
    Z = np.array([[player in coalition for player in range(D)] for coalition in coalitions], float)
    weights = np.array([(D - 1) / (comb(D, int(k)) * k * (D - k)) for k in Z.sum(1)])
    system = np.block([[Z.T @ (weights[:, None] * Z), np.ones((D, 1))], [np.ones((1, D)), np.zeros((1, 1))]])
    values = []
    for row, c in zip(x, target, strict=True):
        none, all_, *wins = model(torch.from_numpy(np.vstack([np.zeros(D), np.ones(D), Z])) * row)[:, c].tolist()
        right = [*(Z.T @ (weights * (np.array(wins) - none))), all_ - none]
        values.append(np.linalg.solve(system, np.array(right))[:D])
    return torch.from_numpy(np.array(values))


@every
def test_closed_forms(shapley):
    """A product is shared evenly; of the larger of two, the smaller one gets half of what both reach."""
    x = torch.tensor([[3.0, 2.0, 5.0], [1.0, 4.0, -2.0]], dtype=torch.double)
    target = torch.ones(2, dtype=torch.long)
    product = shapley(lambda z: z[:, :2].prod(1, keepdim=True), x, target)
    torch.testing.assert_close(product, (x[:, :2].prod(1, keepdim=True) / 2) * torch.tensor([1.0, 1.0, 0.0]), **CLOSE)
    largest = shapley(lambda z: z[:, :2].amax(1, keepdim=True), x, target)
    torch.testing.assert_close(largest, torch.tensor([[2.0, 1.0, 0.0], [0.5, 3.5, 0.0]]).double(), **CLOSE)
    weights = torch.tensor([[1.0], [-2.0], [0.5]]).double()
    linear = shapley(lambda z: z @ weights + 7, x, target, baseline=1.0)
    torch.testing.assert_close(linear, (x - 1) * weights.T, **CLOSE)


def test_a_product_of_three_is_shared_evenly():
    """Orders and their reverses do not cancel it: walking some of them leaves an error."""
    x, target = torch.tensor([[3.0, 2.0, 5.0], [1.0, 4.0, -2.0]]).double(), torch.ones(2, dtype=torch.long)
    product, expected = lambda z: z.prod(1, keepdim=True), x.prod(1, keepdim=True).expand(2, 3) / 3
    torch.testing.assert_close(exact_shapley(product, x, target), expected, **CLOSE)
    torch.testing.assert_close(kernel_shap(product, x, target), expected, **CLOSE)
    torch.testing.assert_close(permutation_shapley(product, x, target, samples=4000), expected, rtol=0.05, atol=0)
    assert not torch.allclose(permutation_shapley(product, x, target, samples=4), expected, rtol=0.01)


def test_every_order_walked(model, x, target):
    """Four squares of a picture, five columns of a table."""
    regions = square_grid(6, 6, 2)
    expected = over_all_orders(model, x, target, 4, regions)
    a = exact_shapley(model, x, target, regions=regions)
    torch.testing.assert_close(a[:, 0, ::3, ::3].flatten(1), expected, **CLOSE)
    net, rows, classes = table(5)
    expected = over_all_orders(net, rows, classes, 5, torch.arange(5))
    torch.testing.assert_close(exact_shapley(net, rows, classes), expected, **CLOSE)


@pytest.mark.parametrize("features", [1, 2, 3, 4, 7, 10])
@pytest.mark.parametrize("sampling", ["paired", "leverage"])
def test_with_all_coalitions_kernel_shap_is_exact(features, sampling):
    net, x, target = table(features)
    exact = exact_shapley(net, x, target)
    a = kernel_shap(net, x, target, samples=max(2, 2**features - 2), sampling=sampling)
    torch.testing.assert_close(a, exact, **CLOSE)
    if features > 1:
        torch.testing.assert_close(least_squares(net, x, target), exact, rtol=1e-9, atol=1e-11)


@every
@pytest.mark.parametrize("features", [1, 2, 9])
def test_adds_up_to_the_change_of_score(shapley, features):
    net, x, target = table(features)
    change = score(net, x, target) - score(net, torch.full_like(x, 0.3), target)
    torch.testing.assert_close(shapley(net, x, target, baseline=0.3).sum(1), change, **CLOSE)


@every
def test_a_region_counts_once_however_many_values_carry_it(shapley, model, x, target):
    a = shapley(model, x, target, regions=square_grid(6, 6, 3))
    assert a.shape == (5, 1, 6, 6)
    torch.testing.assert_close(a[..., ::2, ::2].flatten(1).sum(1), score(model, x, target), **CLOSE)


def test_a_picture_is_cut_into_sixteen_when_all_coalitions_are_played():
    x = torch.randn(1, 1, 20, 20, generator=torch.Generator().manual_seed(0)).double()
    a = exact_shapley(lambda z: z.sum((1, 2, 3))[:, None], x, torch.tensor([1]))
    squares = x.unfold(2, 5, 5).unfold(3, 5, 5).sum((4, 5))
    torch.testing.assert_close(a, squares.repeat_interleave(5, 2).repeat_interleave(5, 3), **CLOSE)


def test_who_changes_nothing_gets_nothing():
    net, x, target = table(8)
    with torch.no_grad():
        net[0].weight[:, 3] = 0
    assert permutation_shapley(net, x, target)[:, 3].abs().max() < 1e-14
    assert exact_shapley(net, x, target)[:, 3].abs().max() < 1e-14


@every
def test_works_in_single_precision_and_on_no_input(shapley):
    net, x, target = table(9)
    expected = shapley(net, x, target).float()
    torch.testing.assert_close(shapley(net.float(), x.float(), target), expected, rtol=1e-4, atol=1e-5)
    assert shapley(net, x[:0].float(), target[:0]).shape == (0, 9)


def root_mean_square_error(shapley, truth, seeds, **knobs):
    return float(np.sqrt(np.mean([(shapley(seed=s, **knobs) - truth).square().mean() for s in range(seeds)])))


@pytest.mark.parametrize("method", [kernel_shap, permutation_shapley])
def test_four_times_the_samples_half_the_error(method):
    net, x, target = table(12)
    truth = exact_shapley(net, x, target)
    few, many = (
        root_mean_square_error(lambda **k: method(net, x, target, **k), truth, 10, samples=n)
        for n in ((60, 960) if method is kernel_shap else (4, 64))
    )
    assert many < few / 3  # sixteen times the samples: a quarter, but for chance


@pytest.mark.parametrize(
    ("method", "features", "samples"),
    [(kernel_shap, 12, 40), (kernel_shap, 12, 200), (kernel_shap, 8, 220), (permutation_shapley, 12, 10)],
)
def test_the_error_it_reports_is_the_error_it_has(method, features, samples):
    """Also with hardly more pairs than players, and with nearly all coalitions there are."""
    net, x, target = table(features)
    truth = exact_shapley(net, x, target)
    claimed, real = [], []
    for seed in range(40):
        with count_passes() as passes:
            a = method(net, x, target, samples=samples, seed=seed)
        claimed.append(passes.notes["standard_error"] * a.square().mean(1).sqrt())
        real.append((a - truth).square().mean(1).sqrt())
    claimed, real = torch.stack(claimed), torch.stack(real)
    assert (real < 4 * claimed).double().mean() > 0.97
    ratio = real.square().mean(0).sqrt() / claimed.square().mean(0).sqrt()
    assert ((ratio > 0.7) & (ratio < 1.5)).all(), ratio


def test_no_error_without_chance_and_none_known_without_freedom():
    net, x, target = table(6)
    for samples, expected in [(62, 0.0), (8, torch.inf)]:
        with count_passes() as passes:
            kernel_shap(net, x, target, samples=samples)
        assert (passes.notes["standard_error"] == expected).all()


@pytest.mark.parametrize("method", [kernel_shap, permutation_shapley])
def test_goes_on_until_the_error_is_small_and_each_input_for_itself(method):
    net, x, target = table(12)
    x[0] *= 0.05  # nearly linear there: done at once
    samples = 60 if method is kernel_shap else 4
    with count_passes() as once:
        method(net, x, target, samples=samples)
    with count_passes() as passes:
        together = method(net, x, target, samples=samples, standard_error=0.05)
    assert (passes.notes["standard_error"] <= 0.05).all()
    assert once.notes["standard_error"].max() > 0.05
    assert passes.forward > once.forward
    alone = [method(net, x[i : i + 1], target[i : i + 1], samples=samples, standard_error=0.05) for i in range(4)]
    torch.testing.assert_close(together, torch.cat(alone), **CLOSE)
    torch.testing.assert_close(together[0], method(net, x, target, samples=samples)[0], **CLOSE)


def test_gives_up_after_64_rounds():
    net, x, target = table(12, rows=1)
    with count_passes() as passes:
        kernel_shap(net, x, target, samples=40, standard_error=1e-9)
    assert passes.forward == 64 * 42


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda *a: kernel_shap(*a, samples=1), "kernel_shap: samples must be at least 2"),
        (
            lambda *a: kernel_shap(*a, sampling="random"),
            r"paired, leverage, iid or iid_pairs\n  got: 'random'\n  try: sampling='paired'",
        ),
        (lambda *a: permutation_shapley(*a, samples=1), "permutation_shapley: samples must be at least 2"),
        (lambda *a: kernel_shap(*a, standard_error=0.0), "standard_error: must be positive"),
        (exact_shapley, r"at most 16 regions.*\n  got: 17\n  try: xnb.attribute\(model, x, target, 'kernel_shap'\)"),
    ],
)
def test_refusals(call, match, as_users_run):
    with pytest.raises(ValueError, match=match):
        call(*table(17))


class TestCaptum:
    """Captum 0.9; it answers in single precision."""

    @pytest.fixture(autouse=True)
    def captum(self):
        self.attr = pytest.importorskip("captum.attr")

    def test_all_permutations(self, model, x, target):
        regions = square_grid(6, 6, 2)
        theirs = self.attr.ShapleyValues(model).attribute(x, target=target, feature_mask=regions[None, None])
        ours = exact_shapley(model, x, target, regions=regions)
        torch.testing.assert_close(ours.expand_as(x).float(), theirs)

    def test_kernel_shap_converges_to_ours(self):
        net, x, target = table(4, rows=1)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            theirs = self.attr.KernelShap(net).attribute(x, target=target, n_samples=800, perturbations_per_eval=400)
        torch.testing.assert_close(kernel_shap(net, x, target, samples=14).float(), theirs, rtol=0.05, atol=0.05)


class TestShap:
    """shap 0.51."""

    @pytest.fixture(autouse=True)
    def shap(self):
        self.shap = pytest.importorskip("shap")

    def kernel(self, net, x, seed=0, **knobs):
        def first_class(z):
            return net(torch.from_numpy(z))[:, 0].detach().numpy()

        np.random.seed(seed)  # noqa: NPY002  # it draws from the global generator alone
        explainer = self.shap.KernelExplainer(first_class, np.zeros((1, x.shape[1])))
        return torch.from_numpy(explainer.shap_values(x.numpy(), l1_reg=0, silent=True, **knobs))

    def test_all_coalitions(self):
        net, x, target = table(6)
        ours = kernel_shap(net, x, torch.zeros_like(target), samples=62)
        torch.testing.assert_close(ours, self.kernel(net, x, nsamples=62), rtol=1e-6, atol=1e-8)

    @pytest.mark.filterwarnings("ignore:Linear regression equation is singular")
    @pytest.mark.parametrize("samples", [50, 100, 200, 500, 1000])
    @pytest.mark.parametrize("features", [10, 30])
    def test_error_is_not_above_theirs(self, features, samples):
        net, x, _ = table(features, rows=3)
        first = torch.zeros(3, dtype=torch.long)
        truth = exact_shapley(net, x, first) if features == 10 else permutation_shapley(net, x, first, samples=1000)
        ours = root_mean_square_error(lambda **k: kernel_shap(net, x, first, **k), truth, 12, samples=samples)
        theirs = root_mean_square_error(lambda **k: self.kernel(net, x, **k), truth, 3, nsamples=samples)
        assert ours <= 1.1 * theirs  # errors of so few draws are themselves uncertain by a tenth
