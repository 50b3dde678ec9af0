"""Methods that sample: slow twins, what they tend to, honest errors, and further rounds.

Slow twins: smoothgrad, vargrad, expected_gradients
Tests: xnb.methods.smoothing, xnb.methods.monte_carlo
"""

import pytest
import torch
from largest_tensor import Largest
from torch import nn

from xnb import attribute
from xnb.access.draws import make_generator
from xnb.access.ledger import count_passes
from xnb.access.rows import follow_rows
from xnb.access.score import score
from xnb.methods.monte_carlo import MOST_ROUNDS

CLOSE = {"rtol": 1e-9, "atol": 1e-12}
SAMPLED = ("smoothgrad", "expected_gradients")


@pytest.fixture
def bent():
    """A network with biases and curvature, so that its slope changes from place to place."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(72, 16), nn.Tanh(), nn.Linear(16, 3)).double().eval()


def slopes_at(model, points, target):
    """Slope at each of (N, B, *shape) points, one at a time."""
    out = torch.empty_like(points)
    for n, b in torch.cartesian_prod(torch.arange(len(points)), torch.arange(points.shape[1])).tolist():
        leaf = points[n, b][None].clone().requires_grad_()
        out[n, b] = torch.autograd.grad(model(leaf)[0, target[b]], leaf)[0][0]
    return out


def noises(x, samples, seed):
    rng = make_generator("changes of inputs", seed)
    return torch.stack([torch.randn(1, *x.shape[1:], generator=rng, dtype=x.dtype) for _ in range(samples)])


def test_smoothgrad_and_vargrad_sample_by_sample(bent, x, target):
    spread = 0.3 * torch.stack([picture.max() - picture.min() for picture in x]).view(-1, 1, 1, 1)
    slopes = slopes_at(bent, x + spread * noises(x, 7, 5), target)
    knobs = {"sigma": 0.3, "samples": 7, "seed": 5}
    torch.testing.assert_close(attribute(bent, x, target, "smoothgrad", **knobs), slopes.mean(0), **CLOSE)
    torch.testing.assert_close(attribute(bent, x, target, "vargrad", **knobs), slopes.var(0), **CLOSE)


def test_expected_gradients_sample_by_sample(bent, x, target):
    starts = torch.stack([x[0] * 0, x[1] + 1])
    rng = make_generator("changes of inputs", 3)
    start = starts[torch.randint(2, (9, 1), generator=rng)]
    times = torch.rand(9, 1, 1, 1, 1, generator=rng, dtype=x.dtype)
    expected = ((x - start) * slopes_at(bent, start + times * (x - start), target)).mean(0)
    found = attribute(bent, x, target, "expected_gradients", baseline=starts, samples=9, seed=3)
    torch.testing.assert_close(found, expected, **CLOSE)


def test_without_noise_smoothgrad_is_the_gradient(bent, x, target):
    found = attribute(bent, x, target, "smoothgrad", sigma=0.0, samples=2)
    torch.testing.assert_close(found, attribute(bent, x, target, "gradient"), **CLOSE)
    assert attribute(bent, x, target, "vargrad", sigma=0.0, samples=2).abs().max() < 1e-25


def test_expected_gradients_tend_to_integrated_gradients(bent, x, target):
    exact = attribute(bent, x, target, "integrated_gradients")
    with count_passes() as passes:
        found = attribute(bent, x, target, "expected_gradients", samples=4096)
    error = (found - exact).flatten(1).square().mean(1).sqrt() / exact.flatten(1).square().mean(1).sqrt()
    stated = passes.notes["standard_error"]
    assert (error < 0.05).all()
    assert (error < 3 * stated).all()


def test_expected_gradients_add_up_on_average(bent, x, target):
    starts = torch.stack([x[0] * 0, x[1], x[2]])
    total = attribute(bent, x, target, "expected_gradients", baseline=starts, samples=8192).flatten(1).sum(1)
    before = torch.stack([score(bent, start[None], target[i : i + 1])[0] for i in range(5) for start in starts])
    change = score(bent, x, target) - before.view(5, 3).mean(1)
    torch.testing.assert_close(total, change, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", SAMPLED)
def test_the_stated_error_is_the_spread_over_seeds(name, bent, x, target):
    maps = torch.stack([attribute(bent, x, target, name, seed=seed) for seed in range(40)])
    with count_passes() as passes:
        attribute(bent, x, target, name)
    spread = maps.var(0).flatten(1).mean(1).sqrt() / maps.mean(0).square().flatten(1).mean(1).sqrt()
    assert (passes.notes["standard_error"] / spread - 1).abs().max() < 0.3


@pytest.mark.parametrize("name", SAMPLED)
def test_rounds_until_the_error_is_small_enough(name, bent, x, target):
    with count_passes() as passes:
        together = attribute(bent, x, target, name, standard_error=0.05, samples=16)
    assert (passes.notes["standard_error"] <= 0.05).all()
    assert passes.forward < 5 * 16 * MOST_ROUNDS
    alone = [attribute(bent, x[i : i + 1], target[i : i + 1], name, standard_error=0.05, samples=16) for i in range(5)]
    torch.testing.assert_close(together, torch.cat(alone), **CLOSE)


@pytest.mark.parametrize(
    ("name", "knobs", "says"),
    [
        ("smoothgrad", {"samples": 1}, "at least 2"),
        ("smoothgrad", {"standard_error": 0.0}, r"positive.*\n.*\n  try: standard_error=0.05"),
        ("expected_gradients", {"baseline": torch.zeros(4, 3)}, r"inputs \(N, 2, 6, 6\)"),
        ("expected_gradients", {"baseline": torch.zeros(4, 2, 6, 6)}, r"x's dtype\n  got: float32"),
    ],
)
def test_refusals(name, knobs, says, bent, x, target):
    with pytest.raises(ValueError, match=says):
        attribute(bent, x, target, name, **knobs)


@pytest.mark.parametrize("shape", [(1, 3, 7), (3, 3, 7)])
def test_noise_does_not_depend_on_how_much_is_drawn_at_once(shape):
    """21 values, where a generator fills by sixteens: a pass of one input and of a hundred meet the same noise."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    model = lambda z: torch.stack([z.pow(3).flatten(1).sum(1), z.flatten(1).sum(1)], 1)  # noqa: E731
    expected = attribute(model, x, 0, "smoothgrad", samples=9)
    for chunk in (1, 2, 5, 100):
        torch.testing.assert_close(attribute(model, x, 0, "smoothgrad", samples=9, chunk=chunk), expected, **CLOSE)


@pytest.mark.parametrize("method", ["smoothgrad", "vargrad", "expected_gradients"])
def test_changed_inputs_are_held_for_a_pass_alone(method):
    """64 draws, two at a time: no tensor holds more than a few inputs."""
    x = torch.randn(1, 1, 1000, generator=torch.Generator().manual_seed(0))
    with Largest() as largest:
        attribute(lambda z: z.flatten(1)[:, :2].square(), x, 0, method, samples=64, chunk=2)
    assert largest.values <= 4 * 1000


@pytest.mark.parametrize("method", SAMPLED)
def test_further_rounds_of_some_inputs_take_along_what_is_theirs(method):
    """f_i = g_i |x|^3: the map of each input is that of it alone, however many rounds its neighbours need."""
    gates = torch.tensor([1.0, -2.0, 0.5]).double()
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(1)).double() * torch.tensor([[0.1], [1.0], [3.0]])

    def gated(rows):
        def model(z):
            total = (1 + z).pow(3).sum(1) * follow_rows(gates[rows], len(z), "gates")
            return torch.stack([total, -total], 1)

        return model

    knobs = {"samples": 2, "standard_error": 0.05, "baseline": lambda x: 0.5 * x} if method != "smoothgrad" else {}
    knobs = knobs or {"samples": 2, "standard_error": 0.05}
    found = attribute(gated([0, 1, 2]), x, 0, method, **knobs)
    for i in range(3):
        torch.testing.assert_close(found[i : i + 1], attribute(gated([i]), x[i : i + 1], 0, method, **knobs), **CLOSE)
